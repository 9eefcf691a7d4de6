"""What `run` gives back: a run that can be followed, awaited, stopped, drawn and found again."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.client.clusters import Api, Cluster
from wherry.client.progress_lines import ProgressLine
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import describing, kinds, status
from wherry.pipelines.graph.model import State
from wherry.pipelines.picture.tallies import Seen
from wherry.pipelines.pipeline import Pipeline
from wherry.pipelines.sdk.errors import FailedRunError

_POLL_SECONDS: Final = (0.05, 1.0)
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


class Run:
    """One run of a pipeline. Holds no connection open; safe for threads."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        """Name it; nothing is asked of the cluster."""
        self._cluster = cluster
        self.name = name

    def __repr__(self) -> str:
        return f"Run({self.name!r}, namespace={self.namespace!r})"

    @property
    def namespace(self) -> str:
        """Where it is."""
        return self._cluster.namespace

    @property
    def manifest(self) -> Object:
        """The PipelineRun as it is on the cluster.

        Raises:
            NotFoundError: it has been deleted.
        """
        return self._cluster.call(self._get)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return progress(self.manifest)

    @property
    def outputs(self) -> Mapping[str, Any]:
        """The parameters that it gave, by name; empty until it has succeeded."""
        return dict((self.manifest.get("status") or {}).get("outputs") or {})

    def wait(self, timeout: float | None = None) -> Progress:
        """Wait until it has ended, well or badly.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: it goes on.
            FailedRunError: it has been deleted.
        """
        return self._until_ended(timeout, lambda _: None)

    def follow(self, timeout: float | None = None) -> Any:
        """Show how far it is until the end; return what `result` returns.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            FailedRunError: it has failed, was canceled, or deleted.
            TimeoutError: it goes on.
        """
        line = ProgressLine()
        try:
            self._until_ended(timeout, lambda each: line.show(str(each), last=each.ended))
        finally:
            line.close()
        return self.result()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, and return what the pipeline gave: a value, or a dictionary of several.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            FailedRunError: it has failed, was canceled, or deleted.
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
                left = b""
                async for chunk in api.client.log(
                    metadata.name(pod), self.namespace, container="main"
                ):
                    *whole, left = (left + chunk).split(b"\n")
                    for raw in whole:
                        yield f"[{path.removeprefix('root/')}] {raw.decode(errors='replace')}"

        return self._cluster.iterate(lines)

    def picture(self) -> str:
        """Return a picture of it as SVG, with what has become of its tasks; notebooks show it."""
        return picture(*self._cluster.call(self._all))

    def _repr_svg_(self) -> str:
        return self.picture()

    def stop(self) -> None:
        """End it: nothing more is started, and what runs is ended. Idempotent."""
        self._cluster.call(lambda api: self._patch(api, {"terminate": True}))

    def delete(self) -> None:
        """Delete it with its pods; artifacts and history stay."""

        async def delete(api: Api) -> None:
            await api.client.delete(kinds.PIPELINE_RUNS, self.name, self.namespace)

        self._cluster.call(delete)

    async def _get(self, api: Api) -> Object:
        return await api.client.get(kinds.PIPELINE_RUNS, self.name, self.namespace)

    async def _pods(self, api: Api) -> list[Object]:
        labels = f"{kinds.RUN_LABEL}={self.name}"
        found = (await api.client.list(core.PODS, self.namespace, labels=labels)).items
        return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))

    async def _all(self, api: Api) -> tuple[Object, list[Object]]:
        return await self._get(api), await self._pods(api)

    async def _patch(self, api: Api, change: Object) -> None:
        patch = {"spec": change}
        await api.client.patch(kinds.PIPELINE_RUNS, self.name, patch, self.namespace)

    def _until_ended(self, timeout: float | None, show: Callable[[Progress], None]) -> Progress:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, longest = _POLL_SECONDS
        while True:
            try:
                found = self.progress
            except errors.NotFoundError as error:
                raise FailedRunError(f"run {self.name} has been deleted") from error
            show(found)
            if found.ended:
                return found
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"run {self.name} goes on after {timeout:g} s: {found}")
            time.sleep(pause)
            pause = min(pause * 1.3, longest)


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
