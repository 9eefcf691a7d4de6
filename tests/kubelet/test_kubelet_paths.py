from pathlib import Path

import pytest

from wherry.kubelet import layout, mounts, payloads, process_ids
from wherry.kubelet.volume import Prepared


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "../x", "a\0b", "-a", "a..b", "x" * 300])
def test_a_name_that_leaves_its_folder_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="path"):
        layout.part(text)


def test_private_refuses_a_link_and_closes_an_open_folder(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    assert layout.private(folder).stat().st_mode & 0o777 == 0o700
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(PermissionError):
        layout.private(link)


def test_process_ids_round_trip_and_refuse_tricks() -> None:
    text = process_ids.make("0a1b-2c", "main", 3)
    assert process_ids.parse(text) == ("0a1b-2c", "main", 3)
    assert process_ids.parse("../../etc_main_0") is None
    with pytest.raises(ValueError, match="process"):
        process_ids.make("u", "../x", 0)


def test_sub_paths_stay_within_the_volume(tmp_path: Path) -> None:
    base = tmp_path / "volume"
    base.mkdir()
    (base / "out").symlink_to("/etc")
    (base / "in").symlink_to("real")
    (base / "real").mkdir()
    assert mounts.within(base, "in", make=False) == (base / "real").resolve()
    assert mounts.within(base, "new/deep", make=True).is_dir()
    for bad in ("../x", "/etc", "out", "out/passwd", "a/../../x"):
        with pytest.raises(mounts.MountError):
            mounts.within(base, bad, make=True)
    with pytest.raises(mounts.MountError, match="does not exist"):
        mounts.within(base, "missing", make=False)


def test_volume_mounts(tmp_path: Path) -> None:
    (tmp_path / "pod-a").mkdir()
    container = {
        "volumeMounts": [
            {"name": "v", "mountPath": "/data", "subPathExpr": "$(POD)", "readOnly": True},
            {"name": "v", "mountPath": "rel"},
        ]
    }
    found = mounts.volume_mounts(container, {"v": Prepared(tmp_path)}, {"POD": "pod-a"})
    assert [(m.source, m.target, m.read_only) for m in found] == [
        (str((tmp_path / "pod-a").resolve()), "/data", True),
        (str(tmp_path), "/rel", False),
    ]
    with pytest.raises(mounts.MountError, match="no volume"):
        mounts.volume_mounts({"volumeMounts": [{"name": "x", "mountPath": "/x"}]}, {}, {})


def test_a_payload_changes_in_one_step_and_only_if_it_differs(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    assert payloads.write(folder, {"a": payloads.File(b"1"), "d/b": payloads.File(b"2", 0o400)})
    assert (folder / "a").read_bytes() == b"1"
    assert (folder / "d" / "b").stat().st_mode & 0o777 == 0o400
    assert not payloads.write(folder, {"a": payloads.File(b"1"), "d/b": payloads.File(b"2", 0o400)})
    before = (folder / "..data").readlink()
    assert payloads.write(folder, {"a": payloads.File(b"3")})
    assert (folder / "a").read_bytes() == b"3"
    assert not (folder / "d").exists()
    assert (folder / "..data").readlink() != before
    names = {entry.name for entry in folder.iterdir()}
    assert names == {"..data", str((folder / "..data").readlink()), "a"}


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "..data", "a/..b"])
def test_payload_paths_cannot_leave(path: str) -> None:
    with pytest.raises(payloads.PayloadError):
        payloads.relative_path(path)


def test_items_choose_keys_and_modes() -> None:
    data = {"k": b"v", "other": b"o"}
    items = [{"key": "k", "path": "sub/name", "mode": 0o600}]
    assert payloads.select(data, items, mode=0o644, optional=False) == {
        "sub/name": payloads.File(b"v", 0o600)
    }
    with pytest.raises(payloads.PayloadError, match="missing"):
        payloads.select(data, [{"key": "missing", "path": "p"}], mode=0o644, optional=False)
    assert payloads.select(data, [{"key": "missing", "path": "p"}], mode=0o644, optional=True) == {}
