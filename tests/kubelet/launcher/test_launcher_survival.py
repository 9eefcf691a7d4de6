import asyncio
import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
from typing import Any

import pytest
import uvloop

from wherry.kubelet.launcher import processes, protocol, records, recovery, types
from wherry.kubelet.launcher.client import Launcher
from wherry.testing import waiting

SOURCE = pathlib.Path(types.__file__).parents[3]

CONTROL_PLANE = """
import asyncio, pathlib, sys
from wherry.kubelet.launcher import types
from wherry.kubelet.launcher.client import Launcher

async def main(folder):
    launcher = await Launcher.connect(folder / "launcher", idle_seconds=60)
    scripts = {"long": "while :; do echo tick; sleep 0.05; done", "short": "sleep 0.5; echo done; exit 5"}
    for name, script in scripts.items():
        log, env = str(folder / "logs" / f"{name}.log"), {"PATH": "/usr/bin:/bin"}
        spec = types.ProcessSpec(id=name, argv=("sh", "-c", script), env=env, cwd="/", log_path=log)
        state = await launcher.start(spec)
        print(state.pid, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def _gone(pid: int) -> bool:
    try:
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def _start_and_kill_control_plane(folder: pathlib.Path) -> list[int]:
    plane = subprocess.Popen(
        [sys.executable, "-c", CONTROL_PLANE, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        text=True,
    )
    assert plane.stdout is not None
    with plane.stdout as pipe:
        pids = [int(pipe.readline()) for _ in range(2)]
        plane.send_signal(signal.SIGKILL)
        plane.wait()
    return pids


async def test_processes_survive_the_control_plane(tmp_path: pathlib.Path, eventually: Any) -> None:
    pids = _start_and_kill_control_plane(tmp_path)
    await eventually(lambda: _gone(pids[1]))
    launcher = await Launcher.connect(tmp_path / "launcher")
    states = {state.id: state for state in await launcher.list()}
    assert (states["long"].pid, states["long"].running) == (pids[0], True)
    assert (states["short"].pid, states["short"].exit_code) == (pids[1], 5)
    assert "stdout F done" in (tmp_path / "logs" / "short.log").read_text()
    size = (tmp_path / "logs" / "long.log").stat().st_size
    await eventually(lambda: (tmp_path / "logs" / "long.log").stat().st_size > size)
    await launcher.signal("long", signal.SIGTERM)
    async for state in launcher.exits():
        if state.id == "long":  # the other's end may be told yet
            assert state.signal == signal.SIGTERM
            break
    await launcher.shutdown()


async def test_a_dead_launcher_is_replaced_and_nothing_runs_on(box: Any, eventually: Any) -> None:
    # One child stays in the session, one leaves it.
    script = (
        "setsid sh -c 'echo $$; exec sleep 1000' & sh -c 'echo $$; exec sleep 1000' & echo $$; wait"
    )
    spec = box.spec("sh", "-c", script)
    await box.start(spec)
    done = await box.run(box.spec("sh", "-c", "exit 3"))
    pids = [int(line) for line in await eventually(lambda: _three(box.output(spec.id)))]
    before = box.launcher.pid
    os.kill(before, signal.SIGKILL)
    state = await box.end_of(spec.id)
    assert "launcher died" in state.error
    assert state.exit_code == 137
    isolated = box.launcher.features.isolate
    assert all(_gone(pid) for pid in (pids if isolated else pids[1:]))
    assert box.launcher.pid != before
    assert {known.id: known for known in await box.launcher.list()} == {
        spec.id: state,
        done.id: done,
    }
    assert (await box.launcher.start(spec)) == state  # never run twice
    assert (await box.run(box.spec("true"))).exit_code == 0


def _three(text: str) -> list[str] | None:
    lines = text.split()
    return lines if len(lines) == 3 else None


async def test_nothing_runs_twice_whenever_the_launcher_dies(
    box: Any, tmp_path: pathlib.Path, eventually: Any
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    chance = random.Random(7)
    for turn in range(8):
        specs = [
            box.spec(
                "sh", "-c", f"echo $$ >> {marks}/{turn}-{n}; exec sleep 1000", id=f"{turn}-{n}"
            )
            for n in range(6)
        ]
        starts = [asyncio.create_task(box.launcher.start(spec)) for spec in specs]
        await asyncio.sleep(chance.uniform(0, 0.04))
        dying = box.launcher.pid
        os.kill(dying, signal.SIGKILL)
        outcomes = await asyncio.gather(*starts, return_exceptions=True)
        await eventually(lambda pid=dying: box.launcher.pid != pid)
        assert all(isinstance(o, types.ProcessState | types.LauncherGoneError) for o in outcomes)
        known = {state.id: state for state in await box.launcher.list()}
        before = {path.name: path.read_text() for path in marks.iterdir()}
        assert all(_gone(int(pid)) for text in before.values() for pid in text.split())
        again = {spec.id: await box.launcher.start(spec) for spec in specs}
        for spec in specs:  # what is on record is not started again; what never ran is
            assert again[spec.id].running == (spec.id not in known)
            assert spec.id in known or spec.id not in before
            await box.launcher.signal(spec.id, signal.SIGKILL)
    # A file may be empty: killed between its creation and the first word.
    assert all(len(path.read_text().split()) <= 1 for path in marks.iterdir())


async def test_calls_in_flight_tell_that_the_launcher_died(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    call = asyncio.create_task(
        box.launcher.execute(spec.id, ["sleep", "1000"], timeout_seconds=100)
    )
    await asyncio.sleep(0)
    os.kill(box.launcher.pid, signal.SIGKILL)
    with pytest.raises(types.LauncherGoneError):
        await call


async def test_one_that_is_just_dying_is_not_waited_for(tmp_path: pathlib.Path) -> None:
    """Its socket takes one more connection, and nobody answers."""
    path = tmp_path / protocol.SOCKET_NAME

    async def die(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path.unlink(missing_ok=True)
        dying.close()
        writer.close()

    dying = await asyncio.start_unix_server(die, path)
    launcher = await Launcher.connect(tmp_path, idle_seconds=60)
    assert await launcher.list() == []
    await launcher.shutdown()


async def test_only_one_launcher_per_folder(tmp_path: pathlib.Path) -> None:
    several = await asyncio.gather(*(Launcher.connect(tmp_path / "l") for _ in range(4)))
    assert len({launcher.pid for launcher in several}) == 1
    for launcher in several[1:]:
        await launcher.close()
    await several[0].shutdown()


async def test_it_ends_when_nobody_needs_it(tmp_path: pathlib.Path, eventually: Any) -> None:
    launcher = await Launcher.connect(tmp_path / "l", idle_seconds=0.2)
    pid = launcher.pid
    spec = types.ProcessSpec(
        id="x", argv=("sleep", "0.5"), env={}, cwd="/", log_path=str(tmp_path / "log")
    )
    state = await launcher.start(spec)
    await launcher.close()
    await eventually(lambda: _gone(pid))
    assert state.pid is not None
    assert _gone(state.pid)
    again = await Launcher.connect(tmp_path / "l")
    assert [(known.id, known.exit_code) for known in await again.list()] == [("x", 0)]
    await again.shutdown()
    assert not (tmp_path / "l" / "launcher.sock").exists()


async def test_shutdown_kills_what_runs(tmp_path: pathlib.Path) -> None:
    launcher = await Launcher.connect(tmp_path / "l")
    spec = types.ProcessSpec(
        id="x", argv=("sleep", "1000"), env={}, cwd="/", log_path=str(tmp_path / "log")
    )
    state = await launcher.start(spec)
    await launcher.shutdown()
    assert state.pid is not None
    assert _gone(state.pid)
    saved = records.Records(tmp_path / "l" / "records").load()
    assert [(record.state.id, record.state.signal) for record in saved] == [("x", 9)]


async def test_a_long_path_to_the_folder_is_fine(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / ("long" * 30) / "launcher"
    launcher = await Launcher.connect(folder)
    await launcher.shutdown()


def test_uvloop_starts_it_as_well(tmp_path: pathlib.Path) -> None:
    async def use() -> int:
        launcher = await Launcher.connect(tmp_path / "l", idle_seconds=60)
        pid = launcher.pid
        await launcher.close()
        return pid

    pid = uvloop.run(use())
    try:
        waiting.eventually(
            lambda: (
                _files(pid)
                == [
                    *["/dev/null"],
                    *[str(tmp_path / "l" / "launcher.lock")],
                    *[str(tmp_path / "l" / "launcher.log")] * 2,
                ]
            ),
            what="nothing but its own files is open",
        )
    finally:
        os.kill(pid, signal.SIGTERM)


def _files(pid: int) -> list[str]:
    """Return the files that a process holds open."""
    held = []
    for path in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it is closed at this moment
            held.append(str(path.readlink()))
    return sorted(path for path in held if path.startswith("/"))


async def test_files_are_for_the_owner_only(box: Any) -> None:
    for name in ("launcher.sock", "launcher.lock", "launcher.log"):
        assert stat.S_IMODE((box.directory / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(box.directory.stat().st_mode) == 0o700


def _raw(box: Any, *chunks: bytes) -> bytes:
    """Say something on a connection of one's own; return all that comes back until the launcher hangs up."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(60)
        peer.connect(str(box.directory / "launcher.sock"))
        answer = b""
        with contextlib.suppress(ConnectionError):
            for chunk in chunks:
                peer.sendall(chunk)
            peer.shutdown(socket.SHUT_WR)
            while data := peer.recv(65536):
                answer += data
        return answer


def _message(values: object) -> bytes:
    body = json.dumps(values).encode()
    return struct.pack(">I", len(body)) + body


HELLO = _message({"call": 1, "method": "hello", "params": {}})


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\5hello",
        b"\0\0\0\2[]",
        b"\xff" * 100_000,
        os.urandom(5000),
        struct.pack(">I", 100_000) + b"[" * 100_000,
        _message({"call": 1, "method": "start", "params": {}}),
        HELLO + _message({"call": 2, "method": "nonsense", "params": {}}),
        HELLO + _message({"call": 2, "method": "start", "params": []}),
        HELLO + _message({"call": 2, "method": "start", "params": {"id": "../../etc/x"}}),
        HELLO + _message({"call": 2, "method": "start", "params": {"id": 3, "argv": 7}}),
        HELLO + _message({"call": {}, "method": "signal", "params": {"id": [], "signal": "x"}}),
        HELLO + _message({"call": 2, "method": "forget", "params": {"id": "../launcher"}}),
        HELLO + _message({"call": 2, "method": "execute", "params": {"id": "x", "argv": []}}),
        HELLO + _message({"method": "list", "params": {}}),
    ],
)
async def test_garbage_does_no_harm(box: Any, garbage: bytes) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    pid = box.launcher.pid
    await asyncio.to_thread(_raw, box, garbage)
    assert [state.running for state in await box.launcher.list()] == [True]
    assert box.launcher.pid == pid


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "a/b"}, "'a/b'"),
        ({"cwd": "relative"}, "cwd 'relative'"),
        ({"log_path": "/a/../b"}, "log_path"),
        ({"argv": ()}, "argv"),
        ({"env": {"A=B": "x"}}, "A=B"),
        ({"env": {"A": "x\0"}}, "NUL"),
        ({"cgroup_parent": "../../x"}, "cgroup_parent"),
        ({"pids_limit": 0}, "pids_limit 0: 1 to 4194304"),
    ],
)
async def test_malformed_specs_are_refused(box: Any, changes: dict[str, Any], words: str) -> None:
    base: dict[str, Any] = {
        "id": "x",
        "argv": ("true",),
        "env": {},
        "cwd": "/",
        "log_path": str(box.folder / "x.log"),
    }
    spec = types.ProcessSpec(**{**base, **changes})
    outcome = (await asyncio.gather(box.launcher.start(spec), return_exceptions=True))[0]
    assert words in str(outcome)
    assert not any(state.running for state in await box.launcher.list())


def test_messages_come_out_whole_however_they_are_cut() -> None:
    messages = [{"a": n, "text": "é" * n} for n in range(20)]
    stream = b"".join(protocol.encode(message) for message in messages)
    for size in (1, 3, 7, 1000):
        decoder = protocol.Decoder()
        out = []
        for at in range(0, len(stream), size):
            out += decoder.feed(stream[at : at + size])
        assert out == messages


def test_recovery_leaves_strangers_alone(tmp_path: pathlib.Path) -> None:
    """A process that has got the number of one of ours by now is not ours."""
    stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    kept = records.Records(tmp_path / "records")
    for name, ticks, boot in (("pid", 1, processes.boot_id()), ("boot", 1, "another boot")):
        state = types.ProcessState(id=name, pid=stranger.pid, started_at=1.0)
        kept.save(records.Record(state=state, boot=boot, ticks=ticks, token="wherry:nothing"))
    (tmp_path / "records" / "torn.json").write_text('{"state": {')
    states = recovery.recover(kept)
    assert [(state.id, state.error is not None) for state in states] == [
        ("boot", True),
        ("pid", True),
    ]
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_ps_tells_the_start_time_where_proc_does_not() -> None:
    child = subprocess.Popen(["sleep", "1000"])
    booted = int(pathlib.Path("/proc/stat").read_text().partition("\nbtime ")[2].split()[0])
    started = booted + processes.start_ticks(child.pid) / os.sysconf("SC_CLK_TCK")
    assert processes.same(child.pid, ticks=0, started_at=started)
    assert not processes.same(child.pid, ticks=0, started_at=started - 100)
    child.kill()
    child.wait()
