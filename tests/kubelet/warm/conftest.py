"""Runs a program cold and then warm, in the same folder, and keeps all that can be told of either."""

import asyncio
import dataclasses
import itertools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
import uv

from wherry.kubelet.environments import interpreters
from wherry.kubelet.launcher import choice, types
from wherry.kubelet.launcher.client import Launcher

_ADDRESS = re.compile(r"0x[0-9a-f]{8,}")


@dataclasses.dataclass(frozen=True)
class Program:
    """What is run twice."""

    name: str
    argv: tuple[str, ...]
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    stdin: bytes | None = None
    cold: str = ""
    """Part of the reason why it has to start cold; empty if it must not."""
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """All that can be told of a run."""

    exit_code: int | None
    signal: int | None
    error: str | None
    stdout: str
    stderr: str
    files: dict[str, bytes]


def make_venv(folder: pathlib.Path, *requirements: str, python: str = "") -> pathlib.Path:
    """Make an environment as the builder does."""
    venv = folder / "venv"
    python = python or str(interpreters.own().path)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    create = [
        uv.find_uv_bin(),
        "venv",
        "--quiet",
        "--no-project",
        "--relocatable",
        "--python",
        python,
    ]
    subprocess.run([*create, str(venv)], check=True, env=env)
    if requirements:
        install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--compile-bytecode", "--python"]
        subprocess.run([*install, str(venv / "bin" / "python"), *requirements], check=True, env=env)
    return venv


class Stage:
    """A launcher and an environment, where programs are run."""

    program = Program
    make_venv = staticmethod(make_venv)

    def __init__(self, launcher: Launcher, venv: pathlib.Path, folder: pathlib.Path) -> None:
        self.launcher = launcher
        self.venv = venv
        self.folder = folder
        self.preload: tuple[str, ...] = ()
        self._numbers = itertools.count()
        self._primed: set[Any] = set()
        self._ends: dict[str, asyncio.Future[types.ProcessState]] = {}
        self._listener = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        async for state in self.launcher.exits():
            self._end(state.id).set_result(state)

    def _end(self, name: str) -> "asyncio.Future[types.ProcessState]":
        if name not in self._ends:
            self._ends[name] = asyncio.get_running_loop().create_future()
        return self._ends[name]

    async def close(self) -> None:
        await self.launcher.shutdown()
        await self._listener

    def spec(self, program: Program, *, warm: bool, cwd: str) -> types.ProcessSpec:
        image = {
            "PATH": f"{self.venv / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "VIRTUAL_ENV": str(self.venv),
            "LANG": "C.UTF-8",
        }
        env = {**image, "HOME": cwd, **program.env}
        number = next(self._numbers)
        start = choice.choose(
            program.argv,
            environment=env,
            image=image,
            programs=self.venv / "bin",
            preload=self.preload,
        )
        fields: dict[str, Any] = {
            "id": f"{program.name}-{number}",
            "argv": program.argv,
            "env": env,
            "cwd": cwd,
            "log_path": str(self.folder / "logs" / f"{number}.log"),
            "stdin": program.stdin is not None,
            "warm": start if warm else None,
        }
        return types.ProcessSpec(**fields | program.changes)

    async def run(self, spec: types.ProcessSpec, stdin: bytes | None = None) -> Outcome:
        state = await self.launcher.start(spec)
        if stdin is not None:
            await self.launcher.write_stdin(spec.id, stdin, close=True)
        if state.error is None:
            async with asyncio.timeout(60):
                state = await self._end(spec.id)
        return _outcome(spec, state)

    async def both(self, program: Program) -> tuple[Outcome, Outcome, types.WarmState]:
        """Return how the program does cold and warm, and what became of the warm start."""
        cwd = self.folder / "work" / program.name
        _lay(cwd, program.files)
        cold = await self.run(self.spec(program, warm=False, cwd=str(cwd)), program.stdin)
        spec = self.spec(program, warm=True, cwd=str(cwd))
        assert spec.warm is not None, "the command line is not for a warm start"
        before = {state.pid: state for state in await self.prime(spec)}
        _lay(cwd, program.files)
        warm = await self.run(spec, program.stdin)
        after = await self.launcher.list_warm()
        assert all(state.ready for state in after), after
        (used,) = [state for state in after if state.started != before[state.pid].started]
        fallen = used.went_cold - before[used.pid].went_cold
        return cold, warm, dataclasses.replace(used, went_cold=fallen)

    async def prime(self, spec: types.ProcessSpec) -> tuple[types.WarmState, ...]:
        """Return all warmed processes once there is one for a container."""
        assert spec.warm is not None
        key = (spec.warm.program, spec.warm.flags, tuple(sorted(spec.warm.environment.items())))
        if key not in self._primed:
            self._primed.add(key)
            name = f"first-{len(self._primed)}"
            start = dataclasses.replace(spec.warm, kind="command", target="pass", arguments=())
            argv = (spec.argv[0], *spec.warm.flags, "-c", "pass")
            log = str(self.folder / "logs" / f"{name}.log")
            first = dataclasses.replace(
                spec, id=name, argv=argv, warm=start, log_path=log, stdin=False
            )
            await self.run(first)
        async with asyncio.timeout(60):
            while True:
                found = await self.launcher.list_warm()
                if len(found) == len(self._primed) and all(state.ready for state in found):
                    return found
                assert not any(state.problem for state in found if not state.ready), found
                await asyncio.sleep(0.02)


def _outcome(spec: types.ProcessSpec, state: types.ProcessState) -> Outcome:
    texts = {"stdout": "", "stderr": ""}
    for line in pathlib.Path(spec.log_path).read_text(errors="surrogateescape").split("\n")[:-1]:
        _, stream, tag, text = line.split(" ", 3)
        texts[stream] += text + ("\n" if tag == "F" else "")
    texts = {name: _ADDRESS.sub("0x", text) for name, text in texts.items()}
    files = _files(spec.cwd)
    return Outcome(state.exit_code, state.signal, state.error, **texts, files=files)


def _files(folder: str) -> dict[str, bytes]:
    root = pathlib.Path(folder)
    found = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def _lay(cwd: pathlib.Path, files: dict[str, str]) -> None:
    shutil.rmtree(cwd, ignore_errors=True)
    cwd.mkdir(parents=True)
    for name, text in files.items():
        path = cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="session")
def stage_type() -> type[Stage]:
    return Stage


@pytest.fixture(scope="session")
def bare_venv(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return make_venv(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def open_folder() -> Iterator[pathlib.Path]:
    """A folder that other users can look into."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def own_venv(tmp_path: pathlib.Path) -> pathlib.Path:
    """An environment that a test may change."""
    return make_venv(tmp_path)


@pytest.fixture
async def stage(bare_venv: pathlib.Path, tmp_path: pathlib.Path) -> AsyncIterator[Stage]:
    found = Stage(
        await Launcher.connect(tmp_path / "launcher", idle_seconds=60), bare_venv, tmp_path
    )
    yield found
    await found.close()


@pytest.fixture(scope="session")
def run_all() -> Callable[..., dict[str, tuple[Outcome, Outcome, types.WarmState]]]:
    """Run many programs with one launcher, as every test alone would wait for its own warmed process."""

    async def perform(
        programs: Sequence[dict[str, Any]],
        venv: pathlib.Path,
        folder: pathlib.Path,
        preload: tuple[str, ...],
    ) -> dict[str, tuple[Outcome, Outcome, types.WarmState]]:
        found = Stage(await Launcher.connect(folder / "launcher", idle_seconds=60), venv, folder)
        found.preload = preload
        try:
            return {one["name"]: await found.both(Program(**one)) for one in programs}
        finally:
            await found.close()

    def run(
        programs: Sequence[dict[str, Any]],
        venv: pathlib.Path,
        folder: pathlib.Path,
        preload: tuple[str, ...] = (),
    ) -> dict[str, tuple[Outcome, Outcome, types.WarmState]]:
        return asyncio.run(perform(programs, venv, folder, preload))

    return run
