"""A workflow that a command names: its object, or what was kept of it where that is gone."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Final
from urllib.parse import quote, urlencode

from wherry.cli import failures, following
from wherry.cli.session import Session
from wherry.client.transports import lines
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, operations

LATEST: Final = "@latest"
FINAL: Final = frozenset({"Succeeded", "Failed", "Error"})
_SERVER: Final = "/api/v1/namespaces/argo/services/argo-server:web/proxy/api/v1"
_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.1


def phase(workflow: Object) -> str:
    """Return a workflow's phase; empty: nobody has looked at it yet."""
    return str((workflow.get("status") or {}).get("phase") or "")


async def find(opened: Session, name: str) -> Object:
    """Return the object of a workflow.

    Raises:
        CommandError: there is none; the message tells of those whose object is gone.
    """
    if name == LATEST:
        found = await opened.client.list(kinds.WORKFLOWS, opened.namespace)
        if not found.items:
            raise failures.CommandError(f"there are no workflows in namespace {opened.namespace!r}")
        return max(found.items, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    return await opened.client.get(kinds.WORKFLOWS, name, opened.namespace)


async def find_or_kept(opened: Session, name: str) -> tuple[Object, bool]:
    """Return a workflow, and whether its object is there: one whose object is gone as the archive has it.

    Raises:
        NotFoundError: there is none, and none was kept.
    """
    try:
        return await find(opened, name), True
    except errors.NotFoundError as error:
        try:
            kept = await _asked(
                opened, f"/workflows/{quote(opened.namespace)}/{quote(name, safe='')}"
            )
        except errors.ApiError:
            # What helps is that there is no such workflow; Argo's server may not even be there.
            raise error from None
    print(
        f"wherry: the object of workflow {name} is gone; this is what was kept of it",
        file=sys.stderr,
    )
    return dict(kept), False


async def _asked(opened: Session, path: str) -> Any:
    return await opened.read(f"{_SERVER}{path}")


async def kept_lines(
    opened: Session, workflow: Object, pod: str, container: str
) -> AsyncIterator[str]:
    """Yield what was kept of the log of a pod that is gone.

    Raises:
        ApiError: nothing was, or Argo's server cannot be asked.
    """
    place = f"{quote(metadata.namespace(workflow))}/{quote(metadata.name(workflow))}/{quote(pod)}"
    query = urlencode({"logOptions.container": container})
    path = f"{_SERVER}/workflows/{place}/log?{query}"
    async for line in lines.texts(opened.transport.stream(path)):
        told = json.loads(line) if line.strip() else {}
        if "error" in told:
            raise errors.BadRequestError(str(told["error"].get("message")))
        if "result" in told:
            yield str(told["result"].get("content") or "")


async def change(opened: Session, name: str, make: Callable[[Object], Object]) -> Object:
    """Change the object of a workflow, beside its controller; return it.

    Raises:
        CommandError: it cannot be changed so.
    """
    for left in reversed(range(_TRIES)):
        try:
            return await opened.client.update(kinds.WORKFLOWS, make(await find(opened, name)))
        except errors.ConflictError:
            if not left:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError("never reached")


async def states(opened: Session, name: str) -> AsyncIterator[Object]:
    """Yield a workflow at each change, the last time when it has ended.

    Raises:
        CommandError: it was deleted.
    """
    found = await find(opened, name)
    async for each in following.states(
        opened, kinds.WORKFLOWS, found, noun="workflow", has_ended=has_ended
    ):
        yield each


def has_ended(workflow: Object) -> bool:
    """Tell whether a workflow has ended, and is not told to go on."""
    return phase(workflow) in FINAL and operations.retry_wish(workflow) is None
