"""Control groups that runc had made, and not noted, when it was killed."""

import asyncio
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from wherry.kubelet.oci import engine, groups, leftovers

Making = Callable[[str], list[Path]]


def container() -> str:
    return f"{uuid.uuid4()}_main_0"


@pytest.fixture
def make(runc: str) -> Iterator[Making]:
    """Make a container's groups in all hierarchies."""
    made: list[Path] = []

    def do(container: str) -> list[Path]:
        tops = {groups.MOUNTED, *(path.parent for path in groups.MOUNTED.glob("*/cgroup.procs"))}
        held = [top for top in tops if (top / "cgroup.procs").exists()]
        # Those of version 1 that take no process before they are told what they may use come last.
        held.sort(key=lambda top: ("cpuset" in top.name, top))
        found = [top / groups.name(container) for top in held]
        for folder in found:
            folder.mkdir()
            made.append(folder)
        return found

    yield do
    for folder in made:
        if folder.exists():
            folder.rmdir()


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process to be put into a group."""
    with subprocess.Popen(["/bin/sleep", "1000"]) as process:
        yield process
        process.kill()


def records(data: Path, container: str) -> engine.Engine:
    """Return an engine with a record as runc leaves it when it is killed early: an empty folder."""
    found, why = engine.find(data / "oci" / "run")
    assert found is not None, why
    (found.root / container).mkdir(parents=True)
    return found


async def test_what_was_cut_off_while_it_was_made_is_removed(
    make: Making, tmp_path: Path, busy: subprocess.Popen[bytes]
) -> None:
    ours, other = container(), container()
    folders, others = make(ours), make(other)
    (folders[0] / "cgroup.procs").write_text(str(busy.pid))
    (folders[0] / "inner").mkdir()
    driver = records(tmp_path, ours)
    reaping = asyncio.create_task(asyncio.to_thread(busy.wait, 60))
    await driver.delete(ours)
    assert await reaping == -9
    assert [folder for folder in folders if folder.exists()] == []
    assert [folder for folder in others if not folder.exists()] == []
    assert driver.containers() == []


async def test_the_record_stays_while_a_group_does(
    make: Making, tmp_path: Path, busy: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = container()
    frozen = {folder.parent.name: folder for folder in make(name)}.get("freezer")
    if frozen is None:
        pytest.skip("no control groups of version 1, whose frozen processes cannot be killed")
    driver = records(tmp_path, name)
    (frozen / "cgroup.procs").write_text(str(busy.pid))
    (frozen / "freezer.state").write_text("FROZEN")
    with monkeypatch.context() as patched:
        patched.setattr(groups, "_PATIENCE_SECONDS", 0.05)
        await driver.delete(name)
    assert driver.containers() == [name]
    (frozen / "freezer.state").write_text("THAWED")
    busy.wait(60)
    await driver.delete(name)
    assert driver.containers() == []
    assert not frozen.exists()


def test_a_platform_that_ends_removes_them_too(make: Making, tmp_path: Path) -> None:
    name = container()
    folders = make(name)
    records(tmp_path, name)
    assert leftovers.end(tmp_path) == 1
    assert [folder for folder in folders if folder.exists()] == []
    assert not (tmp_path / "oci" / "run" / name).exists()
