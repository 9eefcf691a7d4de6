"""What `run` gives back: a run that can be followed, awaited, stopped, drawn and found again."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.client.clusters import Api
from wherry.client.handles import Handle
from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import describing, kinds, status
from wherry.pipelines.graph.model import State
from wherry.pipelines.picture.tallies import Seen
from wherry.pipelines.pipeline import Pipeline
from wherry.pipelines.sdk.errors import FailedRunError, RunError

_SHOWN_TASKS: Final = 3
_PHASES: Final = {
    "Pending": State.PENDING,
    "Running": State.RUNNING,
    "Succeeded": State.SUCCEEDED,
    "Failed": State.FAILED,
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        state: KFP's word: PENDING, RUNNING, PAUSED, SUCCEEDED, FAILED, CANCELING or CANCELED.
        done: Tasks that have ended, of those that are known, such as ``7/12``.
        running: Some of the tasks that run, by path.
        message: What it waits for, or why it failed.
    """

    state: str
    done: str
    running: tuple[str, ...]
    message: str

    @property
    def ended(self) -> bool:
        """Whether nothing comes after it."""
        return self.state in kinds.FINAL_STATES

    def __str__(self) -> str:
        parts = [self.state, self.done]
        if self.running:
            more = "…" if len(self.running) > _SHOWN_TASKS else ""
            parts.append(", ".join(self.running[:_SHOWN_TASKS]) + more)
        if self.message:
            parts.append(self.message)
        return "  ".join(part for part in parts if part)


class Run(Handle[Progress]):
    """One run of a pipeline. Holds no connection open; safe for threads."""

    resource = kinds.PIPELINE_RUNS
    noun = "run"
    lost = RunError

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The parameters that it gave, by name; empty until it has succeeded."""
        return dict((self.manifest.get("status") or {}).get("outputs") or {})

    def follow(self, timeout: float | None = None) -> Any:
        """Show how far it is until the end; return what `result` returns.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            FailedRunError: it has failed, or was canceled.
            RunError: it has been deleted.
            TimeoutError: it goes on.
        """
        self._shown(timeout)
        return self.result()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, and return what the pipeline gave: a value, or a dictionary of several.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            FailedRunError: it has failed, or was canceled.
            RunError: it has been deleted.
            TimeoutError: it goes on.
        """
        ended = self.wait(timeout)
        told = self.manifest.get("status") or {}
        if ended.state != kinds.SUCCEEDED:
            tasks = [
                f"{each['path']}: {each.get('message', '')}"
                for each in told.get("failedTasks") or ()
            ]
            words = (
                "; ".join([ended.message, *tasks[:_SHOWN_TASKS]])
                if ended.message
                else "; ".join(tasks)
            )
            raise FailedRunError(f"run {self.name}: {ended.state}: {words}")
        outputs = dict(told.get("outputs") or {})
        return outputs["Output"] if set(outputs) == {"Output"} else outputs or None

    def logs(self, task: str = "") -> Iterator[str]:
        """Yield the lines that its tasks have printed, oldest pod first.

        Args:
            task: Only of this one, by name or path.
        """

        async def lines(api: Api) -> AsyncIterator[str]:
            for pod in await self._pods(api):
                path = metadata.annotations(pod).get(kinds.PATH_ANNOTATION, "")
                if task not in {"", path, path.rpartition("/")[2]}:
                    continue
                name = metadata.name(pod)
                async for line in api.client.log_lines(name, self.namespace, container="main"):
                    yield f"[{path.removeprefix('root/')}] {line}"

        return self._cluster.iterate(lines)

    def picture(self) -> str:
        """Return a picture of it as SVG, with what has become of its tasks; notebooks show it."""
        return picture(*self._cluster.call(self._all))

    def _repr_svg_(self) -> str:
        return self.picture()

    def stop(self) -> None:
        """End it: nothing more is started, and what runs is ended. Idempotent."""
        self._cluster.call(lambda api: self._change(api, {"terminate": True}))

    def _progress(self, obj: Object) -> Progress:
        return progress(obj)

    async def _pods(self, api: Api) -> list[Object]:
        labels = f"{kinds.RUN_LABEL}={self.name}"
        found = (await api.client.list(core.PODS, self.namespace, labels=labels)).items
        return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    async def _all(self, api: Api) -> tuple[Object, list[Object]]:
        return await self._get(api), await self._pods(api)


def progress(run: Object) -> Progress:
    """Return how far a run is, by its status."""
    told = run.get("status") or {}
    running = tuple(each["path"].removeprefix("root/") for each in told.get("runningTasks") or ())
    return Progress(
        state=status.state(run) or kinds.PENDING,
        done=str(told.get("progress") or ""),
        running=running,
        message=str(told.get("message") or ""),
    )


def picture(run: Object, pods: Sequence[Object]) -> str:
    """Return a picture of a run as SVG.

    Args:
        run: The PipelineRun.
        pods: Of its steps, oldest first.
    """
    spec = run["spec"]
    pipeline = Pipeline(spec["pipelineSpec"], spec.get("platformSpec") or None)
    title = f"{metadata.name(run)}: {progress(run).state}"
    return describing.picture(pipeline, title=title, seen=_seen(run, pods))


def _seen(run: Object, pods: Sequence[Object]) -> Iterator[Seen]:
    """Yield what the run's pods and its status tell of its tasks, the latest last."""
    latest = {
        path: pod
        for pod in pods
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
