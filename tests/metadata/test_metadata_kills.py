"""What a process was told is stored is there, however it ended."""

import asyncio
import subprocess
import sys

import pytest

from wherry.metadata.store import Metadata

_WRITER = """
import asyncio, sys
from pathlib import Path
from wherry.metadata.records import Artifact, Execution, Values
from wherry.metadata.store import Metadata

async def main(where, durable):
    store = Metadata(where)
    async def save(number):
        made = Values({}, {"m": (Artifact(uri=str(number)),)})
        task = Execution(run="run", path=f"root/{number}", outputs=made)
        await store.save([task], durable=durable)
        print(number, flush=True)
    for start in range(0, 100000, 4):
        await asyncio.gather(*map(save, range(start, start + 4)))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "True"))
"""


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("lines", [1, 30, 101])
def test_a_killed_process_has_lost_nothing(tmp_path, durable, lines):
    where = tmp_path / "metadata.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(where), str(durable)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    with writer.stdout as output:
        told = [int(output.readline()) for _ in range(lines)]
        writer.kill()
        told += [
            int(line) for line in output.read().splitlines(keepends=True) if line.endswith("\n")
        ]
    writer.wait(90)

    async def read():
        store = Metadata(where)
        found = await store.of_run("run")
        await store.close()
        return found

    rows = {row.path: row for row in asyncio.run(read())}
    assert {f"root/{number}" for number in told} <= rows.keys()
    for path, row in rows.items():
        assert [each.uri for each in row.outputs.artifacts["m"]] == [path.removeprefix("root/")]
