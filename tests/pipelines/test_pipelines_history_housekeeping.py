"""Deleted runs leave nothing behind; rules delete runs that have ended, and no others."""

import asyncio
import contextlib
import dataclasses
import datetime
import itertools
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from wherry.controller.manager import Manager
from wherry.metadata.artifacts import uris
from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.pipelines import kinds
from wherry.pipelines.controller import housekeeping
from wherry.pipelines.controller.housekeeping import Housekeeper
from wherry.pipelines.controller.kept import Kept
from wherry.pipelines.controller.roots import Roots
from wherry.pipelines.history import recording, retention
from wherry.pipelines.history.logs import Logs, Place
from wherry.pipelines.history.operations import Operations
from wherry.pipelines.history.query import Query
from wherry.pipelines.history.records import Experiment, Run
from wherry.pipelines.history.retention import Rule, RulesError
from wherry.pipelines.history.store import History
from wherry.pipelines.staging import removing
from wherry.pipelines.staging.staged import Agent
from wherry.pipelines.workflows.archive.store import Archive
from wherry.pipelines.workflows.runs import WorkflowRuns
from wherry.testing.clock import FakeClock
from wherry.testing.waiting import eventually

DAY = 86_400_000
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def maker(pipeline):
    """Return a pipeline whose step makes an artifact, says something, and is cached."""
    made = pipeline()
    path = "{{$.outputs.artifacts['data'].path}}"
    made.step("make", f"echo said; mkdir -p $(dirname {path}); echo x > {path}", makes=["data"])
    made.task("make", cache=True)
    return made.spec()


def files(runs, run):
    """Return the files that are there of a run, but for those of its logs."""
    root = Path(uris.path(run["status"]["pipelineRoot"]))
    found = [path for path in root.rglob("*") if path.is_file()]
    return [path for path in found if metadata.uid(run) in path.parts]


def logs_of(runs, run_id):
    folder = Logs(History("sqlite://"), runs.platform.directory / "products" / "pipeline-logs")
    return asyncio.run(folder.kept(Place(run_id, "root/make", 0)))


def test_a_deleted_run_leaves_nothing_that_others_do_not_use(api, runs, pipeline):
    first, second = runs.run(maker(pipeline), "first"), runs.run(maker(pipeline), "second")
    uid, other = metadata.uid(first), metadata.uid(second)
    assert logs_of(runs, uid) == b"said\n"
    assert runs.rows(second)["root/make"].cached_from
    (made,) = files(runs, first)
    api.delete(f"/runs/{uid}")
    assert api.call("GET", f"/runs/{uid}").status == 404
    eventually(lambda: logs_of(runs, uid) is None and not runs.rows(first), 120)
    with pytest.raises(errors.NotFoundError):
        runs.get("first")
    # The second run has taken it over.
    assert made.read_text() == "x\n"
    api.delete(f"/runs/{other}")
    eventually(lambda: not made.exists(), 120, what="the artifact's end")
    eventually(lambda: not runs.rows(second))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", ["store", "claim"])
def test_what_is_elsewhere_goes_too(api, runs, two_steps, place, request):
    if place == "store":
        s3 = request.getfixturevalue("s3")
        runs.keep_in(s3)
        spec, folder = two_steps.spec(enableCache=True), s3.keeps
    else:
        spec, folder = in_claim(runs, two_steps)
    first, second = runs.run(spec, "first"), runs.run(spec, "second")
    assert second["status"]["tasks"] == {"total": 2, "cached": 2}

    def there():
        uids = {metadata.uid(first), metadata.uid(second)}
        return [path for path in folder.rglob("file") if uids & set(path.parts)]

    (made,) = there()
    for run, left in ((first, [made]), (second, [])):
        uid = metadata.uid(run)
        api.delete(f"/runs/{uid}")
        eventually_ended(runs, uid)
        assert there() == left
    assert not runs.platform.call(runs.client.list(core.PODS, runs.namespace)).items


def eventually_ended(runs, uid):
    """Return once nothing is left of a run."""
    eventually(lambda: uid in ended_deletions(runs), 300, what="the deletion's end")


def in_claim(runs, two_steps):
    """Return a pipeline that keeps its artifacts in a claim, and where that has them."""
    claim = {
        "metadata": {"name": "shared", "namespace": runs.namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    runs.platform.call(runs.client.create(core.PERSISTENT_VOLUME_CLAIMS, claim))
    config = {"pipelineRoot": "pvc://shared/root"}
    return two_steps.spec(enableCache=True, runtimeConfig=config), runs.platform.directory


def ended_deletions(runs):
    """Return the ids of runs of which nothing is left."""
    where = runs.platform.directory / "products" / "metadata" / "metadata.db"
    with contextlib.closing(sqlite3.connect(where)) as connection:
        asked = "SELECT run_id FROM pipelines_deletions WHERE done > 0"
        return {run_id for (run_id,) in connection.execute(asked)}


def test_a_run_that_goes_on_is_ended_by_its_deletion(api, runs, pipeline, tmp_path):
    made = pipeline()
    made.step("wait", f"echo said; touch {tmp_path}/begun; sleep 1000")
    made.task("wait")
    run = runs.start(made.spec())
    eventually((tmp_path / "begun").exists, 120, what="the step's beginning")
    uid = metadata.uid(run)
    eventually(lambda: api.call("GET", f"/runs/{uid}").status == 200, 120)
    api.delete(f"/runs/{uid}")
    eventually(lambda: not runs.pods() and not runs.rows(run), 120, what="the run's end")


NUMBERS = itertools.count()


async def stored(history, namespace, *, age_days, experiment="", state="SUCCEEDED", **fields):
    """Return the id of a run that ended so long ago."""
    number = next(NUMBERS)
    when = NOW_MS - int(age_days * DAY)
    run_id = f"run-{number}"
    await history.record(
        Run(
            run_id=run_id,
            object_uid=run_id,
            namespace=namespace,
            name=run_id,
            experiment_id=experiment,
            state=state,
            created_at=when,
            finished_at=when if state in kinds.FINAL_STATES else 0,
            **fields,
        )
    )
    return run_id


def rules(runs, text):
    body = {
        "metadata": {"name": retention.CONFIG_MAP, "namespace": runs.namespace},
        "data": {retention.KEY: text},
    }
    runs.platform.call(runs.client.create(core.CONFIG_MAPS, body))


async def listed(runs, history):
    page = await history.runs(Query(namespaces=(runs.namespace,), limit=200))
    return {run.run_id for run in page.items}


def keep_house(runs, tmp_path, check, **settings):
    """Run a check with a housekeeper that has a database and a clock of its own."""

    async def checked():
        clock = FakeClock(NOW)
        history, tasks = History(tmp_path / "history.db"), Metadata(tmp_path / "history.db")
        manager = Manager(runs.client, clock=clock)
        kept = Kept(tasks, history, Logs(history, None))
        roots = Roots(runs.client, tmp_path / "artifacts", Agent())
        workflows = WorkflowRuns(runs.client, Archive(tmp_path / "history.db"))
        operations = Operations(runs.client, history, tasks, workflows)
        keeper = Housekeeper(manager, kept, roots, operations, **settings)
        try:
            await check(keeper, history, clock)
        finally:
            await history.close()
            await tasks.close()

    runs.platform.call(checked())


def test_old_runs_go_and_running_ones_never(runs, tmp_path):
    rules(runs, '[{"maxAge": "30d"}]')

    async def check(keeper, history, clock):
        await stored(history, runs.namespace, age_days=31)
        going = await stored(history, runs.namespace, age_days=99, state="RUNNING")
        young = await stored(history, runs.namespace, age_days=29)
        assert await keeper.sweep() < 10
        assert await listed(runs, history) == {going, young}
        assert await history.deletions() == []
        await clock.advance(2 * 86_400)
        await keeper.sweep()
        assert await listed(runs, history) == {going}
        # What is nothing to do is not done all the time.
        assert await keeper.sweep() == 60
        late = await stored(history, runs.namespace, age_days=31)
        await keeper.sweep()
        assert await listed(runs, history) == {going, late}
        await clock.advance(60)
        await keeper.sweep()
        assert await listed(runs, history) == {going}

    keep_house(runs, tmp_path, check)


def test_so_many_runs_are_kept_of_each_experiment(runs, tmp_path):
    rules(
        runs,
        '[{"maxRuns": 2}, {"experiment": "nightly", "maxRuns": 1, "states": ["FAILED"]}]',
    )

    async def check(keeper, history, _):
        nightly = await history.create_experiment(
            Experiment(namespace=runs.namespace, display_name="nightly")
        )
        group = nightly.experiment_id
        await stored(history, runs.namespace, age_days=4)
        kept = [await stored(history, runs.namespace, age_days=age) for age in (3, 2)]
        foreign = await stored(history, "foreign", age_days=400)
        # The older of the failed ones goes, though there are but two.
        failed = {"state": "FAILED", "experiment": group}
        await stored(history, runs.namespace, age_days=2, **failed)
        kept.append(await stored(history, runs.namespace, age_days=1, **failed))
        await keeper.sweep()
        assert await listed(runs, history) == {*kept}
        assert (await history.run(foreign)).run_id == foreign

    keep_house(runs, tmp_path, check)


def test_rules_of_all_namespaces_hold_where_there_are_none(runs, tmp_path):
    async def check(keeper, history, _):
        there = await stored(history, "nowhere", age_days=2)
        await keeper.sweep()
        assert await history.run(there) is None

    rules(runs, '[{"maxAge": "1d"}]')
    keep_house(runs, tmp_path, check, common=runs.namespace)


def test_a_run_that_is_taken_up_at_this_moment_stays(runs, tmp_path, pipeline):
    rules(runs, '[{"maxAge": "1d"}]')
    made = pipeline()
    made.step("fail", "exit 1")
    made.task("fail")
    run = runs.run(made.spec())

    async def check(keeper, history, clock):
        await history.record(recording.seen(run))
        await clock.advance(366 * 86_400)
        # Suspended, it stays as it is once it goes on.
        change = {"spec": {"retry": {"number": 1}, "suspend": True}}
        await runs.client.patch(kinds.PIPELINE_RUNS, "run", change, runs.namespace)
        await keeper.sweep()
        assert await listed(runs, history) == {metadata.uid(run)}

    keep_house(runs, tmp_path, check)
    assert not metadata.is_deleting(runs.get())


def test_rules_that_cannot_be_read_delete_nothing(runs, tmp_path):
    rules(runs, '[{"maxAge": "soon"}]')

    async def check(keeper, history, _):
        there = await stored(history, runs.namespace, age_days=9999)
        await keeper.sweep()
        assert await history.run(there)

    keep_house(runs, tmp_path, check)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "rules: this is no JSON"),
        ("{}", r'want a JSON list such as \[{"maxAge": "30d"}'),
        ('["x"]', r"rules\[0\]: 'x' is no rule"),
        ("[{}]", "without maxAge and maxRuns it says nothing"),
        ('[{"maxAge": 3}]', r"rules\[0\].maxAge: 3; want a number with s, m, h, d or w"),
        ('[{"maxRuns": -1}]', "want a whole number from 0"),
        ('[{"maxRuns": true}]', "want a whole number from 0"),
        ('[{"maxRuns": 1000000000001}]', "want a whole number from 0 to 1000000000"),
        ('[{"maxRuns": 1, "states": ["RUNNING"]}]', "want a list of SUCCEEDED, FAILED, CANCELED"),
        ('[{"maxRuns": 1, "experiment": 1}]', "experiment: 1 is no text"),
        (f'[{{"maxRuns": 1, "experiment": "{"x" * 257}"}}]', "a name of at most 256 characters"),
        ('[{"maxRuns": 1, "x": 1}]', r"rules\[0\].x: there is no such field; there are"),
        ("[" * 100_000, "rules: this is no JSON"),
        (str([{}] * 101).replace("'", '"'), "of at most 100"),
    ],
)
def test_what_is_wrong_with_rules_is_said(text, told):
    with pytest.raises(RulesError, match=told):
        retention.read({retention.KEY: text})


def test_what_cannot_be_removed_holds_nothing_else_up(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(housekeeping, "_AT_ONCE", 1)

    async def check(keeper, history, _):
        root = tmp_path / "artifacts" / runs.namespace
        told = {"age_days": 1, "pipeline_root": f"file://{root}", "pipeline_name": "p"}
        first, second = [await stored(history, runs.namespace, **told) for _ in range(2)]
        elsewhere = tmp_path / "elsewhere"
        for folder in (elsewhere / first, root / "q" / second):
            folder.mkdir(parents=True)
        (root / "p").symlink_to(elsewhere)
        await history.delete_run(first)
        await history.record(
            dataclasses.replace(await history.run(second), pipeline_name="q", resource_version=1)
        )
        await history.delete_run(second)
        await keeper.sweep()
        (left,) = await history.deletions()
        assert left.run_id == first
        assert [*(root / "q").iterdir()] == []
        assert [path.name for path in elsewhere.iterdir()] == [first]
        (root / "p").unlink()
        await keeper.sweep()
        assert await history.deletions() == []

    keep_house(runs, tmp_path, check)


def test_rules_are_read():
    assert retention.read({}) == []
    assert retention.read({retention.KEY: '[{"maxAge": "2w", "maxRuns": 0}]'}) == [
        Rule(max_age=14 * 86_400, max_runs=0)
    ]


def test_folders_are_removed_however_deep_they_are_and_whoever_may_write_to_them(tmp_path):
    (tmp_path / "run" / "beside").mkdir(parents=True)
    at = os.open(tmp_path / "run", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(os.open("file", os.O_CREAT, 0o400, dir_fd=below))
        os.fchmod(at, 0o500)
        os.close(at)
        at = below
    os.close(at)
    try:
        removing.remove(tmp_path / "run", tmp_path, [])
        assert [*tmp_path.iterdir()] == []
    finally:
        # Python's own way to remove folders ends at its depth of calls, and with it later runs of tests.
        subprocess.run(["rm", "-rf", tmp_path / "run"], check=False)


def test_what_stays_is_left_alone_and_links_are_not_followed(tmp_path):
    within, outside = tmp_path / "within", tmp_path / "outside"
    for path in ("run/a/keep/file", "run/a/file", "run/b/file"):
        (within / path).parent.mkdir(parents=True, exist_ok=True)
        (within / path).write_text("")
    outside.mkdir()
    (outside / "file").write_text("")
    (within / "run" / "b" / "link").symlink_to(outside)
    (within / "run" / "a" / "link").symlink_to(outside)
    removing.remove(within / "run", within, [within / "run" / "a" / "keep", outside])
    left = [str(path.relative_to(within)) for path in sorted(within.rglob("*"))]
    assert left == ["run", "run/a", "run/a/keep", "run/a/keep/file"]
    (within / "elsewhere").symlink_to(outside)
    with pytest.raises(OSError, match="directory"):
        removing.remove(within / "elsewhere" / "file", within, [])
    removing.remove(within / "run", within, [])
    removing.remove(within / "run", within, [])
    assert [path.name for path in within.iterdir()] == ["elsewhere"]
    assert (outside / "file").exists()
    with pytest.raises(ValueError, match="not in the subpath"):
        removing.remove(outside, within, [])
