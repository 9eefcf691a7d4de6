"""Brings one pod to what its spec says, step by step, from whatever state it is found in.

A step looks at everything anew: the pod, its containers, the clock. Whatever takes long (an image,
a hook, an end) runs beside it and wakes it when something has changed. Nothing here is needed after
a crash: the next agent builds the same worker from the API and the launcher.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Mapping

from wherry.kubelet import (
    containers,
    handlers,
    hosts,
    layout,
    plan,
    probes,
    process_ids,
    specs,
    starting,
    status,
    stopping,
    termination,
    volumes,
)
from wherry.kubelet.containers import ContainerRecord
from wherry.kubelet.environment_variables import ConfigError
from wherry.kubelet.launcher.types import Execution, LauncherError, ProcessState
from wherry.kubelet.mounts import MountError
from wherry.kubelet.pulls import Pulls, Tell
from wherry.kubelet.runtime import Image, StartError
from wherry.kubelet.shared import Shared
from wherry.kubelet.status_writer import StatusWriter
from wherry.kubelet.users import IdentityError
from wherry.kubelet.views import Waiting
from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

_GONE_GRACE_SECONDS = 1.0
_AGAIN_SECONDS = 1.0

States = Mapping[str, Mapping[int, ProcessState]]
"""What the launcher knows of a pod: container → attempt → state."""


class PodWorker:
    """One pod on this node."""

    def __init__(self, pod: Object, shared: Shared, states: States) -> None:
        """Take a pod over.

        Args:
            pod: As the API has it.
            shared: What pods share.
            states: Its processes that are known from before; none for a new pod.
        """
        self._shared = shared
        self._settings = shared.settings
        self._layout = layout.PodLayout(shared.settings, pod)
        self._writer = StatusWriter(pod, shared, self._status)
        self._pulls = Pulls(
            shared.runtime, self._settings.back_off, Tell(self._event, self.wake, self._wake_in)
        )
        self._records = _records(pod, states, shared)
        self._early: dict[process_ids.ProcessName, ProcessState] = {}
        self._dirty = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refresh: asyncio.TimerHandle | None = None
        self._address = ""
        self._volumes: dict[str, Prepared] | None = None
        self._stale = True
        self._gone = False
        self._cleared = False
        self._closed = False
        self._deadline: float | None = None
        self._plan = plan.Plan()
        self._end: tuple[str, str, str] | None = None
        self.removed = asyncio.Event()
        for record in self._records:
            if record.running:
                self._watch_over(record)

    # What the agent tells.

    @property
    def pod(self) -> Object:
        """The newest state of the pod that is known. Shared: not to be changed."""
        return self._writer.pod

    def update(self, pod: Object) -> None:
        """Take a new state of the pod."""
        before = self.pod
        self._writer.offer(pod)
        if before["metadata"].get("labels") != pod["metadata"].get("labels") or before[
            "metadata"
        ].get("annotations") != pod["metadata"].get("annotations"):
            self._stale = True
        self.wake()

    def config_changed(self) -> None:
        """Look at ConfigMaps, Secrets and claims again."""
        self._stale = True
        self.wake()

    def images_changed(self) -> None:
        """Try images again at once."""
        self._pulls.again()
        self.wake()

    def gone(self) -> None:
        """The pod is no longer in the API: end what runs and remove everything."""
        self._gone = True
        self.wake()

    def exited(self, name: process_ids.ProcessName, process: ProcessState) -> None:
        """Note that a process has ended."""
        for record in self._records:
            if record.name != name.container:
                continue
            if record.attempt < name.attempt:
                # It was quicker than the answer to our call that started it.
                self._early[name] = process
            elif record.attempt == name.attempt and record.running:
                self._ended(record, process)
                self.wake()

    def running(self, container: str, attempt: int) -> bool:
        """Return whether that attempt may still write to its log."""
        for record in self._records:
            if record.name == container:
                return record.attempt < attempt or (record.attempt == attempt and record.running)
        return False

    def process_id(self, container: str) -> str | None:
        """Return the launcher's id of a container while it runs."""
        for record in self._records:
            if record.name == container and record.process is not None and record.running:
                return record.process.id
        return None

    def close(self) -> None:
        """Stop working; containers go on."""
        self._closed = True
        self._end_timers()
        self._pulls.close()
        for record in self._records:
            if record.probes is not None:
                record.probes.stop()

    def _end_timers(self) -> None:
        for timer in (self._timer, self._refresh):
            if timer is not None:
                timer.cancel()
        self._timer = self._refresh = None

    def wake(self) -> None:
        """Take another step soon."""
        self._dirty = True
        if not self._closed and (self._task is None or self._task.done()):
            self._task = self._shared.spawn(self._run(), f"pod {metadata.name(self.pod)}")

    # Steps.

    async def _run(self) -> None:
        while self._dirty and not self._closed:
            self._dirty = False
            try:
                await self._step()
            except errors.ApiError as error:
                logger.warning("pod %s: %s", metadata.namespaced_name(self.pod), error)
                self._wake_in(_AGAIN_SECONDS)
            except (LauncherError, OSError) as error:
                logger.warning("pod %s: %s", metadata.namespaced_name(self.pod), error)
                await self._tell_failure(error)
            except Exception as error:
                logger.exception("pod %s: step failed", metadata.namespaced_name(self.pod))
                await self._tell_failure(error)

    async def _tell_failure(self, error: Exception) -> None:
        """Say on the pod what stands in its way on this machine, and try again."""
        message = f"Error syncing pod, retrying: {error}"
        await self._shared.recorder.event(self.pod, "Warning", "FailedSync", message)
        self._wake_in(_AGAIN_SECONDS)

    async def _step(self) -> None:
        pod = self.pod
        if self._gone:
            await self._remove()
        elif metadata.is_deleting(pod):
            await self._delete(pod)
        elif specs.is_finished(pod):
            await self._finish()
        elif self._overdue(pod) or self._end is not None:
            await self._conclude()
        else:
            await self._work(pod)

    async def _work(self, pod: Object) -> None:
        self._set_up(pod)
        self._plan = plan.decide(
            pod, [record.view() for record in self._records], self._shared.now()
        )
        if self._plan.outcome:
            self._end = (self._plan.outcome, "", "")
            await self._conclude()
            return
        if self._plan.start or self._stale:
            await self._prepare_volumes(pod)
        self._hold_back()
        await self._start_due(pod)
        if self._plan.wake_at is not None:
            self._wake_in(self._plan.wake_at - self._shared.now())
        self._writer.mark()

    def _set_up(self, pod: Object) -> None:
        """Give the pod its folders, address and hosts file; quick when it has them."""
        if self._address:
            return
        self._layout.make()
        if specs.uses_host_network(pod):
            self._address = self._shared.host_ip
        else:
            self._address = self._own_address(pod)
        hostname = specs.hostname(pod)
        domain = self._settings.cluster_domain
        entry = hosts.PodHosts(
            self._layout.hosts,
            metadata.namespace(pod),
            hosts.pod_lines(pod, self._address, hostname, domain),
        )
        self._shared.hosts.add(metadata.uid(pod), entry)

    def _own_address(self, pod: Object) -> str:
        uid, addresses = metadata.uid(pod), self._shared.addresses
        known = str((pod.get("status") or {}).get("podIP") or "")
        if not known and self._layout.address.exists():
            known = self._layout.address.read_text().strip()
        if known and addresses.claim(uid, known):
            return known
        address = addresses.allocate(uid)
        # Before any process has it: the status may be written too late for the next agent.
        self._layout.address.write_text(address)
        return address

    async def _prepare_volumes(self, pod: Object) -> None:
        namespace = metadata.namespace(pod)
        context = Context(
            pod,
            self._layout,
            self._shared.surroundings(self._address),
            functools.partial(self._shared.lookup, namespace),
            functools.partial(self._shared.claimed, namespace),
            self._shared.tokens,
        )
        self._stale = False
        try:
            self._volumes = await volumes.prepare(context)
        except (NotReadyError, OSError) as error:
            self._stale = True
            self._event("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
            self._wake_in(self._settings.back_off.volume_seconds)
            return
        due = [found.refresh_at for found in self._volumes.values() if found.refresh_at]
        if due:
            seconds = max(min(due) - self._shared.now(), _AGAIN_SECONDS)
            if self._refresh is not None:
                self._refresh.cancel()
            self._refresh = asyncio.get_running_loop().call_later(seconds, self.config_changed)

    def _hold_back(self) -> None:
        for record in self._records:
            if record.name in self._plan.backing_off:
                seconds = record.back_off_seconds(self._settings.back_off)
                where = f"{metadata.name(self.pod)}_{metadata.namespace(self.pod)}({metadata.uid(self.pod)})"
                message = (
                    f"back-off {seconds:g}s restarting failed container={record.name} pod={where}"
                )
                if record.waiting is None or record.waiting.message != message:
                    self._event("Warning", "BackOff", message[0].upper() + message[1:])
                record.waiting = Waiting("CrashLoopBackOff", message)

    async def _start_due(self, pod: Object) -> None:
        if self._volumes is None:
            return
        due = [record for record in self._records if record.name in self._plan.start]
        await asyncio.gather(*(self._start(record, pod, self._volumes) for record in due))

    async def _start(
        self, record: ContainerRecord, pod: Object, prepared: Mapping[str, Prepared]
    ) -> None:
        image = self._pulls.get(str(record.spec.get("image") or ""))
        if not isinstance(image, Image):
            record.waiting = image
            return
        place = starting.Place(pod, self._layout, self._address, prepared, self._shared)
        attempt = record.attempt + 1
        try:
            start, warning = await starting.describe(record.spec, attempt, image, place)
            process = await self._shared.runtime.start(start)
        except (ConfigError, IdentityError) as error:
            self._cannot_start(record, "CreateContainerConfigError", str(error))
            return
        except (MountError, StartError) as error:
            self._cannot_start(record, "CreateContainerError", str(error))
            return
        if warning:
            self._event("Warning", "SecurityContextIgnored", warning)
        self._begun(record, attempt, process, image)

    def _cannot_start(self, record: ContainerRecord, reason: str, message: str) -> None:
        record.waiting = Waiting(reason, message)
        self._event("Warning", "Failed", f"Error: {message}")
        self._wake_in(self._settings.back_off.volume_seconds)

    def _begun(
        self, record: ContainerRecord, attempt: int, process: ProcessState, image: Image
    ) -> None:
        before = record.process
        name = process_ids.ProcessName(metadata.uid(self.pod), record.name, attempt)
        process = self._early.pop(name, process)
        record.begin(attempt, process)
        record.image_id = image.id
        self._event("Normal", "Created", f"Created container: {record.name}")
        if process.error is not None:
            self._event("Warning", "Failed", f"Error: {process.error}")
        else:
            self._event("Normal", "Started", f"Started container {record.name}")
        if before is not None and attempt >= 2:
            self._shared.spawn(self._drop(record.name, attempt - 2), "forget an attempt")
        if record.running:
            self._watch_over(record)
            if not record.hooked:
                self._shared.spawn(self._post_start(record), f"postStart {record.name}")
        else:
            self._ended(record, process)
            self.wake()

    async def _drop(self, container: str, attempt: int) -> None:
        """Forget an attempt that nobody can ask for any more."""
        try:
            await self._shared.runtime.forget(
                process_ids.make(metadata.uid(self.pod), container, attempt)
            )
        except LauncherError as error:
            logger.debug("forgetting attempt %d of %s: %s", attempt, container, error)
        await asyncio.to_thread(_remove_attempt, self._layout, container, attempt)

    # Containers that run.

    def _target(self, record: ContainerRecord) -> handlers.Target:
        process_id = record.process.id if record.process is not None else ""

        async def execute(argv: tuple[str, ...], seconds: float) -> Execution:
            return await self._shared.runtime.execute(process_id, argv, timeout_seconds=seconds)

        address = self._address or str((self.pod.get("status") or {}).get("podIP") or "")
        return handlers.Target(record.spec, address, execute, self._shared.session)

    def _watch_over(self, record: ContainerRecord) -> None:
        if record.init and not specs.is_sidecar(record.spec):
            return
        reports = probes.Reports(
            changed=self.wake,
            unhealthy=functools.partial(self._event, "Warning", "Unhealthy"),
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
            await handlers.run(hook, self._target(record), timeout_seconds=86400)
        except handlers.HandlerError as error:
            if record.running and record.attempt == attempt:
                self._event("Warning", "FailedPostStartHook", f"PostStartHook failed: {error}")
                self._stop(record, specs.grace_seconds(self.pod), "FailedPostStartHook")
            return
        if record.attempt == attempt:
            record.hooked = True
            if record.probes is not None:
                record.probes.start()
            self.wake()

    def _unhealthy(self, record: ContainerRecord, kind: str, grace: float | None) -> None:
        message = f"Container {record.name} failed {kind} probe, will be restarted"
        self._stop(record, specs.grace_seconds(self.pod) if grace is None else grace, message)

    def _ended(self, record: ContainerRecord, process: ProcessState) -> None:
        file = self._layout.termination_message(record.name, record.attempt)
        log = self._layout.log(record.name, record.attempt)
        failed = process.exit_code != 0
        text = termination.message(record.spec, file, log, failed=failed)
        record.end(process, text, self._settings.back_off)

    # Ends.

    def _stop(self, record: ContainerRecord, grace: float, message: str) -> None:
        """Begin to end a container; a later call may only make it sooner."""
        if not record.running or (record.stopping is not None and not record.stopping.done()):
            return
        self._event("Normal", "Killing", message)
        ends_at = time.monotonic() + grace

        def remaining() -> float:
            # A deletion, or a shorter one, may come while it is being stopped.
            until = ends_at - time.monotonic()
            return (
                until if self._deadline is None else min(until, self._deadline - time.monotonic())
            )

        record.stopping = self._shared.spawn(
            stopping.stop(
                record,
                self._shared.runtime,
                self._target(record),
                remaining=remaining,
                warn=functools.partial(self._event, "Warning"),
            ),
            f"stop {record.name}",
        )

    def _stop_all(self) -> bool:
        """End what runs, sidecars last and in reverse order; returns whether nothing runs."""
        if self._deadline is None:
            self._deadline = time.monotonic() + specs.grace_seconds(self.pod)
        grace = max(self._deadline - time.monotonic(), 0.0)
        first = [r for r in self._records if r.running and not _is_sidecar(r)]
        last = [r for r in self._records if r.running and _is_sidecar(r)]
        for record in first or last[-1:]:
            self._stop(record, grace, f"Stopping container {record.name}")
        return not first and not last

    def _overdue(self, pod: Object) -> bool:
        seconds = pod["spec"].get("activeDeadlineSeconds")
        begun = (pod.get("status") or {}).get("startTime")
        if seconds is None or not begun:
            return False
        left = metadata.parse_time(begun).timestamp() + float(seconds) - self._shared.now()
        if left > 0:
            self._wake_in(left)
            return False
        text = "Pod was active on the node longer than the specified deadline"
        if self._end is None:
            self._event("Normal", "DeadlineExceeded", text)
        self._end = ("Failed", "DeadlineExceeded", text)
        return True

    async def _conclude(self) -> None:
        """End what still runs, and once nothing does, say how the pod ended."""
        self._pulls.close()
        self._stop_all()
        await self._writer.flush()
        if specs.is_finished(self.pod):
            await self._finish()

    async def _finish(self) -> None:
        """Clear away a pod that has come to its end; its logs stay until it is deleted."""
        if self._cleared or not self._stop_all():
            return
        self._cleared = True
        self._end_timers()
        await self._forget_processes()
        await asyncio.to_thread(self._layout.remove_data)
        self._release(metadata.uid(self.pod))

    async def _delete(self, pod: Object) -> None:
        """End a pod that is being deleted, and delete it for good."""
        until = metadata.parse_time(pod["metadata"]["deletionTimestamp"]).timestamp()
        left = min(max(until - self._shared.now(), 0.0), specs.grace_seconds(pod))
        self._deadline = time.monotonic() + left
        self._pulls.close()
        if not self._stop_all():
            self._writer.mark()
            return
        if not specs.is_finished(pod) and any(record.process for record in self._records):
            bad = any(r.view().exit_code != 0 for r in self._records if not r.init)
            self._end = self._end or ("Failed" if bad else "Succeeded", "", "")
            await self._writer.flush()
        if pod["metadata"].get("deletionGracePeriodSeconds") == 0:
            # Deleted for good already: what keeps it are the finalizers of others.
            await self._finish()
            return
        try:
            await self._shared.client.delete(
                kinds.PODS,
                metadata.name(pod),
                metadata.namespace(pod),
                grace_period_seconds=0,
                uid=metadata.uid(pod),
            )
        except (errors.NotFoundError, errors.ConflictError):
            self._gone = True
            self.wake()

    async def _remove(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + _GONE_GRACE_SECONDS
        self._deadline = min(self._deadline, time.monotonic() + _GONE_GRACE_SECONDS)
        self._pulls.close()
        if not self._stop_all():
            return
        self.close()
        uid = metadata.uid(self.pod)
        await self._forget_processes()
        await asyncio.to_thread(self._layout.remove_all)
        self._release(uid)
        self.removed.set()

    async def _forget_processes(self) -> None:
        uid = metadata.uid(self.pod)
        for record in self._records:
            if record.process is None or not self._layout.root.exists():
                continue
            for attempt in range(max(record.attempt - 1, 0), record.attempt + 1):
                await self._shared.runtime.forget(process_ids.make(uid, record.name, attempt))

    def _release(self, uid: str) -> None:
        self._shared.hosts.remove(uid)
        self._shared.addresses.release(uid)
        self._shared.tokens.forget(uid)

    # What the API hears.

    def _status(self, pod: Object) -> Object:
        views = [record.view() for record in self._records]
        at_end = self._end is not None and not any(view.running for view in views)
        outcome, reason, message = self._end if at_end and self._end else ("", "", "")
        begun = any(record.attempt >= 0 and not record.init for record in self._records)
        facts = status.Facts(
            pod_ip=self._address or str((pod.get("status") or {}).get("podIP") or ""),
            host_ip=self._shared.host_ip,
            initialized=self._plan.initialized or begun or not specs.init_containers(pod),
            outcome=outcome,
            reason=reason,
            message=message,
            now=self._shared.clock.now(),
        )
        return status.compute(pod, views, facts)

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._shared.event(self.pod, "Warning" if kind == "Warning" else "Normal", reason, message)

    def _wake_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + max(seconds, 0.001)
        if self._timer is not None and loop.time() < self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self.wake)


def _is_sidecar(record: ContainerRecord) -> bool:
    return record.init and specs.is_sidecar(record.spec)


def _records(pod: Object, states: States, shared: Shared) -> list[ContainerRecord]:
    found = pod.get("status") or {}
    make: Callable[..., ContainerRecord] = functools.partial(
        containers.adopt, now=shared.now(), back_off=shared.settings.back_off
    )
    result = []
    for init, group in ((True, specs.init_containers(pod)), (False, specs.containers(pod))):
        entries = found.get("initContainerStatuses" if init else "containerStatuses") or []
        by_name = {entry["name"]: entry for entry in entries}
        for spec in group:
            name = str(spec["name"])
            result.append(make(spec, states.get(name) or {}, by_name.get(name), init=init))
    return result


def _remove_attempt(where: layout.PodLayout, container: str, attempt: int) -> None:
    log = where.log(container, attempt)
    for path in (where.termination_message(container, attempt), *log.parent.glob(f"{log.name}*")):
        path.unlink(missing_ok=True)
