"""Limits on processes, and what runs under a container's limits."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from wherry.kubelet.launcher import cgroup, processes, records, recovery, types

FOLDER = f"wherry-test-limits-{os.getpid()}"

BOMB = """
import errno, subprocess
started = []
try:
    while len(started) < 50:
        started.append(subprocess.Popen(["sleep", "1000"]))
except OSError as error:
    print(len(started), errno.errorcode[error.errno])
"""


@pytest.fixture
def counted(box: Any) -> Any:
    if not box.launcher.features.pids_limits:
        pytest.skip(box.launcher.features.reasons["pids_limits"])
    return box


def _text(path: str) -> str:
    return pathlib.Path(path).read_text()


def _found(name: str) -> list[pathlib.Path]:
    """Return the groups, or files of groups, of this name; others come and go meanwhile."""
    return [pathlib.Path(at, name) for at, *_ in os.walk("/sys/fs/cgroup") if _exists(at, name)]


def _exists(folder: str, name: str) -> bool:
    return pathlib.Path(folder, name).exists()


def test_what_is_written_for_version_2(tmp_path: pathlib.Path) -> None:
    """In an ordinary folder: the form of the files, on machines that have version 1."""
    controllers = cgroup.Controllers(None, tmp_path, tmp_path, unified=True, reasons={"memory": ""})
    spec = types.ProcessSpec(
        id="one", argv=("true",), env={}, cwd="/", log_path="/x",
        cgroup_parent="pod", memory_limit_bytes=1, cpu_limit_millis=500, pids_limit=20,
    )  # fmt: skip
    cgroup.Group(controllers, spec).make()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {str(path.relative_to(tmp_path)): path.read_text() for path in files} == {
        "pod/cgroup.subtree_control": "+cpu +pids",
        "pod/one/cpu.max": "50000 100000",
        "pod/pids.max": "20",
    }


async def test_fifty_processes_do_not_fit_into_twenty(counted: Any) -> None:
    assert await counted.output_of(counted.python(BOMB, pids_limit=20)) == "19 EAGAIN\n"


async def test_containers_of_one_parent_share_the_limit(counted: Any, eventually: Any) -> None:
    shared = {"pids_limit": 20, "cgroup_parent": FOLDER}
    busy = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo ready; wait"
    first = counted.spec("sh", "-c", busy, **shared)
    await counted.start(first)
    await eventually(lambda: counted.output(first.id))
    assert await counted.output_of(counted.python(BOMB, **shared)) == "9 EAGAIN\n"
    await counted.launcher.signal(first.id, signal.SIGKILL)
    await counted.end_of(first.id)
    assert _found(FOLDER) == []


async def test_commands_run_inside_are_in_its_groups(counted: Any) -> None:
    """Those of probes and hooks, and those that somebody watches."""
    limits = {"pids_limit": 20, "memory_limit_bytes": 256 << 20, "cpu_limit_millis": 500}
    spec = counted.spec("sleep", "1000", **limits)
    state = await counted.start(spec)
    groups = _text(f"/proc/{state.pid}/cgroup")
    assert f"/{spec.id}\n" in groups
    show = ["cat", "/proc/self/cgroup"]
    done = await counted.launcher.execute(spec.id, show, timeout_seconds=60)
    assert done.output.decode() == groups
    session = await counted.launcher.interact(spec.id, show, stdin=False, terminal=False)
    assert b"".join([data async for _, data in session.output()]).decode() == groups
    await session.close()


async def test_commands_that_die_with_the_container_leave_no_group(
    counted: Any, eventually: Any, tmp_path: pathlib.Path
) -> None:
    """They take a moment to give their memory back, and so long they are in the group."""
    spec = counted.spec("sleep", "1000", pids_limit=100)
    await counted.start(spec)
    code = "import pathlib, sys, time; held = b'x' * (64 << 20); pathlib.Path(sys.argv[1]).touch(); time.sleep(1000)"
    marks = [tmp_path / f"mark-{number}" for number in range(4)]
    sessions = [
        await counted.launcher.interact(
            spec.id, [sys.executable, "-ISc", code, str(mark)], stdin=False, terminal=False
        )
        for mark in marks
    ]
    await eventually(lambda: all(mark.exists() for mark in marks))
    await counted.launcher.signal(spec.id, signal.SIGKILL)
    await counted.end_of(spec.id)
    assert _found(spec.id) == []
    for session in sessions:
        await session.close()


def test_groups_of_what_never_ran_go_with_its_launcher(tmp_path: pathlib.Path) -> None:
    controllers = cgroup.detect()
    if controllers.memory is None:
        pytest.skip(controllers.reasons["memory"])
    spec = types.ProcessSpec(
        id=f"{FOLDER}-main", argv=("true",), env={}, cwd="/", log_path="/x",
        cgroup_parent=FOLDER, memory_limit_bytes=256 << 20,
    )  # fmt: skip
    group = cgroup.Group(controllers, spec)
    group.make()
    kept = records.Records(tmp_path)
    state = types.ProcessState(id=spec.id, started_at=time.time())
    places = [str(at) for at in (*group.folders, *group.parents)]
    kept.save(records.Record(state=state, boot=processes.boot_id(), cgroups=places))
    with subprocess.Popen(["sleep", "1000"]) as inside:
        group.add(inside.pid)
        assert recovery.recover(kept) == []
        assert inside.wait() == -signal.SIGKILL
    assert kept.load() == []
    assert _found(FOLDER) == []


async def test_a_command_that_cannot_be_limited_does_not_run(
    counted: Any, tmp_path: pathlib.Path
) -> None:
    spec = counted.spec("sleep", "1000", pids_limit=20)
    state = await counted.start(spec)
    (bound,) = _found(f"{spec.id}/pids.max")
    (bound.parents[1] / "cgroup.procs").write_text(str(state.pid))
    bound.parent.rmdir()
    ran = tmp_path / "ran"
    done = await counted.launcher.execute(spec.id, ["touch", str(ran)], timeout_seconds=60)
    assert (done.exit_code, b"control group" in done.output, ran.exists()) == (128, True, False)


async def test_memory_of_each_process_can_be_bound_without_control_groups(box: Any) -> None:
    code = "x = bytearray(200 << 20); print(len(x))"
    state = await box.run(box.python(code, rlimits={"data": 100 << 20}))
    assert (state.exit_code, state.oom_killed) == (1, False)
    assert "MemoryError" in box.output(state.id)
