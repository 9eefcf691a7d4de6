"""The latest changes, for watches that reconnect and for lists at an older revision.

Every change above ``floor`` is kept. What falls below it makes rows of the file superfluous: the
state that the change replaced, and the tombstone if it was a deletion.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from wherry.store.errors import CompactedError
from wherry.store.records import Change, Key, Record


class History:
    """A bounded run of changes, oldest first, findable by resource.

    Attributes:
        floor: All changes with a larger revision are kept; none with this or a smaller one.
    """

    def __init__(self, *, max_changes: int, max_bytes: int, floor: int = 0) -> None:
        self.floor = floor
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        self._bytes = 0
        self._changes: deque[Change] = deque()
        self._by_resource: dict[str, deque[Change]] = {}

    def append(self, change: Change) -> None:
        """Add the newest change; `trim` keeps the bounds."""
        self._changes.append(change)
        resource = change.record.key.resource
        self._by_resource.setdefault(resource, deque()).append(change)
        self._bytes += len(change.record.raw)

    def trim(self) -> list[int]:
        """Forget what is beyond the bounds.

        Returns:
            The revisions whose rows nobody can ask for any more.
        """
        superseded: list[int] = []
        while len(self._changes) > self._max_changes or self._bytes > self._max_bytes:
            change = self._changes.popleft()
            resource = change.record.key.resource
            self._by_resource[resource].popleft()
            if not self._by_resource[resource]:
                del self._by_resource[resource]
            self._bytes -= len(change.record.raw)
            self.floor = change.revision
            superseded += superseded_by(change)
        return superseded

    def since(self, resource: str, namespace: str | None, revision: int) -> list[Change]:
        """Return what happened after ``revision``, oldest first.

        Raises:
            CompactedError: some of it has been forgotten.
        """
        newest_first = [
            change
            for change in self._after(resource, revision)
            if namespace is None or change.record.key.namespace == namespace
        ]
        newest_first.reverse()
        return newest_first

    def roll_back(
        self, current: tuple[Record, ...], resource: str, namespace: str | None, revision: int
    ) -> tuple[Record, ...]:
        """Return the sorted list that ``current`` was at ``revision``.

        Raises:
            CompactedError: the changes since then have been forgotten in part.
        """
        before: dict[Key, Record | None] = {}
        for change in self._after(resource, revision):
            key = change.record.key
            if namespace is None or key.namespace == namespace:
                before[key] = change.previous
        if not before:
            return current
        kept = [record for record in current if record.key not in before]
        kept += [record for record in before.values() if record is not None]
        return tuple(sorted(kept, key=lambda record: record.key))

    def _after(self, resource: str, revision: int) -> Iterator[Change]:
        """Yield what happened after ``revision``, newest first.

        Raises:
            CompactedError: some of it has been forgotten.
        """
        if revision < self.floor:
            raise CompactedError(revision, self.floor)
        for change in reversed(self._by_resource.get(resource, ())):
            if change.revision <= revision:
                return
            yield change


def superseded_by(change: Change) -> Iterable[int]:
    """Return the revisions whose rows are superfluous once ``change`` is out of the history."""
    if change.previous is not None:
        yield change.previous.revision
    if change.type == "DELETED":
        yield change.revision
