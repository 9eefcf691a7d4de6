"""What a step says, or has said: from its pod while there is one, and then as it was kept."""

from collections.abc import AsyncGenerator

from wherry.client.client import Client
from wherry.metadata.records import Execution
from wherry.metadata.store import Metadata
from wherry.objects import errors
from wherry.pipelines.graph import again
from wherry.pipelines.history.logs import Logs, Place, bounded
from wherry.pipelines.history.records import Run
from wherry.pipelines.steps.draft import MAIN


class Listener:
    """Reads what steps say."""

    def __init__(self, client: Client, tasks: Metadata, logs: Logs) -> None:
        """Take what it works with.

        Args:
            client: Reads from pods.
            tasks: Knows which those are.
            logs: What was kept.
        """
        self._client = client
        self._tasks = tasks
        self._logs = logs

    async def read(
        self, run: Run, task: str, *, attempt: int | None = None, follow: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield what a step of a run says, in pieces, which end anywhere.

        Of very much, the beginning and the end, unless it is followed.

        Args:
            run: Which run.
            task: Place of the step in it, with or without ``root/``.
            attempt: Which, from 0; by default the latest.
            follow: Whether to go on until the step has ended.

        Raises:
            NotFoundError: there is no such step or attempt, or nothing of it was kept.
            BadRequestError: it has not begun.
            DatabaseError: what was kept cannot be read.
            OSError: likewise.
        """
        row = await self._row(run, task)
        number = row.attempt if attempt is None else attempt
        kept = await self._logs.kept(Place(run.run_id, row.path, number))
        if kept is None and number == row.attempt and row.pod:
            try:
                chunks = self._client.log(row.pod, run.namespace, container=MAIN, follow=follow)
                if not follow:
                    yield await bounded(chunks)
                    return
                async for chunk in chunks:
                    yield chunk
                return
            except errors.NotFoundError:
                # Its pod is not there yet, or no more: then what it has said was kept before.
                row = await self._row(run, task)
                kept = await self._logs.kept(Place(run.run_id, row.path, number))
        if kept is None:
            raise _nothing(row, number)
        yield kept

    async def _row(self, run: Run, task: str) -> Execution:
        row = await self._tasks.task(run.run_id, again.place(task))
        if row is None:
            raise errors.NotFoundError(f"run {run.run_id} has come to no task {task[:200]!r}")
        return row


def _nothing(row: Execution, number: int) -> errors.ApiError:
    if row.cached_from:
        return errors.NotFoundError(
            f"task {row.path} has not run: its results are those of execution {row.cached_from}"
        )
    attempt = f"task {row.path}, attempt {number}"
    if number == row.attempt and not row.ended:
        return errors.BadRequestError(f"{attempt}: it has not begun")
    return errors.NotFoundError(f"{attempt}: it has said nothing, or nothing of it was kept")
