"""The control plane is killed over and over while runs are taken up again, recorded and deleted."""

import asyncio
import contextlib
import os
import random
import sqlite3
import time

import pytest

from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.pipelines import kinds, status
from wherry.pipelines.history.logs import Logs, Place
from wherry.pipelines.history.store import History
from wherry.testing.pipelines_api import PipelinesApi
from wherry.testing.waiting import eventually

KILLS = 10
STEPS = 12
SECONDS = 600


def patient(call):
    """Return what a call gives, as soon as somebody answers."""

    def look():
        try:
            return (call(),)
        except (errors.ApiError, OSError):
            return None

    return eventually(look, SECONDS)[0]


def answered(call):
    """Return what the pipelines' service says; its listener is there a moment after the API."""

    def look():
        answer = patient(call)
        return None if answer.status == 503 else answer

    return eventually(look, SECONDS)


def kill(running, times, chance):
    for _ in range(times):
        time.sleep(chance.uniform(0, 0.4))
        running.restart()


def spec(pipeline, folder):
    """Return a pipeline of steps that fail as long as there is no file, each before another one."""
    made = pipeline()
    note = f"echo x >> {folder}/$KIND-$NUMBER; echo $KIND $NUMBER; sleep 0.05"
    for number in range(STEPS):
        for kind, script in {"a": note, "b": f"{note}; test -e {folder}/go", "c": note}.items():
            env = [{"name": "KIND", "value": kind}, {"name": "NUMBER", "value": str(number)}]
            made.step(f"{kind}-{number}", script, env=env)
            needs = {"a": [], "b": [f"a-{number}"], "c": [f"b-{number}"]}[kind]
            made.task(f"{kind}-{number}", needs=needs)
    return made.spec()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_done_twice_and_nothing_is_left(running, pipeline, tmp_path):
    folder = tmp_path / "noted"
    folder.mkdir()
    chance = random.Random(3)
    body = {"metadata": {"name": "run", "namespace": "default"}, "spec": spec(pipeline, folder)}
    uid = metadata.uid(running.ask(lambda client: client.create(kinds.PIPELINE_RUNS, body)))
    kill(running, 3, chance)

    def ended(retries):
        run = patient(
            lambda: running.ask(lambda client: client.get(kinds.PIPELINE_RUNS, "run", "default"))
        )
        told = run.get("status") or {}
        return run if status.is_finished(run) and told.get("retries", 0) == retries else None

    assert eventually(lambda: ended(0), SECONDS)["status"]["state"] == kinds.FAILED
    (folder / "go").touch()
    change = {"spec": {"retry": {"number": 1}}}
    running.ask(lambda client: client.patch(kinds.PIPELINE_RUNS, "run", change, "default"))
    kill(running, KILLS, chance)
    run = eventually(lambda: ended(1), SECONDS)
    assert run["status"]["state"] == kinds.SUCCEEDED, run["status"]
    times = {"a": 1, "b": 2, "c": 1}
    assert {path.name: path.read_text() for path in folder.iterdir() if path.name != "go"} == {
        f"{kind}-{number}": "x\n" * count
        for kind, count in times.items()
        for number in range(STEPS)
    }
    assert eventually(lambda: recorded(running, uid), SECONDS) == kinds.SUCCEEDED
    assert asyncio.run(logs(running, uid)) == {
        ("a", 0): "a 0\n", ("b", 0): "b 0\n", ("b", 1): "b 0\n", ("c", 0): "c 0\n",
    }  # fmt: skip

    api = PipelinesApi(running.connection)
    answer = answered(lambda: api.call("DELETE", f"/runs/{uid}"))
    assert answer.status in {200, 404}, answer
    kill(running, KILLS, chance)
    eventually(
        lambda: asyncio.run(left(running, uid)) == 0, SECONDS, what="the end of what is left"
    )
    assert answered(lambda: api.call("GET", f"/runs/{uid}")).status == 404
    with pytest.raises(errors.NotFoundError):
        running.ask(lambda client: client.get(kinds.PIPELINE_RUNS, "run", "default"))


def database(platform):
    return platform.directory / "products" / "metadata" / "metadata.db"


def recorded(platform, uid):
    """Return the state that the history has of a run, once it has ended."""

    async def look():
        history = History(database(platform))
        try:
            found = await history.run(uid)
        finally:
            await history.close()
        return found.state if found is not None and found.finished_at else None

    return asyncio.run(look())


async def logs(platform, uid):
    """Return what some attempts have said."""
    kept = Logs(History("sqlite://"), platform.directory / "products" / "pipeline-logs")
    found = {}
    for kind, attempt in (("a", 0), ("b", 0), ("b", 1), ("c", 0), ("c", 1)):
        content = await kept.kept(Place(uid, f"root/{kind}-0", attempt))
        if content is not None:
            found[kind, attempt] = content.decode()
    return found


async def left(platform, uid):
    """Return how much there is of a run: rows, deletions to do, files."""
    store = Metadata(database(platform))
    rows = len(await store.of_run(uid))
    await store.close()
    with contextlib.closing(sqlite3.connect(database(platform))) as connection:
        asked = "SELECT count(*) FROM pipelines_deletions WHERE done = 0"
        (open_,) = connection.execute(asked).fetchone()
    products = platform.directory / "products"
    # Files go while they are counted.
    files = sum(len(names) for folder, _, names in os.walk(products) if uid in folder)
    return rows + open_ + files + len([*(products / "pipeline-logs").iterdir()])
