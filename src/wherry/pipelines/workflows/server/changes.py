"""What is done to workflows that there are: held, gone on with, ended, tried again."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, operations
from wherry.pipelines.workflows.server import listing, workflows
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler

_TRIES: Final = 5
_TAKEN_UP_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.02


async def suspend(call: Call) -> Answer:
    """Hold a workflow."""
    return await _changed(call, operations.suspend)


async def resume(call: Call) -> Answer:
    """Go on with a workflow, or with those of its nodes that wait."""
    chosen = call.sent("nodeFieldSelector", str)
    return await _changed(call, lambda found: operations.resume(found, chosen))


async def stop(call: Call) -> Answer:
    """End a workflow, but for its exit handlers; or fail nodes of it that wait."""
    chosen, message = call.sent("nodeFieldSelector", str), call.sent("message", str)
    return await _changed(call, lambda found: operations.stop(found, chosen, message))


async def terminate(call: Call) -> Answer:
    """End a workflow at once."""
    return await _changed(call, operations.terminate)


async def set_(call: Call) -> Answer:
    """Give nodes that wait what they are to give, or an end."""
    chosen, message = call.sent("nodeFieldSelector", str), call.sent("message", str)
    phase, outputs = call.sent("phase", str), call.sent("outputParameters", str)
    given = operations.supplied(outputs)
    return await _changed(
        call, lambda found: operations.set_(found, chosen, given, phase, message=message)
    )


async def retry(call: Call) -> Answer:
    """Have a workflow that has failed go on; the answer shows it as it goes on."""
    redo = call.sent("restartSuccessful", bool)
    chosen, given = call.sent("nodeFieldSelector", str), call.sent("parameters", list)
    told = await _changed(call, lambda found: operations.retry(found, redo, chosen, given))
    return await _taken_up(call) or told


async def resubmit(call: Call) -> Answer:
    """Make a workflow like one that there is, or was."""
    await call.check("get")
    await call.check("create")
    return await again(call, await workflows.find(call))


async def again(call: Call, found: Object) -> Object:
    """Make a workflow like another one, in its namespace."""
    memoized, given = call.sent("memoized", bool), call.sent("parameters", list)
    made = operations.resubmit(found, memoized, given)
    return listing.shown(await call.services.client.create(kinds.WORKFLOWS, made))


async def _changed(call: Call, change: Callable[[Object], Object]) -> Object:
    await call.check("update")
    client = call.services.client
    for left in reversed(range(_TRIES)):
        found = await client.get(kinds.WORKFLOWS, call.name, call.namespace)
        try:
            return listing.shown(await client.update(kinds.WORKFLOWS, change(found)))
        except errors.ConflictError:
            # Its controller has written in between.
            if not left:
                raise
    raise AssertionError("never reached")


async def _taken_up(call: Call) -> Object | None:
    """Wait for the controller: whoever waits for the end next must not see the one before.

    Returns:
        The workflow; None where it is gone, or nobody takes it up.
    """
    with contextlib.suppress(TimeoutError, errors.NotFoundError):
        async with asyncio.timeout(_TAKEN_UP_SECONDS):
            while True:
                found = await call.services.client.get(kinds.WORKFLOWS, call.name, call.namespace)
                if operations.retry_wish(found) is None:
                    return listing.shown(found)
                await asyncio.sleep(_LOOK_SECONDS)
    return None


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("PUT", f"/api/v1/workflows/{{namespace}}/{{name}}/{verb}"): handler
    for verb, handler in {
        "suspend": suspend,
        "resume": resume,
        "stop": stop,
        "terminate": terminate,
        "set": set_,
        "retry": retry,
        "resubmit": resubmit,
    }.items()
}
