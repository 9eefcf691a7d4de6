"""An object that is to go and does not: finalizers hold it, and somebody must let go. Pure."""

from wherry.cli.targets import short
from wherry.cli.why.finding import Finding
from wherry.cli.why.look import Look
from wherry.cli.words import counted
from wherry.objects import kinds, metadata
from wherry.objects.resources import Resource

_GRACE_SECONDS = 5.0
_INSTANCES = "customresourcecleanup.apiextensions.k8s.io"


def look(look: Look) -> Finding | None:
    """Return what keeps an object that is being deleted; None for objects that are not."""
    if not metadata.is_deleting(look.obj) or look.resource.key == kinds.NAMESPACES.key:
        return None
    since = str(look.obj["metadata"]["deletionTimestamp"])
    finalizers = [str(each) for each in look.obj["metadata"].get("finalizers") or []]
    if not finalizers:
        return _graceful(look, since)
    causes = [finding for each in finalizers if (finding := _holder(look, each)) is not None]
    quoted = ", ".join(finalizers)
    mend = (
        "whoever set a finalizer removes it when its work is done; if that program is gone for good, "
        f"remove it yourself: kubectl patch {look.name} --type=merge "
        '-p \'{"metadata":{"finalizers":null}}\''
    )
    return Finding(
        look.name,
        f"is being deleted since {since}, held by the finalizers {quoted}",
        "waiting",
        mend="" if causes else mend,
        causes=tuple(causes),
    )


def _graceful(look: Look, since: str) -> Finding:
    late = (look.world.now - metadata.parse_time(since)).total_seconds()
    seconds = look.obj["metadata"].get("deletionGracePeriodSeconds")
    grace = f" with {seconds} s of grace" if seconds else ""
    # `deletionTimestamp` of a pod lies in the future by its grace period.
    overdue = late > _GRACE_SECONDS
    return Finding(
        look.name,
        f"is being deleted{grace}" + (f", overdue for {late:.0f} s" if overdue else ""),
        "waiting",
        mend=f"`wherry delete {look.name} --grace-period 0` does not wait for it"
        if overdue
        else "",
    )


def _holder(look: Look, finalizer: str) -> Finding | None:
    if finalizer == "kubernetes.io/pvc-protection":
        return _claim_users(look)
    if finalizer == "kubernetes.io/pv-protection":
        claim = look.spec.get("claimRef") or {}
        name = f"persistentvolumeclaim/{claim.get('name')}"
        where = claim.get("namespace")
        return Finding(name, f"in namespace {where} is bound to it", mend=f"delete {name} first")
    if finalizer == _INSTANCES:
        return _instances(look)
    if finalizer == "foregroundDeletion":
        children = look.world.children(look.resource, look.obj)
        named = [short(kind, metadata.name(child)) for kind, child in children]
        said = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        causes = [look.descend(kind, child) for kind, child in children[:5]]
        held = tuple(cause for cause in causes if cause.holds_back)
        return Finding(
            look.name, f"waits for what it owns: {said or 'nothing'}", "waiting", causes=held
        )
    return None


def _instances(look: Look) -> Finding | None:
    """Return which objects of a definition in deletion are still there."""
    names = look.spec.get("names") or {}
    served = [str(each["name"]) for each in look.spec.get("versions") or [] if each.get("served")]
    if not served:
        return None
    kind = Resource(
        str(look.spec["group"]),
        served[0],
        str(names["plural"]),
        str(names["kind"]),
        namespaced=look.spec.get("scope") == "Namespaced",
    )
    left = look.world.objects(kind)
    if not left:
        return None
    causes = [look.descend(kind, obj) for obj in left[:5]]
    held = tuple(cause for cause in causes if cause.holds_back)
    text = f"still has {counted(len(left), 'object')} of kind {kind.kind}, which must go first"
    return Finding(look.name, text, "waiting", causes=held)


def _claim_users(look: Look) -> Finding | None:
    claim = metadata.name(look.obj)
    for pod in look.world.objects(kinds.PODS, look.namespace):
        volumes = pod["spec"].get("volumes") or []
        claims = {(each.get("persistentVolumeClaim") or {}).get("claimName") for each in volumes}
        if claim in claims and (pod.get("status") or {}).get("phase") not in {
            "Succeeded",
            "Failed",
        }:
            name = short(kinds.PODS, metadata.name(pod))
            return Finding(name, "uses it", mend=f"delete {name}, or who owns it, first")
    return None
