"""Startup, readiness and liveness: asks containers how they are, and counts the answers.

Source: the kubelet's `prober`: startup first, the others only after it has succeeded; a readiness
probe begins as failed, a liveness probe as succeeded.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable
from dataclasses import dataclass

from wherry.kubelet import handlers
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class Timing:
    """When to ask and how to count; seconds and numbers of answers, with upstream's defaults."""

    initial_delay: float
    timeout: float
    period: float
    successes: int
    failures: int

    @classmethod
    def of(cls, probe: Object) -> "Timing":
        """Read them from a probe."""
        return cls(
            initial_delay=float(probe.get("initialDelaySeconds") or 0),
            timeout=float(probe.get("timeoutSeconds") or 1),
            period=float(probe.get("periodSeconds") or 10),
            successes=int(probe.get("successThreshold") or 1),
            failures=int(probe.get("failureThreshold") or 3),
        )


class Count:
    """Turns single answers into a verdict that changes only at the thresholds."""

    def __init__(self, timing: Timing, *, verdict: bool | None) -> None:
        self._timing = timing
        self._run = 0
        self._last: bool | None = None
        self.verdict = verdict

    def add(self, *, success: bool) -> bool:
        """Count an answer; returns whether it settled the verdict, anew or again."""
        self._run = self._run + 1 if success == self._last else 1
        self._last = success
        if self._run < (self._timing.successes if success else self._timing.failures):
            return False
        self.verdict = success
        return True

    def restart(self) -> None:
        """Begin counting anew; the verdict stays."""
        self._run, self._last = 0, None


@dataclass(frozen=True, slots=True)
class Reports:
    """Whom probes tell.

    Attributes:
        changed: `started` or `ready` has changed.
        unhealthy: A probe failed once: (message).
        failed: Liveness or startup failed for good: (which, its terminationGracePeriodSeconds).
    """

    changed: Callable[[], None]
    unhealthy: Callable[[str], None]
    failed: Callable[[str, float | None], None]


class ContainerProbes:
    """The probes of one running container.

    Attributes:
        started: Whether the startup probe has succeeded, or there is none.
        ready: Whether the readiness probe's verdict is success, or there is none.
    """

    def __init__(
        self, target: handlers.Target, reports: Reports, *, started: bool, ready: bool
    ) -> None:
        """Prepare them.

        Args:
            target: The container.
            reports: Whom to tell.
            started: Verdict known from before, for a container that was adopted.
            ready: Likewise.
        """
        spec = target.container
        self.started = started or not spec.get("startupProbe")
        self.ready = ready or not spec.get("readinessProbe")
        self._target = target
        self._reports = reports
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; containers without probes need no task."""
        spec = self._target.container
        if any(spec.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")):
            # An empty context: whoever started the container is not who probes it.
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name=f"probes {spec['name']}", context=contextvars.Context()
            )

    def stop(self) -> None:
        """End them; nothing is reported from now on."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        spec = self._target.container
        if not self.started:
            await self._startup(spec["startupProbe"])
        async with asyncio.TaskGroup() as group:
            if spec.get("readinessProbe"):
                group.create_task(self._readiness(spec["readinessProbe"]))
            if spec.get("livenessProbe"):
                group.create_task(self._liveness(spec["livenessProbe"]))

    async def _startup(self, probe: Object) -> None:
        timing = Timing.of(probe)
        count = Count(timing, verdict=None)
        await asyncio.sleep(timing.initial_delay)
        while not self.started:
            if count.add(success=await self._ask("Startup", probe, timing)):
                if count.verdict:
                    self.started = True
                    self._reports.changed()
                    return
                self._fail("startup", probe)
                count.restart()
            await asyncio.sleep(timing.period)

    async def _readiness(self, probe: Object) -> None:
        timing = Timing.of(probe)
        count = Count(timing, verdict=self.ready)
        await asyncio.sleep(timing.initial_delay)
        while True:
            settled = count.add(success=await self._ask("Readiness", probe, timing))
            if settled and self.ready != bool(count.verdict):
                self.ready = bool(count.verdict)
                self._reports.changed()
            await asyncio.sleep(timing.period)

    async def _liveness(self, probe: Object) -> None:
        timing = Timing.of(probe)
        count = Count(timing, verdict=True)
        # Many replicas start at once; their probes should not come at once for ever.
        await asyncio.sleep(timing.initial_delay + random.uniform(0, min(timing.period, 1) / 4))  # noqa: S311 - spreading load
        while True:
            settled = count.add(success=await self._ask("Liveness", probe, timing))
            if settled and not count.verdict:
                self._fail("liveness", probe)
                count.restart()
            await asyncio.sleep(timing.period)

    async def _ask(self, kind: str, probe: Object, timing: Timing) -> bool:
        try:
            await handlers.run(probe, self._target, timeout_seconds=timing.timeout)
        except handlers.HandlerError as error:
            self._reports.unhealthy(f"{kind} probe failed: {error}")
            return False
        return True

    def _fail(self, kind: str, probe: Object) -> None:
        grace = probe.get("terminationGracePeriodSeconds")
        self._reports.failed(kind, None if grace is None else float(grace))
