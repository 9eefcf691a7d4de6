"""What the pods of workflows say, and have said."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

from wherry.client.transports import lines
from wherry.metadata.records import Execution
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.history.logs import Place
from wherry.pipelines.steps.draft import MAIN
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.server import workflows
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler
from wherry.pipelines.workflows.server.streaming import stream

_AGAIN_SECONDS: Final = 1.0
_LONGEST_PATTERN: Final = 200


async def of_pod(call: Call) -> Answer:
    """Tell what one pod of a workflow says, line by line."""
    return await _told(call, call.named["pod"])


async def of_workflow(call: Call) -> Answer:
    """Tell what the pods of a workflow say, one after the other."""
    return await _told(call, call.option("podName"))


async def _told(call: Call, pod: str) -> Answer:
    await call.check("get", "pods/log", group="")
    await call.check("get")
    workflow = await workflows.find(call)
    keep = _filter(call.option("grep"))

    async def lines() -> AsyncIterator[Object]:
        async for name, line in _Reader(call, workflow, pod).lines():
            if keep(line):
                yield {"content": line, "podName": name}

    return await stream(call.request, lines())


def _filter(text: str) -> Callable[[str], bool]:
    """Return which lines are wanted: those that hold a text. A pattern of theirs could take for ever."""
    if len(text) > _LONGEST_PATTERN:
        raise errors.BadRequestError(f"grep: more than {_LONGEST_PATTERN} characters")
    plain = re.fullmatch(r"[^\\.^$*+?{}\[\]|()]*", text)
    if plain is None:
        raise errors.BadRequestError(f"grep: {text!r}: want a plain text, which lines hold")
    return lambda line: text in line


class _Reader:
    """Reads pods of one workflow."""

    def __init__(self, call: Call, workflow: Object, pod: str) -> None:
        self._services = call.services
        self._namespace, self._uid = metadata.namespace(workflow), metadata.uid(workflow)
        self._name = metadata.name(workflow)
        self._pod = pod
        self._container = call.option("logOptions.container") or MAIN
        self._follow = call.switched("logOptions.follow")
        self._timestamps = call.switched("logOptions.timestamps")
        self._tail = call.number("logOptions.tailLines") or None
        self._seen: set[str] = set()

    async def lines(self) -> AsyncIterator[tuple[str, str]]:
        """Yield each pod's name and line; where they are followed, until the workflow has ended."""
        while True:
            ended = not self._follow or await self._has_ended()
            heard = False
            for row in await self._rows():
                self._seen.add(row.pod)
                async for line in self._of(row):
                    heard = True
                    yield row.pod, line
            if ended:
                return
            if not heard:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _rows(self) -> Sequence[Execution]:
        found = await self._services.tasks.of_run(self._uid)
        chosen = [row for row in found if row.pod and row.pod not in self._seen]
        return [row for row in chosen if not self._pod or row.pod == self._pod]

    async def _has_ended(self) -> bool:
        try:
            found = await self._services.client.get(kinds.WORKFLOWS, self._name, self._namespace)
        except errors.NotFoundError:
            return True
        return metadata.uid(found) != self._uid or bool(
            (found.get("status") or {}).get("finishedAt")
        )

    async def _of(self, row: Execution) -> AsyncIterator[str]:
        if self._container == MAIN and not self._timestamps:
            kept = await self._services.logs.kept(Place(self._uid, row.path, row.attempt))
            if kept is not None:
                for text in self._last(kept.decode(errors="replace").splitlines()):
                    yield text
                return
        try:
            async for line in lines.texts(self._chunks(row)):
                yield line
        except (errors.NotFoundError, errors.BadRequestError):
            # Its pod is not there yet, or no more. Of one that has ended nothing can be had, then.
            if not row.ended:
                self._seen.discard(row.pod)

    def _chunks(self, row: Execution) -> AsyncIterator[bytes]:
        return self._services.client.log(
            row.pod,
            self._namespace,
            container=self._container,
            follow=self._follow,
            timestamps=self._timestamps,
            tail=self._tail,
        )

    def _last(self, lines: list[str]) -> list[str]:
        return lines[-self._tail :] if self._tail else lines


async def events(call: Call) -> Answer:
    """Tell the events of a namespace as they happen."""
    await call.check("watch", "events", group="")

    async def happening() -> AsyncIterator[Object]:
        watching = call.services.client.watch(
            core.EVENTS,
            call.namespace or None,
            fields=call.option("listOptions.fieldSelector"),
            resource_version=call.option("listOptions.resourceVersion"),
            bookmarks=False,
        )
        async for event in watching:
            yield event.object

    return await stream(call.request, happening())


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("GET", "/api/v1/workflows/{namespace}/{name}/log"): of_workflow,
    ("GET", "/api/v1/workflows/{namespace}/{name}/{pod}/log"): of_pod,
    ("GET", "/api/v1/stream/events/{namespace:[^/]*}"): events,
}
