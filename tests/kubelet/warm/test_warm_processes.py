"""What is kept warm, how long, and what happens when it dies."""

import asyncio
import dataclasses
import os
import pathlib
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from wherry.kubelet.launcher import types

_OWN = "import helper_module, sys, os; print('helper_module' in sys.modules, helper_module.STARTED == os.getpid())"
_HELPER = "import os\nSTARTED = os.getpid()\n"


def _text(path: str | pathlib.Path) -> str:
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _commands() -> list[str]:
    return [_text(path) for path in pathlib.Path("/proc").glob("[0-9]*/cmdline")]


async def _until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := await condition()):
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)
    return value


async def _only(stage: Any) -> types.WarmState:
    found: tuple[types.WarmState, ...] = await stage.launcher.list_warm()
    (state,) = found
    return state


def _spec(stage: Any, *argv: str, **more: Any) -> types.ProcessSpec:
    program = stage.program(name="it", argv=argv, **more)
    made: types.ProcessSpec = stage.spec(program, warm=True, cwd=str(stage.folder))
    return made


def _packages(venv: pathlib.Path) -> pathlib.Path:
    (found,) = venv.glob("lib/python*/site-packages")
    return found


async def test_the_first_starts_cold_and_the_next_warm(stage: Any) -> None:
    outcome = await stage.run(_spec(stage, "python", "-c", "print(1)"))
    assert outcome.stdout == "1\n"
    ready = await stage.prime(_spec(stage, "python", "-c", "pass"))
    assert [(state.started, state.problem, state.left_out) for state in ready] == [(0, "", {})]
    assert ready[0].memory_bytes > 1024**2
    outcome = await stage.run(_spec(stage, "python", "-c", "print(2)"))
    assert (outcome.stdout, (await _only(stage)).started) == ("2\n", 1)


async def test_modules_are_imported_beforehand_and_the_unfit_left_out(
    stage: Any, own_venv: pathlib.Path
) -> None:
    stage.venv = own_venv
    texts = {
        "helper_module": _HELPER,
        "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        "opens": "import os\nF = os.open('/etc/hosts', os.O_RDONLY)",
        "home": "import os\nH = os.path.expanduser('~')",
        "everything": "import os\nE = dict(os.environ)",
        "fails": "1 / 0",
        "leaves": "raise SystemExit(3)",
    }
    for name, text in texts.items():
        (_packages(own_venv) / f"{name}.py").write_text(text)
    stage.preload = (*texts, "missing")
    (state,) = await stage.prime(_spec(stage, "python", "-c", "pass"))
    assert state.left_out.keys() == {*texts, "missing"} - {"helper_module"}
    assert "thread" in state.left_out["threads"]
    assert "/etc/hosts" in state.left_out["opens"]
    assert "HOME" in state.left_out["home"]
    assert "ZeroDivisionError" in state.left_out["fails"]
    outcome = await stage.run(_spec(stage, "python", "-c", _OWN))
    assert outcome.stdout == "True False\n"


async def test_variables_that_a_module_has_read_and_set_are_those_of_the_pod(
    stage: Any, own_venv: pathlib.Path
) -> None:
    stage.venv, stage.preload = own_venv, ("reader",)
    text = "import os\nMODE = os.environ.get('MODE', 'none')\nos.environ['SET'] = 'by reader'\n"
    (_packages(own_venv) / "reader.py").write_text(text)
    code = "import reader, os; print(reader.MODE, os.environ.get('SET'), os.environ.get('OTHER'))"
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    outcome = await stage.run(_spec(stage, "python", "-c", code, env={"OTHER": "1"}))
    assert (outcome.stdout, (await _only(stage)).went_cold) == ("none by reader 1\n", 0)
    outcome = await stage.run(_spec(stage, "python", "-c", code, env={"MODE": "fast"}))
    assert outcome.stdout == "fast by reader None\n"
    state = await _only(stage)
    assert (state.went_cold, "MODE" in state.problem) == (1, True)


@pytest.mark.parametrize(
    ("other", "hides"),
    [
        ("fractions.py", True),
        ("fractions/__init__.py", True),
        ("fractions/data.csv", False),
        ("fractions.txt", False),
        ("sys.py", False),
    ],
)
async def test_a_users_module_of_the_same_name_is_the_one_imported(
    stage: Any, tmp_path: pathlib.Path, other: str, hides: bool
) -> None:
    stage.preload = ("fractions",)
    files = {"job/run.py": "import fractions; print(fractions.__file__)", f"job/{other}": ""}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    outcome = await stage.run(_spec(stage, "python", "job/run.py"))
    assert (str(tmp_path) in outcome.stdout) is hides
    assert (await _only(stage)).went_cold == int(hides)


async def test_packages_installed_since_are_seen(stage: Any, own_venv: pathlib.Path) -> None:
    stage.venv, stage.preload = own_venv, ("helper_module",)
    module = _packages(own_venv) / "helper_module.py"
    module.write_text("V = 1")
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    module.unlink()
    module.with_name("helper_module.py").write_text("V = 22")
    outcome = await stage.run(_spec(stage, "python", "-c", "import helper_module as h; print(h.V)"))
    assert outcome.stdout == "22\n"
    assert (await _only(stage)).went_cold == 1


async def test_a_mount_over_the_interpreter_starts_cold(stage: Any, tmp_path: pathlib.Path) -> None:
    if not stage.launcher.features.isolate:
        pytest.skip(stage.launcher.features.reasons["isolate"])
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "extra.py").write_text("V = 5")
    target = str(_packages(stage.venv))
    spec = _spec(stage, "python", "-c", "import extra; print(extra.V)")
    mounts = (types.Mount(source=str(other), target=target),)
    outcome = await stage.run(dataclasses.replace(spec, mounts=mounts))
    assert outcome.stdout == "5\n"
    assert "mount" in (await _only(stage)).problem


_TOLD = """
import os, resource, socket
print(os.getuid(), os.getgid(), os.getgroups(), open("f").read(), socket.gethostname(), os.getcwd())
print(resource.getrlimit(resource.RLIMIT_NPROC), open("/proc/self/fd/1", "w").write("ok"), oct(os.umask(0)))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can choose users")
async def test_mounts_user_and_limits_hold_for_a_warm_start(stage: Any, open_folder: Any) -> None:
    if not stage.launcher.features.isolate:
        pytest.skip(stage.launcher.features.reasons["isolate"])
    stage.venv = stage.make_venv(open_folder, python="/usr/bin/python3")
    (open_folder / "f").write_text("mounted")
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    mounts = (types.Mount(source=str(open_folder), target="/warm/data", read_only=True),)
    found = []
    for warm in (True, False):
        program = stage.program(name="it", argv=("python", "-c", _TOLD))
        spec = stage.spec(program, warm=warm, cwd="/warm/data")
        changes = {
            "uid": 12345,
            "gid": 54321,
            "groups": (77,),
            "hostname": "pod-7",
            "mounts": mounts,
        }
        found.append(await stage.run(dataclasses.replace(spec, rlimits={"nproc": 500}, **changes)))
    assert "12345 54321 [77] mounted pod-7 /warm/data" in found[0].stdout
    assert found[0] == found[1]
    assert (await _only(stage)).went_cold == 0


async def test_no_two_children_share_random_numbers(stage: Any) -> None:
    stage.preload = ("random", "uuid", "tempfile", "secrets", "multiprocessing")
    code = (
        "import random, uuid, tempfile, secrets, multiprocessing as m\n"
        "print(random.random(), uuid.uuid4(), tempfile.mktemp(), secrets.token_hex(),"
        " bytes(m.current_process().authkey).hex(), m.process.ORIGINAL_DIR)"
    )
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    lines = [(await stage.run(_spec(stage, "python", "-c", code))).stdout.split() for _ in range(3)]
    for values in list(zip(*lines, strict=True))[:5]:
        assert len(set(values)) == 3
    assert {line[5] for line in lines} == {str(stage.folder)}
    assert (await _only(stage)).went_cold == 0


async def test_ps_shows_the_programs_own_command(stage: Any) -> None:
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    spec = _spec(stage, "python", "-c", "import time; time.sleep(1000)")
    state = await stage.launcher.start(spec)

    async def shown() -> bool:
        return _text(f"/proc/{state.pid}/cmdline").startswith("python -c import time")

    await _until(shown)
    await stage.launcher.signal(spec.id, signal.SIGKILL)


async def test_bounds_of_time_and_memory_are_kept(stage: Any) -> None:
    (state,) = await stage.prime(_spec(stage, "python", "-c", "pass"))
    await stage.launcher.limit_warm(types.WarmLimits(memory_bytes=1024**2))
    state = await _only(stage)
    assert (state.pid, state.ready) == (None, False)
    assert "1048576 bytes" in state.problem
    await stage.launcher.limit_warm(types.WarmLimits(memory_bytes=0))
    outcome = await stage.run(_spec(stage, "python", "-c", "print(3)"))
    assert outcome.stdout == "3\n"


async def test_a_pod_can_be_stopped_while_it_starts_and_runs(stage: Any) -> None:
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    spec = _spec(stage, "python", "-c", "import time; time.sleep(1000)")
    await stage.launcher.start(spec)
    await stage.launcher.signal(spec.id, signal.SIGTERM)
    state = await stage._end(spec.id)
    assert (state.exit_code, state.signal) == (143, 15)


_SERVES = """
import socket, sys
print(sys.stdin.isatty(), sys.stdout.isatty(), sys.stdout.line_buffering, sys.stdin.buffer.__class__.__name__)
server = socket.create_server(("0.0.0.0", 8099))
print(server.getsockname(), socket.create_connection(("localhost", 8099)).getpeername())
"""


@pytest.mark.parametrize("tty", [False, True])
async def test_terminal_and_address_are_as_in_a_cold_start(stage: Any, tty: bool) -> None:
    if not stage.launcher.features.interception:
        pytest.skip(stage.launcher.features.reasons["interception"])
    address = f"127.21.{os.getpid() % 250}.{1 + os.getpid() // 250 % 250}"
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    found = []
    for warm in (False, True):
        program = stage.program(name="it", argv=("python", "-c", _SERVES))
        spec = stage.spec(program, warm=warm, cwd=str(stage.folder))
        found.append(await stage.run(dataclasses.replace(spec, address=address, tty=tty)))
    assert dataclasses.replace(found[0], files={}) == dataclasses.replace(found[1], files={})
    assert f"('{address}', 8099)" in found[1].stdout
    state = await _only(stage)
    assert (state.started, state.went_cold) == (1, 0)


async def test_commands_run_inside_a_warm_container(stage: Any) -> None:
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    code = "import os, time; os.chdir('/'); open('/proc/self/comm').close(); time.sleep(1000)"
    spec = _spec(stage, "python", "-c", code, env={"MINE": "1"})
    state = await stage.launcher.start(spec)
    inside = ["sh", "-c", "echo $MINE; readlink /proc/self/ns/mnt"]
    done = await stage.launcher.execute(spec.id, inside, timeout_seconds=60)
    assert done.output.decode().split() == ["1", os.readlink(f"/proc/{state.pid}/ns/mnt")]  # noqa: PTH115
    await stage.launcher.signal(spec.id, signal.SIGKILL)
    assert (await stage._end(spec.id)).exit_code == 137


async def test_the_launcher_stays_small(stage: Any) -> None:
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    for _ in range(30):
        await stage.run(_spec(stage, "python", "-c", "pass"))
    (line,) = [
        one for one in _text(f"/proc/{stage.launcher.pid}/status").splitlines() if "VmRSS" in one
    ]
    assert int(line.split()[1]) < 15 * 1024


_ONCE = """
import os, sys, time
descriptor = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(descriptor, b"x")
time.sleep(0.05)
"""


@pytest.mark.slow
async def test_kills_at_any_moment_lose_nothing_and_run_nothing_twice(
    stage: Any, tmp_path: pathlib.Path
) -> None:
    """Warmed process and launcher die while containers start; each container runs once at most, and all are told."""
    (tmp_path / "once.py").write_text(_ONCE)
    await stage.prime(_spec(stage, "python", "once.py", str(tmp_path / "first")))
    told = []
    for number in range(60):
        specs = [
            _spec(stage, "python", "once.py", str(tmp_path / f"mark-{number}-{each}"))
            for each in range(3)
        ]
        starts = [asyncio.create_task(stage.launcher.start(spec)) for spec in specs]
        await asyncio.sleep(number % 12 / 1000)
        warmed = [state.pid for state in await _listed(stage) if state.pid is not None]
        victim = stage.launcher.pid if number % 10 == 9 else next(iter(warmed), None)
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
        await asyncio.gather(*starts, return_exceptions=True)
        for each, spec in enumerate(specs):
            told.append((tmp_path / f"mark-{number}-{each}", await _outcome(stage, spec)))
    for mark, state in told:
        text = mark.read_text() if mark.exists() else ""
        assert text in {"", "x"}
        assert text == "x" or state.error is not None or state.exit_code == 137, state
    assert await _no_stray(stage)


async def _listed(stage: Any) -> tuple[types.WarmState, ...]:
    try:
        found: tuple[types.WarmState, ...] = await stage.launcher.list_warm()
    except types.LauncherGoneError:
        return ()
    return found


async def _outcome(stage: Any, spec: types.ProcessSpec) -> types.ProcessState:
    """Return how it ended, having it started where the launcher did not get to it: the same id, so at most once."""
    while True:
        try:
            listed: tuple[types.ProcessState, ...] = await stage.launcher.list()
            known = {state.id: state for state in listed}
            if spec.id not in known:
                await stage.launcher.start(spec)
            elif not known[spec.id].running:
                return known[spec.id]
        except types.LauncherGoneError:
            pass
        await asyncio.sleep(0.02)


async def _no_stray(stage: Any) -> bool:
    async def quiet() -> bool:
        return not any(str(stage.folder) in name and "once.py" in name for name in _commands())

    return bool(await _until(quiet))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["", "/wherry-test-folder/inside"], ids=["plain", "own root"])
async def test_many_at_once_all_end_well(stage: Any, target: str) -> None:
    """A container's clean-up once killed another's child that had the number of its namespace again.

    With a folder of its own at the top, a child has another root before the launcher has read its pid.
    """
    await stage.prime(_spec(stage, "python", "-c", "pass"))
    room = asyncio.Semaphore(16)
    mounts = (types.Mount(str(stage.folder), target),) if target else ()

    async def one() -> int:
        async with room:
            spec = _spec(stage, "python", "-c", "pass")
            await stage.launcher.start(dataclasses.replace(spec, hostname="h", mounts=mounts))
            return int((await stage._end(spec.id)).exit_code)

    assert await asyncio.gather(*(one() for _ in range(800))) == [0] * 800
