"""Schedules: why no run is made. Pure."""

from wherry.cli.why.finding import Finding, fine, grouped
from wherry.cli.why.look import Look
from wherry.objects import metadata
from wherry.pipelines import kinds as run_kinds
from wherry.pipelines.schedules import kinds

KEY = kinds.SCHEDULED_WORKFLOWS.key
_SWITCH_ON = 'kubectl patch {} --type=merge -p \'{{"spec":{{"enabled":true}}}}\''


def look(look: Look) -> Finding:
    """Return what holds a schedule back."""
    condition = (look.status.get("conditions") or [{}])[0]
    message = str(condition.get("message") or "")
    if condition.get("type") == kinds.SUCCEEDED:
        return fine(look.name, message)
    if not look.spec.get("enabled"):
        mend = _SWITCH_ON.format(look.name)
        return Finding(look.name, "makes no runs: it is disabled", "waiting", mend=mend)
    if condition.get("type") == kinds.ERROR:
        mend = "mend that; the times that pass meanwhile are made up for"
        return Finding(look.name, "makes no runs", evidence=(message,), mend=mend)
    if condition.get("reason") == kinds.WAITING:
        mend = "raise spec.maxConcurrency, or end what runs"
        below = grouped(_active(look))
        return Finding(look.name, message, "waiting", mend=mend, causes=below)
    return _next(look, message)


def _active(look: Look) -> list[Finding]:
    told = (look.status.get("workflowHistory") or {}).get("active") or ()
    found = (
        look.world.get(run_kinds.PIPELINE_RUNS, look.namespace, str(run.get("name")))
        for run in told
    )
    return [look.descend(run_kinds.PIPELINE_RUNS, run) for run in found if run is not None]


def _next(look: Look, message: str) -> Finding:
    if not look.status:
        return Finding(look.name, "was not looked at yet: its controller does not run", "waiting")
    trigger = look.status.get("trigger") or {}
    last, following = trigger.get("lastTriggeredTime"), trigger.get("nextTriggeredTime")
    if not following:
        return fine(look.name, message)
    if last is not None and metadata.parse_time(last) > look.world.now:
        mend = "make the schedule anew, or change its trigger, to have it count from now"
        said = f"has run for {last}, which is to come: a clock was wrong, and was put back"
        return Finding(look.name, said, "waiting", (f"next: {following}",), mend)
    return fine(look.name, f"makes its next run at {following}")
