"""Builds environments with uv, each content once.

A build happens in a folder of its own and appears under its hash by one rename, so that whatever
stands there is whole: after a crash there is at worst a folder that nobody looks at, which the next
start removes.
"""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import uv

from wherry.kubelet.environments import failures
from wherry.kubelet.environments.recipe import Recipe

_BUILDING = ".building-"
_TAIL_LINES = 12
_STOP_SECONDS = 5.0

Progress = Callable[[str], None]


class BuildError(Exception):
    """A build failed; the message holds the end of uv's output and a hint."""


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


class Builder:
    """Makes and remembers builds below one folder."""

    def __init__(self, folder: Path, *, concurrency: int, timeout_seconds: float) -> None:
        self._folder = folder
        self._slots = asyncio.Semaphore(concurrency)
        self._timeout_seconds = timeout_seconds
        self._running: dict[str, asyncio.Task[Built]] = {}

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

    async def build(self, recipe: Recipe, progress: Progress) -> Built:
        """Return the build of the recipe, making it where needed; at most once at a time.

        Args:
            recipe: What to build.
            progress: Called with lines for people, by the first caller's build only.

        Raises:
            BuildError: it cannot be built.
        """
        done = self.built(recipe)
        if done is not None:
            return done
        task = self._running.get(recipe.hash)
        if task is None:
            task = asyncio.create_task(self._build(recipe, progress), name=f"build-{recipe.hash}")
            self._running[recipe.hash] = task
            task.add_done_callback(lambda _: self._running.pop(recipe.hash, None))
        # Whoever waits may stop waiting; the build is for all.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End running builds."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _build(self, recipe: Recipe, progress: Progress) -> Built:
        if self._slots.locked():
            progress("waiting for another build to finish")
        async with self._slots:
            return await self._build_in_slot(recipe, progress)

    async def _build_in_slot(self, recipe: Recipe, progress: Progress) -> Built:
        making = self._folder / f"{_BUILDING}{recipe.hash}-{os.getpid()}"
        try:
            await asyncio.to_thread(_prepare, making, recipe)
            async with asyncio.timeout(self._timeout_seconds):
                await _make(making, recipe, progress)
            return await asyncio.to_thread(self._publish, making, recipe)
        except TimeoutError as error:
            raise BuildError(f"the build took longer than {self._timeout_seconds:g} s") from error
        except OSError as error:
            raise BuildError(f"cannot write the environment: {error}") from error
        finally:
            await asyncio.to_thread(self._sweep, recipe.hash)

    def _sweep(self, content: str) -> None:
        # Also what an earlier process left: its uv may have gone on writing after `clean`.
        for entry in self._folder.glob(f"{_BUILDING}{content}-*"):
            shutil.rmtree(entry, ignore_errors=True)

    def _publish(self, making: Path, recipe: Recipe) -> Built:
        root = self._folder / recipe.hash
        shutil.rmtree(root, ignore_errors=True)
        making.rename(root)
        return Built(recipe.hash, root, recipe.interpreter.text)


def _prepare(making: Path, recipe: Recipe) -> None:
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for path, text in recipe.files:
        target = making / "files" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (making / "requirements.txt").write_text("".join(f"{line}\n" for line in recipe.requirements))


async def _make(making: Path, recipe: Recipe, progress: Progress) -> None:
    venv = making / "venv"
    progress(f"creating an environment with Python {recipe.interpreter.text}")
    program = str(recipe.interpreter.path)
    await _uv(
        ["venv", "--quiet", "--relocatable", "--no-project", "--python", program, str(venv)],
        progress,
    )
    python = str(venv / "bin" / "python")
    wheel = _bundled_pip(recipe)
    if wheel is not None:
        # Images hold pip, and programs call it; the interpreter brings one that needs no network.
        arguments = ["pip", "install", "--quiet", "--offline", "--no-deps", "--python", python]
        await _uv([*arguments, str(wheel)], progress)
    if recipe.requirements:
        progress(f"installing {len(recipe.requirements)} requirements")
        arguments = ["pip", "install", "--compile-bytecode", "--python", python]
        await _uv([*arguments, "--requirements", str(making / "requirements.txt")], progress)


def _bundled_pip(recipe: Recipe) -> Path | None:
    """Return the wheel of pip that comes with the interpreter, if it does."""
    major, minor = recipe.interpreter.version[:2]
    library = recipe.interpreter.path.parent.parent / "lib" / f"python{major}.{minor}"
    for folder in (library / "ensurepip" / "_bundled", Path("/usr/share/python-wheels")):
        wheels = sorted(folder.glob("pip-*.whl"))
        if wheels:
            return wheels[-1]
    return None


async def _uv(arguments: list[str], progress: Progress) -> None:
    environment = {
        name: value
        for name, value in os.environ.items()
        # What describes our own environment must not leak into the one that is made.
        if name not in {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}
    }
    environment |= {"UV_PYTHON_DOWNLOADS": "never", "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    process = await asyncio.create_subprocess_exec(
        uv.find_uv_bin(),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    tail: list[str] = []
    try:
        async for line in _lines(process):
            tail = [*tail[-_TAIL_LINES + 1 :], line]
            progress(line)
        code = await process.wait()
    finally:
        await _end(process)
    if code != 0:
        raise BuildError(failures.explain(code, tail))


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    stream = process.stdout
    assert stream is not None
    rest = b""
    while chunk := await stream.read(4096):
        *whole, rest = (rest + chunk)[-65536:].split(b"\n")
        for line in whole:
            if line.strip():
                yield line.decode(errors="replace").rstrip()
    if rest.strip():
        yield rest.decode(errors="replace").rstrip()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)


def built_at(built: Built) -> float:
    """Return when the build appeared, seconds since the epoch; now if it is gone again."""
    try:
        return built.root.stat().st_mtime
    except OSError:
        return time.time()
