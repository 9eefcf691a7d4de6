"""The warmed processes of a launcher: which there are, how many, how long, and why not."""

import dataclasses
import os
import socket
import time

from wherry.kubelet.launcher import loop, processes, spawn, types, warmed

_WARM_AFTER_SECONDS = 0.2
"""The container that asks first starts cold; it shall have the machine to itself while it does."""
_WARMING_SECONDS = 300.0
_TICK_SECONDS = 5.0
_RETRY_SECONDS = 300.0
"""After this what could not be warmed is tried again."""
_MAX_PLACES = 64


@dataclasses.dataclass(slots=True)
class Place:
    """What is known of one kind of warmed process."""

    key: warmed.Key
    process: warmed.Warmed | None = None
    due: bool = False
    """Whether one is about to be started."""
    began: float = 0.0
    started: int = 0
    went_cold: int = 0
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    problem: str = ""
    barred_until: float = 0.0


class Nursery:
    """Keeps warmed processes within bounds. Nothing here blocks, and no container waits for one."""

    def __init__(self, events: loop.Loop, directory: str, *, begin_in: str) -> None:
        """Begin without any.

        Args:
            events: The launcher's loop.
            directory: The launcher's own folder.
            begin_in: See ``orders.Bare``.
        """
        self._loop = events
        self._begin_in = begin_in
        self._folder = f"{directory}/warm"
        self._places: dict[warmed.Key, Place] = {}
        self.limits = types.WarmLimits()
        self._ticking = False

    def fork(
        self, plan: spawn.Plan, standard: tuple[int, int, int]
    ) -> tuple[Place, socket.socket] | None:
        """Ask a warmed process for a child; where there is none, see to it that there will be.

        Args:
            plan: What the child shall become.
            standard: See ``Warmed.fork``.

        Returns:
            Whose child it will be, and the launcher's end of its status socket; None to start cold.
        """
        if plan.spec.warm is None or self.limits.memory_bytes <= 0 or not processes.LINUX:
            return None
        place = self._place(warmed.key_of(plan.spec.warm))
        if place.process is None:
            self._plan_start(place)
            return None
        status = place.process.fork(plan, standard)
        if status is None:
            return None
        place.started += 1
        return place, status

    def went_cold(self, place: Place, reason: str) -> None:
        """Note that a child executes its program after all."""
        place.went_cold += 1
        place.problem = reason
        if reason.startswith("stale") and place.process is not None:
            place.process.close()

    def ended(self, pid: int) -> None:
        """Note that a process of ours has been reaped."""
        for place in self._places.values():
            if place.process is not None and place.process.pid == pid:
                place.process.close()

    def states(self) -> list[types.WarmState]:
        """Return what there is, and what there is not and why."""
        return [_state(place) for place in self._places.values()]

    def limit(self, limits: types.WarmLimits) -> None:
        """Set the bounds."""
        self.limits = limits
        self._bound()

    def close(self) -> None:
        """End them all."""
        self.limits = types.WarmLimits(memory_bytes=0)
        for place in list(self._places.values()):
            if place.process is not None:
                place.process.close()

    def _place(self, key: warmed.Key) -> Place:
        place = self._places.pop(key, None) or Place(key)
        self._places[key] = place  # the last one used is the last one in order
        if len(self._places) > _MAX_PLACES:
            oldest = next(iter(self._places.values()))
            if oldest.process is not None:
                oldest.process.close()
            self._places.pop(oldest.key, None)
        return place

    def _plan_start(self, place: Place) -> None:
        if place.due or time.monotonic() < place.barred_until:
            return
        place.due = True
        self._loop.later(_WARM_AFTER_SECONDS, lambda: self._start(place))

    def _start(self, place: Place) -> None:
        place.due = False
        if place.process is not None or self.limits.memory_bytes <= 0:
            return
        os.makedirs(self._folder, mode=0o700, exist_ok=True)  # noqa: PTH103 — pathlib's would be imported for nothing
        place.began = time.monotonic()
        place.process = warmed.Warmed(
            self._loop,
            self._folder,
            place.key,
            left_out=place.left_out,
            begin_in=self._begin_in,
            changed=lambda _: self._changed(place),
        )
        if not self._ticking:
            self._ticking = True
            self._loop.later(_TICK_SECONDS, self._tick)

    def _changed(self, place: Place) -> None:
        process = place.process
        assert process is not None
        if process.phase is warmed.Phase.READY:
            place.problem = ""
            self._bound()
            return
        place.process = None
        module, reason = process.unfit
        if module:
            place.left_out[module] = reason
            self._start(place)
        elif not process.was_ready:
            place.problem = place.problem or process.problem or "it ended before it was ready"
            place.barred_until = time.monotonic() + _RETRY_SECONDS

    def _tick(self) -> None:
        """End what is idle, too slow or too large; runs while there are any."""
        now = time.monotonic()
        for place in list(self._places.values()):
            process = place.process
            if process is None:
                continue
            if process.phase is warmed.Phase.WARMING:
                if now - place.began > _WARMING_SECONDS:
                    place.problem = f"it was not ready within {_WARMING_SECONDS:.0f} s"
                    process.close()
            elif now - process.used_at > self.limits.idle_seconds:
                process.close()
                self._places.pop(place.key, None)
        self._bound()
        self._ticking = any(place.process is not None for place in self._places.values())
        if self._ticking:
            self._loop.later(_TICK_SECONDS, self._tick)

    def _bound(self) -> None:
        """End those that have not been used for longest until the rest fits."""
        alive = [place.process for place in self._places.values() if place.process is not None]
        sizes = {process: process.memory_bytes() for process in alive}
        total = sum(sizes.values())
        for place in list(self._places.values()):
            process = place.process
            if process is None or total <= self.limits.memory_bytes:
                continue
            total -= sizes[process]
            place.problem = (
                f"ended to keep all warmed processes within {self.limits.memory_bytes} bytes"
            )
            if sizes[process] > self.limits.memory_bytes:
                place.barred_until = time.monotonic() + _RETRY_SECONDS
            process.close()


def _state(place: Place) -> types.WarmState:
    process = place.process
    return types.WarmState(
        program=place.key.program,
        preload=place.key.preload,
        flags=place.key.flags,
        pid=process.pid if process is not None else None,
        ready=process is not None and process.phase is warmed.Phase.READY,
        memory_bytes=process.memory_bytes() if process is not None else 0,
        started=place.started,
        went_cold=place.went_cold,
        left_out=dict(place.left_out),
        problem=place.problem,
    )
