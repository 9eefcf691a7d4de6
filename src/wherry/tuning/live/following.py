"""Collects of one trial: reads its pods run by run, and sees when there is nothing more to come."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.tuning.access import Access
from wherry.tuning.collector import Collector, Metric, Wanted
from wherry.tuning.live import primary_pods
from wherry.tuning.live.ledger import Ledger
from wherry.tuning.observations import record

_LOG = logging.getLogger("wherry.tuning.collecting")
_FIRST_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 10.0
_AWAITED_PODS_SECONDS: Final = 2.0
_TRIES_AFTER_END: Final = 3
_OUTPUTS: Final = "outputs"


class Following:
    """One trial, followed.

    Attributes:
        name: Of the trial.
        access: How its pods are reached; has the last lines.
        ledger: What it has reported.
        finished: There will be no more, and all is stored.
        problem: Why its pods could not be read; empty: they could, or may still.
    """

    def __init__(
        self,
        wanted: Wanted,
        collector: Collector,
        ledger: Ledger,
        access: Access,
        *,
        is_new: bool = False,
    ) -> None:
        """Take what it works with; `run` works.

        Args:
            wanted: What is collected.
            collector: How.
            ledger: Takes the values in.
            access: How pods are reached.
            is_new: Nothing that it reports has been stored before.
        """
        self.name = metadata.name(wanted.trial)
        self.access = access
        self.ledger = ledger
        self.finished = False
        self.problem = ""
        self._wanted = wanted
        self._is_new = is_new
        self._collector = collector
        self._pods: dict[str, Object] = {}
        self._outputs: Mapping[str, str] = {}
        self._ended = asyncio.Event()
        self._news = asyncio.Event()
        self._readers: dict[str, asyncio.Task[None]] = {}
        access.is_over = lambda pod: self._is_over(metadata.uid(pod))

    def see(self, pods: Sequence[Object], *, ended: bool, outputs: Mapping[str, str]) -> None:
        """Take in the pods as they are now, and whether the workload has ended, with what outputs."""
        for pod in pods:
            # Those that are gone stay: their logs may still be readable, or their readers fail.
            self._pods[metadata.uid(pod)] = pod
        if ended:
            self._outputs = outputs
            self._ended.set()
        self.look()

    def look(self) -> None:
        """Look again at what there is."""
        # Whoever waits, waits for this one; who comes later waits for the next.
        news, self._news = self._news, asyncio.Event()
        news.set()

    def has_read(self, uid: str) -> bool:
        """Tell whether nothing more is to be read of a pod."""
        reader = self._readers.get(uid)
        return not self._collector.reads_pods or (reader is not None and reader.done())

    async def run(self, deadline_seconds: float) -> None:
        """Collect to the end; whatever fails is told in `problem`.

        Args:
            deadline_seconds: How long after the workload's end values may take to come.
        """
        work = asyncio.ensure_future(self._collect())
        try:
            await self._ended.wait()
            done, _ = await asyncio.wait({work}, timeout=deadline_seconds)
            if not done:
                late = (
                    f"the metrics did not come within {deadline_seconds:g} s after the trial's end"
                )
                self.problem = self.problem or self.ledger.problem or late
            elif error := work.exception():
                _LOG.error("metrics of %s", self.name, exc_info=error)
                self.problem = f"{type(error).__name__}: {error}"
        finally:
            await _cancel((work, *self._readers.values()))
            await self.ledger.close()
        self.finished = True

    async def _collect(self) -> None:
        if not self._is_new:
            await self.ledger.load()
        while not self._ended.is_set():
            news = self._news
            await self._read()
            await news.wait()
        if not self._pods and self._collector.reads_pods:
            # They may be seen a moment after what they belong to.
            await _wait(self._news, _AWAITED_PODS_SECONDS)
        await self._read()
        await asyncio.gather(*self._readers.values())
        await self._take_outputs()
        await self.ledger.stored()
        if not self.ledger.tally.summaries and not self.access.last_lines:
            for pod in self._pods.values():
                await self.access.tail(pod, self._container(pod))

    async def _take_outputs(self) -> None:
        """Take in what the workload itself says; what is stored already is not stored twice."""
        known = await self.ledger.marks(_OUTPUTS)
        for name in self._wanted.metrics:
            if name in self._outputs and not known[name]:
                metric = Metric(name=name, value=self._outputs[name], mark=name)
                await self.ledger.take(record.of(metric, _OUTPUTS, time.time_ns()))

    async def _read(self) -> None:
        if self._collector.is_sent:
            await self.ledger.take_sent()
        if not self._collector.reads_pods:
            return
        for uid in self._pods:
            if uid not in self._readers:
                self._readers[uid] = asyncio.ensure_future(self._read_pod(uid))

    async def _read_pod(self, uid: str) -> None:
        """Read all runs of a pod to their end."""
        pause, tries, read, is_due = _FIRST_PAUSE_SECONDS, 0, -1, True
        while True:
            pod, news = self._pods[uid], self._news
            run, begun = self._run(pod)
            if begun and (run != read or is_due):
                failure = await self._read_run(pod)
                tries, read = tries + 1, -1 if failure else run
                if failure and tries > _TRIES_AFTER_END and self._is_over(uid):
                    self.problem = failure
                    return
            if self._is_over(uid) and (not begun or read == run):
                return
            # Another run may follow; or the log broke off, and is read from its start again.
            is_due = not await _wait(news, pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS) if is_due else _FIRST_PAUSE_SECONDS

    async def _read_run(self, pod: Object) -> str:
        """Read a pod's present run from its start; return why it could not be, or an empty text."""
        source = metadata.uid(pod)
        known = await self.ledger.marks(source)
        metrics = self._collector.read(self._wanted, (pod,), self.access)
        assert isinstance(metrics, AsyncGenerator)
        try:
            async with contextlib.aclosing(metrics):
                async for metric in metrics:
                    if metric.name not in self._wanted.metrics:
                        continue
                    if metric.mark and known[metric.mark] > 0:
                        known[metric.mark] -= 1
                        continue
                    await self.ledger.take(record.of(metric, source, time.time_ns()))
        except errors.ApiError as error:
            return error.message
        return ""

    def _run(self, pod: Object) -> tuple[int, bool]:
        container = self._wanted.container
        return primary_pods.run(pod, container), primary_pods.has_begun(pod, container)

    def _is_over(self, uid: str) -> bool:
        pod = self._pods[uid]
        return self._ended.is_set() or primary_pods.is_over(pod, self._wanted.container)

    def _container(self, pod: Object) -> str:
        return primary_pods.name_of(pod, self._wanted.container)


async def _wait(news: asyncio.Event, seconds: float) -> bool:
    """Wait for news; return whether there are any."""
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    return True


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
