import asyncio
import pathlib
from typing import Any

import pytest

from wherry.kubelet.launcher import types


async def test_a_command_runs_inside(isolated: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "source").mkdir()
    mounts = (types.Mount(str(tmp_path / "source"), "/wherry-in/side"),)
    spec = isolated.spec(
        *("sleep", "1000"), mounts=mounts, hostname="inside", env={"A": "b"}, cwd="/wherry-in"
    )
    await isolated.start(spec)
    script = "pwd; uname -n; echo $A; ls /wherry-in; echo bad >&2; exit 3"
    done = await isolated.launcher.execute(spec.id, ["sh", "-c", script], timeout_seconds=60)
    assert done == types.Execution(exit_code=3, output=b"/wherry-in\ninside\nb\nside\nbad\n")


async def test_bounds_hold(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    line, seconds = ["sh", "-c", "echo begun; sleep 1000"], 0.3
    slow = await box.launcher.execute(spec.id, line, timeout_seconds=seconds)
    while not slow.output and seconds < 30:  # a slow machine has not got to the first word so soon
        seconds *= 10
        slow = await box.launcher.execute(spec.id, line, timeout_seconds=seconds)
    assert (slow.timed_out, slow.exit_code, slow.output) == (True, 137, b"begun\n")
    loud = await box.launcher.execute(
        spec.id, ["head", "-c", "1000000", "/dev/zero"], timeout_seconds=60, max_output_bytes=1000
    )
    assert (loud.exit_code, loud.truncated, len(loud.output)) == (0, True, 1000)


async def test_problems_are_told(box: Any) -> None:
    spec = box.spec("cat", stdin=True)
    await box.start(spec)
    missing = await box.launcher.execute(spec.id, ["no-such-program"], timeout_seconds=60)
    assert missing.exit_code == 127
    assert b"not found" in missing.output
    await box.launcher.write_stdin(spec.id, b"", close=True)
    await box.end_of(spec.id)
    with pytest.raises(types.LauncherError, match="has finished"):
        await box.launcher.execute(spec.id, ["true"], timeout_seconds=60)
    with pytest.raises(types.UnknownProcessError):
        await box.launcher.execute("nobody", ["true"], timeout_seconds=60)


async def test_a_command_ends_with_its_container(
    box: Any, tmp_path: pathlib.Path, eventually: Any
) -> None:
    spec = box.spec("cat", stdin=True)
    await box.start(spec)
    script = f"touch {tmp_path}/begun; exec sleep 1000"
    command = asyncio.create_task(
        box.launcher.execute(spec.id, ["sh", "-c", script], timeout_seconds=100)
    )
    await eventually((tmp_path / "begun").exists)
    await box.launcher.write_stdin(spec.id, b"", close=True)
    done = await command
    assert (done.exit_code, done.timed_out) == (137, False)


async def test_the_loop_goes_on_meanwhile(box: Any, tmp_path: pathlib.Path) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    script = f"while [ ! -e {tmp_path}/over ]; do sleep 0.02; done"
    waiting = asyncio.create_task(
        box.launcher.execute(spec.id, ["sh", "-c", script], timeout_seconds=100)
    )
    for _ in range(5):
        assert (await box.run(box.spec("true"))).exit_code == 0
    assert not waiting.done()
    (tmp_path / "over").touch()
    assert (await waiting).exit_code == 0
