"""Executions, artifacts and contexts come back as they were stored, in each kind of database."""

import asyncio
import dataclasses
import math
import uuid

import pytest

from wherry.metadata import reading, schema, writing
from wherry.metadata.database import Database
from wherry.metadata.errors import DuplicateError, UnstorableError
from wherry.metadata.lists import Filter
from wherry.metadata.records import (
    CACHE_KEY,
    IMPORTER_EXECUTION,
    INPUT,
    OUTPUT,
    PIPELINE,
    PIPELINE_RUN,
    SUCCEEDED,
    Artifact,
    Context,
    Event,
    Execution,
    Values,
)
from wherry.metadata.store import Metadata


@pytest.fixture
def run() -> str:
    return str(uuid.uuid4())


def _task(run, path, **given):
    return Execution(**{"namespace": run[:8], "run": run, "path": path, "name": path, **given})


def _model(uri, **metadata):
    return Artifact(type="system.Model", name="model", uri=uri, metadata=metadata)


async def test_tasks_come_back_as_they_were_stored(metadata, run):
    data = await metadata.add_artifact(
        Artifact(namespace="ns", type="system.Dataset", name="d", uri="s3://b/d")
    )
    parameters = {"n": 1, "x": 1.0, "s": "ü😀\0", "l": [None, True], "big": 2**70, "inf": math.inf}
    whole = _task(
        run,
        "root/train",
        type="system.ContainerExecution",
        pipeline="p",
        state=SUCCEEDED,
        attempt=2,
        pod="run-1234",
        inputs=Values(parameters, {"data": (data,)}),
        outputs=Values({"loss": 0.5}, {"model": (_model("file:///m", acc=0.9),), "none": ()}),
        started=5,
        ended=7,
        error="a\0b \ud800",
        fingerprint="f" * 64,
        cached_from=0,
        cache_reason="nothing like it",
        properties={"k": {"deep": 1}},
    )
    (stored,) = await metadata.save([whole])
    assert stored.id
    assert stored.created
    (model,) = stored.outputs.artifacts["model"]
    assert model.id
    assert model.namespace == run[:8]
    (read,) = await metadata.of_run(run)
    assert read.error == "ab ?"
    artifacts = {"model": (model,)}
    assert read == dataclasses.replace(
        stored, error="ab ?", outputs=Values(stored.outputs.parameters, artifacts)
    )
    assert type(read.inputs.parameters["x"]) is float
    assert type(read.inputs.parameters["n"]) is int
    assert await metadata.execution(stored.id) == read
    assert await metadata.artifact(model.id) == model
    assert await metadata.execution(2**40) is None


async def test_a_task_is_written_over_and_keeps_its_artifacts(metadata, run):
    (task,) = await metadata.save([_task(run, "root/a", state="RUNNING")])
    done = dataclasses.replace(
        task, state=SUCCEEDED, outputs=Values({}, {"m": (_model("a"), _model("b"))})
    )
    (done,) = await metadata.save([done])
    again = dataclasses.replace(done, attempt=1)
    await metadata.save([again])
    (read,) = await metadata.of_run(run)
    assert read == again
    assert [each.uri for each in read.outputs.artifacts["m"]] == ["a", "b"]
    other = dataclasses.replace(again, outputs=Values({}, {"m": (_model("c"),)}))
    await metadata.save([other])
    (read,) = await metadata.of_run(run)
    assert [each.uri for each in read.outputs.artifacts["m"]] == ["c"]


async def test_a_path_is_there_once_and_one_failure_does_not_take_others_along(metadata, run):
    await metadata.save([_task(run, "root/a", state="RUNNING")])
    results = await asyncio.gather(
        metadata.save([_task(run, "root/b"), _task(run, "root/a")]),
        metadata.save([_task(run, "root/c")]),
        return_exceptions=True,
    )
    assert isinstance(results[0], DuplicateError)
    assert [each.path for each in await metadata.of_run(run)] == ["root/a", "root/c"]
    with pytest.raises(UnstorableError, match="at most 253 are kept"):
        await metadata.save([_task(run, "root/d", pod="x" * 254)])


async def test_what_is_no_json_is_refused_and_nobody_waits_for_ever(metadata, run):
    results = await asyncio.gather(
        metadata.save([_task(run, "root/a", inputs=Values({"x": {1, 2}}))]),
        metadata.save([_task(run, "root/b", inputs=None)]),
        metadata.save([_task(run, "root/c")]),
        return_exceptions=True,
    )
    assert isinstance(results[0], UnstorableError)
    assert isinstance(results[1], AttributeError)
    assert [each.path for each in await metadata.of_run(run)] == ["root/c"]


def test_a_database_that_returns_no_ids_with_many_rows(tmp_path):
    database = Database(tmp_path / "plain.db", schema.SCHEMA)
    with database.write() as connection:
        # As MySQL's; MariaDB's does.
        connection.dialect.insert_executemany_returning_sort_by_parameter_order = False
        tasks = [
            _task("run", f"root/{number}", outputs=Values({}, {"m": (_model(str(number)),)}))
            for number in range(3)
        ]
        stored = writing.save(connection, tasks, 1)
        assert reading.of_run(connection, "run") == stored
    database.close()


async def test_many_at_once(metadata, run):
    first = [_task(run, f"root/loop[{number}]") for number in range(700)]
    stored = [one for (one,) in await asyncio.gather(*(metadata.save([task]) for task in first))]
    assert len({task.id for task in stored}) == 700
    done = [
        dataclasses.replace(
            task,
            state=SUCCEEDED,
            outputs=Values({"i": number}, {"m": (_model(f"m/{number}"),)}),
        )
        for number, task in enumerate(stored)
    ]
    await metadata.save(done)
    read = await metadata.of_run(run)
    assert [task.outputs.parameters["i"] for task in read] == list(range(700))
    assert [task.outputs.artifacts["m"][0].uri for task in read] == [f"m/{n}" for n in range(700)]


async def test_what_can_be_taken_from_cache(metadata, run):
    namespace = run[:8]
    key = "a" * 64
    same = {"pipeline": "p", "fingerprint": key}
    old = _task(run, "root/old", state=SUCCEEDED, ended=10, **same)
    new = _task(
        run,
        "root/new",
        state=SUCCEEDED,
        ended=20,
        outputs=Values({"o": 1}, {"m": (_model("u"),)}),
        **same,
    )
    failed = _task(run, "root/failed", state="FAILED", ended=30, **same)
    taken = _task(run, "root/taken", state=SUCCEEDED, ended=40, cached_from=1, **same)
    await metadata.save([old, new, failed, taken])
    found = await metadata.cached(namespace, "p", key)
    assert [task.path for task in found] == ["root/new", "root/old"]
    assert found[0].outputs.artifacts["m"][0].uri == "u"
    assert [task.ended for task in await metadata.cached(namespace, "p", key, since=15)] == [20]
    assert await metadata.cached(namespace, "other", key) == []
    assert await metadata.cached("other", "p", key) == []
    assert await metadata.forget_cached(Filter(namespace=namespace, name="root/new")) == 1
    assert [task.ended for task in await metadata.cached(namespace, "p", key)] == [10]
    assert await metadata.forget_cached(Filter(namespace=namespace, pipeline="other")) == 0
    assert await metadata.forget_cached(Filter(namespace=namespace)) == 1
    assert await metadata.cached(namespace, "p", key) == []


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({"key": 'a"b%\\'}, {"fa", "other"}),
        ({"key": "a"}, {"mine", "fa", "other"}),
        ({"key": "fa" * 5}, {"mine", "other"}),
        ({"key": "fa"}, {"mine", "fa", "other"}),
        ({"before": 25}, {"other"}),
        ({"before": 25, "key": 'a"b%\\'}, {"fa", "other"}),
    ],
)
async def test_results_are_forgotten_by_key_and_by_age(metadata, run, chosen, left):
    """A key that says what another one's text holds is not that key."""
    namespace = run[:8]
    rows: tuple[tuple[str, int, str, dict[str, str]], ...] = (
        ("mine", 10, "b" * 64, {CACHE_KEY: 'a"b%\\'}),
        ("fa", 20, "fa" * 32, {}),
        ("other", 30, "c" * 64, {CACHE_KEY: 'A"B%\\', "said": f'{{"{CACHE_KEY}":"a"}}'}),
    )
    await metadata.save(
        [
            _task(
                run,
                name,
                state=SUCCEEDED,
                pipeline="p",
                ended=ended,
                fingerprint=fingerprint,
                properties=properties,
            )
            for name, ended, fingerprint, properties in rows
        ]
    )
    await metadata.forget_cached(Filter(namespace=namespace, **chosen))
    page = await metadata.executions(Filter(namespace=namespace, reusable=True))
    assert {each.path for each in page.items} == left


async def test_contexts_are_there_once_and_group(metadata, run):
    namespace = run[:8]
    pipeline = await metadata.context(Context(namespace=namespace, type=PIPELINE, name="p"))
    wanted = Context(
        namespace=namespace,
        type=PIPELINE_RUN,
        name=run,
        properties={"a": 1},
        parents=(pipeline.id,),
    )
    mine = await metadata.context(wanted)
    assert await metadata.context(wanted) == mine
    more = await metadata.context(dataclasses.replace(wanted, properties={"b": 2}, parents=()))
    assert (more.properties, more.parents) == ({"a": 1, "b": 2}, (pipeline.id,))
    task = _task(run, "root/a", contexts=(mine.id,), outputs=Values({}, {"m": (_model("x"),)}))
    await metadata.save([task])
    inside = Filter(context=mine.id)
    assert [each.path for each in (await metadata.executions(inside)).items] == ["root/a"]
    assert [each.uri for each in (await metadata.artifacts(inside)).items] == ["x"]
    assert (await metadata.of_run(run))[0].contexts == (mine.id,)
    children = await metadata.contexts(Filter(context=pipeline.id))
    assert children.items == (more,)


async def test_lists_come_in_pages(metadata, run):
    namespace = run[:8]
    tasks = [_task(run, f"root/{number}", state="A" if number % 2 else "B") for number in range(5)]
    await metadata.save(tasks)
    for number in range(5):
        await metadata.add_artifact(
            Artifact(namespace=namespace, uri=f"u{number % 2}", type=f"t{number % 2}")
        )
    chosen = Filter(namespace=namespace)
    first = await metadata.executions(chosen, limit=3)
    second = await metadata.executions(chosen, limit=3, more=first.more)
    paths = [each.path for page in (first, second) for each in page.items]
    assert paths == [f"root/{number}" for number in (4, 3, 2, 1, 0)]
    assert second.more == ""
    odd = await metadata.executions(dataclasses.replace(chosen, state="A", run=run))
    assert len(odd.items) == 2
    assert len((await metadata.artifacts(dataclasses.replace(chosen, uri="u0"))).items) == 3
    assert len((await metadata.artifacts(dataclasses.replace(chosen, type="t1"))).items) == 2
    for odd_one in ("x", "9" * 30):
        with pytest.raises(ValueError, match="not what a page has said"):
            await metadata.artifacts(chosen, more=odd_one)


async def _chain(metadata, run, length):
    """Make ``data -> step0 -> a0 -> step1 -> a1 …``; return its artifacts."""
    made = [await metadata.add_artifact(Artifact(namespace=run[:8], uri="data"))]
    for number in range(length):
        task = _task(
            run,
            f"root/{number}",
            inputs=Values({}, {"i": (made[-1],)}),
            outputs=Values({}, {"o": (_model(f"a{number}"),)}),
        )
        (stored,) = await metadata.save([task])
        made.append(stored.outputs.artifacts["o"][0])
    return made


async def test_lineage_goes_both_ways_up_to_its_limits(metadata, run):
    made = await _chain(metadata, run, 6)
    near = await metadata.lineage(artifact=made[3].id, up=2, down=1)
    assert sorted(each.uri for each in near.artifacts.values()) == ["a0", "a1", "a2", "a3"]
    assert sorted(each.path for each in near.executions.values()) == ["root/1", "root/2", "root/3"]
    assert not near.complete
    ends = {each.path: each.id for each in near.executions.values()}
    assert Event(ends["root/2"], made[3].id, OUTPUT, "o") in near.events
    assert Event(ends["root/2"], made[2].id, INPUT, "i") in near.events
    whole = await metadata.lineage(artifact=made[3].id, up=10, down=10)
    assert (len(whole.artifacts), len(whole.executions), whole.complete) == (7, 6, True)
    step = await metadata.lineage(execution=ends["root/2"], up=0, down=0)
    assert sorted(each.uri for each in step.artifacts.values()) == ["a1", "a2"]
    few = await metadata.lineage(artifact=made[0].id, down=10, limit=4)
    assert len(few.artifacts) + len(few.executions) == 4
    assert not few.complete


async def test_a_deleted_run_leaves_what_others_use(metadata, run):
    other = str(uuid.uuid4())
    own = await metadata.context(Context(namespace=run[:8], type=PIPELINE_RUN, name=run))
    made = [_model("kept"), _model("gone")]
    tasks = [
        _task(run, "root/a", contexts=(own.id,), outputs=Values({}, {"o": tuple(made)})),
        _task(
            run, "root/i", type=IMPORTER_EXECUTION, outputs=Values({}, {"o": (_model("user's"),)})
        ),
    ]
    (task, _) = await metadata.save(tasks)
    kept, gone = task.outputs.artifacts["o"]
    await metadata.save([_task(other, "root/b", inputs=Values({}, {"i": (kept,)}))])
    assert [each.uri for each in await metadata.delete_run(run)] == ["gone"]
    assert await metadata.of_run(run) == []
    assert await metadata.artifact(kept.id) is not None
    assert await metadata.artifact(gone.id) is None
    assert (await metadata.contexts(Filter(name=run))).items == ()
    assert await metadata.delete_run(run) == []
    await metadata.save([_task(run, "root/a")])


async def test_what_is_done_again_has_made_nothing(metadata, run):
    other = str(uuid.uuid4())
    both = Values({"n": 1}, {"o": (_model("taken"), _model("own"))})
    (first, beside) = await metadata.save(
        [_task(run, "root/a", outputs=both), _task(run, "root/b", outputs=both)]
    )
    taken, own = first.outputs.artifacts["o"]
    await metadata.save([_task(other, "root/c", outputs=Values({}, {"o": (taken,)}))])
    again = dataclasses.replace(first, state="PENDING", outputs=Values())
    await metadata.redo([again])
    await metadata.redo([])
    assert await metadata.task(run, "root/a") == again
    assert await metadata.task(run, "root/b") == beside
    assert await metadata.task(run, "root/c") is None
    assert await metadata.artifact(taken.id) == taken
    assert await metadata.artifact(own.id) is None


async def test_what_a_run_has_made_is_its_own_until_others_use_it(metadata, run):
    other = str(uuid.uuid4())
    made = Values({}, {"o": (_model("taken"), _model("own"))})
    (task,) = await metadata.save([_task(run, "root/a", outputs=made)])
    taken, own = task.outputs.artifacts["o"]
    read = Values({}, {"i": (own,)})
    named = Values({}, {"artifact": (_model("named"),)})
    await metadata.save(
        [
            _task(run, "root/b", inputs=read),
            _task(run, "root/c", outputs=named, type=IMPORTER_EXECUTION),
            _task(other, "root/d", outputs=Values({}, {"o": (taken,)})),
        ]
    )
    assert await metadata.own_artifacts(run) == ([own], [taken])
    await metadata.delete_run(run)
    assert await metadata.own_artifacts(other) == ([taken], [])
    assert await metadata.own_artifacts(run) == ([], [])


async def test_two_processes_open_a_database_at_once(where, run):
    stores = [Metadata(where) for _ in range(4)]
    await asyncio.gather(
        *(store.save([_task(run, f"root/{at}")]) for at, store in enumerate(stores))
    )
    assert len(await stores[0].of_run(run)) == 4
    same = Context(namespace=run, type="t", name="n")
    made = await asyncio.gather(*(store.context(same) for store in stores))
    assert len({each.id for each in made}) == 1
    for store in stores:
        await store.close()
        await store.close()


async def test_what_was_saved_is_there_after_a_restart(where, run):
    store = Metadata(where)
    saving = asyncio.ensure_future(store.save([_task(run, "root/a")]))
    await asyncio.sleep(0)
    await store.close()
    await saving
    again = Metadata(where)
    assert len(await again.of_run(run)) == 1
    await again.close()
