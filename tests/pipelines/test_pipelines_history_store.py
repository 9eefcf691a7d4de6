"""Experiments and runs in databases of every kind: what was seen of runs, in whatever order it comes."""

import asyncio
import dataclasses
import itertools
import operator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.metadata.errors import DuplicateError, UnstorableError
from wherry.objects.metadata import NamespacedName
from wherry.pipelines.history import reading, tables
from wherry.pipelines.history import store as history_store
from wherry.pipelines.history.query import (
    EXPERIMENT_KEYS,
    RUN_KEYS,
    Cursor,
    Operation,
    Order,
    Predicate,
    Query,
)
from wherry.pipelines.history.records import (
    ARCHIVED,
    AVAILABLE,
    Experiment,
    Metric,
    Reported,
    Run,
)
from wherry.pipelines.history.store import History
from wherry.testing.databases import mariadb, mariadb_server, postgresql, postgresql_server

__all__ = ["mariadb", "mariadb_server", "postgresql", "postgresql_server"]

NAMESPACES = ("red", "blue")


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("mariadb", marks=pytest.mark.slow)])
async def history(request, tmp_path):
    where = tmp_path / "history.db"
    if request.param != "sqlite":
        where = request.getfixturevalue(request.param)
    store = History(where)
    await clear(store)
    yield store
    await store.close()


async def clear(store):
    """Forget what earlier tests and examples have left in a server's database."""

    def empty(sql, at):
        for table in tables.SCHEMA.tables.sorted_tables:
            at.execute(table.delete())

    await store._turns.write(empty)


def seen(name="r", version=1, **fields):
    told = {"namespace": "red", "name": name, "state": "RUNNING", "created_at": 5, **fields}
    run_id = told.pop("run_id", f"{name}-id")
    return Run(run_id=run_id, object_uid=run_id, resource_version=version, **told)


async def test_an_experiment_is_there_once(history):
    made = await history.create_experiment(Experiment(namespace="red", display_name="ä"))
    assert made.experiment_id
    assert made.created_at
    assert await history.experiment(made.experiment_id) == made
    assert await history.experiment_named("red", "ä") == made
    with pytest.raises(DuplicateError):
        await history.create_experiment(Experiment(namespace="red", display_name="ä"))
    other = await history.create_experiment(Experiment(namespace="blue", display_name="ä"))
    assert other.experiment_id != made.experiment_id
    with pytest.raises(UnstorableError, match="at most 256"):
        await history.create_experiment(Experiment(namespace="red", display_name="x" * 257))
    assert await history.delete_experiment(made.experiment_id)
    assert not await history.delete_experiment(made.experiment_id)


async def test_the_default_experiment_is_made_once(history):
    found = await asyncio.gather(*(history.default_experiment("red") for _ in range(5)))
    assert len({each.experiment_id for each in found}) == 1
    run = await history.record(seen())
    assert run.experiment_id == found[0].experiment_id
    assert (await history.experiment(run.experiment_id)).last_run_created_at == 5


async def test_a_run_is_put_into_no_other_namespaces_experiment(history):
    foreign = await history.create_experiment(Experiment(namespace="blue", display_name="e"))
    run = await history.record(seen(experiment_id=foreign.experiment_id))
    assert run.experiment_id == (await history.default_experiment("red")).experiment_id


async def test_an_archived_experiment_takes_its_runs_along(history):
    group = await history.create_experiment(Experiment(namespace="red", display_name="e"))
    run = await history.record(seen(experiment_id=group.experiment_id))
    await history.archive_experiment(group.experiment_id)
    assert (await history.experiment(group.experiment_id)).storage_state == ARCHIVED
    assert (await history.run(run.run_id)).storage_state == ARCHIVED
    await history.unarchive_experiment(group.experiment_id)
    assert (await history.experiment(group.experiment_id)).storage_state == AVAILABLE
    assert (await history.run(run.run_id)).storage_state == ARCHIVED
    assert await history.unarchive_run(run.run_id)
    assert (await history.run(run.run_id)).storage_state == AVAILABLE
    assert not await history.archive_run("nobody")


async def test_what_is_older_changes_nothing(history):
    spec = {"pipelineInfo": {"name": "p"}, "numbers": [1, 1.5, float("inf")]}
    await history.record(seen(pipeline_spec=spec))
    await history.archive_run("r-id")
    done = seen(version=7, state="SUCCEEDED", finished_at=9, outputs={"a": 1})
    await history.record(done)
    await history.record(seen(version=3, state="PENDING"))
    found = await history.run("r-id")
    assert (found.state, found.finished_at, found.outputs) == ("SUCCEEDED", 9, {"a": 1})
    assert found.storage_state == ARCHIVED
    assert found.pipeline_spec == spec
    assert [(each.state, each.at) for each in found.states][1] == ("SUCCEEDED", 9)
    assert [each.state for each in found.states] == ["RUNNING", "SUCCEEDED"]


async def test_states_are_kept_up_to_a_bound(history):
    for version in range(1, 250):
        state = "RUNNING" if version % 2 else "FAILED"
        await history.record(seen(version=version, state=state))
    states = (await history.run("r-id")).states
    assert len(states) == 100
    assert (states[0].state, states[-1].state) == ("RUNNING", "RUNNING")


async def test_a_run_outlives_its_object(history):
    where = NamespacedName("red", "r")
    await history.record(seen())
    assert await history.lost(where, but="r-id") == 0
    assert await history.lost(where) == 1
    found = await history.run("r-id")
    assert (found.gone, found.state, found.error) == (True, "CANCELED", "the run was deleted")
    assert found.finished_at
    # Another object of the name is another run.
    await history.record(seen(run_id="other"))
    assert (await history.run("other")).gone is False
    assert await history.record(seen(version=1)) == found


async def test_a_run_has_one_object(history):
    await history.record(seen(state="FAILED", finished_at=8))
    where = NamespacedName("red", "r2")
    thief = dataclasses.replace(seen(version=9, state="SUCCEEDED"), object_uid="thief")
    assert not await history.adopt("r-id", where, "thief")
    await history.record(thief)
    assert (await history.run("r-id")).state == "FAILED"
    await history.lost(NamespacedName("red", "r"))
    assert not await history.adopt("r-id", NamespacedName("blue", "r2"), "thief")
    assert await history.adopt("r-id", where, "second")
    assert await history.adopt("r-id", where, "second")
    assert not await history.adopt("r-id", where, "third")
    followed = dataclasses.replace(seen("r2", version=1), run_id="r-id", object_uid="second")
    assert (await history.record(followed)).name == "r2"
    assert await history.record(dataclasses.replace(followed, run_id="made up")) is None


async def test_a_deleted_run_does_not_come_back(history):
    for name in ("r", "s"):
        await history.record(seen(name, pipeline_spec={"same": 1}))
    assert await history.delete_run("r-id")
    assert not await history.delete_run("r-id")
    assert await history.run("r-id") is None
    assert await history.record(seen(version=9)) is None
    assert (await history.run("s-id")).pipeline_spec == {"same": 1}
    (deletion,) = await history.deletions()
    assert (deletion.run_id, deletion.name, deletion.planned) == ("r-id", "r", False)
    planned = dataclasses.replace(deletion, planned=True, remove=("x",), keep=("file:///a",))
    await history.plan_deletion(planned)
    await history.keep_log("slot", "r-id", b"said")
    assert await history.deletions() == [planned]
    assert await history.log("slot") == b"said"
    await history.end_deletion("r-id")
    assert await history.deletions() == []
    assert await history.log("slot") is None
    assert await history.record(seen(version=9)) is None
    assert await history.forget_deletions(history_store._now() - 60_000) == 0
    assert await history.forget_deletions(history_store._now() + 60_000) == 1


TEXTS = ("", "a", "B", "ab", "a%", "a_", "Ä", "ä", "😀", "\\", "'")
STATES = ("RUNNING", "SUCCEEDED", "FAILED")
SHOWN = st.sampled_from(TEXTS)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "namespace": st.sampled_from(NAMESPACES),
            "display_name": SHOWN,
            "description": SHOWN,
            "state": st.sampled_from(STATES),
            "created_at": st.integers(0, 4),
            "finished_at": st.integers(0, 3),
            "recurring_run_id": st.sampled_from(("", "x")),
        }
    ),
    max_size=12,
)
TEXT_KEYS = ("name", "description", "state", "status", "namespace", "recurring_run_id", "id")
TIME_KEYS = ("created_at", "finished_at")


@st.composite
def predicates(draw):
    is_time = draw(st.booleans())
    key = draw(st.sampled_from(TIME_KEYS if is_time else TEXT_KEYS))
    value = st.integers(0, 4) if is_time else st.sampled_from((*TEXTS, *STATES, "r1", "red", "ED"))
    operations = [each for each in Operation if not (is_time and each is Operation.IS_SUBSTRING)]
    operation = draw(st.sampled_from(operations))
    if operation is Operation.IN:
        return Predicate(key, operation, tuple(draw(st.lists(value, max_size=3))))
    return Predicate(key, operation, draw(value))


def holds(run, predicate):
    """Evaluate a predicate as it reads."""
    found, wanted = getattr(run, RUN_KEYS[predicate.key].field), predicate.value
    return {
        Operation.EQUALS: lambda: found == wanted,
        Operation.NOT_EQUALS: lambda: found != wanted,
        Operation.GREATER_THAN: lambda: found > wanted,
        Operation.GREATER_THAN_EQUALS: lambda: found >= wanted,
        Operation.LESS_THAN: lambda: found < wanted,
        Operation.LESS_THAN_EQUALS: lambda: found <= wanted,
        Operation.IN: lambda: found in wanted,
        Operation.IS_SUBSTRING: lambda: wanted in found,
    }[predicate.operation]()


EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def filled(history, rows):
    await clear(history)
    runs = []
    for number, fields in enumerate(rows):
        runs.append(await history.record(seen(f"r{number}", **fields)))
    return runs


async def pages(history, query):
    """Return the items of all pages, and the totals that they told."""
    found, totals = [], []
    while True:
        page = await history.runs(query)
        found += page.items
        totals.append(page.total)
        if page.after is None:
            return found, totals
        query = dataclasses.replace(query, after=page.after)


async def test_lists_are_what_the_filters_say(history):
    loop = asyncio.get_running_loop()

    @EXAMPLES
    @given(
        rows=ROWS,
        where=st.lists(predicates(), max_size=3),
        key=st.sampled_from([name for name, key in RUN_KEYS.items() if key.sorts]),
        descending=st.booleans(),
        limit=st.integers(1, 5),
        namespaces=st.sampled_from([None, ("red",), NAMESPACES, ()]),
    )
    def check(rows, where, key, descending, limit, namespaces):
        async def checked():
            runs = await filled(history, rows)
            query = Query(
                namespaces=namespaces,
                where=tuple(where),
                order=Order(key, descending),
                limit=limit,
            )
            found, totals = await pages(history, query)
            wanted = [
                run
                for run in runs
                if all(holds(run, each) for each in where)
                and (namespaces is None or run.namespace in namespaces)
            ]
            # Sorted twice: of the same value by age.
            wanted = [*reversed(wanted)] if descending else wanted
            wanted.sort(key=lambda run: getattr(run, RUN_KEYS[key].field), reverse=descending)
            assert [run.run_id for run in found] == [run.run_id for run in wanted]
            assert set(totals) == {len(wanted)}

        asyncio.run_coroutine_threadsafe(checked(), loop).result(60)

    await asyncio.to_thread(check)


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 4), SHOWN),
        st.tuples(st.just("delete"), st.integers(0, 20), st.just("")),
        st.tuples(st.just("change"), st.integers(0, 20), st.sampled_from(STATES)),
    ),
    max_size=4,
)


class Others:
    """Those who write meanwhile."""

    def __init__(self, history):
        self.history = history
        self.added, self.deleted = set(), set()

    async def write(self, several):
        for what, at, text in itertools.chain(*several):
            await getattr(self, what)(at, text)

    async def add(self, at, text):
        made = seen(f"n{len(self.added)}", created_at=at, display_name=text)
        self.added.add((await self.history.record(made)).run_id)

    async def delete(self, at, _):
        if await self.history.delete_run(f"r{at}-id"):
            self.deleted.add(f"r{at}-id")

    async def change(self, at, text):
        known = await self.history.run(f"r{at}-id")
        if known is not None:
            version = known.resource_version + 1
            change = dataclasses.replace(known, state=text, resource_version=version)
            await self.history.record(change)


async def test_nothing_is_hidden_or_shown_twice_while_others_write(history):
    loop = asyncio.get_running_loop()

    @EXAMPLES
    @given(
        rows=ROWS,
        changes=st.lists(CHANGES, max_size=8),
        key=st.sampled_from(["created_at", "display_name", "run_id", "namespace"]),
        descending=st.booleans(),
        limit=st.integers(1, 4),
    )
    def check(rows, changes, key, descending, limit):
        async def checked():
            before = {run.run_id for run in await filled(history, rows)}
            others = Others(history)
            query = Query(namespaces=None, order=Order(key, descending), limit=limit)
            found = []
            for number in range(10_000):
                page = await history.runs(query)
                found += [run.run_id for run in page.items]
                if page.after is None:
                    break
                await others.write(changes[number : number + 1])
                query = dataclasses.replace(query, after=page.after)
            assert len(found) == len(set(found))
            assert before - others.deleted <= set(found) <= before | others.added

        asyncio.run_coroutine_threadsafe(checked(), loop).result(60)

    await asyncio.to_thread(check)


@pytest.mark.parametrize(
    ("where", "order", "told"),
    [
        ((Predicate("x", Operation.EQUALS, ""),), Order(), "'x' is no key; there are created_at"),
        (
            (Predicate("storage_state", Operation.EQUALS, 1),),
            Order(),
            "storage_state is compared with texts",
        ),
        ((Predicate("created_at", Operation.EQUALS, "1"),), Order(), "compared with times"),
        ((Predicate("created_at", Operation.IS_SUBSTRING, 1),), Order(), "is a time"),
        ((Predicate("id", Operation.EQUALS, ("a", "b")),), Order(), "only IN compares"),
        ((), Order("description"), "lists are not sorted by it; they are by created_at"),
        ((), Order("nothing"), "'nothing' is no key"),
    ],
)
async def test_what_cannot_be_asked_is_said(tmp_path, where, order, told):
    history = History(tmp_path / "history.db")
    with pytest.raises(ValueError, match=told):
        await history.runs(Query(namespaces=None, where=where, order=order))
    with pytest.raises(ValueError, match=told):
        await history.experiments(Query(namespaces=None, where=where, order=order))
    await history.close()


async def test_experiments_are_listed_by_any_of_their_keys(history):
    names = ["b", "a", "C"]
    made = [
        await history.create_experiment(
            Experiment(namespace="red", display_name=name, created_at=number + 1)
        )
        for number, name in enumerate(names)
    ]
    for name, key in EXPERIMENT_KEYS.items():
        if not key.sorts:
            continue
        query = Query(namespaces=("red",), order=Order(name, descending=True), limit=2)
        first = await history.experiments(query)
        rest = await history.experiments(dataclasses.replace(query, after=first.after))
        wanted = sorted(made, key=operator.attrgetter(key.field))
        assert [*first.items, *rest.items] == wanted[::-1]
        assert (first.total, rest.after) == (3, None)


async def test_a_page_goes_on_where_one_has_ended_that_is_gone(history):
    for number in range(3):
        await history.record(seen(f"r{number}", created_at=number))
    page = await history.runs(Query(namespaces=None, limit=2))
    assert page.after == Cursor(1, page.after.row)
    await history.delete_run("r1-id")
    rest = await history.runs(Query(namespaces=None, limit=2, after=page.after))
    assert [run.run_id for run in rest.items] == ["r2-id"]


async def test_pages_with_pipelines_are_as_long_as_fit(history, monkeypatch):
    sizes = {"a": 10, "b": 900, "c": 900, "d": 10, "e": 5000, "f": 10}
    for name, size in sizes.items():
        spec = {"pipelineInfo": {"name": "x" * size}}
        await history.record(dataclasses.replace(seen(name), pipeline_spec=spec))
    monkeypatch.setattr(reading, "MOST_SPECS_BYTES", 1930)
    query, found = Query(namespaces=("red",), order=Order("name"), limit=4), []
    while True:
        page = await history.runs(query, specs=True)
        assert page.total == len(sizes)
        found.append("".join(each.name for each in page.items))
        for each in page.items:
            assert len(each.pipeline_spec["pipelineInfo"]["name"]) == sizes[each.name]
        if page.after is None:
            break
        query = dataclasses.replace(query, after=page.after)
    assert found == ["abc", "d", "e", "f"]
    assert len((await history.runs(dataclasses.replace(query, after=None))).items) == 4


async def test_metrics_of_one_report_are_kept_together(history, monkeypatch):
    monkeypatch.setattr(history_store, "MOST_METRICS", 3)
    await history.record(seen("a"))

    def metric(name, node="n", run="a"):
        return Metric(run_id=f"{run}-id", node_id=node, name=name, number=1.0)

    kept, duplicate, full = Reported.KEPT, Reported.DUPLICATE, Reported.NO_ROOM
    report = [metric("x"), metric("x"), metric("x", "m")]
    assert await history.add_metrics(report) == [kept, duplicate, kept]
    more = [metric("x"), metric("y"), metric("z"), metric("y")]
    assert await history.add_metrics(more) == [duplicate, kept, full, duplicate]
    assert await history.add_metrics([metric("x", run="b")]) == [kept]
    stored = (await history.metrics(["a-id"]))["a-id"]
    assert [(each.name, each.node_id) for each in stored] == [("x", "n"), ("x", "m"), ("y", "n")]


async def test_metrics_that_two_processes_report_at_once_are_kept_once(tmp_path):
    first, second = (History(tmp_path / "history.db") for _ in range(2))
    reports = [
        [Metric(run_id="r", node_id="n", name=f"m{number}", number=1.0) for number in range(20)]
        for _ in range(2)
    ]
    try:
        told = await asyncio.gather(first.add_metrics(reports[0]), second.add_metrics(reports[1]))
        assert {Reported.KEPT, Reported.DUPLICATE} == {each for one in told for each in one}
        assert len((await first.metrics(["r"]))["r"]) == 20
    finally:
        await first.close()
        await second.close()


async def test_runs_are_paged_by_a_metric(history, monkeypatch):
    monkeypatch.setattr(history_store, "MOST_METRICS", 3)
    numbers = {
        "a": (0.1,),
        "b": (-1.7976931348623157e308,),
        "c": (),
        "d": (1e-300, 7.25),
        "e": (0.1,),
    }
    for name, values in numbers.items():
        await history.record(seen(name))
        for node, number in enumerate(values):
            metric = Metric(run_id=f"{name}-id", node_id=f"n{node}", name="Loss", number=number)
            assert await history.add_metric(metric)
            with pytest.raises(DuplicateError):
                await history.add_metric(metric)
    expected = ["b", "c", "a", "e", "d"]
    for descending in (False, True):
        after, found = None, []
        while True:
            order = Order("metric:Loss", descending=descending)
            page = await history.runs(Query(namespaces=("red",), order=order, limit=2, after=after))
            assert page.total == 5
            found += [each.name for each in page.items]
            after = page.after
            if after is None:
                break
        assert found == (expected[::-1] if descending else expected)
    other = Query(namespaces=("red",), order=Order("metric:loss"))
    assert [each.name for each in (await history.runs(other)).items] == ["a", "b", "c", "d", "e"]
    kept = await history.metrics(["a-id", "d-id", "none"])
    assert [each.number for each in kept["d-id"]] == [1e-300, 7.25]
    assert "none" not in kept
    wrong = Predicate("metric:Loss", Operation.EQUALS, "1")
    with pytest.raises(ValueError, match="not filtered"):
        await history.runs(Query(namespaces=("red",), where=(wrong,)))
    for other_node in ("x", "y", "z"):
        metric = Metric(run_id="a-id", node_id=other_node, name="Loss", number=0.0)
        assert await history.add_metric(metric) is (other_node != "z")
    await history.delete_run("a-id")
    assert await history.metrics(["a-id"]) == {}
