"""A workflow that has ended is taken up again: what failed is done once more, what succeeded stays."""

from wherry.controller.manager import Manager
from wherry.metadata.records import Execution, Values
from wherry.metadata.store import Metadata
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.pipelines.controller import engine as engines
from wherry.pipelines.graph import again
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows import kinds, operations, reading
from wherry.pipelines.workflows.controller.beginning import Beginner
from wherry.pipelines.workflows.controller.engine import NODE, is_lost


class Resumer:
    """Sets back what is done again."""

    def __init__(self, manager: Manager, store: Metadata, beginner: Beginner) -> None:
        """Take what it works with.

        Args:
            manager: Gives the client.
            store: Holds the rows.
            beginner: Reads workflows.
        """
        self._client = manager.client
        self._store = store
        self._beginner = beginner

    async def resume(self, workflow: Object, run_id: str) -> None:
        """Set back what is done again, and say that the workflow goes on.

        Args:
            workflow: Which is told to.
            run_id: By which its rows are found.

        Raises:
            DatabaseError: nothing is set back.
            ConflictError: the workflow has changed meanwhile.
        """
        wish = operations.retry_wish(workflow)
        assert wish is not None, "nobody wants that"
        number, chosen = wish
        rows = await self._store.of_run(run_id)
        await self._store.redo(self._redone(workflow, rows, chosen))
        after = copied(workflow)
        after["metadata"]["annotations"][operations.RETRIED_ANNOTATION] = str(number)
        after["metadata"].setdefault("labels", {})[kinds.COMPLETED_LABEL] = "false"
        after["metadata"]["labels"][kinds.PHASE_LABEL] = "Running"
        status = after.setdefault("status", {})
        for key in ("finishedAt", "message", "artifactGCStatus"):
            status.pop(key, None)
        status["phase"] = "Running"
        await self._client.update(kinds.WORKFLOWS, after)

    def _redone(
        self, workflow: Object, rows: list[Execution], chosen: list[str]
    ) -> list[Execution]:
        """Return the rows of what is done again, set back.

        Args:
            workflow: Of which.
            rows: Its rows.
            chosen: Ids of nodes that are done again in any case.
        """
        spec = reading.read_spec(self._beginner.spec(workflow))
        looker, language = self._beginner.language(workflow, spec)
        looker.rows = {row.path: row for row in rows}
        wanted = set(chosen)
        started = [row for row in rows if row.started]
        found = again.of(
            language.graph,
            language,
            Values(),
            map(engines.attempt, started),
            chosen=[row.path for row in rows if row.properties.get(NODE) in wanted or is_lost(row)],
        )
        return [
            engines.again(row)
            for row in rows
            if row.state != State.PENDING
            and (
                row.path in found.steps if row.started else found.states.get(row.path) != row.state
            )
        ]
