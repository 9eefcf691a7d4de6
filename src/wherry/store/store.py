"""The store: objects and revisions, with everything an API server asks of them.

Reads are served from memory and see what is on disk. Writes are checked against what is committed
or on its way (`head`), and return when they are on disk.
"""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from wherry.objects import requests
from wherry.store import committer, loading, records, schema, subscriptions
from wherry.store.database import Database
from wherry.store.errors import (
    FutureRevisionError,
    InvalidValueError,
    KeyExistsError,
    KeyMissingError,
    RevisionConflictError,
    StoreClosedError,
    StoreOpenError,
    StoreWriteError,
)
from wherry.store.lock import DirectoryLock
from wherry.store.records import Change, ChangeType, Key, Record, Snapshot
from wherry.store.settings import StoreSettings

FILE_NAME = "store.db"


class Store:
    """A directory's objects. All methods belong on the thread of one event loop.

    Use it as an asynchronous context manager, or call `start` and `close`. A write whose caller is
    cancelled is not undone.

    Attributes:
        revision: The last committed revision; 0 in a new store.
        settings: The bounds it was opened with.
    """

    def __init__(
        self,
        database: Database,
        loaded: loading.Loaded,
        settings: StoreSettings,
        lock: DirectoryLock | None = None,
    ) -> None:
        self.settings = settings
        self.revision = loaded.revision
        self._next_revision = loaded.revision + 1
        self._database = database
        self._lock = lock
        self._state = loaded.state
        self._history = loaded.history
        self._superseded = loaded.superseded
        self._pending: dict[Key, committer.Write] = {}
        self._hub = subscriptions.Hub(
            max_changes=settings.watch_buffer_changes, max_bytes=settings.watch_buffer_bytes
        )
        self._committer: committer.Committer | None = None
        self._closed = False

    @classmethod
    def open(cls, directory: Path, *, settings: StoreSettings | None = None) -> "Store":
        """Open the store of a directory, which is made where there is none.

        Blocks while it loads. The directory is the store's own: it is made for this user alone.

        Raises:
            StoreLockedError: another process has it open.
            StoreDamagedError: the file cannot be trusted; it has not been changed.
            StoreOpenError: the directory cannot be read or written.
        """
        settings = settings or StoreSettings()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreOpenError(
                f"cannot make the directory {directory}: {error.strerror}. "
                f"Choose another data directory, or mend this one"
            ) from error
        lock = DirectoryLock.acquire(directory)
        try:
            path = directory / FILE_NAME
            loaded = _load(path, settings)
            return cls(Database.open(path, settings), loaded, settings, lock)
        except BaseException:
            lock.release()
            raise

    @classmethod
    def in_memory(cls, *, settings: StoreSettings | None = None) -> "Store":
        """Make a store that is gone when it is closed: the same in everything but the disk."""
        settings = settings or StoreSettings()
        database = Database.open(Path(":memory:"), settings)
        return cls(database, loading.empty(settings), settings)

    async def start(self) -> None:
        """Begin to take writes.

        Raises:
            StoreClosedError: the store has been closed.
        """
        if self._closed:
            raise StoreClosedError(
                "a store that was closed cannot be started again; open a new one"
            )
        if self._committer is None:
            self._committer = committer.Committer(
                self._database,
                compaction_rows=self.settings.compaction_rows,
                committed=self._apply,
                failed=self._fall_back,
            )
            self._committer.discard(self._superseded, self._history.floor)
            self._superseded = []

    async def close(self) -> None:
        """Finish the writes under way, end the watches, close the file. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._committer is None:
                self._database.close()
            else:
                await self._committer.close()
        finally:
            self._hub.close()
            if self._lock is not None:
                self._lock.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def get(self, key: Key) -> Record | None:
        """Return the committed object, or None."""
        return self._state.get(key)

    def head(self, key: Key) -> Record | None:
        """Return the object, committed or on its way to disk: what a writer must build on."""
        write = self._pending.get(key)
        if write is None:
            return self._state.get(key)
        return None if write.change.type == "DELETED" else write.change.record

    def list(
        self, resource: str, namespace: str | None = None, *, revision: int | None = None
    ) -> Snapshot:
        """Return the committed objects of a resource.

        Args:
            resource: `Resource.key`.
            namespace: Only this one; None for all.
            revision: The moment; None for now.

        Raises:
            CompactedError: the moment is older than the kept history.
            FutureRevisionError: the moment has not come yet.
        """
        current = self._state.list(resource, namespace)
        if revision is None or revision == self.revision:
            return Snapshot(self.revision, current)
        if revision > self.revision:
            raise FutureRevisionError(revision, self.revision)
        return Snapshot(revision, self._history.roll_back(current, resource, namespace, revision))

    def resources(self) -> Iterable[str]:
        """Return the keys of the resources that have committed objects, sorted."""
        return self._state.resources()

    @property
    def oldest_revision(self) -> int:
        """The oldest revision that `list` and `watch` accept."""
        return self._history.floor

    def watch(
        self, resource: str, namespace: str | None = None, *, since: int
    ) -> subscriptions.Subscription:
        """Watch a resource.

        Args:
            resource: `Resource.key`.
            namespace: Only this one; None for all.
            since: Changes after this revision are delivered; it may lie ahead.

        Raises:
            CompactedError: ``since`` is older than the kept history.
            StoreClosedError: the store has been closed.
        """
        if self._closed:
            raise StoreClosedError("the store is closed")
        missed = self._history.since(resource, namespace, since)
        subscription = self._hub.subscribe(resource, namespace, since)
        if missed:
            subscription.push(missed, sum(len(change.record.raw) for change in missed))
        return subscription

    async def create(self, key: Key, value: requests.Object) -> Record:
        """Store a new object; ``value`` is not changed.

        Raises:
            KeyExistsError: there is one.
            InvalidValueError: the value is not JSON, or too large.
            StoreWriteError: it could not be brought to disk, and is not stored.
            StoreClosedError: the store takes no writes.
        """
        if self.head(key) is not None:
            await self._settled(key)
            raise KeyExistsError(key)
        return await self._write("ADDED", self._record(key, value), previous=None).committed()

    async def update(self, key: Key, value: requests.Object, *, expected: int | None) -> Record:
        """Replace an object; ``value`` is not changed.

        A value equal to what stands, but for the resource version, is not written.

        Args:
            key: Where it is.
            value: The whole new object.
            expected: The revision the caller built on; None to replace whatever is there.

        Returns:
            The new record; the standing one where nothing has changed.

        Raises:
            KeyMissingError: there is none.
            RevisionConflictError: it is at another revision.
            InvalidValueError: the value is not JSON, or too large.
            StoreWriteError: it could not be brought to disk, and is not stored.
            StoreClosedError: the store takes no writes.
        """
        previous = await self._expect(key, expected)
        record = self._record(key, value)
        if records.same_content(previous, record, value):
            pending = self._pending.get(key)
            return previous if pending is None else await pending.committed()
        return await self._write("MODIFIED", record, previous=previous).committed()

    async def delete(
        self, key: Key, value: requests.Object | None = None, *, expected: int | None = None
    ) -> Record:
        """Remove an object.

        Args:
            key: Where it is.
            value: Its final state, for watchers; None for the standing one.
            expected: The revision the caller built on; None to remove whatever is there.

        Returns:
            The final state, carrying the revision of the deletion.

        Raises:
            KeyMissingError: there is none.
            RevisionConflictError: it is at another revision.
            InvalidValueError: the value is not JSON, or too large.
            StoreWriteError: it could not be brought to disk, and the object stays.
            StoreClosedError: the store takes no writes.
        """
        previous = await self._expect(key, expected)
        final = previous.value() if value is None else value
        record = self._record(key, final)
        return await self._write("DELETED", record, previous=previous).committed()

    async def _expect(self, key: Key, expected: int | None) -> Record:
        """Return the head without waiting, or say what is wrong with it once readers see it too."""
        head = self.head(key)
        if head is None:
            await self._settled(key)
            raise KeyMissingError(key)
        if expected is not None and expected != head.revision:
            await self._settled(key)
            raise RevisionConflictError(key, expected, head.revision)
        return head

    async def _settled(self, key: Key) -> None:
        """Wait for the write that is in flight, well or badly.

        Whoever is refused reads again and tries again: told before the commit, a caller in this
        process would read the old state and be refused again, without end and without a pause in
        which the commit could arrive.
        """
        write = self._pending.get(key)
        if write is not None:
            with contextlib.suppress(StoreWriteError):
                await write.committed()

    def _record(self, key: Key, value: requests.Object) -> Record:
        """Return a value as the next revision would have it."""
        if self._committer is None or self._closed:
            raise StoreClosedError("the store takes no writes: it is not started, or closed")
        try:
            return records.record_of(key, self._next_revision, value)
        except (TypeError, UnicodeEncodeError) as error:
            raise InvalidValueError(f"{key} is not JSON: {error}") from error

    def _write(
        self, kind: ChangeType, record: Record, *, previous: Record | None
    ) -> committer.Write:
        """Queue what `_record` has just returned."""
        assert self._committer is not None
        # A deletion is let through, or an object could become impossible to remove.
        if len(record.raw) > self.settings.max_value_bytes and kind != "DELETED":
            raise InvalidValueError(
                f"{record.key} has {len(record.raw)} bytes as JSON; "
                f"at most {self.settings.max_value_bytes} are accepted"
            )
        # Never taken back, also if the commit fails: a number stands for one write only.
        self._next_revision = record.revision + 1
        write = committer.Write(Change(kind, record.revision, record, previous))
        self._pending[record.key] = write
        self._committer.add(write)
        return write

    def _apply(self, writes: Sequence[committer.Write]) -> None:
        """Make a committed batch visible: to readers, then watchers, then its writers."""
        changes = [write.change for write in writes]
        for write, change in zip(writes, changes, strict=True):
            self._state.apply(change)
            self._history.append(change)
            self._drop_pending(write)
        self.revision = changes[-1].revision
        self._hub.publish(changes)
        for write in writes:
            write.resolve(None)
        superseded = self._history.trim()
        if superseded and self._committer is not None:
            self._committer.discard(superseded, self._history.floor)

    def _fall_back(self, writes: Sequence[committer.Write], error: StoreWriteError) -> None:
        for write in writes:
            self._drop_pending(write)
        for write in writes:
            write.resolve(error)

    def _drop_pending(self, write: committer.Write) -> None:
        key = write.change.record.key
        if self._pending.get(key) is write:
            del self._pending[key]


def _load(path: Path, settings: StoreSettings) -> loading.Loaded:
    if schema.is_new(path):
        return loading.empty(settings)
    with schema.Reader.open(path) as reader:
        if reader.empty:
            return loading.empty(settings)
        return loading.load(reader.rows(), settings, compacted=reader.compacted)
