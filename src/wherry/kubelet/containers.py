"""What the agent remembers of one container between two looks.

All of it can be found again: from the launcher, or where that has lost it, from the pod's status.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.kubelet import process_ids
from wherry.kubelet.launcher.types import ProcessState
from wherry.kubelet.probes import ContainerProbes
from wherry.kubelet.settings import BackOffSettings
from wherry.kubelet.views import ContainerView, Waiting
from wherry.objects import metadata
from wherry.objects.requests import Object


@dataclass(slots=True)
class ContainerRecord:
    """One container of a pod that is being worked on.

    Attributes:
        spec: Its entry in the pod.
        init: Whether it is among the init containers.
        ephemeral: Whether it was added to the running pod for debugging.
        attempt: Number of the newest attempt, -1 before the first.
        process: The newest attempt.
        previous: The attempt before.
        message: Termination message of the newest attempt.
        previous_message: Of the attempt before.
        waiting: What holds back the next attempt.
        failures: How many attempts in a row ended early; decides the back-off.
        restart_at: When the next attempt may start, seconds since the epoch.
        hooked: Whether the postStart hook is done, or there is none.
        was_ready: Whether the status said ready when the container was adopted.
        image_id: What it runs.
        probes: While it runs.
        stopping: While it is being stopped.
        exited: Set when the newest attempt has ended.
    """

    spec: Object
    init: bool
    ephemeral: bool = False
    attempt: int = -1
    process: ProcessState | None = None
    previous: ProcessState | None = None
    message: str = ""
    previous_message: str = ""
    waiting: Waiting | None = None
    failures: int = 0
    restart_at: float = 0.0
    hooked: bool = True
    was_ready: bool = False
    image_id: str = ""
    probes: ContainerProbes | None = None
    stopping: asyncio.Task[None] | None = None
    exited: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.spec["name"])

    @property
    def running(self) -> bool:
        """Whether its newest attempt runs."""
        return self.process is not None and self.process.finished_at is None

    def view(self) -> ContainerView:
        """Return what `plan` and `status` need."""
        probes = self.probes
        started = self.hooked and (probes is None or probes.started)
        return ContainerView(
            spec=self.spec,
            init=self.init,
            ephemeral=self.ephemeral,
            attempt=self.attempt,
            process=self.process,
            previous=self.previous,
            waiting=self.waiting,
            started=started,
            ready=started and (probes is None or probes.ready),
            image_id=self.image_id,
            message=self.message,
            previous_message=self.previous_message,
            restart_at=self.restart_at,
        )

    def begin(self, attempt: int, process: ProcessState) -> None:
        """Note that an attempt has been started."""
        self.previous, self.previous_message = self.process, self.message
        self.attempt, self.process, self.message = attempt, process, ""
        self.waiting = None
        self.exited = asyncio.Event()
        self.hooked = not (self.spec.get("lifecycle") or {}).get("postStart")

    def end(self, process: ProcessState, message: str, back_off: BackOffSettings) -> None:
        """Note that the newest attempt has ended, and when the next one may start."""
        self.process, self.message = process, message
        finished = process.finished_at or process.started_at
        if finished - process.started_at >= back_off.reset_seconds:
            self.failures = 0
        self.failures += 1
        self.restart_at = finished + self.back_off_seconds(back_off)
        if self.probes is not None:
            self.probes.stop()
            self.probes = None
        self.exited.set()

    def back_off_seconds(self, back_off: BackOffSettings) -> float:
        """Return how long the next attempt has to wait after the end of this one."""
        if self.failures < 2:
            return 0.0
        doublings = min(self.failures - 2, 30)
        return float(min(back_off.initial_seconds * 2**doublings, back_off.maximum_seconds))


def adopt(
    spec: Object,
    states: Mapping[int, ProcessState],
    entry: Object | None,
    *,
    init: bool,
    now: float,
    back_off: BackOffSettings,
) -> ContainerRecord:
    """Return the record of a container as a new agent finds it.

    Args:
        spec: The container.
        states: What the launcher knows of it, by attempt.
        entry: What the pod's status says of it.
        init: Whether it is among the init containers.
        now: Seconds since the epoch, for processes that are lost.
        back_off: Decides when it may start again.
    """
    record = ContainerRecord(spec, init)
    known = dict(states) or _from_status(entry, now)
    entry = entry or {}
    for attempt in sorted(known)[-2:]:
        record.begin(attempt, known[attempt])
    record.hooked = True
    record.was_ready = (
        bool(entry.get("ready")) and int(entry.get("restartCount") or 0) == record.attempt
    )
    record.image_id = str(entry.get("imageID") or "")
    record.message = _message(entry, "state") or _message(entry, "lastState")
    record.failures = max(record.attempt, 0)
    if record.process is not None and not record.running:
        record.end(record.process, record.message, back_off)
    return record


def _message(entry: Object, which: str) -> str:
    return str(((entry.get(which) or {}).get("terminated") or {}).get("message") or "")


def _from_status(entry: Object | None, now: float) -> dict[int, ProcessState]:
    """Rebuild what the launcher has forgotten."""
    name = process_ids.parse(str((entry or {}).get("containerID", "")).removeprefix("wherry://"))
    if entry is None or name is None:
        return {}
    state = entry.get("state") or {}
    ended = state.get("terminated") or (
        (entry.get("lastState") or {}).get("terminated") if state.get("waiting") else None
    )
    process_id = process_ids.make(*name)
    if ended:
        return {
            name.attempt: ProcessState(
                id=process_id,
                started_at=_seconds(ended.get("startedAt"), now),
                finished_at=_seconds(ended.get("finishedAt"), now),
                exit_code=int(ended.get("exitCode") or 0),
                signal=ended.get("signal"),
                oom_killed=ended.get("reason") == "OOMKilled",
            )
        }
    started = _seconds((state.get("running") or {}).get("startedAt"), now)
    lost = "the process is gone and nobody saw how it ended"
    return {
        name.attempt: ProcessState(
            id=process_id, started_at=started, finished_at=now, exit_code=137, error=lost
        )
    }


def _seconds(text: object, otherwise: float) -> float:
    return metadata.parse_time(str(text)).timestamp() if text else otherwise
