"""What one store does: writes, reads, older snapshots, history on disk."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from wherry import store
from wherry.store import Key, Store, StoreSettings

PODS = "pods"


def key(name: str, namespace: str = "default", resource: str = PODS) -> Key:
    return Key(resource, namespace, name)


def obj(name: str, **fields: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name, "uid": f"uid-{name}"}, **fields}


def names(snapshot: store.Snapshot) -> list[str]:
    return [record.key.name for record in snapshot.records]


async def test_create_returns_the_object_at_its_revision() -> None:
    async with Store.in_memory() as s:
        value = obj("a", spec={"x": 1})
        record = await s.create(key("a"), value)
        assert record.revision == s.revision == 1
        assert record.value() == obj("a", spec={"x": 1}) | {
            "metadata": {"name": "a", "uid": "uid-a", "resourceVersion": "1"}
        }
        assert value == obj("a", spec={"x": 1})
        assert s.get(key("a")) is record
        assert record.value() is not record.value()
        assert (record.uid, record.labels) == ("uid-a", {})
        assert repr(record) == f"Record(pods default/a, revision=1, {len(record.raw)} bytes)"


async def test_create_of_an_existing_key_is_refused() -> None:
    async with Store.in_memory() as s:
        first = asyncio.create_task(s.create(key("a"), obj("a")))
        await asyncio.sleep(0)
        assert s.get(key("a")) is None
        assert s.head(key("a")) is not None
        with pytest.raises(store.KeyExistsError, match="pods default/a exists already"):
            await s.create(key("a"), obj("a"))
        await first


async def test_update_checks_the_expected_revision() -> None:
    async with Store.in_memory() as s:
        with pytest.raises(store.KeyMissingError) as missing:
            await s.update(key("a"), obj("a"), expected=None)
        assert missing.value.key == key("a")
        first = await s.create(key("a"), obj("a", v=1))
        second = await s.update(key("a"), obj("a", v=2), expected=first.revision)
        with pytest.raises(store.RevisionConflictError) as conflict:
            await s.update(key("a"), obj("a", v=3), expected=first.revision)
        assert (conflict.value.expected, conflict.value.actual) == (first.revision, second.revision)
        third = await s.update(key("a"), obj("a", v=3), expected=None)
        assert third.revision == s.revision == 3


@pytest.mark.parametrize(
    ("before", "after", "written"),
    [
        ({"a": 1, "b": True}, {"b": True, "a": 1}, False),
        ({"a": 1, "b": True}, {"a": True, "b": 1}, True),
        ({"a": 1}, {"a": 2}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, True),
    ],
)
async def test_an_equal_value_is_not_written(
    before: dict[str, Any], after: dict[str, Any], written: bool
) -> None:
    async with Store.in_memory() as s:
        first = await s.create(key("a"), obj("a", spec=before))
        value = obj("a", spec=after)
        value["metadata"]["resourceVersion"] = "99"
        second = await s.update(key("a"), value, expected=None)
        assert (second.revision > first.revision) is written
        assert second.value()["spec"] == after


async def test_an_equal_value_waits_for_the_write_it_equals() -> None:
    async with Store.in_memory() as s:
        first = asyncio.create_task(s.create(key("a"), obj("a")))
        await asyncio.sleep(0)
        second = await s.update(key("a"), obj("a"), expected=None)
        assert s.get(key("a")) is second is await first


async def test_writes_build_on_those_in_flight() -> None:
    async with Store.in_memory() as s:
        await asyncio.gather(
            s.create(key("a"), obj("a", v=0)),
            s.update(key("a"), obj("a", v=1), expected=1),
            s.delete(key("a"), expected=2),
            s.create(key("a"), obj("a", v=3)),
        )
        record = s.get(key("a"))
        assert record is not None
        assert record.revision == 4
        assert record.value()["v"] == 3


async def test_delete_carries_its_own_revision() -> None:
    async with Store.in_memory() as s:
        await s.create(key("a"), obj("a"))
        await s.create(key("b"), obj("b"))
        gone = await s.delete(key("a"))
        assert gone.revision == 3
        assert gone.value()["metadata"] == {"name": "a", "uid": "uid-a", "resourceVersion": "3"}
        final = await s.delete(key("b"), obj("b", status="done"), expected=2)
        assert final.value()["status"] == "done"
        assert s.get(key("a")) is None
        assert list(s.resources()) == []
        with pytest.raises(store.KeyMissingError):
            await s.delete(key("a"))


async def test_labels_and_uid_are_the_same_after_a_restart(tmp_path: Path) -> None:
    labelled = {"metadata": {"name": "a", "uid": "u", "labels": {"app": "x"}}}
    async with Store.open(tmp_path) as s:
        before = await s.create(key("a"), labelled)
        await s.create(key("b"), {"metadata": {"labels": None}})
        await s.create(key("c"), {"metadata": None})
    async with Store.open(tmp_path) as s:
        after, bare, empty = (s.get(key(name)) for name in "abc")
        assert after is not None
        assert bare is not None
        assert empty is not None
        assert (before.uid, before.labels) == ("u", {"app": "x"})
        assert (after.uid, after.labels, after.raw) == (before.uid, before.labels, before.raw)
        assert (bare.labels, bare.uid, empty.labels) == ({}, "", {})


@pytest.mark.parametrize("bad", [{1: "x"}, {"x": object()}, {"x": 1 << 70}, {"x": "\ud800"}])
async def test_what_is_not_json_is_refused_and_nothing_is_stored(bad: dict[Any, Any]) -> None:
    async with Store.in_memory() as s:
        with pytest.raises(store.InvalidValueError, match="pods default/a is not JSON"):
            await s.create(key("a"), bad)
        await s.create(key("a"), obj("a"))
        with pytest.raises(store.InvalidValueError, match="not JSON"):
            await s.update(key("a"), bad, expected=None)
        assert s.revision == 1


async def test_a_key_that_is_no_text_fails_alone() -> None:
    async with Store.in_memory() as s:
        results = await asyncio.gather(
            s.create(key("\ud800"), {}), s.create(key("a"), {}), return_exceptions=True
        )
        assert isinstance(results[0], store.InvalidValueError)
        assert isinstance(results[1], store.Record)
        assert s.revision == 1


async def test_deep_nesting_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(2000):
        deep = [deep]
    async with Store.in_memory() as s:
        with pytest.raises(store.InvalidValueError):
            await s.create(key("a"), {"x": deep})
        assert s.revision == 0


async def test_large_values_are_refused_but_can_be_deleted() -> None:
    async with Store.in_memory(settings=StoreSettings(max_value_bytes=200)) as s:
        with pytest.raises(store.InvalidValueError, match="at most 200 are accepted"):
            await s.create(key("a"), obj("a", x="x" * 200))
        await s.create(key("a"), obj("a"))
        await s.delete(key("a"), obj("a", x="x" * 200))
        assert s.head(key("a")) is None


async def test_list_is_sorted_and_by_namespace() -> None:
    async with Store.in_memory() as s:
        for namespace, name in [("b", "y"), ("a", "z"), ("b", "x"), ("a", "a")]:
            await s.create(key(name, namespace), obj(name))
        await s.create(key("n", "", "nodes"), obj("n"))
        assert names(s.list(PODS)) == ["a", "z", "x", "y"]
        assert names(s.list(PODS, "b")) == ["x", "y"]
        assert names(s.list("nodes")) == ["n"]
        assert s.list(PODS, "none") == s.list("none") == (5, ())
        assert list(s.resources()) == ["nodes", "pods"]
        assert s.list(PODS).records is s.list(PODS).records


async def test_list_at_an_older_revision() -> None:
    async with Store.in_memory() as s:
        await s.create(key("a"), obj("a", v=1))
        await s.create(key("b", "other"), obj("b"))
        await s.update(key("a"), obj("a", v=2), expected=None)
        await s.delete(key("a"))
        await s.create(key("a"), obj("a", v=3))
        assert [names(s.list(PODS, revision=r)) for r in range(6)] == [
            [],
            ["a"],
            ["a", "b"],
            ["a", "b"],
            ["b"],
            ["a", "b"],
        ]
        assert [r.value()["v"] for r in s.list(PODS, "default", revision=2).records] == [1]
        assert names(s.list(PODS, "other", revision=4)) == ["b"]
        with pytest.raises(store.FutureRevisionError, match="larger than the current one, 5"):
            s.list(PODS, revision=6)


async def test_history_is_bounded_by_count_and_bytes() -> None:
    for bounds in (StoreSettings(history_changes=3), StoreSettings(history_bytes=300)):
        async with Store.in_memory(settings=bounds) as s:
            await s.create(key("a"), obj("a", v=0))
            for v in range(9):
                await s.update(key("a"), obj("a", v=v + 10), expected=None)
            assert s.oldest_revision == 7
            assert len(s.list(PODS, revision=7).records) == 1
            with pytest.raises(store.CompactedError, match="the oldest that can be read is 7"):
                s.list(PODS, revision=6)
            with pytest.raises(store.CompactedError):
                s.watch(PODS, since=6)


async def test_the_file_is_compacted_and_shrinks(tmp_path: Path) -> None:
    bounds = StoreSettings(history_changes=10, compaction_rows=5, spare_bytes=0)
    big = "x" * 20_000
    async with Store.open(tmp_path, settings=bounds) as s:
        await asyncio.gather(*(s.create(key(f"p{i}"), obj("p", x=big)) for i in range(100)))
        grown = (tmp_path / "store.db-wal").stat().st_size
        for i in range(95):
            await s.delete(key(f"p{i}"), obj("p"))
    size = (tmp_path / "store.db").stat().st_size
    assert grown > 2_000_000
    assert size < 700_000
    rows = sqlite3.connect(tmp_path / "store.db")
    (count,) = rows.execute("SELECT count(*) FROM revisions").fetchone()
    rows.close()
    assert count <= 5 + 2 * 10 + 5
    async with Store.open(tmp_path, settings=bounds) as s:
        assert names(s.list(PODS)) == [f"p{i}" for i in range(95, 100)]
        assert s.revision == 195


async def test_revisions_do_not_go_back_when_the_last_row_is_compacted(tmp_path: Path) -> None:
    bounds = StoreSettings(history_changes=0, compaction_rows=1)
    async with Store.open(tmp_path, settings=bounds) as s:
        await s.create(key("a"), obj("a"))
        await s.delete(key("a"))
    async with Store.open(tmp_path, settings=bounds) as s:
        assert s.revision == 2
        assert (await s.create(key("a"), obj("a"))).revision == 3


async def test_history_is_there_after_a_restart(tmp_path: Path) -> None:
    bounds = StoreSettings(history_changes=6, compaction_rows=1)
    async with Store.open(tmp_path, settings=bounds) as s:
        for i in range(4):
            await s.create(key(f"p{i}"), obj(f"p{i}"))
        await s.update(key("p0"), obj("p0", v=1), expected=None)
        await s.delete(key("p1"))
        await s.create(key("p1"), obj("p1", v=2))
        await s.delete(key("p3"))
        oldest = s.oldest_revision
        lists = [s.list(PODS, revision=r) for r in range(oldest, 9)]
    async with Store.open(tmp_path, settings=bounds) as s:
        assert s.oldest_revision == oldest == 2
        for before in lists:
            after = s.list(PODS, revision=before.revision)
            assert [r.raw for r in after.records] == [r.raw for r in before.records]
        changes = await anext(s.watch(PODS, since=oldest))
        assert [(c.type, c.record.key.name, c.revision) for c in changes] == [
            ("ADDED", "p2", 3),
            ("ADDED", "p3", 4),
            ("MODIFIED", "p0", 5),
            ("DELETED", "p1", 6),
            ("ADDED", "p1", 7),
            ("DELETED", "p3", 8),
        ]
        previous = [c.previous.revision if c.previous else None for c in changes]
        assert previous == [None, None, 1, 2, None, 4]


async def test_smaller_bounds_take_effect_at_the_next_start(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as s:
        await s.create(key("a"), obj("a", v=0))
        for v in range(1, 20):
            await s.update(key("a"), obj("a", v=v), expected=None)
    async with Store.open(
        tmp_path, settings=StoreSettings(history_changes=2, compaction_rows=1)
    ) as s:
        assert s.oldest_revision == 18
    async with Store.open(tmp_path) as s:
        assert s.oldest_revision == 18
        assert [r.value()["v"] for r in s.list(PODS, revision=18).records] == [17]


async def test_a_cancelled_writer_does_not_undo_its_write_or_that_of_others() -> None:
    async with Store.in_memory() as s:
        first = asyncio.create_task(s.create(key("a"), obj("a")))
        await asyncio.sleep(0)
        same = asyncio.create_task(s.update(key("a"), obj("a"), expected=None))
        await asyncio.sleep(0)
        first.cancel()
        assert (await same).revision == 1
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_store_takes_no_writes_before_its_start_and_after_its_end() -> None:
    s = Store.in_memory()
    with pytest.raises(store.StoreClosedError, match="not started, or closed"):
        await s.create(key("a"), obj("a"))
    await s.start()
    await s.start()
    under_way = asyncio.create_task(s.create(key("a"), obj("a")))
    await asyncio.sleep(0)
    await s.close()
    assert (await under_way).revision == 1
    await s.close()
    with pytest.raises(store.StoreClosedError):
        await s.create(key("b"), obj("b"))
    with pytest.raises(store.StoreClosedError):
        s.watch(PODS, since=0)
    with pytest.raises(store.StoreClosedError, match="open a new one"):
        await s.start()
    await Store.in_memory().close()


async def test_many_writers_share_commits_in_order(tmp_path: Path) -> None:
    async with Store.open(tmp_path) as s:
        watch = s.watch(PODS, since=0)
        await asyncio.gather(*(s.create(key(f"p{i:03}"), obj("p")) for i in range(300)))
        batches = 0
        seen: list[int] = []
        while len(seen) < 300:
            seen += [change.revision for change in await anext(watch)]
            batches += 1
        assert seen == list(range(1, 301))
        assert batches < 30
    async with Store.open(tmp_path) as s:
        assert len(s.list(PODS).records) == 300


def test_settings_refuse_what_cannot_work() -> None:
    with pytest.raises(ValueError, match="compaction_rows is 0; it must be at least 1"):
        StoreSettings(compaction_rows=0)
    with pytest.raises(ValueError, match="history_bytes is -1; it must be at least 0"):
        StoreSettings(history_bytes=-1)


def test_the_store_of_a_finished_loop_can_be_abandoned(tmp_path: Path) -> None:
    async def abandon() -> None:
        s = Store.open(tmp_path)
        await s.start()
        await s.create(key("a"), obj("a"))
        pending.append(asyncio.ensure_future(s.create(key("b"), obj("b"))))
        await asyncio.sleep(0)
        opened.append(s)

    opened: list[Store] = []
    pending: list[asyncio.Future[store.Record]] = []
    asyncio.run(abandon())
    assert pending[0].cancelled()
    # A write whose caller is cancelled is not undone: it may have come in before the loop's end.
    assert opened[0].revision in {1, 2}


async def test_who_is_refused_can_read_why(tmp_path: Path) -> None:
    """Retrying at once must end: a refusal is only told when the state behind it can be read."""
    async with Store.open(tmp_path) as s:
        first = await s.create(key("a"), obj("a", spec=0))
        writing = asyncio.ensure_future(s.update(key("a"), obj("a", spec=1), expected=None))
        await asyncio.sleep(0)
        with pytest.raises(store.RevisionConflictError):
            await s.update(key("a"), obj("a", spec=2), expected=first.revision)
        record = s.get(key("a"))
        assert record is not None
        assert record.revision == (await writing).revision
