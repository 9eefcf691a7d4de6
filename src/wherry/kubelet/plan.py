"""What is to be done next for a pod, from its spec and what its containers have come to. Pure.

Source: the kubelet's `computePodActions` (order and restarts) and KEP-753 (sidecars).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from wherry.kubelet import specs
from wherry.kubelet.views import ContainerView
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step.

    Attributes:
        start: Containers to be started now.
        backing_off: Containers that are to be started again, but later.
        wake_at: When the first of those is due, seconds since the epoch.
        initialized: Whether the init containers are done.
        outcome: ``Succeeded`` or ``Failed`` once nothing is left to run; sidecars are then ended.
    """

    start: tuple[str, ...] = ()
    backing_off: tuple[str, ...] = ()
    wake_at: float | None = None
    initialized: bool = False
    outcome: str = ""


class _Collector:
    """Sorts containers into those to start and those that have to wait."""

    def __init__(self, now: float) -> None:
        self._now = now
        self.start: list[str] = []
        self.backing_off: list[str] = []
        self.wake_at: float | None = None

    def due(self, view: ContainerView) -> None:
        """Take a container that is to be started."""
        if view.restart_at <= self._now:
            self.start.append(view.name)
            return
        self.backing_off.append(view.name)
        if self.wake_at is None or view.restart_at < self.wake_at:
            self.wake_at = view.restart_at

    def plan(self, *, initialized: bool, outcome: str = "") -> Plan:
        """Return the plan."""
        return Plan(tuple(self.start), tuple(self.backing_off), self.wake_at, initialized, outcome)


def decide(pod: Object, views: Sequence[ContainerView], now: float) -> Plan:
    """Return the next step.

    Args:
        pod: The pod.
        views: All its containers, init containers first, each group in the spec's order. Those for
            debugging start once, whatever the others do, and the pod does not wait for their end.
        now: Seconds since the epoch.
    """
    init = [view for view in views if view.init]
    main = [view for view in views if view.main]
    collector = _Collector(now)
    for view in views:
        if view.ephemeral and view.process is None:
            collector.due(view)
    begun = any(view.attempt >= 0 for view in main)
    if begun:
        # Init containers never run again once a main container has started.
        for view in init:
            if view.sidecar and not view.running:
                collector.due(view)
    else:
        blocked, failed = _advance(pod, init, collector)
        if failed:
            return Plan(initialized=False, outcome="Failed")
        if blocked:
            return collector.plan(initialized=False)
    return _run_main(pod, main, collector)


def _advance(
    pod: Object, init: Sequence[ContainerView], collector: _Collector
) -> tuple[bool, bool]:
    """Find the init container whose turn it is; returns (blocked, failed)."""
    for view in init:
        if view.sidecar:
            if not view.running:
                collector.due(view)
            if not (view.running and view.started):
                return True, False
        elif view.ended and view.exit_code == 0:
            continue
        elif view.ended and not specs.restarts(pod, view.spec, view.exit_code, init=True):
            return True, True
        else:
            if not view.running:
                collector.due(view)
            return True, False
    return False, False


def _run_main(pod: Object, main: Sequence[ContainerView], collector: _Collector) -> Plan:
    done = True
    for view in main:
        if view.running:
            done = False
        elif not view.ended or specs.restarts(pod, view.spec, view.exit_code, init=False):
            done = False
            collector.due(view)
    if not done:
        return collector.plan(initialized=True)
    failed = any(view.exit_code != 0 for view in main)
    return Plan(initialized=True, outcome="Failed" if failed else "Succeeded")
