import os
import pathlib
from typing import Any

import pytest

from wherry.kubelet.launcher import sandbox, types


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("content\n")
    return folder


def _names(path: str) -> set[str]:
    return {entry.name for entry in pathlib.Path(path).iterdir()}


def _exists(path: str) -> bool:
    return pathlib.Path(path).exists()


def _is_dir(path: pathlib.Path) -> bool:
    return path.is_dir()


def _text(path: str) -> str:
    return pathlib.Path(path).read_text()


DEEP = (
    "/wherry-new/deep/path",
    "/etc/wherry-new/config",
    "/usr/local/wherry-new",
    "/var/run/secrets/wherry.io/token",
)


@pytest.mark.parametrize("target", DEEP)
async def test_a_folder_appears_at_a_path_that_the_host_lacks(
    isolated: Any, source: pathlib.Path, target: str
) -> None:
    path = pathlib.Path(target)
    parents = [str(parent) for parent in path.parents if _is_dir(parent)]
    made = next(part for part in reversed((path, *path.parents)) if not part.exists())
    before = _names(parents[0])
    script = (
        f"cat {target}/file; echo new > {target}/made; echo same > {target}/sub/x; ls {parents[0]}"
    )
    spec = isolated.spec("sh", "-c", script, mounts=(types.Mount(str(source), target),))
    lines = (await isolated.output_of(spec)).splitlines()
    assert lines[0] == "content"
    # What others remove from there meanwhile it need not show.
    kept = {name for name in before & _names(parents[0]) if not name.startswith(".")}
    assert kept | {made.name} <= {*lines[1:]}
    assert (source / "made").read_text() == "new\n"
    assert not _exists(str(made))


async def test_all_at_once_with_a_missing_folder_to_work_in(
    isolated: Any, source: pathlib.Path
) -> None:
    mounts = tuple(types.Mount(str(source), target) for target in DEEP)
    script = "pwd; cat " + " ".join(f"{target}/file" for target in DEEP) + "; echo x > here; ls"
    spec = isolated.spec("sh", "-c", script, mounts=mounts, cwd="/wherry-work/dir")
    lines = (await isolated.output_of(spec)).splitlines()
    assert lines == ["/wherry-work/dir", *["content"] * 4, "here"]
    assert not _exists("/wherry-work")


async def test_a_file_is_laid_over_an_existing_one(isolated: Any, tmp_path: pathlib.Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.9.9.9 my-service\n")
    before = _text("/etc/hosts")
    mounts = (types.Mount(str(hosts), "/etc/hosts"), types.Mount(str(hosts), "/etc/wherry-file"))
    code = "cat /etc/hosts /etc/wherry-file; getent hosts my-service"
    spec = isolated.spec("sh", "-c", code, mounts=mounts)
    lines = (await isolated.output_of(spec)).splitlines()
    assert lines[:2] == ["127.9.9.9 my-service"] * 2
    assert lines[2].split() == ["127.9.9.9", "my-service"]
    assert _text("/etc/hosts") == before


async def test_read_only_refuses_writes(isolated: Any, source: pathlib.Path) -> None:
    mounts = (types.Mount(str(source), "/wherry-ro", read_only=True),)
    script = (
        "echo x > /wherry-ro/file; echo x > /wherry-ro/new; rm /wherry-ro/file; cat /wherry-ro/file"
    )
    spec = isolated.spec("sh", "-c", script, mounts=mounts)
    text = await isolated.output_of(spec)
    assert text.count("Read-only file system") == 3
    assert text.endswith("content\n")
    assert (source / "file").read_text() == "content\n"


async def test_a_tmpfs_is_empty_writable_and_bounded(isolated: Any) -> None:
    mounts = (types.Mount("", "/wherry-tmp", kind="tmpfs", size_bytes=1 << 20),)
    script = (
        "ls -A /wherry-tmp | wc -l; head -c 500000 /dev/zero > /wherry-tmp/a && echo fits; "
        "head -c 5000000 /dev/zero > /wherry-tmp/b || echo full"
    )
    spec = isolated.spec("sh", "-c", script, mounts=mounts)
    text = await isolated.output_of(spec)
    assert [line for line in text.splitlines() if "error" not in line] == ["0", "fits", "full"]


async def test_mounts_nest_in_any_order(
    isolated: Any, source: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    read_only = tmp_path / "config"
    read_only.mkdir()
    (read_only / "key").write_text("value\n")
    mounts = (
        types.Mount(str(source), "/wherry-v/in/side"),
        types.Mount(str(volume), "/wherry-v"),
        types.Mount(str(source / "file"), "/wherry-c/extra"),
        types.Mount(str(read_only), "/wherry-c", read_only=True),
    )
    script = "cat /wherry-v/in/side/file /wherry-c/key /wherry-c/extra; echo kept > /wherry-v/new"
    spec = isolated.spec("sh", "-c", script, mounts=mounts)
    assert await isolated.output_of(spec) == "content\nvalue\ncontent\n"
    assert (volume / "new").read_text() == "kept\n"
    assert _names(str(read_only)) == {"key"}


async def test_symbolic_links_on_the_way_are_followed(
    isolated: Any, source: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "deep")
    mounts = (
        types.Mount(str(source), str(tmp_path / "link" / "new")),
        types.Mount(str(source), str(tmp_path / "dangling" / "x")),
    )
    script = f"cat {real}/new/file {tmp_path}/nowhere/deep/x/file {tmp_path}/dangling/x/file"
    spec = isolated.spec("sh", "-c", script, mounts=mounts)
    assert await isolated.output_of(spec) == "content\n" * 3
    assert _names(str(real)) == set()
    assert not (tmp_path / "nowhere").exists()


async def test_a_source_that_another_target_covers_is_still_the_hosts(
    isolated: Any, source: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    mounts = (
        types.Mount(str(other), str(source)),
        types.Mount(str(source / "file"), "/wherry-late/file"),
    )
    spec = isolated.spec("sh", "-c", f"ls {source}; cat /wherry-late/file", mounts=mounts)
    assert await isolated.output_of(spec) == "content\n"


async def test_the_launchers_own_folder_cannot_be_seen(isolated: Any) -> None:
    # The control plane's user may be the container's: its socket must not be in reach.
    code = f"""
import os
folder = {str(isolated.directory)!r}
print(os.stat(folder).st_mode & 0o777)
try: print(os.listdir(folder))
except PermissionError: print([])
"""
    assert await isolated.output_of(isolated.python(code)) == "0\n[]\n"


async def test_the_host_name_is_the_containers_own(isolated: Any) -> None:
    spec = isolated.spec("uname", "-n", hostname="web-0")
    assert await isolated.output_of(spec) == "web-0\n"
    assert os.uname().nodename != "web-0"


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        (types.Mount("/no/such/source", "/wherry-x"), ["/no/such/source", "No such file"]),
        (types.Mount("/etc/passwd", "/tmp"), ["/tmp", "file cannot be laid over a folder"]),
        (types.Mount("/etc", "/etc/passwd"), ["folder cannot be laid over a file"]),
        (types.Mount("/etc", "/etc/passwd/x"), ["/etc/passwd is a file"]),
        (types.Mount("/etc", "/proc/wherry/x"), ["/proc"]),
        (types.Mount("/etc", "/"), ["root"]),
    ],
)
async def test_what_cannot_be_made_is_named(
    isolated: Any, mount: types.Mount, words: list[str]
) -> None:
    state = await isolated.launcher.start(isolated.spec("true", mounts=(mount,)))
    assert state.exit_code == 128
    assert all(word in state.error for word in words), state.error


async def test_paths_with_dots_are_refused(box: Any) -> None:
    with pytest.raises(types.LauncherError, match=r"without '\.\.'"):
        await box.launcher.start(box.spec("true", mounts=(types.Mount("/etc", "/a/../../b"),)))


async def test_the_whole_host_can_be_a_volume(isolated: Any) -> None:
    mounts = (types.Mount("/", "/wherry-host", read_only=True),)
    spec = isolated.spec("sh", "-c", "cat /wherry-host/etc/passwd | head -1", mounts=mounts)
    assert (await isolated.output_of(spec)).startswith("root:")


def test_locate_stops_at_circles(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(sandbox.SandboxError, match="too many"):
        sandbox.locate(str(tmp_path / "a" / "x"))


async def test_without_isolation_a_link_stands_in(box: Any, source: pathlib.Path) -> None:
    target = source.parent / "appears"
    spec = box.spec(
        "cat", f"{target}/file", isolate=False, mounts=(types.Mount(str(source), str(target)),)
    )
    assert await box.output_of(spec) == "content\n"
    assert not target.is_symlink()


@pytest.mark.parametrize("target", ["/etc", "/no/parent/here"])
async def test_without_isolation_other_paths_are_refused(
    box: Any, source: pathlib.Path, target: str
) -> None:
    mounts = (types.Mount(str(source), target),)
    state = await box.launcher.start(box.spec("true", isolate=False, mounts=mounts))
    assert target in state.error
    assert "isolate" in state.error
