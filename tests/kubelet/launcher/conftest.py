import asyncio
import ipaddress
import itertools
import os
import pathlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from wherry.kubelet.launcher import types
from wherry.kubelet.launcher.client import Launcher

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}

# Below the pods' own range, and another one for every test process, so that runs side by side do not meet.
_addresses = itertools.count(int(ipaddress.ip_address("127.22.0.1")) + (os.getpid() % 1200) * 512)


class Box:
    """A launcher with shorthands for tests."""

    def __init__(self, launcher: Launcher, folder: pathlib.Path) -> None:
        self.launcher = launcher
        self.folder = folder
        self.directory = folder / "launcher"
        self._numbers = itertools.count()
        self._ends: dict[str, types.ProcessState] = {}

    def spec(self, *argv: str, **changes: Any) -> types.ProcessSpec:
        # Control groups bear it, which are the machine's: other test processes have other names.
        name = changes.pop("id", f"p{os.getpid()}-{next(self._numbers)}")
        env = {**ENV, **changes.pop("env", {})}
        changes.setdefault("cwd", "/")
        changes.setdefault("log_path", str(self.folder / "logs" / f"{name}.log"))
        return types.ProcessSpec(id=name, argv=argv, env=env, **changes)

    def python(self, code: str, **changes: Any) -> types.ProcessSpec:
        return self.spec(sys.executable, "-I", "-S", "-c", code, **changes)

    async def start(self, spec: types.ProcessSpec) -> types.ProcessState:
        state = await self.launcher.start(spec)
        assert state.error is None, state.error
        return state

    async def end_of(self, name: str) -> types.ProcessState:
        if name in self._ends:
            return self._ends.pop(name)
        async with asyncio.timeout(60):
            async for state in self.launcher.exits():
                if state.id == name:
                    return state
                self._ends[state.id] = state
        raise AssertionError("the launcher was closed")

    async def run(self, spec: types.ProcessSpec) -> types.ProcessState:
        await self.start(spec)
        return await self.end_of(spec.id)

    def records(self, name: str) -> list[tuple[str, str, str]]:
        """Return (stream, tag, text) of a log."""
        path = self.folder / "logs" / f"{name}.log"
        parts = [line.split(" ", 3) for line in path.read_text().split("\n")[:-1]]
        return [(stream, tag, text) for _, stream, tag, text in parts]

    def output(self, name: str) -> str:
        lines = self.records(name)
        return "".join(text + ("\n" if tag == "F" else "") for _, tag, text in lines)

    async def output_of(self, spec: types.ProcessSpec) -> str:
        state = await self.run(spec)
        text = self.output(spec.id)
        assert state.exit_code == 0, (state, text)
        return text


async def eventually(condition: Callable[[], Any], *, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)
    return value


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@pytest.fixture
async def box(tmp_path: pathlib.Path) -> AsyncIterator[Box]:
    launcher = await Launcher.connect(tmp_path / "launcher", idle_seconds=60)
    yield Box(launcher, tmp_path)
    await launcher.shutdown()


@pytest.fixture
def isolated(box: Box) -> Box:
    if not box.launcher.features.isolate:
        pytest.skip(box.launcher.features.reasons["isolate"])
    return box


@pytest.fixture
def addressed(box: Box) -> Box:
    if not box.launcher.features.interception:
        pytest.skip(box.launcher.features.reasons["interception"])
    return box


@pytest.fixture
def new_address() -> Callable[[], str]:
    return lambda: str(ipaddress.ip_address(next(_addresses)))
