"""Pods that no node takes. Pure."""

from wherry.builtin import placement
from wherry.builtin.gangs import membership
from wherry.cli.why.causes import gangs
from wherry.cli.why.finding import Finding, worst
from wherry.cli.why.look import Look
from wherry.objects import conditions, kinds, metadata
from wherry.objects.requests import Object

_MIB = 2**20
_MENDS = (
    (
        "room is held for",
        "wait: what has waited longest has its turn first; `wherry why` of it says what it lacks",
    ),
    (
        "Insufficient",
        "lower resources.requests, delete pods that are not needed, or, for CPU on one's own "
        "machine, `wherry down --keep-pods` and `wherry up --cpu-overcommit FACTOR`",
    ),
    (
        "taint",
        "give the pod a toleration for the taint, or take it off: kubectl taint node NODE KEY-",
    ),
    ("unschedulable", "kubectl uncordon NODE"),
    ("pod affinity", "run the pods that spec.affinity.podAffinity asks for, or ask for others"),
    ("anti-affinity", "delete the pods that keep it away, or change the rule in spec.affinity"),
    (
        "topology spread",
        "raise maxSkew of spec.topologySpreadConstraints, or let it ScheduleAnyway",
    ),
    ("Too many pods", "delete pods that are not needed"),
)
"""What to do about a message with such words; the first that fits."""


def look(look: Look) -> Finding:
    """Return why a pod has no node."""
    gates = [str(each.get("name")) for each in look.spec.get("schedulingGates") or []]
    if gates:
        statement = f"is held back on purpose by its scheduling gates {', '.join(gates)}"
        return Finding(look.name, statement, "waiting", mend="whoever set a gate removes it")
    condition = conditions.get(look.obj, "PodScheduled") or {}
    message = str(condition.get("message") or look.warning("FailedScheduling"))
    together = gangs.waits(look, message) or gangs.names_no_scheduler(look, membership.SCHEDULERS)
    if together is not None:
        return together
    nodes = look.world.objects(kinds.NODES)
    if not nodes:
        mend = "is the node's agent alive? wherry status"
        return Finding(look.name, "has no node: none is registered", evidence=(message,), mend=mend)
    unbound = [look.descend(kinds.PERSISTENT_VOLUME_CLAIMS, claim) for claim in claims(look)]
    below = [found for found in unbound if found.holds_back] + _lost_claims(look)
    below += [found for node in nodes if (found := look.descend(kinds.NODES, node)).holds_back]
    if not message and not below:
        return Finding(look.name, "waits for the scheduler", "waiting")
    own = "" if below and "Insufficient" not in message else _mend(look, message)
    return Finding(
        look.name,
        "is placed on no node",
        "waiting" if below and worst(below) == "waiting" else "failed",
        tuple(filter(None, (message, *_amounts(look, message, nodes)))),
        own,
        tuple(below),
    )


def claims(look: Look) -> list[Object]:
    """Return the claims that a pod uses and that exist."""
    found = []
    for volume in look.spec.get("volumes") or []:
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if volume.get("ephemeral"):
            name = f"{metadata.name(look.obj)}-{volume['name']}"
        claim = (
            look.world.get(kinds.PERSISTENT_VOLUME_CLAIMS, look.namespace, name) if name else None
        )
        if claim is not None:
            found.append(claim)
    return found


def _lost_claims(look: Look) -> list[Finding]:
    found = []
    for volume in look.spec.get("volumes") or []:
        name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if name and look.world.is_missing(kinds.PERSISTENT_VOLUME_CLAIMS, look.namespace, name):
            there = look.world.names(kinds.PERSISTENT_VOLUME_CLAIMS, look.namespace)
            found.append(
                Finding(
                    f"persistentvolumeclaim/{name}",
                    f"does not exist in namespace {look.namespace}",
                    evidence=(f"volume {volume.get('name')} refers to it", _listed(there)),
                    mend="create the claim; the pod is placed by itself then",
                )
            )
    return found


def _listed(names: list[str]) -> str:
    return f"claims there are: {', '.join(names[:10]) or 'none'}"


def _mend(look: Look, message: str) -> str:
    if "affinity/selector" in message and "Insufficient" not in message:
        return _labels_wanted(look)
    return next((mend for words, mend in _MENDS if words in message), "")


def _labels_wanted(look: Look) -> str:
    selector = look.spec.get("nodeSelector") or {}
    wanted = ", ".join(f"{key}={value}" for key, value in selector.items())
    named = f" ({wanted})" if wanted else ""
    return (
        f"no node has the labels that nodeSelector or nodeAffinity asks for{named}: label a node, "
        "or ask for others"
    )


def _amounts(look: Look, message: str, nodes: list[Object]) -> list[str]:
    """Return what the pod asks for beside what each node has, of what is short."""
    asked = placement.requests_of(look.obj)
    short = [name for name in asked if f"Insufficient {name}" in message]
    if not short:
        return []
    told = ["it asks for " + ", ".join(f"{_amount(name, asked[name])} {name}" for name in short)]
    pods = look.world.objects(kinds.PODS)
    for node in nodes[:5]:
        offered = placement.capacity_of(node, 1.0)
        taken = _taken(pods, metadata.name(node))
        parts = [
            f"{_amount(name, offered.get(name, 0))} {name} ({_amount(name, taken.get(name, 0))} "
            "requested by others)"
            for name in short
        ]
        told.append(f"node {metadata.name(node)} has " + ", ".join(parts))
    return told


def _taken(pods: list[Object], node: str) -> dict[str, int]:
    taken: dict[str, int] = {}
    for pod in pods:
        if pod["spec"].get("nodeName") == node and not placement.is_finished(pod):
            for name, amount in placement.requests_of(pod).items():
                taken[name] = taken.get(name, 0) + amount
    return taken


def _amount(name: str, amount: int) -> str:
    if name == "cpu":
        return f"{amount / 1000:g}"
    if name in {"memory", "ephemeral-storage"} or name.startswith("hugepages-"):
        return f"{amount / _MIB:.0f}Mi"
    return str(amount)
