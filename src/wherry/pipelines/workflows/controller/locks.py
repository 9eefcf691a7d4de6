"""Mutexes and semaphores that workflows and their nodes wait for.

Who holds one is in the rows of the nodes and in the status of the workflows: when the control plane begins anew,
that is read before anything is given. Those who wait get it in the order of priority, then of their workflows'
creation, then of their coming.

Source: argo-workflows after 4.1.2, ``workflow/sync``.
"""

import heapq
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from wherry.controller.requests import Request
from wherry.metadata.records import Execution
from wherry.metadata.store import Metadata
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows import calls, names, operations, variables
from wherry.pipelines.workflows.controller.engine import LOCKS, WorkflowEngine
from wherry.pipelines.workflows.messages import Template
from wherry.pipelines.workflows.reading import read_part
from wherry.pipelines.workflows.surroundings import Synchronization

Holder = tuple[str, str]
"""Uid of a workflow, and the path of a node; empty: the workflow itself."""
Rank = tuple[int, str, int]
_ENDED: Final = frozenset({"Succeeded", "Failed", "Error"})

Config = Callable[[str, str, str], str | None]
"""Finds a value of a ConfigMap by namespace, name and key."""
Limit = Callable[[str, str], Awaitable[int | None]]
"""Finds a limit in the database by namespace and key."""
Wake = Callable[[Request], None]
"""Has the controller look at a workflow."""
_MUTEXES: Final = frozenset({"Mutex", "DatabaseMutex"})


@dataclass(slots=True)
class _Lock:
    held: dict[Holder, None] = field(default_factory=dict)
    waiting: dict[Holder, Rank] = field(default_factory=dict)
    limit: int = 0
    """The last one that was there; 0: none was."""

    @property
    def everybody(self) -> tuple[Holder, ...]:
        """Those who hold it, then those who wait for it."""
        return (*self.held, *self.waiting)

    def next_ones(self) -> list[str]:
        """Return the workflows of those who may get it now, at most."""
        room = max(1, self.limit - len(self.held))
        return [uid for uid, _ in heapq.nsmallest(room, self.waiting, self.waiting.__getitem__)]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A lock that is wanted.

    Attributes:
        limit: How many may hold it; None: that is not said any more.
        missing: Where it would be said.
    """

    limit: int | None
    missing: str = ""


class Locks:
    """All locks of a platform."""

    def __init__(
        self,
        store: Metadata,
        workflows: Callable[[], Iterable[Object]],
        *,
        config: Config,
        limit: Limit,
        wake: Wake,
    ) -> None:
        """Take what it works with.

        Args:
            store: Has the rows, which say who holds what.
            workflows: Returns all there are.
            config: Finds the limits of semaphores in ConfigMaps.
            limit: Finds those in the database.
            wake: Is told of those who wait when somebody else has ended.
        """
        self._store = store
        self._workflows = workflows
        self._config = config
        self._limit = limit
        self._wake = wake
        self._requests: dict[str, Request] = {}
        self._locks: dict[str, _Lock] | None = None
        self._numbers = itertools.count()

    async def acquire(
        self, engine: WorkflowEngine, run: Object, row: Execution, template: Template
    ) -> list[str] | str:
        """Return the locks that a node holds now, or why it has to wait.

        Raises:
            ValueError: a lock cannot be had, for it is written wrongly, or its limit is not there.
            UnresolvedError: a variable is not known.
        """
        spot = engine.spot(row.path)
        scope = engine.language.own_scope(spot, row.attempt)
        written = variables.fill(template.json.get("synchronization") or {}, scope, strict=True)
        told = read_part(Synchronization, written, "synchronization")
        return await self._acquire((engine.uid, row.path), run, told)

    async def acquire_whole(self, engine: WorkflowEngine, run: Object) -> list[str] | str:
        """Return the locks that a whole workflow holds now, or why it has to wait.

        Raises:
            ValueError: as `acquire`.
            UnresolvedError: likewise.
        """
        if engine.language.spec.synchronization is None:
            return []
        scope = engine.language.scope()
        written = variables.fill(engine.spec.get("synchronization") or {}, scope, strict=True)
        told = read_part(Synchronization, written, "synchronization")
        return await self._acquire((engine.uid, ""), run, told)

    async def _acquire(self, holder: Holder, run: Object, told: Synchronization) -> list[str] | str:
        locks = await self._known()
        asked = {key: each async for key, each in self._wanted(run, told)}
        # From here on nothing is waited for: nobody else comes in between.
        rank = (
            -int(run["spec"].get("priority") or 0),
            str(run["metadata"].get("creationTimestamp")),
            next(self._numbers),
        )
        wanted = {key: _limit(locks.get(key), each) for key, each in asked.items()}
        for key, limit in wanted.items():
            lock = locks.setdefault(key, _Lock())
            lock.limit = limit
            if holder not in lock.held:
                lock.waiting.setdefault(holder, rank)
        for key, limit in wanted.items():
            words = _refusal(key, locks[key], holder, limit)
            if words:
                self._requests[holder[0]] = Request(metadata.namespace(run), metadata.name(run))
                return words
        for key in wanted:
            locks[key].waiting.pop(holder, None)
            locks[key].held[holder] = None
        return [*wanted]

    def release(self, uid: str, path: str) -> bool:
        """Give back what a node, or a whole workflow, holds or waits for; return whether there was anything."""
        one = (uid, path)
        return self._give_back(
            lambda lock: [one] if one in lock.held or one in lock.waiting else []
        )

    def holders(self, uid: str) -> list[str]:
        """Return the paths of a workflow's nodes that hold or wait for something."""
        return [
            path
            for lock in (self._locks or {}).values()
            for owner, path in lock.everybody
            if owner == uid and path
        ]

    def release_all(self, uid: str) -> None:
        """Give back what a workflow and its nodes hold or wait for."""
        self._requests.pop(uid, None)
        self._give_back(lambda lock: [each for each in lock.everybody if each[0] == uid])

    def _give_back(self, theirs_of: Callable[[_Lock], list[Holder]]) -> bool:
        """Give back what holders have or wait for, and tell those who are next; return whether there was anything."""
        locks, found = self._locks or {}, False
        for key, lock in [*locks.items()]:
            theirs = theirs_of(lock)
            for each in theirs:
                lock.held.pop(each, None)
                lock.waiting.pop(each, None)
            if theirs:
                found = True
                for uid in lock.next_ones():
                    if uid in self._requests:
                        self._wake(self._requests[uid])
            if not lock.held and not lock.waiting:
                del locks[key]
        return found

    def of(self, uid: str, name: str, node_id: Callable[[str], str]) -> Object:
        """Return what a workflow holds and waits for, as its status tells.

        Args:
            uid: Its uid.
            name: Its name.
            node_id: Returns the id of a node by its path.
        """
        told: dict[str, dict[str, list[Object]]] = {}
        for key, lock in (self._locks or {}).items():
            kind = "mutex" if key.split("/", 2)[1] in _MUTEXES else "semaphore"
            for word, holders in (("holding", lock.held), ("waiting", lock.waiting)):
                ids = [node_id(path) if path else name for owner, path in holders if owner == uid]
                if ids and kind == "mutex":
                    entries: list[Object] = [{"mutex": key, "holder": each} for each in ids]
                else:
                    entries = [{"semaphore": key, "holders": ids}] if ids else []
                if entries:
                    told.setdefault(kind, {}).setdefault(word, []).extend(entries)
        return dict(told)

    async def _known(self) -> dict[str, _Lock]:
        """Return the locks, as the rows have them where this is the first time."""
        if self._locks is not None:
            return self._locks
        found: dict[str, _Lock] = {}
        for workflow in [*self._workflows()]:
            status = workflow.get("status") or {}
            if status.get("phase") in _ENDED:
                continue
            uid = operations.run_id(workflow)
            for key in _held_by_whole(status, metadata.name(workflow)):
                found.setdefault(key, _Lock()).held[(uid, "")] = None
            rows = {row.path: row for row in await self._store.of_run(uid)}
            for row in rows.values():
                if row.properties.get(LOCKS) and holds(row, rows):
                    for key in row.properties[LOCKS]:
                        found.setdefault(key, _Lock()).held[(uid, row.path)] = None
        if self._locks is None:
            self._locks = found
        return self._locks

    async def _wanted(
        self, run: Object, told: Synchronization
    ) -> AsyncIterator[tuple[str, _Wanted]]:
        namespace = metadata.namespace(run)
        for mutex in told.all_mutexes:
            kind = "DatabaseMutex" if mutex.database else "Mutex"
            yield f"{mutex.namespace or namespace}/{kind}/{mutex.name}", _Wanted(1)
        for semaphore in told.all_semaphores:
            where, ref = semaphore.namespace or namespace, semaphore.config_map_key_ref
            if (ref is None) == (semaphore.database is None):
                raise ValueError("semaphore: set configMapKeyRef or database, one of them")
            if semaphore.database is not None:
                yield await self._in_database(where, semaphore.database.key)
            elif ref is not None:
                yield self._in_config_map(where, str(ref.get("name")), str(ref.get("key")))

    async def _in_database(self, where: str, key: str) -> tuple[str, _Wanted]:
        limit = await self._limit(where, key)
        missing = f"the database has no limit {key!r} of namespace {where}"
        return f"{where}/Database/{key}", _Wanted(limit, missing)

    def _in_config_map(self, where: str, name: str, key: str) -> tuple[str, _Wanted]:
        text = (self._config(where, name, key) or "").strip()
        limit = int(text) if text.isdecimal() else None
        missing = f"ConfigMap {where}/{name} has no number {key!r}"
        return f"{where}/ConfigMap/{name}/{key}", _Wanted(limit, missing)


def _limit(lock: _Lock | None, wanted: _Wanted) -> int:
    """Return how many may hold a lock; while it is in use, a limit that is gone counts as it was.

    Raises:
        ValueError: it has none.
    """
    if wanted.limit is not None:
        return wanted.limit
    if lock is None or not (lock.held or lock.waiting):
        raise ValueError(f"semaphore: {wanted.missing}")
    return lock.limit


def _refusal(key: str, lock: _Lock, holder: Holder, limit: int) -> str:
    """Return why a lock cannot be had now; empty: it can."""
    if holder in lock.held:
        return ""
    before = sum(1 for rank in lock.waiting.values() if rank < lock.waiting[holder])
    if len(lock.held) + before < limit:
        return ""
    return f"Waiting for {key} lock. Lock status: {max(0, limit - len(lock.held))}/{limit}"


def _held_by_whole(status: Object, name: str) -> Iterator[str]:
    """Yield the locks that a whole workflow holds, by its status."""
    told = status.get("synchronization") or {}
    for each in (told.get("mutex") or {}).get("holding") or ():
        if each.get("holder") == name:
            yield str(each.get("mutex"))
    for each in (told.get("semaphore") or {}).get("holding") or ():
        if name in (each.get("holders") or ()):
            yield str(each.get("semaphore"))


def holds(row: Execution, rows: Mapping[str, Execution]) -> bool:
    """Tell whether a node still needs the locks that it has got.

    Args:
        row: The node's.
        rows: All of its workflow, by path.
    """
    around, _, name = row.path.rpartition("/")
    if name == calls.Role.GUARD.name:
        # The guard itself has ended, and what it guards may not have.
        row = rows.get(around, row)
    return not State(row.state).final


def node_id(engine: WorkflowEngine) -> Callable[[str], str]:
    """Return what gives the ids of a workflow's nodes by their paths."""
    return lambda path: names.node_id(
        engine.name, engine.language.node_name(calls.core(engine.spot(path)))
    )
