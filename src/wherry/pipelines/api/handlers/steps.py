"""Steps of runs: what they say, and which of them are done again. Upstream has no calls for it."""

from collections.abc import Mapping
from typing import Final

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import nodes
from wherry.pipelines.api.call import Call, Handler, StreamHandler
from wherry.pipelines.api.handlers import runs
from wherry.pipelines.contents import content
from wherry.pipelines.contents.content import Content
from wherry.pipelines.contents.flowing import begun

_ATTEMPT_DIGITS: Final = 9
"""Of the number of an attempt, at most."""


async def read_log(call: Call, request: Object) -> Object:
    """Return what a step says or has said, of its latest attempt or of another."""
    run = await runs.found(call, request)
    chunks = call.services.listener.read(run, request.get("task", ""), attempt=_attempt(request))
    said = b"".join([chunk async for chunk in chunks])
    return {"text": said.decode(errors="replace")}


async def stream_log(call: Call, request: Object) -> Content:
    """Return what a step says as it says it, or what it has said."""
    run = await runs.found(call, request)
    chunks = call.services.listener.read(
        run,
        request.get("task", ""),
        attempt=_attempt(request),
        follow=request.get("follow", False),
    )
    return await begun(chunks, content.TEXT)


async def read_run_log(call: Call, request: Object) -> Content:
    """Return what a node of a run says, as upstream does."""
    run = await runs.found(call, request)
    task = await nodes.found(call.services.metadata, run.run_id, request.get("node_id", ""))
    follow = request.get("follow", False)
    return await begun(call.services.listener.read(run, task.path, follow=follow), content.TEXT)


def _attempt(request: Object) -> int | None:
    told = request.get("attempt", "")
    if told and not (told.isascii() and told.isdecimal() and len(told) <= _ATTEMPT_DIGITS):
        raise errors.BadRequestError(f"attempt: {told[:80]!r} is no whole number from 0")
    return int(told) if told else None


async def retry_steps(call: Call, request: Object) -> Object:
    """Take a run up again where it failed, and where the caller says."""
    run = await runs.found(call, request)
    await call.services.operations.retry(run.run_id, request.get("from_tasks", ()))
    return {}


HANDLERS: Final[Mapping[str, Handler]] = {
    "StepService.ReadLog": read_log,
    "StepService.RetrySteps": retry_steps,
}
STREAMS: Final[Mapping[str, StreamHandler]] = {
    "StepService.StreamLog": stream_log,
    "RunLogService.ReadRunLogV1": read_run_log,
}
