"""Runs of pipelines: the tasks that failed, and those that wait. Pure."""

from collections.abc import Iterator

from wherry.cli.why.finding import Finding, State, fine, grouped, worst
from wherry.cli.why.look import Look
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.pipelines import kinds as pipeline_kinds
from wherry.pipelines import status

KEY = pipeline_kinds.PIPELINE_RUNS.key
_MEND = "mend the cause, then run the pipeline again: what is done already comes from cache"


def look(look: Look) -> Finding:
    """Return what holds a run of a pipeline back, or has ended it."""
    state = status.state(look.obj) or pipeline_kinds.PENDING
    message = str(look.status.get("message") or "")
    if state == pipeline_kinds.FAILED:
        failed = grouped(_tasks(look, "failedTasks"))
        evidence = () if failed or not message else (message,)
        return Finding(look.name, "has failed", evidence=evidence, mend=_MEND, causes=failed)
    if state == pipeline_kinds.PAUSED:
        mend = f'kubectl patch {look.name} --type=merge -p \'{{"spec":{{"suspend":false}}}}\''
        return Finding(look.name, "is suspended", "waiting", mend=mend)
    progress = str(look.status.get("progress") or "")
    if state in {pipeline_kinds.SUCCEEDED, pipeline_kinds.CANCELED}:
        return fine(look.name, f"has ended: {state}", *filter(None, (message,)))
    below = grouped(_tasks(look, "runningTasks"))
    said = f"is at work, {progress} tasks have ended" if progress else "has not begun"
    if below:
        return Finding(look.name, said, worst(below), causes=below)
    if message:
        return Finding(look.name, said, "waiting", (message,))
    return fine(look.name, said)


def _tasks(look: Look, field: str) -> Iterator[Finding]:
    """Yield what is found of the tasks that the status names: at their pods, where they have some."""
    for task in look.status.get(field) or ():
        pod = _pod(look, str(task.get("podName") or ""))
        found = look.descend(kinds.PODS, pod) if pod is not None else None
        name, message = f"task {task.get('path')}", str(task.get("message") or "")
        if found is not None and found.holds_back:
            yield Finding(name, _said(task), found.state, causes=(found,))
        elif message:
            state: State = "failed" if task.get("state") == pipeline_kinds.FAILED else "waiting"
            yield Finding(name, f"{_said(task)}: {message}", state)


def _said(task: Object) -> str:
    if task.get("state") != pipeline_kinds.FAILED:
        return "waits"
    attempt = int(task.get("attempt") or 0)
    return f"has failed at its attempt {attempt + 1}" if attempt else "has failed"


def _pod(look: Look, name: str) -> Object | None:
    return look.world.get(kinds.PODS, look.namespace, name) if name else None
