"""A child that has been forked and unshared ahead: used, replaced, and never other than one that is made now."""

import contextlib
import os
import pathlib
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from wherry.kubelet.launcher import ahead, types


def _children(box: Any) -> set[int]:
    pid = box.launcher.pid
    return {
        int(one) for one in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    }


def _namespace(pid: int) -> str:
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/ns/mnt").readlink().name
    return ""


@pytest.fixture
async def waiting(isolated: Any, eventually: Any) -> Any:
    """Give a launcher of which a child waits, in namespaces of its own."""
    if isolated.launcher.features.user_namespace:
        pytest.skip("children are made ahead by root only")
    await _apart(isolated, eventually)
    return isolated


async def _apart(box: Any, eventually: Any) -> int:
    """Have a child wait in namespaces of its own, and return its pid.

    Whatever anybody mounts on the machine meanwhile sends it back for good: then the next one is asked for.
    """
    own = _namespace(os.getpid())

    def apart() -> bool:
        found = _children(box)
        return len(found) == 1 and _namespace(min(found)) not in {"", own}

    for seconds in (2, 4, 8, 16, 30):
        await box.run(box.spec("true"))
        with contextlib.suppress(AssertionError):
            await eventually(apart, seconds=seconds)
            return min(_children(box))
    raise AssertionError("no child waits in namespaces of its own")


def _message(folder: pathlib.Path) -> types.Mount:
    (folder / "message").touch()
    return types.Mount(str(folder / "message"), "/dev/termination-log")


def _mount(folder: pathlib.Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "wherry-test", str(folder)], check=True)


def _unmount(folder: pathlib.Path) -> None:
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def mounted(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Give a folder over which something can be mounted on the machine."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


async def test_the_child_that_waits_becomes_the_next_container(waiting: Any) -> None:
    (spare,) = _children(waiting)
    state = await waiting.run(waiting.spec("true"))
    assert state.pid == spare


async def test_a_killed_child_is_missed_by_no_container(waiting: Any) -> None:
    (spare,) = _children(waiting)
    os.kill(spare, 9)
    states = [await waiting.run(waiting.spec("true")) for _ in range(3)]
    assert {state.exit_code for state in states} == {0}
    assert spare not in {state.pid for state in states}


async def test_it_holds_nothing_of_other_containers_open(waiting: Any, eventually: Any) -> None:
    running = await waiting.start(waiting.spec("sleep", "1000"))
    (spare,) = await eventually(lambda: _children(waiting) - {running.pid})

    def held() -> list[str]:
        found = []
        for one in pathlib.Path(f"/proc/{spare}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # it is closing them at this moment
                found.append(str(one.readlink()))
        return found

    await eventually(lambda: len(held()) < 12)
    await eventually(lambda: not [one for one in held() if one.startswith("pipe:")])


async def test_what_is_mounted_on_the_machine_meanwhile_is_there(
    waiting: Any, mounted: pathlib.Path
) -> None:
    _mount(mounted)
    (mounted / "file").write_text("new")
    assert await waiting.output_of(waiting.spec("cat", f"{mounted}/file")) == "new"


async def test_a_disk_that_is_taken_away_is_let_go_of(
    isolated: Any, mounted: pathlib.Path, eventually: Any
) -> None:
    if isolated.launcher.features.user_namespace:
        pytest.skip("children are made ahead by root only")
    _mount(mounted)
    spare = await _apart(isolated, eventually)
    _unmount(mounted)
    await eventually(lambda: _namespace(spare) == _namespace(os.getpid()))


@contextlib.contextmanager
def _new_file(folder: str) -> Iterator[pathlib.Path]:
    path = pathlib.Path(folder, f"wherry-test-{uuid.uuid4().hex}")
    path.write_text("new")
    try:
        yield path
    finally:
        path.unlink()


@pytest.mark.parametrize("folder", ["/dev", "/run"])
async def test_what_appears_in_a_covered_folder_is_there(waiting: Any, folder: str) -> None:
    with _new_file(folder) as path:
        assert await waiting.output_of(waiting.spec("cat", str(path))) == "new"


@pytest.mark.parametrize("source", ["/", "/dev", "/run", "/var/run"])
async def test_covered_folders_can_be_mounted_as_they_are(
    waiting: Any, source: str, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    below = "dev" if source == "/" else ""
    found = (pathlib.Path(source) / below).stat().st_dev
    spec = waiting.spec(
        "stat", "-c", "%d", f"{target}/{below}", mounts=(types.Mount(source, str(target)),)
    )
    assert int(await waiting.output_of(spec)) == found


def _devices() -> list[str]:
    found = []
    for path in sorted(pathlib.Path("/dev").iterdir(), key=lambda path: path.name):
        facts = path.lstat()
        if facts.st_rdev:
            owner = f"{facts.st_uid} {facts.st_gid}"
            found.append(f"{path.name} {facts.st_mode} {facts.st_rdev} {owner}")
    return found


async def test_devices_are_the_machines(waiting: Any, tmp_path: pathlib.Path) -> None:
    code = """if True:
        import os, pty, sys
        os.close(pty.openpty()[0])
        os.write(os.open("/dev/null", os.O_WRONLY), b"x")
        for name in sorted(os.listdir("/dev")):
            facts = os.lstat(f"/dev/{name}")
            if facts.st_rdev:
                print(name, facts.st_mode, facts.st_rdev, facts.st_uid, facts.st_gid)
    """
    spec = waiting.python(code, mounts=(_message(tmp_path),))
    assert (await waiting.output_of(spec)).splitlines() == _devices()


def test_room_can_be_given_up(tmp_path: pathlib.Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("children are made ahead by root only")
    before, child = _namespace(os.getpid()), os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            begun = ahead.Ahead.begun(str(tmp_path))
            assert begun is not None
            assert _namespace(os.getpid()) != before
            assert begun.take(None) is None
            os._exit(0 if _namespace(os.getpid()) == before else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


async def test_leftovers_that_see_no_mount_of_their_container_go_too(
    waiting: Any, eventually: Any, tmp_path: pathlib.Path
) -> None:
    code = f"""if True:
        import os, time
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.chroot({str(tmp_path)!r})
            time.sleep(1000)
        while os.readlink(f"/proc/{{pid}}/root") == "/":
            time.sleep(0.01)
        print(pid)
    """
    left = int(await waiting.output_of(waiting.python(code)))
    await eventually(lambda: not _namespace(left))
