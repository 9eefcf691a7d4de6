"""Archives of strangers: what overlayfs needs of them, and that nothing gets out."""

import gzip
import hashlib
import io
import os
import shutil
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.kubelet.oci import rootfs, unpacking, zstd
from wherry.testing.images import digest, layer

BOUNDS = unpacking.Bounds(10 * 1024 * 1024, entries=100)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="devices and owners need root")


def entry(name: str, kind: bytes = tarfile.REGTYPE, **facts: Any) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type = kind
    found.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in facts.items():
        setattr(found, key, value)
    return found


def file(name: str, text: str = "", **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, **facts), text.encode()


def folder(name: str, **facts: Any) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, tarfile.DIRTYPE, **facts), b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, kind, linkname=target), b""


def unpacked(tmp_path: Path, *entries: tuple[tarfile.TarInfo, bytes], name: str = "fs") -> Path:
    archive, target = tmp_path / f"{name}.tar", tmp_path / name
    archive.write_bytes(layer(entries))
    target.mkdir(mode=0o755)
    found, size = unpacking.unpack(archive, target, BOUNDS)
    assert found == digest(archive.read_bytes())
    assert size == sum(len(content) for _, content in entries)
    return target


def test_files_with_all_that_belongs_to_them(tmp_path: Path) -> None:
    fs = unpacked(
        tmp_path,
        folder("./"),
        folder("a/", mode=0o1777, mtime=1000),
        file("a/program", "text", mode=0o4755, mtime=2000),
        link("a/same", "a/program", tarfile.LNKTYPE),
        link("a/soft", "/etc/passwd"),
        file("/absolute/deep/file", "x"),
    )
    program = (fs / "a/program").stat()
    assert (stat.S_IMODE(program.st_mode), program.st_mtime, program.st_nlink) == (0o4755, 2000, 2)
    assert (fs / "a/soft").readlink() == Path("/etc/passwd")
    assert stat.S_IMODE((fs / "a").stat().st_mode) == 0o1777
    assert (fs / "a").stat().st_mtime == 1000
    assert (fs / "absolute/deep/file").read_text() == "x"


def test_compressed(tmp_path: Path) -> None:
    plain = layer([file("a", "text")])
    (tmp_path / "x").write_bytes(gzip.compress(plain))
    (tmp_path / "fs").mkdir()
    assert unpacking.unpack(tmp_path / "x", tmp_path / "fs", BOUNDS) == (digest(plain), 4)


@needs_root
def test_marks_of_what_is_removed(tmp_path: Path) -> None:
    fs = unpacked(
        tmp_path,
        file("a/.wh.gone"),
        file("b/.wh..wh..opq"),
        file("c", "new"),
        file(".wh.c"),
        folder("d"),
        file(".wh.d"),
        file(".wh.e"),
        folder("e"),
    )
    facts = (fs / "a/gone").lstat()
    assert unpacking.is_whiteout(facts.st_mode, facts.st_rdev)
    for opaque in ("b", "d", "e"):
        assert os.getxattr(fs / opaque, "trusted.overlay.opaque") == b"y"
    assert (fs / "c").read_text() == "new"


@pytest.mark.parametrize("name", [".wh.", ".wh...", ".wh..", "a/.wh..."])
def test_marks_that_remove_folders_themselves(tmp_path: Path, name: str) -> None:
    with pytest.raises(unpacking.LayerError):
        unpacked(tmp_path, folder("a"), file(name))


@pytest.mark.parametrize("name", ["../out", "a/../../out", "..", "x/..", "a\0b", "a/" * 3000 + "b"])
def test_names_that_lead_out(tmp_path: Path, name: str) -> None:
    stranger = unpacking.Unpacker(tmp_path, BOUNDS)
    with pytest.raises(unpacking.LayerError):
        stranger.add(entry(name), lambda _: None)


@pytest.mark.parametrize("target", ["../../out", "/out", "..", "/", "loop"])
def test_links_do_not_lead_out(tmp_path: Path, target: str) -> None:
    """A link means what it means in the container: a path of the folder."""
    (tmp_path / "out").mkdir()
    entries = [link("loop", target), file("loop/x", "text")]
    if target == "loop":
        with pytest.raises(unpacking.LayerError, match="too many symbolic links"):
            unpacked(tmp_path, *entries)
        return
    fs = unpacked(tmp_path, *entries)
    assert [path.read_text() for path in fs.rglob("x")] == ["text"]
    assert not list((tmp_path / "out").iterdir())


def test_a_file_does_not_follow_a_link_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("safe")
    fs = unpacked(tmp_path, link("a", f"{tmp_path}/victim"), file("a", "evil"))
    assert (fs / "a").read_text() == "evil"
    assert (tmp_path / "victim").read_text() == "safe"


@pytest.mark.parametrize("target", ["/etc/passwd", "../victim", "soft/victim", "folder", "missing"])
def test_hard_links_stay_within(tmp_path: Path, target: str) -> None:
    (tmp_path / "victim").write_text("safe")
    entries = [
        folder("folder"),
        link("soft", str(tmp_path)),
        link("mine", target, tarfile.LNKTYPE),
    ]
    with pytest.raises(unpacking.LayerError):
        unpacked(tmp_path, *entries)
    assert (tmp_path / "victim").stat().st_nlink == 1


def test_a_hard_link_to_a_link_is_one_to_the_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("safe")
    victim = str(tmp_path / "victim")
    entries = [link("soft", victim), link("hard", "soft", tarfile.LNKTYPE), file("hard", "evil")]
    fs = unpacked(tmp_path, *entries)
    assert (fs / "soft").is_symlink()
    assert (tmp_path / "victim").read_text() == "safe"


def test_types_change_places(tmp_path: Path) -> None:
    fs = unpacked(
        tmp_path,
        file("a/b", "x"),
        file("a", "file now"),
        file("c", "x"),
        file("c/d", "folder now"),
        entry_pipe := (entry("pipe", tarfile.FIFOTYPE), b""),
    )
    assert (fs / "a").read_text() == "file now"
    assert (fs / "c/d").read_text() == "folder now"
    assert stat.S_ISFIFO((fs / entry_pipe[0].name).stat().st_mode)


@needs_root
def test_marks_of_overlayfs_itself_cannot_be_smuggled_in(tmp_path: Path) -> None:
    whiteout = entry("null", tarfile.CHRTYPE, devmajor=0, devminor=0)
    evil = entry("a", tarfile.DIRTYPE)
    evil.pax_headers = {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.user.mine": "kept",
    }
    fs = unpacked(tmp_path, (whiteout, b""), (evil, b""))
    assert not (fs / "null").exists()
    assert os.listxattr(fs / "a") == ["user.mine"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (layer([file(f"f{n}") for n in range(101)]), "more than 100 entries"),
        (layer([file("big", "x" * (11 * 1024 * 1024))]), "more than 10485760 bytes"),
        (gzip.compress(b"\0" * (64 * 1024 * 1024)), "larger than allowed"),
        (b"\x28\xb5\x2f\xfd....", "zstd|not a tar archive"),
        (b"no archive at all" * 100, "not a tar archive"),
        (gzip.compress(layer([file("a", "text")]))[:-20], "not a tar archive"),
        (b"", "not a tar archive"),
    ],
    # Of contents pytest would make names that tell the second at which gzip packed them.
    ids=("entries", "bytes", "bomb", "zstd", "text", "cut off", "empty"),
)
def test_bounds_and_nonsense(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x").write_bytes(content)
    (tmp_path / "fs").mkdir()
    with pytest.raises(unpacking.LayerError, match=message):
        unpacking.unpack(tmp_path / "x", tmp_path / "fs", BOUNDS)


def compressed(content: bytes) -> bytes:
    zstd = shutil.which("zstd")
    if zstd is None:
        pytest.skip("zstd is not installed")
    return subprocess.run([zstd, "-q", "-c"], input=content, capture_output=True, check=True).stdout


def test_layers_may_be_compressed_with_zstd(tmp_path: Path) -> None:
    plain = layer([file("large", "x" * 3_000_000), file("small", "text")])
    (tmp_path / "x").write_bytes(compressed(plain))
    (tmp_path / "fs").mkdir()
    digest, size = unpacking.unpack(
        tmp_path / "x", tmp_path / "fs", unpacking.Bounds(size_bytes=10**7)
    )
    assert digest == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert (tmp_path / "fs/small").read_text() == "text"
    assert size == 3_000_004


@pytest.mark.parametrize("spoilt", ["cut off", "bomb"])
def test_what_zstd_makes_of_a_layer_is_bounded_and_checked(tmp_path: Path, spoilt: str) -> None:
    if spoilt == "bomb":
        content, message = compressed(b"\0" * (64 * 1024 * 1024)), "larger than allowed"
    else:
        content = compressed(layer([file("a", os.urandom(400_000).hex())]))[:-2000]
        message = "damaged|not a tar archive"
    (tmp_path / "x").write_bytes(content)
    (tmp_path / "fs").mkdir()
    with pytest.raises(unpacking.LayerError, match=message):
        unpacking.unpack(tmp_path / "x", tmp_path / "fs", BOUNDS)


def test_without_zstd_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zstd, "_PATH", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "x").write_bytes(zstd.MAGIC + b"....")
    (tmp_path / "fs").mkdir()
    with pytest.raises(unpacking.LayerError, match="install that program"):
        unpacking.unpack(tmp_path / "x", tmp_path / "fs", BOUNDS)


def test_extended_headers_are_bounded(tmp_path: Path) -> None:
    """They would be read into memory whole."""
    buffer = io.BytesIO()
    long = entry("long", tarfile.GNUTYPE_LONGNAME)
    long.size = 5 * 1024 * 1024
    buffer.write(long.tobuf(tarfile.GNU_FORMAT))
    buffer.write(b"a" * long.size)
    (tmp_path / "x").write_bytes(buffer.getvalue())
    (tmp_path / "fs").mkdir()
    with pytest.raises(unpacking.LayerError, match="a header of the layer"):
        unpacking.unpack(tmp_path / "x", tmp_path / "fs", BOUNDS)


def test_folders_that_became_links_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out" / "b").mkdir(parents=True)
    os.utime(tmp_path / "out" / "b", (5000, 5000))
    unpacked(tmp_path, folder("a"), folder("a/b", mtime=1000), link("a", str(tmp_path / "out")))
    assert (tmp_path / "out" / "b").stat().st_mtime == 5000


def evil(stream: BinaryIO) -> None:
    stream.write(b"evil")


NAMES = st.lists(st.sampled_from(["a", "b", "c", "..", ".", "", ".wh.a", "out"]), max_size=4)
ENTRIES = st.tuples(
    NAMES.map("/".join),
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]),
    NAMES.map("/".join),
)


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(st.lists(ENTRIES, max_size=8))
def test_no_archive_writes_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, str]]
) -> None:
    around = tmp_path_factory.mktemp("around")
    (around / "out").mkdir()
    (around / "out" / "a").write_text("safe")
    stranger = unpacking.Unpacker(around / "fs", BOUNDS)
    (around / "fs").mkdir()
    for name, kind, target in entries:
        try:
            stranger.add(entry(name, kind, linkname=target), evil)
        except (unpacking.LayerError, FileNotFoundError):
            break
    assert {path.name for path in around.iterdir()} == {"fs", "out"}
    assert [path.name for path in (around / "out").iterdir()] == ["a"]
    assert (around / "out" / "a").read_text() == "safe"
    assert (around / "out" / "a").stat().st_nlink == 1


@needs_root
def test_copied_over_one_another_as_mounted(tmp_path: Path) -> None:
    """What `flatten` makes is what overlayfs would show."""
    low, high = tmp_path / "low", tmp_path / "high"
    for path in (low, high):
        path.mkdir()
    unpacked(
        low,
        file("kept", "low"),
        file("changed", "low"),
        file("gone", "low"),
        file("opaque/old", "low"),
        file("turned/into", "low"),
    )
    unpacked(
        high,
        file("changed", "high", mode=0o4711, uid=5, gid=6),
        link("again", "changed", tarfile.LNKTYPE),
        file(".wh.gone"),
        file("opaque/.wh..wh..opq"),
        file("opaque/new", "high"),
        file("turned", "high"),
    )
    rootfs.flatten(tmp_path, ["low/fs", "high/fs"], tmp_path)
    root = tmp_path / "rootfs"
    found = {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}
    assert found == {
        "kept": "low",
        "changed": "high",
        "again": "high",
        "opaque/new": "high",
        "turned": "high",
    }
    facts = (root / "changed").stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o4711, 5, 6)
    assert facts.st_ino == (root / "again").stat().st_ino
