"""Large artifacts: not copied where they need not be, whole where they are, nothing where a server dies meanwhile."""

import asyncio
import hashlib
import threading
from pathlib import Path

import pytest

from wherry.metadata.lists import Filter
from wherry.metadata.store import Metadata
from wherry.objects import metadata
from wherry.pipelines import kinds, status
from wherry.testing import environments, object_stores
from wherry.testing.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "stores.txt"
OUT = "{{$.outputs.parameters['out'].output_file}}"
MADE = "{{$.outputs.artifacts['data'].path}}"
READ = "{{$.inputs.artifacts['data'].path}}"
GIB = 1024**3
MIB = 1024**2
SECONDS = 600
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def store(tmp_path):
    """A server of the test's own, which keeps everything in files, and may be killed."""
    environment = environments.environment(PINS, ROOT / "build" / "clients")
    made = object_stores.rclone(environment, tmp_path / "store")
    made.start()
    yield made
    made.kill()


def through(pipeline, size, **fields):
    """Return a pipeline whose second step adds up what the first one made of chance, and did too."""
    made = pipeline()
    made.step(
        "make",
        f"mkdir -p $(dirname {MADE}); head -c {size} /dev/urandom > {MADE}; "
        f"sha256sum < {MADE} | cut -d' ' -f1 | tr -d '\\n' > {OUT}",
        outputs={"out": "STRING"},
        makes=["data"],
    )
    made.step(
        "read",
        f"sha256sum < {READ} | cut -d' ' -f1 | tr -d '\\n' > {OUT}",
        outputs={"out": "STRING"},
        reads=["data"],
    )
    made.task("make", **fields)
    made.task("read", artifacts={"data": ("make", "data")}, **fields)
    made.output("made", "make", "out")
    made.output("read", "read", "out")
    return made.spec()


def ended(runs, name="run"):
    """Return a run once it has ended: bytes take their time."""

    def look():
        run = runs.get(name)
        return run if status.is_finished(run) else {}

    return eventually(look, SECONDS, what=f"the end of {name}")


def is_whole(runs, run, store):
    """Tell whether both steps and the store have the same, and the store has it once."""
    outputs = run["status"]["outputs"]
    uri = runs.rows(run)["root/make"].outputs.artifacts["data"][0].uri
    kept = store.keeps / uri.removeprefix("s3://")
    with kept.open("rb") as file:
        stored = hashlib.file_digest(file, "sha256").hexdigest()
    return outputs["made"] == outputs["read"] == stored


def artifacts(runs):
    """Return all artifacts of the runs' namespace."""

    async def asked():
        store = Metadata(runs.platform.directory / "products" / "metadata" / "metadata.db")
        try:
            return (await store.artifacts(Filter(namespace=runs.namespace))).items
        finally:
            await store.close()

    return asyncio.run(asked())


def test_in_a_folder_nothing_is_copied(runs, pipeline):
    made = pipeline()
    size = 5 * GIB
    made.step(
        "make",
        f"mkdir -p $(dirname {MADE}); truncate -s {size} {MADE}; printf last >> {MADE}",
        makes=["data"],
    )
    made.step(
        "read", f"tail -c 4 {READ} > {OUT}; stat -c %i {READ} >> {OUT}", outputs={"out": "STRING"},
        reads=["data"],
    )  # fmt: skip
    made.task("make")
    made.task("read", artifacts={"data": ("make", "data")})
    made.output("out", "read", "out")
    runs.start(made.spec())
    run = ended(runs)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    uid = metadata.uid(run)
    (kept,) = [
        path.stat()
        for path in runs.platform.directory.rglob(f"*/{uid}/**/*")
        if path.is_file() and path.stat().st_size > GIB
    ]
    assert run["status"]["outputs"]["out"] == f"last{kept.st_ino}\n"
    assert kept.st_size == size + 4
    assert kept.st_blocks * 512 < MIB


def test_what_is_brought_through_a_store_is_whole_and_never_all_in_memory(runs, pipeline, store):
    runs.keep_in(store)
    with _Peak() as peak:
        runs.start(through(pipeline, 384 * MIB))
        run = ended(runs)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert is_whole(runs, run, store)
    assert 0 < peak.bytes < 350 * MIB


def test_an_upload_that_breaks_off_leaves_no_result(runs, pipeline, store):
    runs.keep_in(store)
    spec = through(pipeline, 192 * MIB, cachingOptions={"enableCache": True})
    runs.start(spec)
    _kill_while(store, "rchar")
    run = ended(runs)
    assert run["status"]["state"] == kinds.FAILED
    assert "outputs could not be stored: s3://bucket/root" in run["status"]["message"]
    rows = runs.rows(run)
    assert not rows["root/make"].outputs.artifacts
    assert rows["root/read"].state == "SKIPPED"
    assert artifacts(runs) == ()
    store.start()
    runs.start(spec, "again")
    again = ended(runs, "again")
    assert again["status"]["state"] == kinds.SUCCEEDED, again["status"]
    assert not runs.rows(again)["root/make"].cached_from
    assert is_whole(runs, again, store)


@pytest.mark.parametrize(("task", "transfer"), [("make", "rchar"), ("read", "wchar")])
def test_what_is_tried_again_goes_well_when_the_server_is_back(
    runs, pipeline, store, task, transfer
):
    runs.keep_in(store)
    policy = {"maxRetryCount": 9, "backoffDuration": "1s", "backoffFactor": 1}
    run = runs.start(through(pipeline, 192 * MIB, retryPolicy=policy))
    path = f"root/{task}"
    eventually(lambda: path in runs.rows(run), SECONDS, what=f"the begin of {path}")
    _kill_while(store, transfer)

    def failed():
        row = runs.rows(run)[path]
        return row.attempt > 0 or row.state == "FAILED"

    eventually(failed, SECONDS, what=f"the first attempt's end of {path}")
    store.start()
    run = ended(runs)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    assert runs.rows(run)[path].attempt > 0
    assert is_whole(runs, run, store)
    assert len(artifacts(runs)) == 1


def _kill_while(store, transfer):
    """Kill a server once it has moved some of the large file since now: ``rchar`` it gets it, ``wchar`` it gives it."""
    before = _moved(store, transfer)
    eventually(lambda: _moved(store, transfer) > before + 32 * MIB, SECONDS, what=transfer)
    store.kill()


def _moved(store, transfer):
    text = Path(f"/proc/{store.pid}/io").read_text()
    return int(dict(line.split(": ") for line in text.splitlines())[transfer])


class _Peak:
    """The most memory that any process has had that brings artifacts, while this is open."""

    def __init__(self):
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _look(self):
        while not self._over.wait(0.05):
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    if b"wherry.pipelines.staging.agent" in (folder / "cmdline").read_bytes():
                        self.bytes = max(self.bytes, _high_water(folder))
                except OSError:
                    continue  # it has gone


def _high_water(folder):
    lines = (folder / "status").read_text().splitlines()
    found = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(found[0][1]) * 1024 if found else 0
