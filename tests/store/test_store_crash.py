"""`kill -9` at random moments: every acknowledged write is there, and revisions never go back."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wherry.store import Key, Store, StoreSettings

WRITER = """
import asyncio, os, pathlib, random, sys
from wherry.store import Key, Store, StoreSettings

async def writer(s, number, round):
    key = Key("pods", f"ns{number % 3}", f"w{number}")
    pause = random.Random(number + 1000 * round)
    for version in range(1_000_000):
        value = {"metadata": {}, "round": round, "version": version, "x": "x" * pause.randrange(3000)}
        head = s.head(key)
        if head is None:
            done = await s.create(key, value)
        elif version % 7 == 3:
            done = await s.delete(key, value)
        else:
            done = await s.update(key, value, expected=head.revision)
        gone = version % 7 == 3 and head is not None
        os.write(1, f"{done.revision} {number} {version} {int(gone)}\\n".encode())

async def main():
    bounds = StoreSettings(history_changes=500, compaction_rows=20, checkpoint_pages=200)
    s = Store.open(pathlib.Path(sys.argv[1]), settings=bounds)
    await s.start()
    os.write(1, f"{s.revision} open\\n".encode())
    await asyncio.gather(*(writer(s, number, int(sys.argv[2])) for number in range(32)))

asyncio.run(main())
"""


def run_and_kill(directory: Path, round_: int, seconds: float) -> list[list[int]]:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, directory, str(round_)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child, child.stdout as output:
        opened = output.readline().split()
        assert opened[1] == b"open"
        deadline = time.monotonic() + seconds
        lines = []
        for line in output:
            lines.append(line)
            if time.monotonic() >= deadline:
                child.kill()
                break
        lines += output.readlines()
    acknowledged = [[int(word) for word in line.split()] for line in lines if line.endswith(b"\n")]
    assert all(row[0] > int(opened[0]) for row in acknowledged)
    return acknowledged


def check(directory: Path, acknowledged: list[list[int]], round_: int) -> int:
    """Look for what was acknowledged; return the revision."""
    s = Store.open(directory, settings=StoreSettings(history_changes=500))
    last = {number: (revision, version, gone) for revision, number, version, gone in acknowledged}
    for number, (revision, version, gone) in last.items():
        record = s.get(Key("pods", f"ns{number % 3}", f"w{number}"))
        if record is None:
            # Deleted as acknowledged, or by the one write that had not been answered yet.
            assert gone or (version + 1) % 7 == 3, (number, revision, version)
            continue
        assert record.revision >= revision
        if record.revision == revision:
            assert not gone
            assert (record.value()["round"], record.value()["version"]) == (round_, version)
        else:
            assert record.value()["version"] == version + 1
    assert s.revision >= max(row[0] for row in acknowledged)
    revision = s.revision
    asyncio.run(s.close())
    return revision


def rounds(directory: Path, count: int, seed: int) -> None:
    moments = random.Random(seed)
    revision = 0
    for round_ in range(count):
        acknowledged = run_and_kill(directory, round_, moments.uniform(0, 0.25))
        assert len({row[0] for row in acknowledged}) == len(acknowledged)
        assert min(row[0] for row in acknowledged) > revision
        revision = check(directory, acknowledged, round_)


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    rounds(tmp_path, 8, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_in_many_rounds(tmp_path: Path) -> None:
    rounds(tmp_path, 50, seed=2)
