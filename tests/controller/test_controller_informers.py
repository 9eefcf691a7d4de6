"""Informers: what a cache holds after everything that can happen to a watch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.controller.informers import Informer
from wherry.objects import kinds, selectors
from wherry.objects.requests import Object
from wherry.testing.clock import FakeClock

Eventually = Callable[..., Awaitable[None]]


def config_map(name: str, **labels: str) -> Object:
    metadata = {"name": name, "namespace": "ns", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


@pytest.fixture
async def informer(client: Client, clock: FakeClock) -> AsyncIterator[Informer]:
    informer = Informer(client, kinds.CONFIG_MAPS, clock)
    task = asyncio.create_task(informer.run())
    yield informer
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def names(informer: Informer) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in informer.cache.list())


async def test_handlers_get_before_and_after(client: Client, informer: Informer) -> None:
    changes: list[tuple[str, str]] = []

    def color(obj: Object | None) -> str:
        return obj["metadata"]["labels"].get("color", "") if obj else "-"

    informer.add_handler(lambda old, new: changes.append((color(old), color(new))))
    await client.create(kinds.CONFIG_MAPS, config_map("a", color="red"))
    patch = {"metadata": {"labels": {"color": "blue"}}}
    patched = await client.patch(kinds.CONFIG_MAPS, "a", patch, "ns")
    await informer.cache.wait_until(int(patched["metadata"]["resourceVersion"]))
    assert changes == [("-", "red"), ("red", "blue")]
    await client.delete(kinds.CONFIG_MAPS, "a", "ns")
    await informer.cache.wait_until(informer.cache.revision + 1)
    assert changes[2:] == [("blue", "-")]
    assert len(informer.cache) == 0


async def test_what_was_missed_is_worked_out(
    api: Any, client: Client, informer: Informer, clock: FakeClock, eventually: Eventually
) -> None:
    for name in ("kept", "changed", "gone"):
        await client.create(kinds.CONFIG_MAPS, config_map(name))
    await informer.cache.wait_until(api.revision)
    changes: list[tuple[bool, bool]] = []
    informer.add_handler(lambda old, new: changes.append((old is not None, new is not None)))
    changes.clear()
    api.down = True
    await api.hang_up()
    api.down = False
    await client.patch(kinds.CONFIG_MAPS, "changed", {"data": {"a": "b"}}, "ns")
    await client.delete(kinds.CONFIG_MAPS, "gone", "ns")
    await client.create(kinds.CONFIG_MAPS, config_map("new"))
    await api.compact()
    await clock.advance(20)
    await eventually(lambda: names(informer) == ["changed", "kept", "new"])
    assert sorted(changes) == [(False, True), (True, False), (True, True)]


async def test_a_watch_that_ends_goes_on_where_it_was(
    api: Any, client: Client, informer: Informer, clock: FakeClock
) -> None:
    await informer.cache.synced.wait()
    for number in range(5):
        await client.create(kinds.CONFIG_MAPS, config_map(f"n{number}"))
        await api.hang_up()
        await clock.advance(5)
    assert len(informer.cache) == 5
    assert sum(request.verb == "list" for request in api.requests) == 1


async def test_a_server_that_is_away_is_asked_ever_more_slowly(
    api: Any, client: Client, clock: FakeClock
) -> None:
    api.down = True
    informer = Informer(client, kinds.CONFIG_MAPS, clock)
    task = asyncio.create_task(informer.run())
    await clock.advance(60)
    assert not informer.cache.synced.is_set()
    api.down = False
    await clock.advance(16)
    assert informer.cache.synced.is_set()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_indexes_follow_changes(api: Any, client: Client, informer: Informer) -> None:
    cache = informer.cache
    cache.add_index("color", lambda obj: obj["metadata"]["labels"].values())
    await client.create(kinds.CONFIG_MAPS, config_map("a", color="red"))
    await client.create(kinds.CONFIG_MAPS, config_map("b", color="red"))
    await cache.wait_until(api.revision)
    assert len(cache.by_index("color", "red")) == 2
    assert len(cache.list("ns", selectors.parse_labels("color=red"))) == 2
    patch = {"metadata": {"labels": {"color": "blue"}}}
    await client.patch(kinds.CONFIG_MAPS, "a", patch, "ns")
    await cache.wait_until(api.revision)
    assert [obj["metadata"]["name"] for obj in cache.by_index("color", "red")] == ["b"]
    assert [obj["metadata"]["name"] for obj in cache.by_index("color", "blue")] == ["a"]
    cache.add_index("late", lambda obj: [obj["metadata"]["name"]])
    assert len(cache.by_index("late", "a")) == 1


async def test_a_handler_that_fails_does_not_keep_others_from_theirs(
    api: Any, client: Client, informer: Informer, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_old: Object | None, _new: Object | None) -> None:
        raise KeyError("broken")

    seen: list[str] = []
    informer.add_handler(broken)
    informer.add_handler(lambda _, new: seen.append(new["metadata"]["name"] if new else ""))
    await client.create(kinds.CONFIG_MAPS, config_map("a"))
    await informer.cache.wait_until(api.revision)
    assert seen == ["a"]
    assert "a handler failed" in caplog.text


async def test_items_of_lists_have_their_kind(
    api: Any, clock: FakeClock, informer: Informer
) -> None:
    api.put(kinds.CONFIG_MAPS, config_map("a"))
    await api.compact()
    await clock.advance(5)
    obj = informer.cache.get("ns", "a")
    assert obj is not None
    assert (obj["apiVersion"], obj["kind"]) == ("v1", "ConfigMap")


async def test_a_server_that_went_back_in_time_is_listed_again(
    api: Any, clock: FakeClock, informer: Informer
) -> None:
    api.put(kinds.CONFIG_MAPS, config_map("before"))
    await api.compact()
    await clock.advance(5)
    assert names(informer) == ["before"]
    api.objects.clear()
    api.history.clear()
    api.revision, api.oldest = 3, 0
    api.put(kinds.CONFIG_MAPS, config_map("restored"))
    await api.hang_up()
    await clock.advance(5)
    assert names(informer) == ["restored"]
    assert informer.cache.revision == 4


async def test_the_schemas_of_definitions_are_not_kept(client: Client, clock: FakeClock) -> None:
    names = {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"}
    schema = {"openAPIV3Schema": {"type": "object"}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    crds = kinds.CUSTOM_RESOURCE_DEFINITIONS
    await client.create(crds, {"metadata": {"name": "boats.example.com"}, "spec": spec})
    informer = Informer(client, crds, clock)
    task = asyncio.create_task(informer.run())
    await informer.cache.synced.wait()
    task.cancel()
    kept = informer.cache.get("", "boats.example.com")
    assert kept is not None
    assert kept["spec"]["names"]["kind"] == "Boat"
    assert kept["spec"]["versions"] == [{"name": "v1", "served": True, "storage": True}]
    with contextlib.suppress(asyncio.CancelledError):
        await task
