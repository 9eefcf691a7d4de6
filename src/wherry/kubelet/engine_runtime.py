"""What containers of real images have in common, whichever engine runs them.

The launcher's process is the engine's own, in the foreground, so logs, exit codes, terminals and
adoption are the same as for any other container. What is left of a container when that process has
ended is cleared away here, whoever sees it first: this agent or the next one.
"""

import abc
import asyncio
import contextlib
import contextvars
import itertools
import json
import shutil
import signal
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from wherry.kubelet import boxes
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.launcher.sessions import Session
from wherry.kubelet.launcher.types import (
    Execution,
    LauncherError,
    LauncherGoneError,
    ProcessState,
    UnknownProcessError,
)
from wherry.kubelet.oci import leftovers, references
from wherry.kubelet.oci.drivers import Driver
from wherry.kubelet.runtime import (
    ContainerStart,
    Image,
    ImageError,
    ImageRequest,
    Progress,
    StartError,
)
from wherry.kubelet.settings import KubeletSettings
from wherry.kubelet.users import IdentityError

_MAX_OUTPUT_BYTES = 64 * 1024
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.005
_NOT_STARTED = 128

DriverT = TypeVar("DriverT", bound=Driver)
_T = TypeVar("_T")


class EngineRuntime(abc.ABC, Generic[DriverT]):
    """Runs containers of real images; where they come from and how one is begun is the subclass's."""

    look_seconds: ClassVar[float] = _LOOK_SECONDS
    """How often to ask the engine whether a container has started."""

    def __init__(
        self, launcher: Launcher, settings: KubeletSettings, driver: DriverT | None, problem: str
    ) -> None:
        """Take what it works with; there must be a running loop.

        Args:
            launcher: Keeps the processes.
            settings: The agent's.
            driver: The engine; None if there is none.
            problem: Why there is none, and what to do.
        """
        self._launcher = launcher
        self._settings = settings
        self._driver = driver
        self.problem = problem
        self._folder = settings.data / "oci"
        self._bundles = self._folder / "containers"
        self._outcomes = self._folder / "outcomes"
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._clearing: dict[str, asyncio.Task[None]] = {}

    @abc.abstractmethod
    async def _prepare(self, driver: DriverT) -> None:
        """Get ready, before anything else is asked."""

    @abc.abstractmethod
    def preparing(self, request: ImageRequest) -> tuple[str, str]:
        """Return reason and message of the event that says that a pull has begun."""

    @abc.abstractmethod
    def ready(self, request: ImageRequest) -> Image | None:
        """Return the image if that can be told at once.

        Raises:
            ImageError: its name is none, or it is not there and never to be pulled.
        """

    @abc.abstractmethod
    async def pull(self, request: ImageRequest, progress: Progress) -> Image:
        """Make the image ready.

        Raises:
            ImageError: it cannot be had.
        """

    @abc.abstractmethod
    def _missing(self, image: Image) -> str:
        """Return why no container can be started of an image, empty if one can."""

    @abc.abstractmethod
    async def _begin(
        self, container: ContainerStart, folder: Path, driver: DriverT
    ) -> ProcessState:
        """Start the engine's process for a container; `folder` is its own and empty.

        Raises:
            BoxError: container and image do not go together, or the engine does not take it.
            IdentityError: the pod forbids the user as whom it would run.
        """

    async def open(self) -> None:
        """Clear away what a predecessor left and the launcher no longer runs."""
        if self._driver is None:
            return
        await asyncio.to_thread(leftovers.end_others, self._settings.data, self._driver.kind)
        for folder in (self._bundles, self._outcomes):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._prepare(self._driver)
        states = await self._launcher.list()
        running = {state.id for state in states if state.running}
        for state in states:
            if not state.running and self.holds(state.id):
                await self.settle(state)
        left = {entry.name for entry in self._bundles.iterdir()}
        left |= set(await self._driver.on_record())
        await asyncio.gather(*(self._clear(name) for name in left - running))
        known = {state.id for state in states}
        for outcome in self._outcomes.iterdir():
            if outcome.name not in known:
                outcome.unlink()

    async def close(self) -> None:
        """Stop pulling and clearing; containers go on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def holds(self, process_id: str) -> bool:
        """Return whether a process is a container of this runtime."""
        return (self._bundles / process_id).exists() or (self._outcomes / process_id).exists()

    def _reference(self, request: ImageRequest) -> references.Reference:
        try:
            reference = references.parse(request.name)
        except ValueError as error:
            raise ImageError(
                f'Failed to apply default image tag "{request.name}": {error}',
                reason="InvalidImageName",
            ) from error
        if self._driver is None:
            raise ImageError(self.problem)
        return reference

    async def start(self, container: ContainerStart) -> ProcessState:
        """Start a container and wait until its own program runs, or cannot.

        Raises:
            StartError: it is described wrongly.
            IdentityError: the pod forbids the user as whom it would run.
            LauncherGoneError: the launcher went away; starting again is safe.
        """
        driver = self._driver
        missing = self._missing(container.image)
        if driver is None or missing:
            raise StartError(missing or self.problem)
        known = {state.id: state for state in await self._launcher.list()}.get(container.id)
        if known is not None:
            return await self.settle(known)
        await self._clear(container.id)
        folder = self._bundles / container.id
        folder.mkdir(mode=0o700)
        try:
            state = await self._begin(container, folder, driver)
            return state if state.error is not None else await self._await_start(state, driver)
        except LauncherGoneError:
            raise
        except IdentityError:
            await self._clear(container.id)
            raise
        except (LauncherError, boxes.BoxError, OSError, ValueError) as error:
            await self._clear(container.id)
            late = f"the container did not start within {_START_SECONDS:g} s"
            raise StartError(str(error) or late) from error

    def _note(self, process_id: str, **facts: Any) -> None:
        """Write down what has to be known of a container later on: `stopSignal` at least."""
        (self._bundles / process_id / "facts.json").write_text(json.dumps(facts))

    async def _await_start(self, state: ProcessState, driver: DriverT) -> ProcessState:
        """Return once the container's own program runs: what looks into it may come at once."""
        async with asyncio.timeout(_START_SECONDS):
            while (pid := await driver.started(state.id)) is None:
                if not _alive(state.pid):
                    return await self._ended(state.id)
                await asyncio.sleep(self.look_seconds)
        with contextlib.suppress(FileNotFoundError):
            # What its engine complains of later is not why it did not start.
            (self._bundles / state.id / "started").write_text(str(pid))
        return self._shown(state)

    def _shown(self, state: ProcessState) -> ProcessState:
        """Return what runs with the process that does the work: what it uses is what counts."""
        with contextlib.suppress(OSError, ValueError):
            return replace(state, pid=int((self._bundles / state.id / "started").read_text()))
        return state

    async def _ended(self, process_id: str) -> ProcessState:
        while True:
            states = {state.id: state for state in await self._launcher.list()}
            if process_id not in states:
                raise StartError("the launcher died meanwhile")
            if not states[process_id].running:
                return await self.settle(states[process_id])
            await asyncio.sleep(_LOOK_SECONDS)

    async def settle(self, state: ProcessState) -> ProcessState:
        """Return a container's state with what only its engine knows; clear up behind one that has ended.

        Asked again it says the same, until the process is forgotten.
        """
        if state.running:
            return self._shown(state)
        outcome = self._outcomes / state.id
        driver = self._driver
        if not outcome.exists() and driver is not None:
            folder = self._bundles / state.id
            if state.error is not None:
                # The process that stood for the container is gone without having ended it.
                await self._clear(state.id)
            begun = state.exit_code == 0 or (folder / "started").exists()
            why = "" if begun else await driver.complaint(state.id, folder)
            oom = state.exit_code != 0 and await driver.out_of_memory(state.id)
            if begun and state.exit_code and not oom:
                await self._explain(state.id)
            outcome.write_text(json.dumps({"error": why, "oom_killed": oom}))
            self._spawn(self._clear(state.id))
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads(outcome.read_text())
            if facts["error"] and state.error is None:
                code = _start_code(str(facts["error"]))
                return replace(state, error=str(facts["error"]), exit_code=code, signal=None)
            return replace(state, oom_killed=state.oom_killed or bool(facts["oom_killed"]))
        return state

    async def _explain(self, process_id: str) -> None:
        """Say why a container's program has failed, where that is known better than to itself."""

    async def signal(self, process_id: str, number: int) -> None:
        """Send a signal; the image may have named another one for SIGTERM."""
        driver = self._driver
        if number == signal.SIGTERM:
            number = self._stop_signal(process_id)
        if driver is None or not (driver.signals or number == signal.SIGKILL):
            await self._launcher.signal(process_id, number)
        # The engine's own process cannot pass on that it is killed.
        elif not await driver.signal(process_id, number):
            await self._launcher.signal(process_id, number)
            if number == signal.SIGKILL:
                await driver.delete(process_id)

    def _stop_signal(self, process_id: str) -> int:
        with contextlib.suppress(OSError, ValueError, KeyError):
            facts = json.loads((self._bundles / process_id / "facts.json").read_text())
            return boxes.stop_signal(str(facts["stopSignal"]))
        return signal.SIGTERM

    async def forget(self, process_id: str) -> None:
        """Drop a container that has ended."""
        await self._launcher.forget(process_id)
        await self._clear(process_id)
        (self._outcomes / process_id).unlink(missing_ok=True)

    async def execute(
        self, process_id: str, argv: tuple[str, ...], *, timeout_seconds: float
    ) -> Execution:
        """Run a command inside a container; its end is seen to even if nobody waits any more."""
        work = self._execute(process_id, argv, timeout_seconds=timeout_seconds)
        return await asyncio.shield(self._spawn(work))

    async def _execute(
        self, process_id: str, argv: tuple[str, ...], *, timeout_seconds: float
    ) -> Execution:
        mark = self._bundles / process_id / f"exec-{next(self._numbers)}.pid"
        done = await self._launcher.execute(
            process_id,
            self._inside(process_id, argv, terminal=False, mark=mark),
            timeout_seconds=timeout_seconds,
            max_output_bytes=_MAX_OUTPUT_BYTES,
        )
        if done.timed_out and self._driver is not None:
            await asyncio.to_thread(self._driver.abandon, mark)
        mark.unlink(missing_ok=True)
        return done

    async def interact(
        self, process_id: str, argv: tuple[str, ...], *, stdin: bool, terminal: bool
    ) -> Session:
        """Run a command inside a container for somebody who watches."""
        line = self._inside(process_id, argv, terminal=terminal, mark=None)
        # The engine makes a terminal of its own within, and sets ours to pass it on only once it has
        # started: by then lines may have been ended twice.
        return await self._launcher.interact(
            process_id, line, stdin=stdin, terminal=terminal, raw=True
        )

    async def attach(self, process_id: str, *, stdin: bool, once: bool) -> Session:
        """Watch a container."""
        return await self._launcher.attach(process_id, stdin=stdin, once=once)

    async def list(self) -> list[ProcessState]:
        """Return the containers that are known."""
        states = [state for state in await self._launcher.list() if self.holds(state.id)]
        return [await self.settle(state) for state in states]

    async def exits(self) -> AsyncIterator[ProcessState]:
        """Yield containers as they end."""
        async for state in self._launcher.exits():
            if self.holds(state.id):
                yield await self.settle(state)

    def _inside(
        self, process_id: str, argv: tuple[str, ...], *, terminal: bool, mark: Path | None
    ) -> tuple[str, ...]:
        if self._driver is None:
            raise UnknownProcessError(self.problem)
        return self._driver.execute(process_id, argv, terminal=terminal, mark=mark)

    async def _clear(self, name: str) -> None:
        """End a container if it runs and remove all of it; calls for the same one share the work."""
        task = self._clearing.get(name)
        if task is None:
            task = self._spawn(self._remove(name))
            self._clearing[name] = task
            task.add_done_callback(lambda _: self._clearing.pop(name, None))
        await asyncio.shield(task)

    async def _remove(self, name: str) -> None:
        if self._driver is not None:
            await self._driver.delete(name)
        await asyncio.to_thread(shutil.rmtree, self._bundles / name, ignore_errors=True)

    def _spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _start_code(complaint: str) -> int:
    """Return the exit code that shells give for what an engine complains of."""
    if "not found" in complaint or "no such file" in complaint:
        return 127
    return 126 if "permission denied" in complaint else _NOT_STARTED


def _alive(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()
