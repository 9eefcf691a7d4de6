"""Pods that are not placed, do not start, fail, or are not ready. Pure."""

from collections import Counter

from wherry.cli.why.causes import containers, references, scheduling
from wherry.cli.why.finding import Finding, fine, worst
from wherry.cli.why.look import Look
from wherry.objects import conditions, kinds
from wherry.objects.requests import Object

_REASONS = {
    "DeadlineExceeded": "raise spec.activeDeadlineSeconds, or make the work shorter",
    "Evicted": "the node ran out of something: free it, and let the pod's owner make a new one",
    "NodeLost": "the node went away; the pod's owner makes a new one elsewhere",
}


def look(look: Look) -> Finding:
    """Return what holds a pod back."""
    phase = str(look.status.get("phase") or "Pending")
    if phase == "Succeeded":
        return fine(look.name, "has completed")
    if phase == "Failed":
        return _failed(look)
    if not look.spec.get("nodeName"):
        return scheduling.look(look)
    below = _node(look) + references.missing(look) if phase == "Pending" else _node(look)
    below += _claims(look) if phase == "Pending" else []
    below = below or _containers(look)
    if conditions.is_true(look.obj, "Ready") and not below:
        return _ready(look)
    if below:
        return Finding(look.name, _summary(look, phase), worst(below), causes=tuple(below))
    return _gates(look) or Finding(look.name, _summary(look, phase), "waiting")


def _failed(look: Look) -> Finding:
    reason = str(look.status.get("reason") or "")
    message = str(look.status.get("message") or "")
    return Finding(
        look.name,
        f"has failed{f': {reason}' if reason else ''}",
        evidence=(message,) if message else (),
        mend=_REASONS.get(reason, ""),
        causes=tuple(_containers(look)),
    )


def _summary(look: Look, phase: str) -> str:
    statuses = look.status.get("containerStatuses") or []
    ready = sum(bool(each.get("ready")) for each in statuses)
    total = len(look.spec.get("containers") or [])
    if phase == "Pending":
        return f"is placed on node {look.spec.get('nodeName')} and has not started"
    return f"runs, {ready} of {total} containers ready"


def _ready(look: Look) -> Finding:
    statuses = look.status.get("containerStatuses") or []
    restarts = sum(int(each.get("restartCount") or 0) for each in statuses)
    note = [f"its containers were restarted {restarts} times"] if restarts else []
    return fine(look.name, "runs and is ready", *note)


def _node(look: Look) -> list[Finding]:
    name = str(look.spec["nodeName"])
    node = look.world.get(kinds.NODES, "", name)
    if node is not None:
        found = look.descend(kinds.NODES, node)
        return [found] if found.state == "failed" else []
    if look.world.is_missing(kinds.NODES, "", name):
        mend = "delete the pod; its owner makes a new one"
        return [Finding(f"node/{name}", "does not exist any more", mend=mend)]
    return []


def _claims(look: Look) -> list[Finding]:
    found = []
    for claim in scheduling.claims(look):
        finding = look.descend(kinds.PERSISTENT_VOLUME_CLAIMS, claim)
        if finding.holds_back:
            found.append(finding)
    return found


def _containers(look: Look) -> list[Finding]:
    """Return what is wrong with containers: with init containers first, since others wait for them."""
    found = _of(look, "initContainers", "initContainerStatuses", init=True)
    return found or _of(look, "containers", "containerStatuses", init=False)


def _of(look: Look, field: str, statuses: str, *, init: bool) -> list[Finding]:
    told: dict[str, Object] = {each["name"]: each for each in look.status.get(statuses) or []}
    found: list[Finding] = []
    said: Counter[tuple[str, str]] = Counter()
    for container in look.spec.get(field) or []:
        status = told.get(str(container["name"]), {})
        finding = containers.look(look, container, status, init=init)
        if finding is None:
            continue
        said[finding.object, finding.statement] += 1
        if said[finding.object, finding.statement] == 1:
            found.append(finding)
    return found


def _gates(look: Look) -> Finding | None:
    condition = conditions.get(look.obj, "Ready") or {}
    if condition.get("reason") != "ReadinessGatesNotReady":
        return None
    return Finding(
        look.name,
        "runs, and a readiness gate is closed",
        "waiting",
        (str(condition.get("message") or ""),),
        mend="whoever owns the gate sets the condition in the pod's status",
    )
