"""Watches: replay, batches, bounds, ends."""

import asyncio
from typing import Any

import pytest

from wherry import store
from wherry.store import Key, Store, StoreSettings, Subscription

PODS = "pods"


def key(name: str, namespace: str = "default", resource: str = PODS) -> Key:
    return Key(resource, namespace, name)


def obj(name: str, **fields: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **fields}


async def read(watch: Subscription, count: int) -> list[tuple[str, str, int]]:
    seen: list[tuple[str, str, int]] = []
    async with asyncio.timeout(60):
        while len(seen) < count:
            seen += [(c.type, c.record.key.name, c.revision) for c in await anext(watch)]
    return seen


async def test_replay_goes_over_into_what_happens_next() -> None:
    async with Store.in_memory() as s:
        await s.create(key("a"), obj("a"))
        await s.create(key("b"), obj("b"))
        watch = s.watch(PODS, since=1)
        assert not watch.caught_up
        await s.update(key("a"), obj("a", v=1), expected=None)
        await s.delete(key("b"))
        assert await read(watch, 3) == [
            ("ADDED", "b", 2),
            ("MODIFIED", "a", 3),
            ("DELETED", "b", 4),
        ]
        assert watch.caught_up


async def test_whoever_waits_can_be_given_a_look_at_the_time() -> None:
    async with Store.in_memory() as s:
        watch = s.watch(PODS, since=0)
        watch.nudge()  # nobody waits: it is not kept
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        watch.nudge()
        assert list(await waiting) == []
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await s.create(key("a"), obj("a"))
        assert [change.revision for change in await waiting] == [1]


async def test_a_watch_sees_only_its_place() -> None:
    async with Store.in_memory() as s:
        one, every = s.watch(PODS, "one", since=0), s.watch(PODS, since=0)
        await s.create(key("n", "", "nodes"), obj("n"))
        await s.create(key("a", "two"), obj("a"))
        await s.create(key("b", "one"), obj("b"))
        assert await read(one, 1) == [("ADDED", "b", 3)]
        assert await read(every, 2) == [("ADDED", "a", 2), ("ADDED", "b", 3)]
        assert await read(s.watch(PODS, "two", since=0), 1) == [("ADDED", "a", 2)]


async def test_a_change_knows_what_was_before() -> None:
    async with Store.in_memory() as s:
        watch = s.watch(PODS, since=0)
        first = await s.create(key("a"), obj("a"))
        second = await s.update(key("a"), obj("a", v=1), expected=None)
        third = await s.delete(key("a"))
        changes = [change for _ in range(3) for change in await anext(watch)]
        assert [c.previous for c in changes] == [None, first, second]
        assert [c.record for c in changes] == [first, second, third]


async def test_a_watch_from_a_revision_ahead_begins_there() -> None:
    async with Store.in_memory() as s:
        watch = s.watch(PODS, since=2)
        await asyncio.gather(*(s.create(key(n), obj(n)) for n in "abc"))
        assert await read(watch, 1) == [("ADDED", "c", 3)]
        ahead = s.watch(PODS, since=9)
        await s.create(key("d"), obj("d"))
        assert ahead.caught_up


async def test_a_slow_reader_is_cut_off_and_a_quick_one_is_not() -> None:
    bounds = StoreSettings(watch_buffer_changes=5)
    async with Store.in_memory(settings=bounds) as s:
        slow, quick = s.watch(PODS, since=0), s.watch(PODS, since=0)
        for i in range(8):
            await s.create(key(f"p{i}"), obj("p"))
            assert await read(quick, 1) == [("ADDED", f"p{i}", i + 1)]
        with pytest.raises(store.OverrunError, match="cut off after revision 0") as overrun:
            await anext(slow)
        assert isinstance(overrun.value, store.CompactedError)
        with pytest.raises(store.OverrunError):
            await anext(slow)
        slow.close()


async def test_a_reader_is_cut_off_by_bytes_but_always_gets_one_batch() -> None:
    bounds = StoreSettings(watch_buffer_bytes=100)
    async with Store.in_memory(settings=bounds) as s:
        watch = s.watch(PODS, since=0)
        await s.create(key("a"), obj("a", x="x" * 500))
        assert await read(watch, 1) == [("ADDED", "a", 1)]
        await s.create(key("b"), obj("b", x="x" * 500))
        await s.create(key("c"), obj("c"))
        with pytest.raises(store.OverrunError):
            await anext(watch)


async def test_closing_ends_the_reader() -> None:
    async with Store.in_memory() as s:
        watch = s.watch(PODS, since=0)

        seen = asyncio.Event()

        async def collect() -> list[int]:
            revisions = []
            async for batch in watch:
                revisions += [change.revision for change in batch]
                seen.set()
            return revisions

        reader = asyncio.create_task(collect())
        await s.create(key("a"), obj("a"))
        await seen.wait()
        watch.close()
        watch.close()
        assert await reader == [1]
        await s.create(key("b"), obj("b"))
        with pytest.raises(StopAsyncIteration):
            await anext(watch)


async def test_closing_the_store_ends_all_watches() -> None:
    s = Store.in_memory()
    await s.start()
    watches = [s.watch(PODS, since=0), s.watch(PODS, "a", since=0), s.watch("nodes", since=0)]
    readers = [asyncio.create_task(anext(watch, None)) for watch in watches]
    await asyncio.sleep(0)
    await s.close()
    assert await asyncio.gather(*readers) == [None, None, None]


async def test_a_cancelled_read_loses_nothing() -> None:
    async with Store.in_memory() as s:
        watch = s.watch(PODS, since=0)
        reading = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="one task at a time"):
            await anext(watch)
        reading.cancel()
        await s.create(key("a"), obj("a"))
        assert await read(watch, 1) == [("ADDED", "a", 1)]


async def test_watchers_share_one_batch() -> None:
    async with Store.in_memory() as s:
        watches = [s.watch(PODS, since=0) for _ in range(100)]
        await s.create(key("a"), obj("a"))
        batches = [await anext(watch) for watch in watches]
        assert all(batch is batches[0] for batch in batches)


async def test_changes_are_readable_before_watchers_and_writers_hear_of_them() -> None:
    async with Store.in_memory() as s:
        watch = s.watch(PODS, since=0)
        writer = asyncio.create_task(s.create(key("a"), obj("a")))
        (change,) = await anext(watch)
        assert s.get(key("a")) is change.record
        assert s.revision == change.revision == (await writer).revision
