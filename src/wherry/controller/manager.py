"""The manager: shared caches, every controller's workers, and their start and stop."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from typing import Any

from wherry.client.client import Client
from wherry.controller import metrics, writes
from wherry.controller.cache import Cache
from wherry.controller.clock import Clock, SystemClock
from wherry.controller.controller import Controller, Watch
from wherry.controller.events import EventLimits, EventWriter, Recorder
from wherry.controller.informers import Handler, Informer
from wherry.controller.leader import Elector, LeaderElection
from wherry.controller.queue import WorkQueue
from wherry.controller.requests import Request
from wherry.controller.surroundings import Surroundings
from wherry.controller.workers import Workers
from wherry.objects.resources import Resource

logger = logging.getLogger("wherry.controller.manager")

Beside = Callable[[], Coroutine[Any, Any, None]]
"""Work that goes on beside the controllers until it is cancelled."""

STOP_SECONDS = 10.0
"""How long running reconciles may take to finish when the manager stops."""


SYNC_SECONDS = 10.0
"""How long controllers wait for caches that they do not watch."""


class Manager:
    """Runs controllers over one client.

    Controllers may be added before `run` and while it runs. A manager runs once.

    Attributes:
        client: What controllers write with: it remembers each write, so that a controller's next
            reconcile finds it in the caches.
        clock: What controllers ask for the time.
        ready: Set while every controller that was added has its caches and its workers (with leader
            election only on the leader).
        leads: Set while controllers work or are about to: with leader election only on the leader.
        surroundings: What products are given beyond the API.
    """

    def __init__(
        self,
        client: Client,
        *,
        clock: Clock | None = None,
        leader_election: LeaderElection | None = None,
        event_limits: EventLimits | None = None,
        stop_seconds: float = STOP_SECONDS,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.client = Client(
            writes.RememberingTransport(client.transport), field_manager=client.field_manager
        )
        self.clock: Clock = clock or SystemClock()
        self.ready = asyncio.Event()
        self.leads = asyncio.Event()
        self.surroundings = surroundings or Surroundings()
        self._election = leader_election
        self._stop_seconds = stop_seconds
        self._informers: dict[Resource, Informer] = {}
        self._controllers: dict[str, Controller] = {}
        self._workers: dict[str, Workers] = {}
        self._events = EventWriter(self.client, self.clock, event_limits)
        self._background: set[asyncio.Task[None]] = set()
        self._further: dict[str, list[Watch]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._beside: dict[str, Beside] = {}
        self._besides: set[asyncio.Task[None]] = set()
        self._afterwards: list[Beside] = []
        self._measured: list[Callable[[], Iterable[str]]] = []
        self._starting: set[str] = set()
        self._caches: dict[str, list[Cache]] = {}
        self._running = False
        self._working = False
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()

    def cache(self, resource: Resource, *, without: Iterable[str] = ()) -> Cache:
        """Return the shared cache of a resource; the first call for it starts its informer.

        Args:
            resource: Of what.
            without: Fields of `spec` that are left out for everybody who reads it, as they are large.
        """
        informer = self._informer(resource)
        informer.without |= {*without}
        return informer.cache

    def has_cache(self, resource: Resource) -> bool:
        """Return whether somebody reads a cache of a resource, so that its changes are parsed anyway."""
        return resource in self._informers

    def recorder(self, component: str) -> Recorder:
        """Return a recorder that speaks in the name of ``component``."""
        return Recorder(self._events, component)

    def add(self, controller: Controller) -> None:
        """Add a controller; it starts at once if the manager runs (and leads).

        Raises:
            ValueError: a controller of that name is there, or it has no workers.
        """
        if controller.name in self._controllers:
            raise ValueError(f"controller {controller.name!r} was added before; names are unique")
        if controller.workers < 1:
            raise ValueError(f"controller {controller.name!r}: workers {controller.workers} < 1")
        self._controllers[controller.name] = controller
        for watch in controller.all_watches():
            self._informer(watch.resource)
        if self._working:
            self._start(controller)

    def beside(self, name: str, work: Beside) -> None:
        """Have work go on while the controllers work: on the leader only, and cancelled before them.

        Raises:
            ValueError: work of that name is there.
        """
        if name in self._beside:
            raise ValueError(f"work {name!r} was added before; names are unique")
        self._beside[name] = work
        if self._working:
            self._start_beside(name)

    def afterwards(self, work: Beside) -> None:
        """Have something done each time that the controllers have ended: closing what they used."""
        self._afterwards.append(work)

    def request(self, controller: str, request: Request) -> None:
        """Have a controller look at an object for a reason that no watch tells.

        Nothing happens where the controller does not run: it looks at everything when it starts.
        """
        workers = self._workers.get(controller)
        if workers is not None:
            workers.queue.add(request)

    def also_watch(self, name: str, watch: Watch) -> None:
        """Have a controller listen to one more resource, from now on; once for each resource.

        For what is not known beforehand: kinds that users name in their objects.

        Args:
            name: Of the controller.
            watch: To what, and whom it concerns.

        Raises:
            KeyError: no controller of that name was added.
        """
        further = self._further.setdefault(self._controllers[name].name, [])
        if any(known.resource == watch.resource for known in further):
            return
        further.append(watch)
        informer = self._informer(watch.resource)
        if name in self._workers:
            informer.add_handler(self._workers[name].handler(watch))

    def listen(self, resource: Resource, handler: Handler) -> None:
        """Tell ``handler`` of every change of a resource, on replicas that do not lead too."""
        self._informer(resource).add_handler(handler)

    def unlisten(self, resource: Resource, handler: Handler) -> None:
        """Tell ``handler`` of nothing more."""
        self._informer(resource).remove_handler(handler)

    def measure(self, source: Callable[[], Iterable[str]]) -> None:
        """Have `metrics` tell what ``source`` yields, too."""
        self._measured.append(source)

    def metrics(self) -> Iterator[str]:
        """Yield what is told of the controllers and of their objects, in Prometheus' text format."""
        yield from metrics.lines(self.queues())
        for source in self._measured:
            yield from source()

    async def run(self) -> None:
        """Run until `stop`, or until cancelled: then it stops before the cancellation goes on.

        Raises:
            RuntimeError: the manager has run before.
        """
        if self._running or self._stopping.is_set():
            raise RuntimeError("a manager runs once; make another")
        self._running = True
        self._spawn(self._events.run(), "events")
        for informer in self._informers.values():
            self._spawn(informer.run(), f"informer {informer.cache.resource.key}")
        try:
            if self._election is None:
                await self._start_all()
                await self._stopping.wait()
            else:
                await self._contend(self._election)
        finally:
            await self._wind_down()
            self._stopped.set()

    async def stop(self) -> None:
        """Let running reconciles finish within the bound, then end everything. Idempotent."""
        self._stopping.set()
        if self._running:
            await self._stopped.wait()

    def idle(self) -> bool:
        """Return whether no controller has anything ready or in hand (delayed work aside).

        For tests and for orderly ends; the answer may be stale when the next change arrives.
        """
        return all(workers.queue.idle for workers in self._workers.values())

    def queues(self) -> Mapping[str, WorkQueue[Request]]:
        """Return the queues of the controllers that run, by name; to be looked at, not used."""
        return {name: workers.queue for name, workers in self._workers.items()}

    async def flush_events(self) -> None:
        """Return once the events said so far are written or given up."""
        await self._events.flush()

    def _informer(self, resource: Resource) -> Informer:
        informer = self._informers.get(resource)
        if informer is None:
            informer = self._informers[resource] = Informer(self.client, resource, self.clock)
            self._caches.setdefault(resource.key, []).append(informer.cache)
            if self._running:
                self._spawn(informer.run(), f"informer {resource.key}")
        return informer

    async def _contend(self, election: LeaderElection) -> None:
        elector = Elector(self.client, election, election.clock or self.clock)
        # After the deadline others wait this long before they start; nothing may run on then.
        grace = election.lease_duration_seconds - election.renew_deadline_seconds

        async def lost() -> None:
            await self._end_work(min(grace, self._stop_seconds))

        contending = asyncio.ensure_future(elector.run(on_started=self._start_all, on_lost=lost))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({contending, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            contending.cancel()
            await asyncio.wait({contending, stopping})
        if not contending.cancelled():
            contending.result()

    async def _start_all(self) -> None:
        self._working = True
        self.leads.set()
        self._check_ready()
        for name in self._beside:
            self._start_beside(name)
        for controller in self._controllers.values():
            self._start(controller)

    def _start_beside(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._beside[name](), name=name)
        task.add_done_callback(_complain)
        self._besides.add(task)

    def _start(self, controller: Controller) -> None:
        workers = self._workers[controller.name] = Workers(controller, self._caches, self.clock)
        self._starting.add(controller.name)
        self.ready.clear()
        task = asyncio.get_running_loop().create_task(
            self._work(workers), name=f"controller {controller.name}"
        )
        self._tasks[controller.name] = task

    async def _work(self, workers: Workers) -> None:
        controller = workers.controller
        registered: list[tuple[Informer, Handler]] = []
        for watch in controller.all_watches():
            informer, handler = self._informer(watch.resource), workers.handler(watch)
            informer.add_handler(handler)
            registered.append((informer, handler))
        try:
            await self._sync(informer.cache for informer, _ in registered)
            # Not waited for: nobody knows whether they are served.
            for watch in self._further.get(controller.name, ()):
                self._informer(watch.resource).add_handler(workers.handler(watch))
            self._starting.discard(controller.name)
            self._check_ready()
            await workers.run()
        finally:
            for informer, handler in registered:
                informer.remove_handler(handler)

    async def synced(self) -> None:
        """Wait until all caches are filled, for so long at most as a controller's start waits for them."""
        await self._sync(())

    async def _sync(self, watched: Iterable[Cache]) -> None:
        """Wait until the caches are filled that a controller's first reconcile may read."""
        for cache in watched:
            await cache.synced.wait()
        # Other caches are read as well, perhaps; one of a kind that is not served never fills.
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                for informer in [*self._informers.values()]:
                    await informer.cache.synced.wait()
        except TimeoutError:
            missing = [
                i.cache.resource.key
                for i in self._informers.values()
                if not i.cache.synced.is_set()
            ]
            logger.warning("not listed within %g s: %s; going on", SYNC_SECONDS, ", ".join(missing))

    def _check_ready(self) -> None:
        if self._working and not self._starting:
            self.ready.set()

    async def _end_work(self, seconds: float) -> None:
        """End all workers; reconciles that run on after ``seconds`` are cancelled."""
        self._working = False
        self.leads.clear()
        self.ready.clear()
        self._starting.clear()
        await _cancel(self._besides)
        self._besides.clear()
        tasks = {*self._tasks.values()}
        self._tasks.clear()
        for workers in self._workers.values():
            workers.queue.close()
        self._workers.clear()
        if tasks:
            await self._end_tasks(tasks, seconds)
        for work in self._afterwards:
            try:
                await work()
            except Exception:  # what is left is to be done all the same
                logger.exception("%s has failed", work.__qualname__)

    async def _end_tasks(self, tasks: set[asyncio.Task[None]], seconds: float) -> None:
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            logger.warning("%s did not finish within %g s; cancelled", task.get_name(), seconds)
        await _cancel(late)

    async def _wind_down(self) -> None:
        await self._end_work(self._stop_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await self._events.flush()
        await _cancel(self._background)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._background.add(task)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("%s has failed", task.get_name(), exc_info=task.exception())


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
