"""A history full of runs and tasks: what the benches of the pipelines service look at."""

from typing import Final

from wherry.metadata.records import Artifact, Execution, Values
from wherry.metadata.store import Metadata
from wherry.pipelines.history.records import Experiment, Run
from wherry.pipelines.history.store import History

NAMESPACE: Final = "team"
TASKS: Final = 20
"""Of each run."""
_AT_ONCE: Final = 2000
_SPEC_BYTES: Final = 20_000


async def fill(history: History, metadata: Metadata, count: int) -> None:
    """Store so many runs, each with its tasks."""
    for number in range(10):
        wanted = Experiment(
            experiment_id=f"e-{number}", namespace=NAMESPACE, display_name=f"experiment {number}"
        )
        await history.create_experiment(wanted)
    for number in range(count):
        await history.record(run(number))
    rows: list[Execution] = []
    for number in range(count):
        rows += (_task(number, task) for task in range(TASKS))
        if len(rows) >= _AT_ONCE:
            await metadata.save(rows, durable=False)
            rows = []
    await metadata.save(rows)


def run(number: int) -> Run:
    """Return a run that has ended."""
    # A usual number of pipelines, of a usual size.
    pipeline = {"pipelineInfo": {"name": f"p-{number % 20}"}, "text": "x" * _SPEC_BYTES}
    return Run(
        run_id=f"run-{number}",
        object_uid=f"run-{number}",
        resource_version=1,
        namespace=NAMESPACE,
        name=f"run-{number}",
        display_name=f"training {number}",
        state="FAILED" if number % 10 == 0 else "SUCCEEDED",
        experiment_id=f"e-{number % 10}",
        created_at=1_700_000_000_000 + number // 3 * 1000,
        finished_at=1_700_000_100_000 + number * 1000,
        runtime_config={"parameters": {f"parameter{n}": n for n in range(20)}},
        pipeline_spec=pipeline,
    )


def _task(run: int, number: int) -> Execution:
    made = Artifact(
        type="system.Model", name="model", uri=f"s3://b/{run}/{number}", namespace=NAMESPACE
    )
    return Execution(
        namespace=NAMESPACE,
        name=f"task-{number}",
        pipeline=f"p-{run % 20}",
        run=f"run-{run}",
        path=f"root/task-{number}",
        state="SUCCEEDED",
        started=1,
        ended=2,
        inputs=Values({"rate": 0.1}),
        outputs=Values({"loss": 0.5}, {"model": (made,)}),
    )
