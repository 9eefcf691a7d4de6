"""A run that has ended is taken up again: what failed is done once more, what succeeded stays.

The rows of what is done again are set back in one transaction, and only then the status says that the
run goes on. Whatever cuts this off, it is done again, and finds the rows as it leaves them.
"""

from wherry.controller.clock import Clock
from wherry.metadata.records import Execution, Values
from wherry.metadata.store import Metadata
from wherry.objects.requests import Object
from wherry.pipelines import admission, naming, status
from wherry.pipelines.controller import engine
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.graph import again
from wherry.pipelines.graph.known import ROOT
from wherry.pipelines.graph.model import State
from wherry.pipelines.ir.documents import PipelineError


class Resumer:
    """Sets back what is done again."""

    def __init__(self, store: Metadata, clock: Clock) -> None:
        """Take what it works with.

        Args:
            store: Holds the tasks of runs.
            clock: Tells when runs go on.
        """
        self._store = store
        self._clock = clock

    async def resume(self, run: Object) -> Object:
        """Set back what is done again; return the status that the run has then.

        Raises:
            DatabaseError: nothing is set back.
        """
        try:
            pipeline, inputs = admission.read(run)
        except PipelineError:
            pass  # the next look at it says so
        else:
            rows = await self._store.of_run(naming.run_id(run))
            await self._store.redo(redone(run, pipeline, inputs, rows))
        return status.taken_up(run, status.retry_wanted(run), self._clock.now())


def redone(
    run: Object, pipeline: Pipeline, inputs: Values, rows: list[Execution]
) -> list[Execution]:
    """Return the rows of what is done again, set back; those that are set back already are not."""
    started = [row for row in rows if row.started]
    found = again.of(
        pipeline.graph,
        pipeline,
        inputs,
        map(engine.attempt, started),
        chosen=_chosen(run, pipeline),
    )
    return [
        engine.again(row) for row in rows if row.state != State.PENDING and _is_redone(row, found)
    ]


def _is_redone(row: Execution, found: again.Again) -> bool:
    if row.started:
        return row.path in found.steps
    return found.states.get(row.path) != row.state


def _chosen(run: Object, pipeline: Pipeline) -> list[str]:
    """Return the places that are done again in any case."""
    if pipeline.config.workspace is not None and not status.state(run):
        # An object that was made anew has a workspace of its own, and nothing is in it.
        return [ROOT]
    return [again.place(each) for each in run["spec"]["retry"].get("fromTasks") or ()]
