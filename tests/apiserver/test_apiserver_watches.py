import asyncio
import itertools
import json
from contextlib import aclosing
from typing import Any

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import Request, WatchEvent

MAPS = kinds.CONFIG_MAPS


class Watcher:
    """Collects the events of a watch in the background."""

    def __init__(self, api: Any, **options: Any) -> None:
        self.events: list[WatchEvent] = []
        self.error: errors.ApiError | None = None
        self._more = asyncio.Event()
        resource = options.pop("resource", MAPS)
        self._request = Request("watch", resource, namespace="default", options=options)
        self._api = api

    async def __aenter__(self) -> Any:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async with aclosing(self._api.transport.watch(self._request)) as events:
                async for event in events:
                    self.events.append(event)
                    self._more.set()
        except errors.ApiError as error:
            self.error = error
            self._more.set()

    async def until(self, count: Any) -> Any:
        async with asyncio.timeout(60):
            while len(self.events) < count and self.error is None:
                self._more.clear()
                await self._more.wait()
        return [(event.type, event.object["metadata"].get("name")) for event in self.events]

    async def ended(self) -> None:
        async with asyncio.timeout(60):
            await asyncio.wait({self._task})


async def version(api: Any) -> Any:
    return (await api.send("list", MAPS, namespace="default"))["metadata"]["resourceVersion"]


async def patch(api: Any, name: Any, body: Any) -> Any:
    return await api.send("patch", MAPS, namespace="default", name=name, body=body)


async def test_changes_since_a_list(api: Any) -> None:
    await api.create(MAPS, "before")
    async with Watcher(api, resourceVersion=await version(api)) as watcher:
        await api.create(MAPS, "a")
        await patch(api, "a", {"data": {"k": "v"}})
        await api.send("delete", MAPS, namespace="default", name="a")
        seen = await watcher.until(3)
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    versions = [int(event.object["metadata"]["resourceVersion"]) for event in watcher.events]
    assert versions == sorted(set(versions))


@pytest.mark.parametrize("since", [{}, {"resourceVersion": "0"}])
async def test_watch_without_version_begins_with_what_is_there(api: Any, since: Any) -> None:
    await api.create(MAPS, "a")
    await api.create(MAPS, "b")
    async with Watcher(api, **since) as watcher:
        await watcher.until(2)
        await api.create(MAPS, "c")
        assert await watcher.until(3) == [("ADDED", "a"), ("ADDED", "b"), ("ADDED", "c")]


async def test_selector_turns_label_changes_into_coming_and_going(api: Any) -> None:
    await api.create(MAPS, "a")
    options = {"labelSelector": "in=yes", "resourceVersion": await version(api)}
    async with Watcher(api, **options) as watcher:
        await patch(api, "a", {"metadata": {"labels": {"in": "yes"}}})
        await patch(api, "a", {"data": {"k": "v"}})
        last = await patch(api, "a", {"metadata": {"labels": {"in": "no"}}})
        await patch(api, "a", {"data": {"k": "w"}})
        await patch(api, "a", {"metadata": {"labels": {"in": "yes"}}})
        await api.send("delete", MAPS, namespace="default", name="a")
        seen = await watcher.until(5)
    assert [kind for kind, _ in seen] == ["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"]
    left = watcher.events[2].object
    assert left["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]
    assert left["metadata"]["labels"] == {"in": "yes"}


async def test_field_selector_by_name_and_by_phase(api: Any) -> None:
    options = {"fieldSelector": "metadata.name=a", "resourceVersion": await version(api)}
    async with Watcher(api, **options) as watcher:
        await api.create(MAPS, "b")
        await api.create(MAPS, "a")
        assert await watcher.until(1) == [("ADDED", "a")]


async def test_watch_list_ends_its_beginning_with_a_bookmark(api: Any) -> None:
    await api.create(MAPS, "a")
    options = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    async with Watcher(api, **options) as watcher:
        await watcher.until(2)
        await api.create(MAPS, "b")
        await watcher.until(3)
    assert [event.type for event in watcher.events] == ["ADDED", "BOOKMARK", "ADDED"]
    metadata = watcher.events[1].object["metadata"]
    assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert watcher.events[1].object["kind"] == "ConfigMap"


@pytest.mark.parametrize(
    "options",
    [
        {"sendInitialEvents": "true", "allowWatchBookmarks": "true"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersionMatch": "NotOlderThan"},
    ],
)
async def test_contradicting_watch_options_are_invalid(api: Any, options: Any) -> None:
    with pytest.raises(errors.InvalidError):
        await anext(api.transport.watch(Request("watch", MAPS, options=options)))


async def test_watch_ends_at_its_time_with_a_bookmark(api: Any) -> None:
    options = {"timeoutSeconds": "1", "allowWatchBookmarks": "true"}
    async with Watcher(api, resourceVersion=await version(api), **options) as watcher:
        await watcher.ended()
    assert [event.type for event in watcher.events] == ["BOOKMARK"]
    assert watcher.error is None


async def test_two_watchers_see_the_same_order(api: Any) -> None:
    since = await version(api)
    async with (
        Watcher(api, resourceVersion=since) as one,
        Watcher(api, resourceVersion=since) as other,
    ):
        await asyncio.gather(*(api.create(MAPS, f"c{index}") for index in range(30)))
        await one.until(30)
        await other.until(30)
    assert [event.object for event in one.events] == [event.object for event in other.events]


async def test_watch_from_the_future_is_a_timeout(api: Any) -> None:
    request = Request("watch", MAPS, options={"resourceVersion": "999999"})
    with pytest.raises(errors.ServerTimeoutError):
        await anext(api.transport.watch(request))


async def test_table_events(server: Any, session: Any, api: Any) -> None:
    await api.create(MAPS, "a", data={"k": "v"})
    headers = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    path = "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1"
    async with session.get(path, headers=headers) as response:
        events = [json.loads(line) async for line in response.content]
    table = events[0]["object"]
    assert table["kind"] == "Table"
    assert table["rows"][0]["cells"][:2] == ["a", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_stopping_the_server_ends_watches(server: Any, session: Any) -> None:
    path = "/api/v1/configmaps?watch=1"
    async with session.get(path) as response:
        stopping = asyncio.create_task(server.stop())
        assert await response.read() == b""
        await stopping


async def test_a_reader_that_takes_nothing_is_cut_off(
    server: Any, session: Any, api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.apiserver.http.streams._WRITE_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET /api/v1/configmaps?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await api.create(MAPS, "a")
    async with asyncio.timeout(60):
        for index in itertools.count():
            await patch(api, "a", {"data": {"k": str(index) + "x" * 900_000}})
            async with session.get("/metrics") as response:
                if 'longrunning_requests{verb="WATCH"} 0' in await response.text():
                    break
    writer.close()
    async with session.get("/readyz") as response:
        assert response.status == 200
