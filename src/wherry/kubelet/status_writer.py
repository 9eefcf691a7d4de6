"""Writes the status of one pod: one write per change, never two at once, none that says nothing new."""

import asyncio
import logging
from collections.abc import Callable

from wherry.kubelet.shared import Shared
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

_AGAIN_SECONDS = 1.0
_CONFLICT_SECONDS = 0.005
_MOMENT_SECONDS = 0.005
"""Changes that follow one another as quickly are one write: a short program's start and end, often."""


class StatusWriter:
    """Writes what `compute` returns whenever it is told that this may have changed.

    Attributes:
        pod: The newest state of the pod that is known, from the watch or from our own writes.
    """

    def __init__(self, pod: Object, shared: Shared, compute: Callable[[Object], Object]) -> None:
        """Begin with a pod.

        Args:
            pod: As the watch has it.
            shared: Client and tasks.
            compute: Returns the status for a state of the pod.
        """
        self.pod = pod
        self._shared = shared
        self._compute = compute
        self._written = 0
        self._dirty = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def offer(self, pod: Object) -> None:
        """Take a state of the pod if it is newer than what is known."""
        if metadata.resource_version(pod) >= metadata.resource_version(self.pod):
            self.pod = pod

    def wrote(self, pod: Object) -> bool:
        """Return whether a state of the pod is what the latest write has made of it."""
        return metadata.resource_version(pod) == self._written

    def mark(self) -> None:
        """Write soon if there is anything new; returns at once."""
        self._dirty = True
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_MOMENT_SECONDS, self._begin)

    async def flush(self) -> None:
        """Return once everything marked so far is written, and what is new now."""
        self._dirty = True
        self.close()
        self._begin()
        while self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    def close(self) -> None:
        """Forget what has been marked and is not being written."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        if self._task is None or self._task.done():
            self._task = self._shared.spawn(self._run(), f"status {metadata.name(self.pod)}")

    async def _run(self) -> None:
        while self._dirty:
            self._dirty = False
            try:
                await self._write()
            except errors.ConflictError:
                # What is in the way may not be committed yet, and reads do not show it before: where
                # both calls answer at once, as in process, nothing else would ever get its turn.
                await asyncio.sleep(_CONFLICT_SECONDS)
                await self._refresh()
            except errors.NotFoundError:
                return
            except errors.ApiError as error:
                logger.warning("status of pod %s: %s", metadata.namespaced_name(self.pod), error)
                self._dirty = True
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _write(self) -> None:
        status = self._compute(self.pod)
        if status == self.pod.get("status"):
            return
        answer = await self._shared.client.update(
            kinds.PODS, {**self.pod, "status": status}, subresource="status"
        )
        self._written = metadata.resource_version(answer)
        self.offer(answer)

    async def _refresh(self) -> None:
        name, namespace = metadata.name(self.pod), metadata.namespace(self.pod)
        fresh = await self._shared.client.get(kinds.PODS, name, namespace)
        if metadata.uid(fresh) == metadata.uid(self.pod):
            self.offer(fresh)
            self._dirty = True
