"""The picture of a run, with what has become of its tasks."""

from collections.abc import Iterator, Sequence
from typing import Final

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.metadata.records import Execution
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import describing, kinds, naming, status
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.graph.model import State
from wherry.pipelines.picture.tallies import Seen
from wherry.pipelines.service import Service

_PHASES: Final = {
    "Pending": State.PENDING,
    "Running": State.RUNNING,
    "Succeeded": State.SUCCEEDED,
    "Failed": State.FAILED,
}


async def draw(client: Client, transport: HttpTransport, name: str, namespace: str) -> str:
    """Return the picture of a run as SVG.

    Args:
        client: Reads the run.
        transport: Leads to the pipelines service.
        name: Of the run.
        namespace: Of the run.

    Raises:
        NotFoundError: there is no such run.
        ApiError: it cannot be asked for.
    """
    run = await client.get(kinds.PIPELINE_RUNS, name, namespace)
    spec = run["spec"]
    pipeline = Pipeline(spec["pipelineSpec"], spec.get("platformSpec") or None)
    title = f"{name}: {status.state(run) or kinds.PENDING}"
    try:
        found = await Service(transport).of_run(naming.run_id(run))
    except errors.ApiError:
        # It has not begun, or no service is there: its pods are what can be seen.
        labels = f"{kinds.RUN_LABEL}={naming.label(name)}"
        pods = (await client.list(core.PODS, namespace, labels=labels)).items
        return describing.picture(pipeline, title=title, seen=_of_pods(run, pods))
    return describing.picture(pipeline, title=title, seen=map(_of_task, found.executions.values()))


def _of_task(task: Execution) -> Seen:
    return Seen(task.path, State(task.state), task.error, cached=bool(task.cached_from))


def _of_pods(run: Object, pods: Sequence[Object]) -> Iterator[Seen]:
    """Yield what the run's pods and its status tell of its tasks, the latest last."""
    ordered = sorted(pods, key=lambda each: str(each["metadata"]["creationTimestamp"]))
    latest = {
        path: pod
        for pod in ordered
        if (path := metadata.annotations(pod).get(kinds.PATH_ANNOTATION, ""))
    }
    told = (run.get("status") or {}).get("failedTasks") or ()
    failed = {each["path"]: each.get("message", "") for each in told}
    for path, pod in latest.items():
        phase = str((pod.get("status") or {}).get("phase", ""))
        if path not in failed:
            yield Seen(path, _PHASES.get(phase, State.PENDING))
    for path, message in failed.items():
        yield Seen(path, State.FAILED, message)
