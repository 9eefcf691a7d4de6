"""Nodes that take no pods. Pure."""

from wherry.cli.why.finding import Finding, fine
from wherry.cli.why.look import Look
from wherry.objects import conditions, metadata

_PRESSURES = {
    "MemoryPressure": "free memory: stop pods, or other programs of the machine",
    "DiskPressure": "free disk space; `wherry status` says where Wherry keeps its files",
    "PIDPressure": "too many processes run; stop some",
    "NetworkUnavailable": "the node's network is not set up",
}


def look(look: Look) -> Finding:
    """Return why a node is not ready, or takes no more pods."""
    ready = conditions.get(look.obj, "Ready") or {}
    if ready.get("status") != "True":
        said = ": ".join(filter(None, (ready.get("reason"), ready.get("message"))))
        return Finding(
            look.name,
            f"is not ready (Ready is {ready.get('status', 'not reported')})",
            evidence=(said,) if said else (),
            mend="is its kubelet alive? With Wherry on this machine: wherry status",
        )
    for kind, mend in _PRESSURES.items():
        if conditions.is_true(look.obj, kind):
            said = str((conditions.get(look.obj, kind) or {}).get("message") or "")
            return Finding(look.name, f"reports {kind}", evidence=(said,), mend=mend)
    if look.spec.get("unschedulable"):
        mend = f"kubectl uncordon {metadata.name(look.obj)}"
        return Finding(look.name, "is cordoned: it takes no new pods", "waiting", mend=mend)
    taints = [
        f"{each.get('key')}={each.get('value', '')}:{each.get('effect')}"
        for each in look.spec.get("taints") or []
    ]
    return fine(look.name, "is ready", *([f"taints: {', '.join(taints)}"] if taints else []))
