"""Brings one pod to what its spec says, step by step, from whatever state it is found in.

A step looks at everything anew: the pod, its containers, the clock. Whatever takes long (an image,
a hook, an end) runs beside it and wakes it when something has changed. Nothing here is needed after
a crash: the next agent builds the same worker from the API and the launcher.
"""

import asyncio
import contextlib
import functools
import logging
import time

from wherry.kubelet import (
    container_set,
    disk_limits,
    hosts,
    image_requests,
    layout,
    plan,
    process_ids,
    specs,
    starting,
    status,
    volumes,
)
from wherry.kubelet.launcher.types import LauncherError, ProcessState
from wherry.kubelet.pulls import Pulls, Tell
from wherry.kubelet.shared import Shared
from wherry.kubelet.status_writer import StatusWriter
from wherry.kubelet.usage.sampler import Running
from wherry.kubelet.volume import Context, NotReadyError, Prepared
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.kubelet")

_GONE_GRACE_SECONDS = 1.0
_EVICTED_GRACE_SECONDS = 1.0
_AGAIN_SECONDS = 1.0
_KEPT_SECONDS = 1.0
"""For how long the data of a pod stays that has ended: one that is deleted soon is cleared away at once."""


class PodWorker:
    """One pod on this node."""

    def __init__(self, pod: Object, shared: Shared, states: container_set.States) -> None:
        """Take a pod over.

        Args:
            pod: As the API has it.
            shared: What pods share.
            states: Its processes that are known from before; none for a new pod.
        """
        self._shared = shared
        self._settings = shared.settings
        self._layout = layout.PodLayout(shared.settings, pod)
        self._heard = pod
        self._writer = StatusWriter(pod, shared, self._status)
        tell = Tell(self._event, self.wake, self._wake_in)
        warn = functools.partial(self._event, "Warning")
        self._pulls = Pulls(
            shared.runtime,
            self._settings.back_off,
            tell,
            asks=lambda container: image_requests.of(container, self.pod, shared, warn),
        )
        self._containers = container_set.ContainerSet(pod, states, shared, tell)
        self._dirty = False
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._refresh: asyncio.TimerHandle | None = None
        self._address = ""
        self._volumes: dict[str, Prepared] | None = None
        self._stale = True
        self._gone = False
        self._clear_at: float | None = None
        self._cleared = False
        self._closed = False
        self._plan = plan.Plan()
        self._end: tuple[str, str, str] | None = None
        self.removed = asyncio.Event()

    # What the agent tells.

    @property
    def pod(self) -> Object:
        """The newest state of the pod that is known. Shared: not to be changed."""
        return self._writer.pod

    def update(self, pod: Object) -> None:
        """Take a new state of the pod."""
        before, self._heard = self._heard, pod
        self._writer.offer(pod)
        if self._writer.wrote(pod) and _is_asked_the_same(before, pod):
            return  # it is the answer to what was done, and nobody wants anything else
        self._containers.update(self.pod)
        fields, known = pod["metadata"], before["metadata"]
        if any(known.get(each) != fields.get(each) for each in ("labels", "annotations")):
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
        self._containers.exited(name, process)

    def running(self, container: str, attempt: int) -> bool:
        """Return whether that attempt may still write to its log."""
        record = self._containers.find(container)
        if record is None:
            return False
        return record.attempt < attempt or (record.attempt == attempt and record.running)

    async def pause(self, container: str, attempt: int, seconds: float) -> None:
        """Return after so many seconds, or as soon as that attempt has ended."""
        record = self._containers.find(container)
        if record is None or record.attempt != attempt:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await record.exited.wait()

    def process_id(self, container: str) -> str | None:
        """Return the launcher's id of a container while it runs."""
        record = self._containers.find(container)
        if record is None or record.process is None or not record.running:
            return None
        return record.process.id

    def processes(self) -> list[Running]:
        """Return the containers that run, and their main processes."""
        return [
            Running(self.pod, record.name, process.id, process.pid, process.started_at)
            for record in self._containers.records
            if (process := record.process) is not None and record.running and process.pid
        ]

    async def check_disk(self) -> None:
        """Evict the pod if it has put more on the disk than it may."""
        pod = self.pod
        if self._end is not None or specs.is_finished(pod) or not disk_limits.any_set(pod):
            return
        message = await asyncio.to_thread(disk_limits.exceeded, pod, self._layout)
        if message and self._end is None:
            self._event("Warning", "Evicted", message)
            self._end = ("Failed", "Evicted", message)
            self._containers.deadline = time.monotonic() + _EVICTED_GRACE_SECONDS
            self.wake()

    def refuse(self, reason: str, message: str) -> None:
        """Fail the pod before anything of it has begun."""
        self._event("Warning", reason, message)
        self._end = ("Failed", reason, message)

    def close(self) -> None:
        """Stop working; containers go on."""
        self._closed = True
        self._end_timers()
        self._writer.close()
        self._pulls.close()
        self._containers.close()

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
        self._plan = plan.decide(pod, self._containers.views(), self._shared.now())
        if self._plan.outcome:
            self._end = (self._plan.outcome, "", "")
            await self._conclude()
            return
        if self._plan.start or self._stale:
            await self._prepare_volumes(pod)
        self._containers.hold_back(self._plan.backing_off)
        if self._volumes is not None:
            place = starting.Place(pod, self._layout, self._address, self._volumes, self._shared)
            if await self._containers.start(self._plan.start, place, self._pulls.get):
                self.wake()  # others may have waited for it
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
        self._containers.address = self._address
        hostname = specs.hostname(pod)
        domain = self._settings.cluster_domain
        entry = hosts.PodHosts(
            self._layout.hosts,
            metadata.namespace(pod),
            hosts.pod_lines(pod, self._address, hostname, domain),
        )
        self._shared.names.meet(metadata.namespace(pod))
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

    # Ends.

    def _overdue(self, pod: Object) -> bool:
        seconds = pod["spec"].get("activeDeadlineSeconds")
        if seconds is None:
            return False
        begun, now = (pod.get("status") or {}).get("startTime"), self._shared.now()
        left = (metadata.parse_time(begun).timestamp() if begun else now) + float(seconds) - now
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
        self._containers.stop_all()
        await self._writer.flush()
        if specs.is_finished(self.pod):
            await self._finish()

    async def _finish(self) -> None:
        """Clear away a pod that has come to its end; its logs stay until it is deleted."""
        if self._cleared or not self._containers.stop_all():
            return
        if self._clear_at is None:
            self._clear_at = time.monotonic() + _KEPT_SECONDS
            self._end_timers()
            self._release(metadata.uid(self.pod))
            await self._containers.forget()
        if (left := self._clear_at - time.monotonic()) > 0:
            self._wake_in(left)
            return
        self._cleared = True
        await asyncio.to_thread(self._layout.remove_data)

    async def _delete(self, pod: Object) -> None:
        """End a pod that is being deleted, and delete it for good."""
        until = metadata.parse_time(pod["metadata"]["deletionTimestamp"]).timestamp()
        left = min(max(until - self._shared.now(), 0.0), specs.grace_seconds(pod))
        self._containers.deadline = time.monotonic() + left
        self._pulls.close()
        if not self._containers.stop_all():
            self._writer.mark()
            return
        if not specs.is_finished(pod) and any(r.process for r in self._containers.records):
            bad = any(view.exit_code != 0 for view in self._containers.views() if view.main)
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
        if self._containers.deadline is None:
            self._containers.deadline = time.monotonic() + _GONE_GRACE_SECONDS
        self._containers.deadline = min(
            self._containers.deadline, time.monotonic() + _GONE_GRACE_SECONDS
        )
        self._pulls.close()
        if not self._containers.stop_all():
            return
        self.close()
        uid = metadata.uid(self.pod)
        if self._clear_at is None:
            await self._containers.forget()
        await asyncio.to_thread(self._layout.remove_all)
        self._release(uid)
        self.removed.set()

    def _release(self, uid: str) -> None:
        self._shared.hosts.remove(uid)
        self._shared.addresses.release(uid)
        self._shared.tokens.forget(uid)
        self._shared.devices.release(uid)

    # What the API hears.

    def _status(self, pod: Object) -> Object:
        views = self._containers.views()
        at_end = self._end is not None and not any(view.running for view in views)
        outcome, reason, message = self._end if at_end and self._end else ("", "", "")
        begun = any(view.attempt >= 0 and view.main for view in views)
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


def _is_asked_the_same(before: Object, after: Object) -> bool:
    """Return whether two states of a pod differ in what the node itself has written only."""
    version = {"resourceVersion": ""}
    same = {**before["metadata"], **version} == {**after["metadata"], **version}
    return same and before["spec"] == after["spec"]
