"""PodGroups and their pods: what a gang waits for. Pure."""

from wherry.builtin.gangs import kinds as gang_kinds
from wherry.builtin.gangs import membership, statuses
from wherry.builtin.gangs.membership import GroupKey
from wherry.cli.targets import short
from wherry.cli.why.finding import Finding, fine, grouped, worst
from wherry.cli.why.look import Look
from wherry.objects import kinds, metadata

_FORMS = {each.group: each for each in (gang_kinds.POD_GROUPS, gang_kinds.VOLCANO_POD_GROUPS)}


def look(look: Look) -> Finding:
    """Return what holds a gang back."""
    group = membership.group(look.obj)
    pods = look.world.objects(kinds.PODS, look.namespace)
    members = [pod for pod in pods if membership.key_of(pod) == group.key]
    counts = statuses.count(members)
    told = statuses.waits_for(group, counts)
    if told:
        return Finding(look.name, "waits", "waiting", (told,), _mend(told))
    placed = [pod for pod in members if pod["spec"].get("nodeName")]
    below = grouped(look.descend(kinds.PODS, pod) for pod in placed)
    if below:
        return Finding(look.name, "has members that do not run", worst(below), causes=below)
    if not counts.scheduled and not counts.succeeded:
        return Finding(look.name, "waits for the scheduler", "waiting")
    number = counts.running + counts.succeeded
    return fine(look.name, f"{number} of its {group.min_member} needed members run or have ended")


def waits(look: Look, message: str) -> Finding | None:
    """Return what a pod of a gang waits for; None where it is not its gang that it waits for."""
    key = membership.key_of(look.obj)
    if key is None or not message.startswith(key.shown):
        return None
    resource = _FORMS[key.form]
    obj = look.world.get(resource, key.namespace, key.name)
    if obj is not None:
        cause = look.descend(resource, obj)
        return Finding(look.name, "waits with its pod group", cause.state, causes=(cause,))
    if not look.world.is_missing(resource, key.namespace, key.name):
        return None
    return Finding(look.name, "waits with its pod group", causes=(_missing(look, key),))


def _missing(look: Look, key: GroupKey) -> Finding:
    resource = _FORMS[key.form]
    there = ", ".join(look.world.names(resource, key.namespace)[:10]) or "none"
    return Finding(
        short(resource, key.name),
        f"does not exist in namespace {key.namespace}",
        evidence=(f"pod groups of {resource.api_version} there are: {there}",),
        mend=f"create the PodGroup ({resource.api_version}), or take its name off the pod",
    )


def names_no_scheduler(look: Look, served: frozenset[str]) -> Finding | None:
    """Return that a pod names a scheduler that nobody is known to run; None for those served."""
    name = str(look.spec.get("schedulerName") or "")
    if not name or name in served or metadata.is_deleting(look.obj):
        return None
    return Finding(
        look.name,
        f"waits for a scheduler called {name}",
        "waiting",
        (f"Wherry's own schedules pods of {', '.join(sorted(served))}",),
        mend="name one of these in spec.schedulerName, or none, unless somebody runs that scheduler",
    )


def _mend(told: str) -> str:
    if "more of" in told:
        return "create the missing pods, or lower spec.minMember"
    if "may have" in told:
        return "raise spec.capability of the Queue, or wait until its other groups end"
    if told.startswith("Queue "):
        return "create the Queue, or name another in spec.queue"
    if "needs" in told:
        return "wait, delete what is not needed, lower the pods' requests, or raise the priority"
    return ""
