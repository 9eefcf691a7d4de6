import asyncio
import os
import pathlib
import signal
import time
from typing import Any

import pytest

from wherry.kubelet.launcher import types


def _text(path: str) -> str:
    return pathlib.Path(path).read_text()


def _found(folder: str, name: str) -> list[pathlib.Path]:
    """Return what bears the name below a folder in which others make and remove things meanwhile."""
    return [pathlib.Path(at, name) for at, folders, _ in os.walk(folder) if name in folders]


async def test_exit_codes_and_signals(box: Any) -> None:
    state = await box.run(box.spec("sh", "-c", "exit 7"))
    assert (state.exit_code, state.signal, state.error) == (7, None, None)
    assert state.finished_at >= state.started_at > time.time() - 60
    state = await box.run(box.spec("sh", "-c", "kill -TERM $$"))
    assert (state.exit_code, state.signal) == (143, signal.SIGTERM)


async def test_environment_folder_and_input_are_those_asked_for(box: Any, tmp_path: Any) -> None:
    spec = box.spec("sh", "-c", "env; pwd; cat", env={"GREETING": "hullo = x"}, cwd=str(tmp_path))
    lines = (await box.output_of(spec)).splitlines()
    assert "GREETING=hullo = x" in lines
    assert str(tmp_path) in lines
    names = {line.split("=")[0] for line in lines if "=" in line}
    assert names <= {"PATH", "GREETING", "PWD", "OLDPWD", "SHLVL", "_"}


async def test_the_process_leads_its_own_session_and_inherits_no_descriptor(box: Any) -> None:
    code = "import os; print(os.getpid() == os.getsid(0) == os.getpgid(0), os.listdir('/proc/self/fd'))"
    text = await box.output_of(box.python(code))
    assert text == "True ['0', '1', '2', '3']\n"  # 3 is the listing itself


async def test_no_signal_is_ignored_or_blocked(box: Any) -> None:
    spec = box.spec("grep", "-E", "SigIgn|SigBlk", "/proc/self/status")
    masks = [int(line.split()[1], 16) for line in (await box.output_of(spec)).splitlines()]
    # Signals 32 and 33 are the C library's own: what is inherited of them no program can change.
    assert [mask & ~(0b11 << 31) for mask in masks] == [0, 0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose users")
async def test_root_chooses_user_and_groups(box: Any) -> None:
    spec = box.spec("id", "-u", uid=12345, gid=54321, groups=(77,))
    assert await box.output_of(spec) == "12345\n"
    code = "import os; print(os.getgid(), os.getgroups())"
    spec = box.spec("/usr/bin/python3", "-c", code, uid=12345, gid=54321, groups=(77,))
    assert "54321" in await box.output_of(spec)


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("no-such-program-here",), 127, "executable file not found in PATH"),
        (("/no/such/program",), 127, "no such file"),
        (("/etc/passwd",), 126, "Permission denied"),
    ],
)
async def test_a_program_that_cannot_run_says_why(
    box: Any, argv: tuple[str, ...], code: int, words: str
) -> None:
    state = await box.launcher.start(box.spec(*argv))
    assert state.exit_code == code
    assert words in state.error
    assert argv[0] in state.error
    assert state.finished_at is not None
    assert [known.error for known in await box.launcher.list()] == [state.error]


async def test_a_script_without_its_interpreter_says_so(box: Any, tmp_path: Any) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    state = await box.launcher.start(box.spec(str(script)))
    assert "interpreter" in state.error


async def test_a_missing_folder_without_isolation_says_so(box: Any) -> None:
    state = await box.launcher.start(box.spec("true", cwd="/no/such", isolate=False))
    assert state.exit_code == 128
    assert "/no/such" in state.error


async def test_signals_reach_the_main_process_or_the_group(box: Any, eventually: Any) -> None:
    script = "trap 'echo got usr1' USR1; echo ready; while :; do sleep 0.05; done"
    spec = box.spec("sh", "-c", script)
    await box.start(spec)
    await eventually(lambda: "ready" in box.output(spec.id))
    await box.launcher.signal(spec.id, signal.SIGUSR1)
    await eventually(lambda: "got usr1" in box.output(spec.id))
    await box.launcher.signal(spec.id, signal.SIGKILL, group=True)
    state = await box.end_of(spec.id)
    assert (state.exit_code, state.signal) == (137, 9)
    await box.launcher.signal(spec.id, signal.SIGTERM)  # too late is fine
    with pytest.raises(types.UnknownProcessError, match="nobody"):
        await box.launcher.signal("nobody", signal.SIGTERM)


def _gone(pid: int) -> bool:
    try:
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


@pytest.mark.parametrize("isolate", [True, False])
async def test_nothing_of_a_container_outlives_its_main_process(
    box: Any, isolate: bool, eventually: Any
) -> None:
    # One child in the group, and one in a session of its own where the mount namespace betrays it.
    escape = "setsid sh -c 'echo $$; exec sleep 1000' & " if isolate else ""
    script = f"sh -c 'echo $$; exec sleep 1000' & {escape} cat"
    spec = box.spec("sh", "-c", script, isolate=isolate, stdin=True)
    await box.start(spec)
    await eventually(lambda: len(box.output(spec.id).split()) == (2 if isolate else 1))
    pids = [int(line) for line in box.output(spec.id).split()]
    await box.launcher.write_stdin(spec.id, b"", close=True)
    await box.end_of(spec.id)
    await eventually(lambda: all(_gone(pid) for pid in pids))


async def test_an_orphan_in_another_session_is_reaped(isolated: Any, eventually: Any) -> None:
    script = "(setsid sh -c 'echo $$; sleep 0.1' &) ; sleep 1000"
    spec = isolated.spec("sh", "-c", script)
    await isolated.start(spec)
    pid = int(await eventually(lambda: isolated.output(spec.id).strip()))
    await eventually(lambda: not pathlib.Path(f"/proc/{pid}").exists())


async def test_starting_an_id_again_returns_what_there_is(box: Any, tmp_path: Any) -> None:
    mark = tmp_path / "mark"
    spec = box.spec("sh", "-c", f"echo x >> {mark}; cat", stdin=True)
    first, second = await asyncio.gather(box.launcher.start(spec), box.launcher.start(spec))
    assert first == second
    await box.launcher.write_stdin(spec.id, b"", close=True)
    ended = await box.end_of(spec.id)
    assert await box.launcher.start(spec) == ended
    assert mark.read_text() == "x\n"


async def test_forgetting_drops_the_record_but_never_a_running_process(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    with pytest.raises(types.LauncherError, match="still runs"):
        await box.launcher.forget(spec.id)
    await box.launcher.signal(spec.id, signal.SIGKILL)
    await box.end_of(spec.id)
    await box.launcher.forget(spec.id)
    await box.launcher.forget(spec.id)
    assert await box.launcher.list() == []
    assert list((box.directory / "records").iterdir()) == []


async def test_standard_input_can_be_fed(box: Any) -> None:
    spec = box.spec("cat", stdin=True)
    await box.start(spec)
    assert await box.launcher.write_stdin(spec.id, b"one\n") == 4
    assert await box.launcher.write_stdin(spec.id, b"two\n", close=True) == 4
    await box.end_of(spec.id)
    assert box.output(spec.id) == "one\ntwo\n"


async def test_limits_only_lower(box: Any) -> None:
    spec = box.spec("sh", "-c", "ulimit -n; ulimit -Hn", rlimits={"nofile": 100})
    assert await box.output_of(spec) == "100\n100\n"
    spec = box.spec("sh", "-c", "ulimit -Hn", rlimits={"nofile": 10**9})
    assert int(await box.output_of(spec)) < 10**9
    state = await box.launcher.start(box.spec("true", rlimits={"nonsense": 1}))
    assert "nonsense" in state.error


async def test_two_hundred_short_processes_leave_nothing_behind(box: Any, eventually: Any) -> None:
    def descriptors() -> int:
        return len(list(pathlib.Path(f"/proc/{box.launcher.pid}/fd").iterdir()))

    await box.run(box.spec("true"))
    before = descriptors()
    specs = [box.spec("true", address="127.19.0.1") for _ in range(200)]
    states = await asyncio.gather(*(box.launcher.start(spec) for spec in specs))
    assert {state.error for state in states} == {None}
    ends = [await box.end_of(spec.id) for spec in specs]
    assert {state.exit_code for state in ends} == {0}
    child_that_waits = 1
    children = f"/proc/{box.launcher.pid}/task/{box.launcher.pid}/children"
    await eventually(lambda: descriptors() <= before + child_that_waits)
    await eventually(lambda: len(_text(children).split()) <= child_that_waits)


async def test_the_launcher_stays_small(box: Any) -> None:
    await box.run(box.spec("true"))
    text = _text(f"/proc/{box.launcher.pid}/status")
    kilobytes = int(text.partition("VmRSS:")[2].split()[0])
    assert kilobytes < 20_000


async def test_memory_limit_ends_in_out_of_memory(box: Any) -> None:
    if not box.launcher.features.memory_limits:
        pytest.skip(box.launcher.features.reasons["memory_limits"])
    code = "x = bytearray(200 << 20); print(len(x))"
    spec = box.python(
        code, memory_limit_bytes=64 << 20, cgroup_parent=f"wherry-test-{os.getpid()}/pod"
    )
    state = await box.run(spec)
    assert (state.exit_code, state.signal, state.oom_killed) == (137, 9, True)
    assert _found("/sys/fs/cgroup", f"wherry-test-{os.getpid()}") == []


async def test_cpu_limit_slows_down(box: Any) -> None:
    if not box.launcher.features.cpu_limits:
        pytest.skip(box.launcher.features.reasons["cpu_limits"])
    code = """
import time
t, c = time.time(), time.process_time()
while time.time() - t < 1: pass
print(time.process_time() - c)
"""
    spec = box.python(code, cpu_limit_millis=200, cgroup_parent=f"wherry-test-{os.getpid()}")
    assert float(await box.output_of(spec)) < 0.5
