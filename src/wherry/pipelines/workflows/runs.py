"""What is done to Workflows that are runs of KFP: ended, taken up again, read when they are gone."""

from collections.abc import Awaitable, Callable
from typing import Final

from wherry.client.client import Client
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines import naming
from wherry.pipelines.history.records import Run
from wherry.pipelines.workflows import kinds, operations
from wherry.pipelines.workflows.archive.store import Archive

_TRIES: Final = 5


class WorkflowRuns:
    """Changes Workflows; see `wherry.pipelines.history.operations.Workflows`."""

    def __init__(self, client: Client, archive: Archive) -> None:
        """Take what it works with.

        Args:
            client: Reads and writes them.
            archive: Has those that have ended.
        """
        self._client = client
        self._archive = archive

    async def terminate(self, run: Run) -> Object:
        """End one; return its object.

        Raises:
            BadRequestError: it has ended.
        """
        return await self._changed(run, operations.terminate, self._over)

    async def retry(self, run: Run) -> Object:
        """Have one go on that has failed; return its object, which is another one where the first is gone.

        Raises:
            BadRequestError: it has not ended, or nothing of it has failed.
            ConflictError: somebody else changes it all the time, or has taken its name.
        """
        return await self._changed(run, operations.retry, self._anew)

    async def workflow(self, run: Run) -> Object | None:
        """Return one as it is, or was at its end; None: it was not kept."""
        found = await self._present(run)
        if found is None and self._archive.is_there():
            found = await self._archive.get(run.object_uid) or await self._archive.get(run.run_id)
        return found

    async def _changed(
        self,
        run: Run,
        change: Callable[[Object], Object],
        missing: Callable[[Run], Awaitable[Object]],
    ) -> Object:
        for _ in range(_TRIES):
            found = await self._present(run)
            if found is None:
                return await missing(run)
            try:
                return await self._client.update(kinds.WORKFLOWS, change(found))
            except errors.ConflictError:
                continue  # its controller has written in between
        raise errors.ConflictError(f"run {run.run_id} is changed by others all the time; try again")

    async def _over(self, run: Run) -> Object:
        raise errors.BadRequestError(f"run {run.run_id} has ended: it is {run.state}")

    async def _anew(self, run: Run) -> Object:
        """Make an object for a run whose own is gone, and that goes on where that one has ended."""
        kept = await self.workflow(run)
        if kept is None:
            raise errors.BadRequestError(
                f"run {run.run_id}: its Workflow was deleted before its end; start another run"
            )
        try:
            return await self._client.create(
                kinds.WORKFLOWS, operations.retry(operations.anew(kept))
            )
        except errors.AlreadyExistsError as error:
            raise errors.ConflictError(
                f"run {run.run_id}: another Workflow is called {run.name!r} by now"
            ) from error

    async def _present(self, run: Run) -> Object | None:
        try:
            found = await self._client.get(kinds.WORKFLOWS, run.name, run.namespace)
        except errors.NotFoundError:
            return None
        return found if naming.run_id(found) == run.run_id else None
