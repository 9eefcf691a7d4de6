"""Follows events from a thing to what it came from, and to what became of it. Blocking."""

from sqlalchemy import Connection

from wherry.metadata import reading
from wherry.metadata.lineage import Lineage
from wherry.metadata.records import INPUT, OUTPUT, Event


class _Walk:
    """What has been found so far."""

    def __init__(self, connection: Connection, limit: int) -> None:
        self._connection = connection
        self._limit = limit
        self.artifacts: set[int] = set()
        self.executions: set[int] = set()
        self.events: dict[Event, None] = {}
        self.complete = True

    def executions_of(self, artifacts: set[int], type_: str) -> set[int]:
        """Take in the executions that made artifacts (or read them); return those not known before."""
        return self._step("artifact", artifacts, type_)

    def artifacts_of(self, executions: set[int], type_: str) -> set[int]:
        """Take in the artifacts that executions read (or made); return those not known before."""
        return self._step("execution", executions, type_)

    def take_run(self, run: str) -> None:
        """Begin with the executions of a run."""
        numbers = reading.numbers_of_run(self._connection, run, self._limit + 1)
        self.executions.update(numbers[: self._limit])
        self.complete = len(numbers) <= self._limit

    def _step(self, column: str, numbers: set[int], type_: str) -> set[int]:
        known, other = self.executions, "execution"
        if column == "execution":
            known, other = self.artifacts, "artifact"
        fresh: set[int] = set()
        for event in reading.events(self._connection, column, sorted(numbers), type_):
            number = getattr(event, other)
            if number not in known and len(self.artifacts) + len(self.executions) >= self._limit:
                self.complete = False
                continue
            self.events[event] = None
            if number not in known:
                known.add(number)
                fresh.add(number)
        return fresh

    def follow(self, artifacts: set[int], depth: int, *, up: bool) -> None:
        """Go on from artifacts, as many executions as the depth."""
        into, out = (OUTPUT, INPUT) if up else (INPUT, OUTPUT)
        for _ in range(depth):
            if not artifacts:
                return
            artifacts = self.artifacts_of(self.executions_of(artifacts, into), out)
        if artifacts and self._goes_on(artifacts, into):
            self.complete = False

    def _goes_on(self, artifacts: set[int], into: str) -> bool:
        further = reading.events(self._connection, "artifact", sorted(artifacts), into)
        return any(event.execution not in self.executions for event in further)


def of_artifact(connection: Connection, number: int, *, up: int, down: int, limit: int) -> Lineage:
    """Return what an artifact came from, and what became of it."""
    walk = _Walk(connection, limit)
    walk.artifacts.add(number)
    walk.follow({number}, up, up=True)
    walk.follow({number}, down, up=False)
    return _found(connection, walk)


def of_execution(connection: Connection, number: int, *, up: int, down: int, limit: int) -> Lineage:
    """Return what an execution's artifacts came from, and what became of them."""
    walk = _Walk(connection, limit)
    walk.executions.add(number)
    walk.follow(walk.artifacts_of({number}, INPUT), up, up=True)
    walk.follow(walk.artifacts_of({number}, OUTPUT), down, up=False)
    return _found(connection, walk)


def of_run(connection: Connection, run: str, *, up: int, down: int, limit: int) -> Lineage:
    """Return what the executions of a run read and made, what that came from, and what became of it."""
    walk = _Walk(connection, limit)
    walk.take_run(run)
    own = set(walk.executions)
    walk.follow(walk.artifacts_of(own, INPUT), up, up=True)
    walk.follow(walk.artifacts_of(own, OUTPUT), down, up=False)
    return _found(connection, walk)


def _found(connection: Connection, walk: _Walk) -> Lineage:
    return Lineage(
        artifacts=reading.artifacts_by_id(connection, sorted(walk.artifacts)),
        executions=reading.executions_by_id(connection, sorted(walk.executions)),
        events=tuple(walk.events),
        complete=walk.complete,
    )
