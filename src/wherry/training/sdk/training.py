"""What `train` gives back: a training that can be followed, awaited, stopped and found again."""

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from wherry.client.clusters import Api, Cluster
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.training.sdk import following, frames, progress
from wherry.training.sdk.display import Display
from wherry.training.sdk.errors import FailedError, TrainingError
from wherry.training.sdk.frames import Line
from wherry.training.sdk.jobs import Job, State
from wherry.training.sdk.progress import Progress

_POLL_SECONDS: Final = (0.1, 2.0)
_LAST_LINES: Final = 2000
"""Of each rank: a result of the largest size, and an error, are among them."""


class Training:
    """One training job, of whatever kind. Holds no connection open; safe for threads."""

    def __init__(self, cluster: Cluster, job: Job) -> None:
        """Name it; nothing is asked of the cluster."""
        self._cluster, self._job = cluster, job

    def __repr__(self) -> str:
        return f"Training({self._job.resource.singular}/{self.name}, namespace={self.namespace!r})"

    @property
    def name(self) -> str:
        """Of the job; `attach` takes it."""
        return self._job.name

    @property
    def namespace(self) -> str:
        """Where the job is."""
        return self._job.namespace

    @property
    def kind(self) -> str:
        """Of the job, such as ``PyTorchJob``."""
        return self._job.resource.kind

    @property
    def manifest(self) -> Object:
        """The job as it is on the cluster."""
        return self._cluster.call(self._job.get)

    @property
    def status(self) -> State:
        """How far it is.

        Raises:
            NotFoundError: the job has been deleted.
        """
        return self._job.state(self.manifest)

    @property
    def waits_for(self) -> str:
        """What pods that have not begun wait for, such as a package or a node; empty: for nothing."""

        async def told(api: Api) -> str:
            return self._job.waits_for(await self._job.pods(api))

        return self._cluster.call(told)

    @property
    def progress(self) -> Progress:
        """How far its code says it is; see `report`."""
        return progress.of(self.metrics())

    def lines(self, *, follow: bool = True) -> Iterator[Line]:
        """Yield the lines of all ranks, also those that tell reports, result and errors.

        Args:
            follow: Whether to go on until the job has ended; else what is there now.
        """
        return self._cluster.iterate(lambda api: following.lines(api, self._job, follow=follow))

    def logs(self, *, follow: bool = True) -> Iterator[str]:
        """Yield what all ranks print, each line with its rank: ``[worker-0] loss 0.3``.

        Args:
            follow: Whether to go on until the job has ended; else what is there now.
        """
        return (str(line) for line in self.lines(follow=follow) if line.text is not None)

    def metrics(self) -> list[dict[str, Any]]:
        """Return all that the code has reported: its values, with ``rank`` and ``at`` (Unix seconds)."""
        found = filter(None, map(frames.metrics, self.lines(follow=False)))
        return sorted(found, key=lambda values: float(values["at"]))

    def frame(self) -> Any:
        """Return `metrics` as a pandas `DataFrame`.

        Raises:
            ImportError: pandas is not installed.
        """
        return importlib.import_module("pandas").DataFrame(self.metrics())

    def follow(self, *, timeout: float | None = None) -> Any:
        """Print what all ranks print, with a line of progress, until the end; return the result.

        Args:
            timeout: Seconds to wait at most for the result once the logs have ended.

        Raises:
            FailedError: the training has failed.
        """
        with Display() as display:
            for line in self.lines():
                display.show(line)
        return self.result(timeout=timeout)

    def wait(self, timeout: float | None = None) -> State:
        """Wait until the job has ended, well or badly, and return its state.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: it goes on.
            TrainingError: it has been deleted.
        """
        return self._until(lambda state: state.ended, timeout)

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the end, and return what the function returned on rank 0.

        Values that JSON cannot hold come as a pickle: whoever can change the pods of the job can run
        code here, so ask only jobs that you trust.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            The value; None of scripts and modules.

        Raises:
            FailedError: the training has failed; the message has the traceback of its first error.
            TrainingError: it has been deleted, or the result cannot be read.
            TimeoutError: it goes on.
        """
        state = self.wait(timeout)
        lines = list(
            self._cluster.iterate(
                lambda api: following.lines(api, self._job, follow=True, tail=_LAST_LINES)
            )
        )
        # Some kinds succeed when rank 0 does, whatever becomes of the others.
        raised = frames.tracebacks(lines)
        if raised or state.phase == "Failed":
            raise FailedError(self.name, state.message, raised)
        try:
            return frames.result(lines)
        except ValueError as error:
            raise TrainingError(f"training {self.name}: {error}") from error

    def stop(self) -> None:
        """End its pods and keep the job: `resume` starts it anew. Idempotent."""
        self._suspend(suspended=True)

    def resume(self) -> None:
        """Start a stopped job anew. Idempotent."""
        self._suspend(suspended=False)

    def cancel(self) -> None:
        """Delete the job with its pods and their logs. Idempotent."""

        async def delete(api: Api) -> None:
            with contextlib.suppress(errors.NotFoundError):
                await api.client.delete(
                    self._job.resource,
                    self.name,
                    self.namespace,
                    propagation_policy="Background",
                )

        self._cluster.call(delete)

    def _suspend(self, *, suspended: bool) -> None:
        given: Object = {"suspend": suspended}
        spec = given if self.kind == "TrainJob" else {"runPolicy": given}

        async def patch(api: Api) -> None:
            resource, name, namespace = self._job.resource, self.name, self.namespace
            await api.client.patch(resource, name, {"spec": spec}, namespace)

        self._cluster.call(patch)

    def _until(self, check: Callable[[State], bool], timeout: float | None) -> State:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = _POLL_SECONDS[0]
        while True:
            try:
                state = self.status
            except errors.NotFoundError as error:
                raise TrainingError(f"training {self.name} has been deleted") from error
            if check(state):
                return state
            if deadline is not None and time.monotonic() > deadline:
                parts = [f"training {self.name}: after {timeout:g} s still {state}", self.waits_for]
                raise TimeoutError("; ".join(filter(None, parts)))
            time.sleep(pause)
            pause = min(pause * 1.3, _POLL_SECONDS[1])
