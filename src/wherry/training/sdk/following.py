"""The logs of all ranks as one stream of lines, across restarts of pods and of the API."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote, urlencode

from wherry.client.clusters import Api
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.training.sdk import frames
from wherry.training.sdk.frames import Line
from wherry.training.sdk.jobs import Job

_POLL_SECONDS: Final = 0.1
_FIRST_PAUSE_SECONDS: Final = 0.2
_LONGEST_PAUSE_SECONDS: Final = 2.0
_GRACE_SECONDS: Final = 5.0
_LAST_LOOKS: Final = 2
_WAITING_LINES: Final = 10000
_LONGEST_LINE: Final = 1024 * 1024


async def lines(
    api: Api, job: Job, *, follow: bool, tail: int | None = None
) -> AsyncIterator[Line]:
    """Yield the lines of all pods as they come, each pod's in its order.

    Args:
        api: The cluster.
        job: Which training.
        follow: Whether to go on until it has ended (or is gone); else what is there now. Pods that
            outlive the job, such as parameter servers, are left after `_GRACE_SECONDS`.
        tail: Lines of each pod at most, the last ones.

    Yields:
        Also those that only tell something (`Line.told`).
    """
    follower = _Follower(api, job, follow=follow, tail=tail)
    try:
        async for line in follower.lines():
            yield line
    finally:
        await follower.close()


class _Follower:
    def __init__(self, api: Api, job: Job, *, follow: bool, tail: int | None) -> None:
        self._api, self._job, self._follow, self._tail = api, job, follow, tail
        self._over_at: float | None = None
        self._lines: asyncio.Queue[Line] = asyncio.Queue(_WAITING_LINES)
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._pause = _FIRST_PAUSE_SECONDS

    async def lines(self) -> AsyncIterator[Line]:
        """Yield lines until all is over and read."""
        quiet = 0
        while quiet < _LAST_LOOKS:
            over = await self._is_over()
            await self._begin_reading()
            async for line in self._a_while():
                yield line
            # More than one look when all is over: for pods that came after the first.
            quiet = quiet + 1 if over and not self._reading() else 0
            if self._has_waited_enough():
                return
        for task in self._readers.values():
            task.result()

    async def _a_while(self) -> AsyncIterator[Line]:
        """Yield what comes until a pod's log ends, or it is time for another look at the pods."""
        clock = asyncio.get_running_loop().time
        known, until = len(self._reading()), clock() + self._pause
        self._pause = min(self._pause * 1.5, _LONGEST_PAUSE_SECONDS)
        while clock() < until:
            while not self._lines.empty():
                yield self._lines.get_nowait()
            if len(self._reading()) < known or (self._over_at is not None and not known):
                break
            await asyncio.sleep(_POLL_SECONDS)
        while not self._lines.empty():
            yield self._lines.get_nowait()

    async def _is_over(self) -> bool:
        over = not self._follow or await self._has_ended()
        if over and self._over_at is None:
            self._over_at = asyncio.get_running_loop().time()
        return over

    def _has_waited_enough(self) -> bool:
        """Return whether pods outlive their job: parameter servers never end by themselves."""
        if self._over_at is None or not self._follow:
            return False
        return asyncio.get_running_loop().time() > self._over_at + _GRACE_SECONDS

    def _reading(self) -> "list[asyncio.Task[None]]":
        return [task for task in self._readers.values() if not task.done()]

    async def _begin_reading(self) -> None:
        for pod in await self._job.pods(self._api):
            if metadata.uid(pod) not in self._readers:
                self._readers[metadata.uid(pod)] = asyncio.ensure_future(self._read(pod))
                self._pause = _FIRST_PAUSE_SECONDS

    async def _has_ended(self) -> bool:
        try:
            return self._job.state(await self._job.get(self._api)).ended
        except errors.NotFoundError:
            return True

    async def _read(self, pod: Object) -> None:
        """Put a pod's lines on the queue until it has ended."""
        rank, uid, seen, restarts = self._job.rank(pod), metadata.uid(pod), 0, 0
        while True:
            now = _restarts(pod)
            if now != restarts:
                restarts, seen = now, 0
            if _has_begun(pod):
                # The last lines are others at each look; who asks for them can bear one twice.
                skip = 0 if self._tail is not None else seen
                seen += await self._copy(pod, rank, skip=skip)
            if not self._follow:
                return
            name, before = metadata.name(pod), pod
            try:
                pod = await self._api.client.get(kinds.PODS, name, self._job.namespace)
            except errors.NotFoundError:
                return
            except errors.ServiceUnavailableError:
                pod = before  # it comes back: a laptop's API may be restarted at any time
            if metadata.uid(pod) != uid:
                return
            if _phase(before) in {"Succeeded", "Failed"}:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _copy(self, pod: Object, rank: str, *, skip: int) -> int:
        """Put the lines of a pod's log on the queue; return how many there were beyond `skip`."""
        asked = {
            "container": self._job.container(pod),
            "follow": "true" if self._follow else "false",
        }
        path = quote(kinds.PODS.path(metadata.namespace(pod), metadata.name(pod), "log"))
        number, left = 0, b""
        try:
            async for chunk in self._api.transport.stream(f"{path}?{urlencode(asked)}"):
                *whole, left = (left + chunk).split(b"\n")
                for raw in whole:
                    number += 1
                    await self._put(rank, raw, number > skip)
                if len(left) > _LONGEST_LINE:
                    await self._put(rank, left, number >= skip)
                    left = b""
        except (errors.BadRequestError, errors.NotFoundError, errors.ServiceUnavailableError):
            # Not begun, gone, or nobody answers: the next look at the pod tells which.
            return max(0, number - skip)
        if left:
            number += 1
            await self._put(rank, left, number > skip)
        return max(0, number - skip)

    async def _put(self, rank: str, raw: bytes, is_new: bool) -> None:  # noqa: FBT001 - of one caller
        if is_new:
            await self._lines.put(frames.read(rank, raw.decode(errors="replace").rstrip("\r")))

    async def close(self) -> None:
        for task in self._readers.values():
            task.cancel()
        await asyncio.gather(*self._readers.values(), return_exceptions=True)


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _restarts(pod: Object) -> int:
    return sum(int(each.get("restartCount") or 0) for each in _statuses(pod))


def _has_begun(pod: Object) -> bool:
    states = [each.get("state") or {} for each in _statuses(pod)]
    return any("running" in state or "terminated" in state for state in states)


def _statuses(pod: Object) -> list[dict[str, Any]]:
    return list((pod.get("status") or {}).get("containerStatuses") or ())
