"""Builds environments with uv, each content once.

A build happens in a folder of its own and appears under its hash by one rename, so that whatever
stands there is whole: after a crash there is at worst a folder that nobody looks at, which the next
start removes. A build that nobody waits for any more is ended.
"""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from wherry.kubelet.environments import failures, making, uv_process
from wherry.kubelet.environments.recipe import Recipe
from wherry.kubelet.environments.uv_process import Progress

_BUILDING = ".building-"
USED = "used"
"""File whose time says when something last started from a build."""

_Result = TypeVar("_Result")


class BuildError(Exception):
    """A build failed; the message holds the end of uv's output and a hint.

    Attributes:
        unsatisfiable: Whether other versions may be had.
        of_base: Whether it was what a layer stands on that failed.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.unsatisfiable = failures.is_unsatisfiable(message)
        self.of_base = False


@dataclass(frozen=True, slots=True)
class Built:
    """A finished environment.

    Attributes:
        hash: Its content's name.
        root: Its folder.
        python: Version of the interpreter.
    """

    hash: str
    root: Path
    python: str

    @property
    def bin(self) -> Path:
        """Folder of the programs."""
        return self.root / "venv" / "bin"

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / "venv"

    def file(self, path: str) -> Path:
        """Where the content of a file of the spec lies."""
        return self.root / "files" / path.lstrip("/")

    def use(self) -> None:
        """Note that something starts from it, which keeps it from being collected for a while."""
        with contextlib.suppress(OSError):
            (self.root / USED).touch()


@dataclass(slots=True)
class _Running:
    task: asyncio.Task[Built]
    listeners: list[Progress] = field(default_factory=list)


class Builder:
    """Makes and remembers builds below one folder."""

    def __init__(self, folder: Path, *, concurrency: int, timeout_seconds: float) -> None:
        self._folder = folder
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout_seconds = timeout_seconds
        self._running: dict[str, _Running] = {}

    @property
    def folder(self) -> Path:
        """Where the builds are."""
        return self._folder

    def clean(self) -> None:
        """Remove what builds left that were cut off. To be called before the first build."""
        for entry in self._folder.glob(f"{_BUILDING}*"):
            shutil.rmtree(entry, ignore_errors=True)

    def built(self, recipe: Recipe) -> Built | None:
        """Return the finished build of the recipe, if there is one."""
        root = self._folder / recipe.hash
        # The interpreter may have been removed since: then it has to be built again.
        if (root / "venv" / "bin" / "python").exists():
            return Built(recipe.hash, root, recipe.interpreter.text)
        return None

    def under_way(self) -> set[str]:
        """Return the hashes of what is being built."""
        return set(self._running)

    async def build(self, recipe: Recipe, progress: Progress) -> Built:
        """Return the build of the recipe, making it where needed; at most once at a time.

        Cancelling the last call that waits for a build ends the build.

        Args:
            recipe: What to build.
            progress: Called with lines for people.

        Raises:
            BuildError: it cannot be built.
        """
        running = self._running.get(recipe.hash)
        while running is not None and running.task.cancelling():
            await asyncio.wait([running.task])
            running = self._running.get(recipe.hash)
        done = self.built(recipe)
        if done is not None:
            return done
        if running is None:
            running = self._begin(recipe)
        running.listeners.append(progress)
        try:
            return await asyncio.shield(running.task)
        finally:
            running.listeners.remove(progress)
            if not running.listeners:
                running.task.cancel()

    async def close(self) -> None:
        """End running builds."""
        tasks = [running.task for running in self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, recipe: Recipe) -> _Running:
        listeners: list[Progress] = []

        def tell(line: str) -> None:
            for listener in listeners:
                listener(line)

        task = asyncio.create_task(self._build(recipe, tell), name=f"build-{recipe.hash}")
        running = self._running[recipe.hash] = _Running(task, listeners)
        task.add_done_callback(lambda _: self._running.pop(recipe.hash, None))
        return running

    async def _build(self, recipe: Recipe, progress: Progress) -> Built:
        # The base first, and outside of the slot: it needs one itself.
        base = await self._base(recipe.base, progress) if recipe.base is not None else None
        if self._slots.locked():
            progress("waiting for another build to finish")
        async with self._slots:
            return await self._build_in_slot(recipe, base, progress)

    async def _base(self, recipe: Recipe, progress: Progress) -> Built:
        try:
            return await self.build(recipe, progress)
        except BuildError as error:
            error.of_base = True
            raise

    async def _build_in_slot(self, recipe: Recipe, base: Built | None, progress: Progress) -> Built:
        folder = self._folder / f"{_BUILDING}{recipe.hash}-{os.getpid()}"
        try:
            root = base.root if base is not None else None
            await _to_its_end(lambda: making.prepare(folder, recipe, root))
            async with asyncio.timeout(self._timeout_seconds):
                await making.make(folder, recipe, progress)
            return await _to_its_end(lambda: self._publish(folder, recipe))
        except uv_process.UvError as error:
            raise BuildError(str(error)) from error
        except TimeoutError as error:
            raise BuildError(f"the build took longer than {self._timeout_seconds:g} s") from error
        except OSError as error:
            raise BuildError(f"cannot write the environment: {error}") from error
        finally:
            await _to_its_end(lambda: self._sweep(recipe.hash))

    def _sweep(self, content: str) -> None:
        # Also what an earlier process left: its uv may have gone on writing after `clean`.
        for entry in self._folder.glob(f"{_BUILDING}{content}-*"):
            shutil.rmtree(entry, ignore_errors=True)

    def _publish(self, folder: Path, recipe: Recipe) -> Built:
        making.record(folder, recipe)
        built = Built(recipe.hash, self._folder / recipe.hash, recipe.interpreter.text)
        shutil.rmtree(built.root, ignore_errors=True)
        folder.rename(built.root)
        # Its own and new, also where a layer has been given the base's.
        (built.root / USED).unlink(missing_ok=True)
        built.use()
        return built


async def _to_its_end(function: Callable[[], _Result]) -> _Result:
    """Run it in a thread, and be cancelled only after it: threads cannot be cut off."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.wait([running])


def built_at(built: Built) -> float:
    """Return when the build appeared, seconds since the epoch; now if it is gone again."""
    try:
        return (built.root / making.RECORD).stat().st_mtime
    except OSError:
        return time.time()
