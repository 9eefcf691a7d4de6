"""The containers of one pod: begins them, watches over them, ends them.

What is to begin or to end is decided elsewhere (`plan`, `pod_worker`); here it is done, one container
beside the other. Whatever changes wakes the worker, which then looks at the whole pod again.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from wherry.kubelet import (
    containers,
    handlers,
    layout,
    probes,
    process_ids,
    specs,
    starting,
    stopping,
    termination,
)
from wherry.kubelet.containers import ContainerRecord
from wherry.kubelet.devices import NoDeviceError
from wherry.kubelet.environment_variables import ConfigError
from wherry.kubelet.launcher.types import Execution, LauncherError, ProcessState
from wherry.kubelet.mounts import MountError
from wherry.kubelet.pulls import Tell
from wherry.kubelet.runtime import Image, StartError
from wherry.kubelet.shared import Shared
from wherry.kubelet.users import IdentityError
from wherry.kubelet.views import ContainerView, Waiting
from wherry.objects import metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

States = Mapping[str, Mapping[int, ProcessState]]
"""What the launcher knows of a pod: container → attempt → state."""

_HOOK_SECONDS = 86400.0


class ContainerSet:
    """The containers of one pod.

    Attributes:
        records: Init containers first, then the main ones, then those for debugging.
        address: The pod's address, once it has one.
        deadline: Monotonic; what is being stopped is killed then at the latest. None: each as it was told.
    """

    def __init__(self, pod: Object, states: States, shared: Shared, tell: Tell) -> None:
        """Take over what a pod's spec names and the launcher runs.

        Args:
            pod: As the API has it.
            states: Its processes that are known from before.
            shared: What pods share.
            tell: Whom to tell of events and changes.
        """
        self.address = ""
        self.deadline: float | None = None
        self._pod = pod
        self._states = states
        self._shared = shared
        self._tell = tell
        self._back_off = shared.settings.back_off
        self._layout = layout.PodLayout(shared.settings, pod)
        self._early: dict[process_ids.ProcessName, ProcessState] = {}
        self.records = [
            *self._adopted(specs.init_containers(pod), "initContainerStatuses", init=True),
            *self._adopted(specs.containers(pod), "containerStatuses"),
        ]
        self.update(pod)
        for record in self.records:
            if record.running:
                self._watch_over(record)

    # What is known.

    def update(self, pod: Object) -> None:
        """Take a new state of the pod, which may have been given containers for debugging."""
        self._pod = pod
        known = {record.name for record in self.records}
        added = [one for one in specs.ephemeral_containers(pod) if one["name"] not in known]
        self.records += self._adopted(added, "ephemeralContainerStatuses")

    def views(self) -> list[ContainerView]:
        """Return all containers as `plan` and `status` need them."""
        return [record.view() for record in self.records]

    def find(self, name: str) -> ContainerRecord | None:
        """Return the container of that name."""
        return next((record for record in self.records if record.name == name), None)

    def exited(self, name: process_ids.ProcessName, process: ProcessState) -> None:
        """Note that a process has ended."""
        record = self.find(name.container)
        if record is None:
            return
        if record.attempt < name.attempt:
            # It was quicker than the answer to our call that started it.
            self._early[name] = process
        elif record.attempt == name.attempt and record.running:
            self._ended(record, process)
            self._tell.wake()

    def close(self) -> None:
        """Stop watching; containers go on."""
        for record in self.records:
            if record.probes is not None:
                record.probes.stop()

    def _adopted(
        self, group: Iterable[Object], field: str, *, init: bool = False
    ) -> list[ContainerRecord]:
        entries = (self._pod.get("status") or {}).get(field) or []
        by_name = {entry["name"]: entry for entry in entries}
        make: Callable[..., ContainerRecord] = functools.partial(
            containers.adopt, now=self._shared.now(), back_off=self._back_off, init=init
        )
        result = []
        for spec in group:
            name = str(spec["name"])
            record = make(spec, self._states.get(name) or {}, by_name.get(name))
            record.ephemeral = field == "ephemeralContainerStatuses"
            result.append(record)
        return result

    # Begin.

    def hold_back(self, names: Iterable[str]) -> None:
        """Say of these containers that their restart has to wait."""
        for record in self.records:
            if record.name in names:
                seconds = record.back_off_seconds(self._back_off)
                pod = self._pod
                where = f"{metadata.name(pod)}_{metadata.namespace(pod)}({metadata.uid(pod)})"
                message = (
                    f"back-off {seconds:g}s restarting failed container={record.name} pod={where}"
                )
                if record.waiting is None or record.waiting.message != message:
                    self._tell.event("Warning", "BackOff", message[0].upper() + message[1:])
                record.waiting = Waiting("CrashLoopBackOff", message)

    async def start(
        self, names: Iterable[str], place: starting.Place, image_of: Callable[[Object], object]
    ) -> bool:
        """Start containers, one beside the other; return whether any has begun.

        Args:
            names: Which.
            place: Where.
            image_of: Returns a container's image, why it cannot be had (`Waiting`), or None while it
                is being made ready.
        """
        due = [record for record in self.records if record.name in names]
        begun = await asyncio.gather(*(self._start(record, place, image_of) for record in due))
        return any(begun)

    async def _start(
        self, record: ContainerRecord, place: starting.Place, image_of: Callable[[Object], object]
    ) -> bool:
        image = image_of(record.spec)
        if not isinstance(image, Image):
            record.waiting = image if isinstance(image, Waiting) else None
            return False
        attempt = record.attempt + 1
        try:
            start, warning = await starting.describe(record.spec, attempt, image, place)
            process = await self._shared.runtime.start(start)
        except (ConfigError, IdentityError) as error:
            self._cannot_start(record, "CreateContainerConfigError", str(error))
            return False
        except (MountError, StartError, NoDeviceError) as error:
            self._cannot_start(record, "CreateContainerError", str(error))
            return False
        if warning:
            self._tell.event("Warning", "SecurityContextIgnored", warning)
        self._begun(record, attempt, process, image)
        return True

    def _cannot_start(self, record: ContainerRecord, reason: str, message: str) -> None:
        record.waiting = Waiting(reason, message)
        self._tell.event("Warning", "Failed", f"Error: {message}")
        self._tell.wake_in(self._back_off.volume_seconds)

    def _begun(
        self, record: ContainerRecord, attempt: int, process: ProcessState, image: Image
    ) -> None:
        before = record.process
        name = process_ids.ProcessName(metadata.uid(self._pod), record.name, attempt)
        process = self._early.pop(name, process)
        record.begin(attempt, process)
        record.image_id = image.id
        self._tell.event("Normal", "Created", f"Created container: {record.name}")
        if process.error is not None:
            self._tell.event("Warning", "Failed", f"Error: {process.error}")
        else:
            self._tell.event("Normal", "Started", f"Started container {record.name}")
        if before is not None and attempt >= 2:
            self._shared.spawn(self._drop(record.name, attempt - 2), "forget an attempt")
        if record.running:
            self._watch_over(record)
            if not record.hooked:
                self._shared.spawn(self._post_start(record), f"postStart {record.name}")
        else:
            self._ended(record, process)
            self._tell.wake()

    async def _drop(self, container: str, attempt: int) -> None:
        """Forget an attempt that nobody can ask for any more."""
        try:
            await self._shared.runtime.forget(
                process_ids.make(metadata.uid(self._pod), container, attempt)
            )
        except LauncherError as error:
            logger.debug("forgetting attempt %d of %s: %s", attempt, container, error)
        await asyncio.to_thread(_remove_attempt, self._layout, container, attempt)

    # Watch over.

    def _target(self, record: ContainerRecord) -> handlers.Target:
        process_id = record.process.id if record.process is not None else ""

        async def execute(argv: tuple[str, ...], seconds: float) -> Execution:
            return await self._shared.runtime.execute(process_id, argv, timeout_seconds=seconds)

        address = self.address or str((self._pod.get("status") or {}).get("podIP") or "")
        return handlers.Target(record.spec, address, execute, self._shared.session)

    def _watch_over(self, record: ContainerRecord) -> None:
        if record.init and not specs.is_sidecar(record.spec):
            return
        reports = probes.Reports(
            changed=self._tell.wake,
            unhealthy=functools.partial(self._tell.event, "Warning", "Unhealthy"),
            failed=functools.partial(self._unhealthy, record),
        )
        adopted = record.was_ready
        record.was_ready = False
        record.probes = probes.ContainerProbes(
            self._target(record), reports, started=adopted, ready=adopted
        )
        if record.hooked:
            record.probes.start()

    async def _post_start(self, record: ContainerRecord) -> None:
        hook = record.spec["lifecycle"]["postStart"]
        attempt = record.attempt
        try:
            await handlers.run(hook, self._target(record), timeout_seconds=_HOOK_SECONDS)
        except handlers.HandlerError as error:
            if record.running and record.attempt == attempt:
                self._tell.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {error}")
                self.stop(record, specs.grace_seconds(self._pod), "FailedPostStartHook")
            return
        if record.attempt == attempt:
            record.hooked = True
            if record.probes is not None:
                record.probes.start()
            self._tell.wake()

    def _unhealthy(self, record: ContainerRecord, kind: str, grace: float | None) -> None:
        message = f"Container {record.name} failed {kind} probe, will be restarted"
        self.stop(record, specs.grace_seconds(self._pod) if grace is None else grace, message)

    def _ended(self, record: ContainerRecord, process: ProcessState) -> None:
        file = self._layout.termination_message(record.name, record.attempt)
        log = self._layout.log(record.name, record.attempt)
        failed = process.exit_code != 0
        text = termination.message(record.spec, file, log, failed=failed)
        record.end(process, text, self._back_off)

    # End.

    def stop(self, record: ContainerRecord, grace: float, message: str) -> None:
        """Begin to end a container; a later call may only make it sooner."""
        if not record.running or (record.stopping is not None and not record.stopping.done()):
            return
        self._tell.event("Normal", "Killing", message)
        ends_at = time.monotonic() + grace

        def remaining() -> float:
            # A deletion, or a shorter one, may come while it is being stopped.
            until = ends_at - time.monotonic()
            return until if self.deadline is None else min(until, self.deadline - time.monotonic())

        record.stopping = self._shared.spawn(
            stopping.stop(
                record,
                self._shared.runtime,
                self._target(record),
                remaining=remaining,
                warn=functools.partial(self._tell.event, "Warning"),
            ),
            f"stop {record.name}",
        )

    def stop_all(self) -> bool:
        """End what runs, sidecars last and in reverse order; returns whether nothing runs."""
        if self.deadline is None:
            self.deadline = time.monotonic() + specs.grace_seconds(self._pod)
        grace = max(self.deadline - time.monotonic(), 0.0)
        first = [r for r in self.records if r.running and not _is_sidecar(r)]
        last = [r for r in self.records if r.running and _is_sidecar(r)]
        for record in first or last[-1:]:
            self.stop(record, grace, f"Stopping container {record.name}")
        return not first and not last

    async def forget(self) -> None:
        """Let the launcher drop what it knows of these containers, which have ended."""
        uid = metadata.uid(self._pod)
        for record in self.records:
            if record.process is None or not self._layout.root.exists():
                continue
            for attempt in range(max(record.attempt - 1, 0), record.attempt + 1):
                await self._shared.runtime.forget(process_ids.make(uid, record.name, attempt))


def _is_sidecar(record: ContainerRecord) -> bool:
    return record.init and specs.is_sidecar(record.spec)


def _remove_attempt(where: layout.PodLayout, container: str, attempt: int) -> None:
    log = where.log(container, attempt)
    for path in (where.termination_message(container, attempt), *log.parent.glob(f"{log.name}*")):
        path.unlink(missing_ok=True)
