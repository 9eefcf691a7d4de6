"""Group commit: what is queued goes to disk together, one transaction after the other.

The queue lives on the event loop, the transactions on one thread. While one is on its way to disk,
writes gather for the next; a lone write waits for nothing but the disk. Between transactions the
thread compacts, in small portions and after the replies have left.
"""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from wherry.store import schema
from wherry.store.database import Database
from wherry.store.errors import StoreWriteError
from wherry.store.records import Change, Record

_Work = Callable[[], Any]
_Result = tuple[Any, Exception | None]
_Done = Callable[[Any, Exception | None], None]

# At most a tenth of the loop's time, and only while a commit waits for a slow disk.
_MAKE_WAY_EVERY_SECONDS = 0.002
_MAKE_WAY_SECONDS = 0.0002


class Write:
    """A change on its way to disk, and who waits for it."""

    __slots__ = ("_waiters", "change")

    def __init__(self, change: Change) -> None:
        self.change = change
        self._waiters: list[asyncio.Future[Record]] = []

    async def committed(self) -> Record:
        """Wait for the commit.

        Every waiter has a future of its own: one that is cancelled does not take the others along,
        nor the write.
        """
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        return await future

    def resolve(self, error: StoreWriteError | None) -> None:
        """Tell the waiters how it went."""
        for future in self._waiters:
            if future.done():
                continue
            if error is None:
                future.set_result(self.change.record)
            else:
                # One exception for many tasks would collect all their tracebacks.
                future.set_exception(StoreWriteError(*error.args))


class Worker:
    """One thread that does one thing at a time, and reports back to the loop.

    A loop that is busy gives up the interpreter's lock only for moments, and takes it back before
    the thread has woken up: measured, a commit then waits for seconds. So the loop makes way for
    the thread now and then for as long as the thread has something to do.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[_Result] = queue.SimpleQueue()
        self._done: _Done | None = None
        self._timer: asyncio.TimerHandle | None = None
        # A daemon: a store that nobody closed must not keep a process alive. What has not been
        # acknowledged may be lost then, as with any other end of the process.
        self._thread = threading.Thread(target=self._run, name="wherry-store", daemon=True)
        self._thread.start()

    def do(self, work: _Work, done: _Done) -> None:
        """Run ``work`` on the thread, then ``done(result, error)`` on the loop."""
        self._done = done
        self._work.put(work)
        self._timer = self._loop.call_later(_MAKE_WAY_EVERY_SECONDS, self._make_way)

    def stop(self) -> None:
        """End the thread; it must have nothing left to do."""
        self._work.put(None)
        self._thread.join()

    def _make_way(self) -> None:
        try:
            result = self._results.get(timeout=_MAKE_WAY_SECONDS)
        except queue.Empty:
            self._timer = self._loop.call_later(_MAKE_WAY_EVERY_SECONDS, self._make_way)
        else:
            self._report(result)

    def _collect(self) -> None:
        with contextlib.suppress(queue.Empty):  # `_make_way` was quicker
            self._report(self._results.get_nowait())

    def _report(self, result: _Result) -> None:
        done, timer = self._done, self._timer
        assert done is not None
        assert timer is not None
        timer.cancel()
        done(*result)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                self._results.put((work(), None))
            except Exception as error:  # noqa: BLE001 - it is handed to the loop, which raises it
                self._results.put((None, error))
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:  # the loop has been closed: nobody is left to tell
                return


class Committer:
    """Brings writes to disk in order.

    Args:
        database: Used by the thread alone, from the start to the end.
        compaction_rows: How many superseded rows make a compaction worth its while.
        committed: Called on the loop with the writes that are on disk, in order.
        failed: Called on the loop with all writes that will not be: those of the transaction, and
            those queued behind it, since they may build on them.
    """

    def __init__(
        self,
        database: Database,
        *,
        compaction_rows: int,
        committed: Callable[[Sequence[Write]], None],
        failed: Callable[[Sequence[Write], StoreWriteError], None],
    ) -> None:
        self._database = database
        self._compaction_rows = compaction_rows
        self._committed = committed
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._worker = Worker()
        self._queued: list[Write] = []
        self._garbage: deque[int] = deque()
        self._floor = 0
        self._busy = False
        self._scheduled = False
        self._compaction_turn = False
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, write: Write) -> None:
        """Queue a write behind those before it."""
        self._queued.append(write)
        self._schedule()

    def discard(self, revisions: list[int], floor: int) -> None:
        """Have superseded rows deleted some time.

        Args:
            revisions: Rows nobody can ask for any more.
            floor: The history keeps all changes above this revision.
        """
        self._garbage += revisions
        self._floor = floor
        if self._compaction_due:
            self._schedule()

    async def close(self) -> None:
        """Bring to disk what is queued, then close the file."""
        await self._idle.wait()
        closed = self._loop.create_future()
        self._worker.do(self._database.close, lambda _, error: closed.set_result(error))
        error = await closed
        self._worker.stop()
        if error is not None:
            raise error

    @property
    def _compaction_due(self) -> bool:
        return (
            len(self._garbage) >= self._compaction_rows
            or self._database.checkpoint_due
            or self._database.has_excess
        )

    def _schedule(self) -> None:
        # Through the loop, so that writes of the same moment go together.
        self._idle.clear()
        if not self._busy and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._scheduled = False
        if self._compaction_turn and self._compaction_due:
            self._compact()
        elif self._queued:
            self._commit()
        elif self._compaction_due:
            self._compact()
        else:
            self._idle.set()

    def _commit(self) -> None:
        writes, self._queued = self._queued, []
        self._busy = True
        # Whatever has gathered for compaction goes after this, however many writes come.
        self._compaction_turn = True

        def done(_: None, error: Exception | None) -> None:
            self._busy = False
            self._schedule()
            if error is None:
                self._committed(writes)
            else:
                doomed, self._queued = writes + self._queued, []
                self._failed(doomed, _as_write_error(error))

        self._worker.do(lambda: self._database.commit([_row(w.change) for w in writes]), done)

    def _compact(self) -> None:
        self._busy = True
        self._compaction_turn = False
        count = min(len(self._garbage), self._compaction_rows)
        portion = [self._garbage.popleft() for _ in range(count)]
        floor = self._floor

        def done(gone: bool | None, error: Exception | None) -> None:  # noqa: FBT001 - a callback
            self._busy = False
            if not gone:
                self._garbage.extendleft(reversed(portion))
            if error is not None:
                self._loop.call_exception_handler(
                    {"message": "the store cannot compact its file", "exception": error}
                )
            if gone or self._queued:
                self._schedule()
            else:  # after a failure it is tried again with the next write
                self._idle.set()

        self._worker.do(lambda: self._database.compact(portion, floor), done)


def _row(change: Change) -> schema.Row:
    record = change.record
    return schema.row_of(change.revision, record.key, record.raw, deleted=change.type == "DELETED")


def _as_write_error(error: Exception) -> StoreWriteError:
    if isinstance(error, StoreWriteError):
        return error
    return StoreWriteError(f"the store cannot write: {error!r}")
