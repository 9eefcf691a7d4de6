"""Kinds that nobody here knows: their conditions, their warnings, and what they own. Pure."""

import re

from wherry.cli.why.finding import Finding, fine, grouped, worst
from wherry.cli.why.look import Look
from wherry.objects.requests import Object

_DONE = {"Succeeded", "Complete", "Completed", "Ready", "Available"}
_GOOD = re.compile(
    r"^(Accepted|Available|Bound|Complete|Created|Established|Healthy|Initialized|Programmed|Reconciled"
    r"|ResolvedRefs|ScalingActive|AbleToScale|Scheduled|Succeeded|Synced|Valid)$|Ready$"
)
_BAD = re.compile(r"Fail|Error|Degraded|Stalled|Pressure|Unavailable|Problem|Invalid")
_BAD_PHASES = {"Failed", "Error", "Lost", "Unknown"}
_MOST = 20


def look(look: Look) -> Finding:
    """Return what an object's status and those that it owns tell."""
    told = look.status.get("conditions")
    listed = [one for one in told or [] if isinstance(one, dict)] if isinstance(told, list) else []
    bad = wrong(listed)
    below = grouped(
        look.descend(kind, child)
        for kind, child in look.world.children(look.resource, look.obj)[:_MOST]
    )
    warning = look.warning()
    phase = str(look.status.get("phase") or look.status.get("state") or "")
    if bad:
        evidence = (warning,) if warning and warning not in bad[0].get("message", "") else ()
        state = "failed" if _BAD.search(str(bad[0].get("type"))) else "waiting"
        return Finding(
            look.name,
            told_by(bad[0]),
            "failed" if state == "failed" or worst(below) == "failed" else "waiting",
            tuple(told_by(each) for each in bad[1:]) + evidence,
            causes=below,
        )
    if phase in _BAD_PHASES:
        message = str(look.status.get("message") or "")
        told_more = tuple(filter(None, (message, warning)))
        return Finding(look.name, f"its phase is {phase}", evidence=told_more, causes=below)
    done = any(one.get("status") == "True" and one.get("type") in _DONE for one in listed)
    if below and not done:
        return Finding(look.name, "waits for what it owns", worst(below), causes=below)
    if warning and not done:
        return Finding(look.name, "has a warning", "waiting", (warning,))
    return fine(look.name, _well(listed, phase), *([f"a warning: {warning}"] if warning else []))


def wrong(conditions: list[Object]) -> list[Object]:
    """Return the conditions that say that something is not as it should be.

    Of an object that has reached its aim, what is False is of no interest: a run that has
    succeeded is no longer Running.
    """
    true = {str(one.get("type")) for one in conditions if one.get("status") == "True"}
    bad = [one for one in conditions if one.get("status") == "True" and _is_bad(one)]
    if not true & _DONE:
        bad += [
            one
            for one in conditions
            if one.get("status") in {"False", "Unknown"} and _GOOD.search(str(one.get("type")))
        ]
    return bad


def _is_bad(condition: Object) -> bool:
    return bool(_BAD.search(str(condition.get("type"))))


def told_by(condition: Object) -> str:
    """Return a condition as a clause: ``Ready is False: BuildFailed: no such package``."""
    parts = [str(condition.get(field) or "") for field in ("reason", "message")]
    return ": ".join(
        [f"{condition.get('type')} is {condition.get('status')}", *filter(None, parts)]
    )


def _well(conditions: list[Object], phase: str) -> str:
    true = [str(one["type"]) for one in conditions if one.get("status") == "True"]
    if true:
        return f"is well: {', '.join(true)}"
    return f"is well: {phase}" if phase else "exists; nothing in it says that something is wrong"
