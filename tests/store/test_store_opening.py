"""Opening: locks, permissions, damage. A damaged file stays as it was found."""

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from wherry import store
from wherry.store import Key, Store, StoreSettings

CRASH = """
import asyncio, os, sys, pathlib
from wherry.store import Key, Store, StoreSettings
async def main():
    s = Store.open(pathlib.Path(sys.argv[1]), settings=StoreSettings(checkpoint_pages=10_000))
    await s.start()
    for i in range(int(sys.argv[2])):
        await s.create(Key("pods", "default", f"p{i:04}"), {"metadata": {}, "x": "x" * 3000})
    os.kill(os.getpid(), 9)
asyncio.run(main())
"""


def contents(directory: Path) -> dict[str, bytes]:
    # The lock and the log's index are made anew by whoever opens the store.
    left_out = {"lock", "store.db-shm"}
    return {f.name: f.read_bytes() for f in directory.iterdir() if f.name not in left_out}


def fill(directory: Path, count: int = 200) -> None:
    async def write() -> None:
        async with Store.open(directory) as s:
            for start in range(0, count, 50):
                await asyncio.gather(
                    *(
                        s.create(Key("pods", "default", f"p{i}"), {"x": "x" * 1000})
                        for i in range(start, start + 50)
                    )
                )

    asyncio.run(write())


def crash(directory: Path, count: int = 40) -> Path:
    done = subprocess.run([sys.executable, "-c", CRASH, directory, str(count)], check=False)
    assert done.returncode == -signal.SIGKILL
    return directory / "store.db-wal"


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0xFF
    path.write_bytes(data)


def refused(directory: Path, match: str) -> store.StoreDamagedError:
    before = contents(directory)
    with pytest.raises(store.StoreDamagedError, match=match) as error:
        Store.open(directory)
    assert contents(directory) == before
    assert "Nothing in it has been changed" in str(error.value)
    assert str(directory) in str(error.value)
    return error.value


def test_directory_and_files_are_for_this_user_alone(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "store"
    crash(directory, 1)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in directory.iterdir()}
    assert set(modes) >= {"lock", "store.db", "store.db-wal"}
    assert set(modes.values()) == {0o600}


async def test_a_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    script = (
        "import sys, pathlib; from wherry.store import Store; Store.open(pathlib.Path(sys.argv[1]))"
    )
    second = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False
    )
    assert second.returncode == 1
    assert f"{tmp_path} is in use by process {os.getpid()}" in second.stderr
    assert f"`kill {os.getpid()}`, or use another data directory" in second.stderr
    with pytest.raises(store.StoreLockedError) as error:
        Store.open(tmp_path)
    assert (error.value.pid, error.value.directory) == (os.getpid(), tmp_path)
    await first.close()
    await Store.open(tmp_path).close()


async def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    child = subprocess.Popen(["sleep", "60"], close_fds=False)  # noqa: ASYNC220 - only started
    try:
        await first.close()
        await Store.open(tmp_path).close()
    finally:
        child.kill()
        child.wait()


async def test_an_unreadable_lock_file_still_gives_a_message(tmp_path: Path) -> None:
    first = Store.open(tmp_path)
    (tmp_path / "lock").write_text("nonsense")
    with pytest.raises(store.StoreLockedError, match="in use by another process"):
        Store.open(tmp_path)
    await first.close()


def test_a_failed_open_gives_the_lock_back(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, but some text of sufficient length")
    for _ in range(2):
        refused(tmp_path, "it is not an SQLite database")


def test_a_path_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(store.StoreOpenError, match=r"cannot make the directory .*file"):
        Store.open(tmp_path / "file")
    (tmp_path / "store.db").mkdir()
    with pytest.raises(store.StoreOpenError, match=r"cannot read .*store.db"):
        Store.open(tmp_path)
    (tmp_path / "other" / "lock").mkdir(parents=True)
    with pytest.raises(store.StoreOpenError, match=r"cannot write .*lock"):
        Store.open(tmp_path / "other")


def test_a_directory_that_cannot_be_written() -> None:
    # Root could write anywhere, so that it becomes nobody; and nobody cannot reach `tmp_path`.
    script = (
        "import os, sys, pathlib; from wherry.store import Store;"
        "os.geteuid() or os.setuid(65534); Store.open(pathlib.Path(sys.argv[1]))"
    )
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        fill(directory)
        before = contents(directory)
        directory.chmod(0o555)
        child = subprocess.run(
            [sys.executable, "-c", script, directory], capture_output=True, text=True, check=False
        )
        assert contents(directory) == before
        directory.chmod(0o700)
    assert "StoreOpenError" in child.stderr
    if os.geteuid() == 0:
        assert f"cannot write {directory}/lock: Permission denied" in child.stderr
        assert "choose another data directory" in child.stderr
    else:  # the lock file is the user's own, so that the database is what cannot be opened
        assert "a directory with free space that this user can write to" in child.stderr


def test_damaged_pages_are_found(tmp_path: Path) -> None:
    fill(tmp_path)
    path = tmp_path / "store.db"
    sound = path.read_bytes()
    for page in range(0, len(sound) // 4096, 7):
        path.write_bytes(sound[: page * 4096] + b"\xa5" * 4096 + sound[(page + 1) * 4096 :])
        refused(tmp_path, r"store.db is damaged|not an SQLite database")
    path.write_bytes(sound)
    asyncio.run(Store.open(tmp_path).close())


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_found(tmp_path: Path, part: float) -> None:
    fill(tmp_path)
    path = tmp_path / "store.db"
    os.truncate(path, int(path.stat().st_size * part))
    refused(tmp_path, "is damaged")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE revisions SET value = replace(value, 'x', 'y') WHERE revision = 7",
        "UPDATE revisions SET name = 'other' WHERE revision = 7",
        "UPDATE revisions SET deleted = 1 WHERE revision = 7",
        "UPDATE revisions SET revision = 1000 WHERE revision = 7",
    ],
)
def test_rows_that_were_changed_are_found(tmp_path: Path, change: str) -> None:
    fill(tmp_path)
    database = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    database.execute(change.replace("replace(value, 'x', 'y')", "CAST('{}' AS BLOB)"))
    database.close()
    damaged = refused(tmp_path, r"revision (7|1000) \(pods/default/.*\) does not have its checksum")
    assert damaged.path == tmp_path / "store.db"
    assert "Restore" in str(damaged)


@pytest.mark.parametrize(
    ("pragma", "match"),
    [
        ("user_version = 2", "its layout is version 2, and this Wherry reads version 1"),
        ("application_id = 5", "it is a database of another program"),
    ],
)
def test_files_of_others_are_left_alone(tmp_path: Path, pragma: str, match: str) -> None:
    fill(tmp_path)
    database = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    database.execute(f"PRAGMA {pragma}")
    database.close()
    refused(tmp_path, match)


def test_a_lost_table_is_found(tmp_path: Path) -> None:
    fill(tmp_path)
    database = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    database.execute("DROP TABLE revisions")
    database.close()
    refused(tmp_path, "no such table")


async def test_a_file_without_tables_is_new(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    database.execute("PRAGMA journal_mode = WAL")
    database.close()
    async with Store.open(tmp_path) as s:
        assert (await s.create(Key("pods", "", "a"), {})).revision == 1


def test_a_log_without_its_file_is_found(tmp_path: Path) -> None:
    crash(tmp_path)
    (tmp_path / "store.db").unlink()
    refused(tmp_path, "missing or empty, but its log store.db-wal is there")


@pytest.mark.parametrize(
    ("place", "match"),
    [
        (lambda size: size // 3, "it breaks off after frame"),
        (lambda _: 18, "its header is damaged"),
    ],
)
def test_a_damaged_log_does_not_lose_writes_in_silence(
    tmp_path: Path, place: Callable[[int], int], match: str
) -> None:
    log = crash(tmp_path)
    flip(log, place(log.stat().st_size))
    refused(tmp_path, match)


@pytest.mark.parametrize("cut", [1, 3000, 5000])
def test_a_torn_end_of_the_log_is_what_a_crash_leaves(tmp_path: Path, cut: int) -> None:
    log = crash(tmp_path)
    os.truncate(log, log.stat().st_size - cut)
    s = Store.open(tmp_path)
    assert 38 <= s.revision <= 39
    asyncio.run(s.close())


def test_the_log_of_a_crash_is_read(tmp_path: Path) -> None:
    crash(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for name in "ab":
        s = Store.open(tmp_path / name, settings=StoreSettings(history_changes=0))
        assert [r.key.name for r in s.list("pods").records] == [f"p{i:04}" for i in range(40)]
        asyncio.run(s.close())


def test_odd_directory_names(tmp_path: Path) -> None:
    directory = tmp_path / "50% off? #1 & \xe9"
    fill(directory)
    s = Store.open(directory)
    assert s.revision == 200
    asyncio.run(s.close())


def test_a_file_that_another_program_holds(tmp_path: Path) -> None:
    fill(tmp_path)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(store.StoreOpenError, match=r"database is locked|unable to open"):
        Store.open(tmp_path)
    other.execute("ROLLBACK")
    other.close()
    asyncio.run(Store.open(tmp_path).close())
