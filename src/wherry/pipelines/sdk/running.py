"""What `run` gives back: a run that can be followed, awaited, stopped, drawn and found again."""

import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.client.clusters import Api
from wherry.client.handles import Handle
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming, run_pictures, status
from wherry.pipelines.looking import words
from wherry.pipelines.sdk import showing, tasks
from wherry.pipelines.sdk.errors import FailedRunError, RunError
from wherry.pipelines.sdk.tasks import Task, Trace
from wherry.pipelines.service import Service

_SHOWN_TASKS: Final = 3


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
        """Yield the lines that its tasks have printed, the oldest task first.

        What was said is kept beyond the life of pods. Where the pipelines service cannot be asked, what
        pods that are still there have printed is all that is to be had.

        Args:
            task: Only of this one, by name or path.
        """

        async def lines(api: Api) -> AsyncIterator[str]:
            uid = naming.run_id(await self._get(api))
            service = Service(api.transport)
            try:
                found = await service.of_run(uid)
            except errors.ApiError:
                async for line in self._said_by_pods(api, task):
                    yield line
                return
            for step in sorted(found.executions.values(), key=lambda each: each.id):
                path = words.path(step)
                if (
                    words.is_step(step)
                    and step.started
                    and task in {"", step.path, path, step.name}
                ):
                    # One whose result was taken from an earlier run has said nothing.
                    with contextlib.suppress(errors.NotFoundError, errors.BadRequestError):
                        async for line in service.follow(uid, step.path, follow=False):
                            yield f"[{path}] {line}"

        return self._cluster.iterate(lines)

    @property
    def run_id(self) -> str:
        """By which the pipelines service knows it: it stays when the run is taken up again."""
        return naming.run_id(self.manifest)

    def tasks(self) -> list[Task]:
        """Return its tasks as they stand, in the order in which they became known.

        Raises:
            NotFoundError: it has been deleted, or none of its tasks has begun.
            ApiError: the pipelines service cannot be asked.
        """

        async def ask(api: Api) -> list[Task]:
            service, uid = Service(api.transport), naming.run_id(await self._get(api))
            found = await service.of_run(uid)
            why = await service.reasons(uid)
            own = sorted(found.executions.values(), key=lambda each: each.id)
            return [tasks.of(each, str(why.get(each.path, ""))) for each in own]

        return self._cluster.call(ask)

    def lineage(self, *, up: int = 3, down: int = 3) -> Trace:
        """Return what its tasks read and made, what that came from, and what became of it.

        Args:
            up: How many tasks back.
            down: How many tasks on.

        Raises:
            NotFoundError: it has been deleted, or none of its tasks has begun.
            ApiError: the pipelines service cannot be asked.
        """
        uid = self.run_id
        found = self._cluster.call(
            lambda api: Service(api.transport).lineage(run_id=uid, up=up, down=down)
        )
        return Trace(found, uid)

    def picture(self) -> str:
        """Return a picture of it as SVG, with what has become of its tasks; notebooks show it."""
        return self._cluster.call(
            lambda api: run_pictures.draw(api.client, api.transport, self.name, self.namespace)
        )

    def _repr_html_(self) -> str:
        return self._page(self.progress)

    def stop(self) -> None:
        """End it: nothing more is started, and what runs is ended. Idempotent."""
        self._cluster.call(lambda api: self._change(api, {"terminate": True}))

    def _progress(self, obj: Object) -> Progress:
        return progress(obj)

    def _shown(self, timeout: float | None) -> Progress:
        show = showing.cell()
        if show is None:
            return super()._shown(timeout)
        shown = ""

        def drawn(now: Progress) -> None:
            nonlocal shown
            if str(now) != shown:
                shown = str(now)
                show(self._page(now))

        return self._until_ended(timeout, drawn)

    def _page(self, now: Progress) -> str:
        return showing.page(f"{self.name}: {now}", self.outputs, self.picture())

    async def _said_by_pods(self, api: Api, task: str) -> AsyncIterator[str]:
        for pod in await self._pods(api):
            path = metadata.annotations(pod).get(kinds.PATH_ANNOTATION, "")
            if task not in {"", path, path.rpartition("/")[2]}:
                continue
            name = metadata.name(pod)
            async for line in api.client.log_lines(name, self.namespace, container="main"):
                yield f"[{path.removeprefix('root/')}] {line}"

    async def _pods(self, api: Api) -> list[Object]:
        labels = f"{kinds.RUN_LABEL}={naming.label(self.name)}"
        found = (await api.client.list(core.PODS, self.namespace, labels=labels)).items
        return sorted(found, key=lambda each: str(each["metadata"]["creationTimestamp"]))


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
