import asyncio
import pathlib
import time
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
    done = await isolated.launcher.execute(spec.id, ["sh", "-c", script], timeout_seconds=10)
    assert done == types.Execution(exit_code=3, output=b"/wherry-in\ninside\nb\nside\nbad\n")


async def test_bounds_hold(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    began = time.monotonic()
    slow = await box.launcher.execute(
        spec.id, ["sh", "-c", "echo begun; sleep 1000"], timeout_seconds=0.3
    )
    assert (slow.timed_out, slow.exit_code, slow.output) == (True, 137, b"begun\n")
    assert time.monotonic() - began < 5
    loud = await box.launcher.execute(
        spec.id, ["head", "-c", "1000000", "/dev/zero"], timeout_seconds=10, max_output_bytes=1000
    )
    assert (loud.exit_code, loud.truncated, len(loud.output)) == (0, True, 1000)


async def test_problems_are_told(box: Any) -> None:
    spec = box.spec("sleep", "0.2")
    await box.start(spec)
    missing = await box.launcher.execute(spec.id, ["no-such-program"], timeout_seconds=10)
    assert missing.exit_code == 127
    assert b"not found" in missing.output
    await box.end_of(spec.id)
    with pytest.raises(types.LauncherError, match="has finished"):
        await box.launcher.execute(spec.id, ["true"], timeout_seconds=10)
    with pytest.raises(types.UnknownProcessError):
        await box.launcher.execute("nobody", ["true"], timeout_seconds=10)


async def test_a_command_ends_with_its_container(box: Any) -> None:
    spec = box.spec("sleep", "0.3")
    await box.start(spec)
    done = await box.launcher.execute(spec.id, ["sleep", "1000"], timeout_seconds=100)
    assert (done.exit_code, done.timed_out) == (137, False)


async def test_the_loop_goes_on_meanwhile(box: Any) -> None:
    spec = box.spec("sleep", "1000")
    await box.start(spec)
    waiting = asyncio.create_task(
        box.launcher.execute(spec.id, ["sleep", "1000"], timeout_seconds=1)
    )
    for _ in range(5):
        assert (await box.run(box.spec("true"))).exit_code == 0
    assert not waiting.done()
    assert (await waiting).timed_out
