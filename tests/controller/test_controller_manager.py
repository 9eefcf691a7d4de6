"""Controllers under a manager, against the tiny API."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.controller.controller import Controller, Watch
from wherry.controller.errors import Retry, Terminal
from wherry.controller.manager import Manager
from wherry.controller.owners import set_controller
from wherry.controller.requests import Request, Result
from wherry.objects import errors, kinds, requests
from wherry.objects.requests import Object
from wherry.testing.clock import FakeClock

Eventually = Callable[..., Awaitable[None]]
Act = Callable[[Request], Awaitable[Result | None]]


class Doing:
    """A reconciler that does as it is told and remembers whom it was asked for."""

    def __init__(self, act: Act | None = None) -> None:
        self.seen: list[Request] = []
        self._act = act

    async def reconcile(self, request: Request) -> Result | None:
        self.seen.append(request)
        return await self._act(request) if self._act else None


def config_map(name: str, **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "ns"},
        "data": data,
    }


def secret(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "ns"}}


@contextlib.asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[Manager]:
    task = asyncio.create_task(manager.run())
    try:
        async with asyncio.timeout(60):
            await manager.ready.wait()
        yield manager
    finally:
        await manager.stop()
        await task


def controller(doing: Doing, **more: Any) -> Controller:
    return Controller("tester", kinds.CONFIG_MAPS, doing, **more)


async def test_what_is_there_and_what_comes_is_reconciled(
    api: Any, client: Client, eventually: Eventually
) -> None:
    api.put(kinds.CONFIG_MAPS, config_map("old"))
    doing, manager = Doing(), Manager(client)
    manager.add(controller(doing))
    async with running(manager):
        await client.create(kinds.CONFIG_MAPS, config_map("new"))
        await eventually(lambda: {*doing.seen} == {Request("ns", "old"), Request("ns", "new")})
        await client.delete(kinds.CONFIG_MAPS, "old", "ns")
        await eventually(lambda: doing.seen.count(Request("ns", "old")) == 2)
        assert manager.cache(kinds.CONFIG_MAPS).get("ns", "old") is None


async def test_children_and_watched_objects_are_mapped(
    client: Client, eventually: Eventually
) -> None:
    doing, manager = Doing(), Manager(client)
    everyone = Watch(kinds.NODES, lambda _: [Request("ns", "all")])
    manager.add(controller(doing, owns=(kinds.SECRETS,), watches=(everyone,)))
    async with running(manager):
        owner = await client.create(kinds.CONFIG_MAPS, config_map("owner"))
        await eventually(lambda: len(doing.seen) == 1)
        child = await client.create(kinds.SECRETS, set_controller(secret("child"), owner))
        await eventually(lambda: doing.seen.count(Request("ns", "owner")) == 2)
        await client.create(kinds.SECRETS, secret("nobody's"))
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
        await client.create(kinds.NODES, node)
        await eventually(lambda: Request("ns", "all") in doing.seen)
        assert len(doing.seen) == 3
        cache = manager.cache(kinds.SECRETS)
        assert cache.owned_by(owner["metadata"]["uid"]) == [child]
        assert len(cache.list("ns")) == 2
        assert cache.list("other") == []


async def test_what_matters_to_nobody_is_no_request(client: Client, eventually: Eventually) -> None:
    def with_data(obj: Object) -> list[Request]:
        return [Request("ns", obj["metadata"]["name"])] if obj.get("data") else []

    def grows(before: Object, after: Object) -> bool:
        return len(after.get("data") or {}) > len(before.get("data") or {})

    watch = Watch(kinds.SECRETS, lambda obj: [Request("of", obj["metadata"]["name"])], grows)
    doing, manager = Doing(), Manager(client)
    manager.add(controller(doing, requests=with_data, watches=(watch,)))
    async with running(manager):
        await client.create(kinds.CONFIG_MAPS, config_map("without"))
        await client.create(kinds.CONFIG_MAPS, config_map("with", a="b"))
        await eventually(lambda: doing.seen == [Request("ns", "with")])
        made = await client.create(kinds.SECRETS, secret("s") | {"data": {"a": "Yg=="}})
        await eventually(lambda: doing.seen[1:] == [Request("of", "s")])
        made = await client.update(kinds.SECRETS, made | {"data": {"a": "Yw=="}})
        await client.update(kinds.SECRETS, made | {"data": {"a": "Yw==", "b": ""}})
        await eventually(lambda: doing.seen[2:] == [Request("of", "s")])
        await client.delete(kinds.SECRETS, "s", "ns")
        await eventually(lambda: doing.seen[3:] == [Request("of", "s")])


async def test_what_controllers_use_is_closed_after_them(
    api: Any, client: Client, eventually: Eventually
) -> None:
    told: list[str] = []

    async def slow(_: Request) -> Result | None:
        await asyncio.sleep(0.3)
        told.append("reconciled")
        return None

    async def fail() -> None:
        raise ValueError("no such file")

    async def close() -> None:
        told.append("closed")

    api.put(kinds.CONFIG_MAPS, config_map("a"))
    doing, manager = Doing(slow), Manager(client)
    manager.add(controller(doing))
    manager.afterwards(fail)
    manager.afterwards(close)
    async with running(manager):
        await eventually(lambda: doing.seen)
    assert told == ["reconciled", "closed"]


async def test_failures_are_retried_and_told_once(
    api: Any, client: Client, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Request) -> Result | None:
        if len(doing.seen) < 4:
            raise KeyError("broken")
        return None

    api.put(kinds.CONFIG_MAPS, config_map("a"))
    doing, manager = Doing(fail), Manager(client)
    manager.add(controller(doing))
    caplog.set_level(logging.INFO)
    async with running(manager):
        await eventually(lambda: len(doing.seen) == 4)
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 1
    assert tracebacks[0].name == "wherry.controller.tester"


async def test_conflicts_are_quiet_and_cancellations_are_failures(
    api: Any, client: Client, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: Request) -> Result | None:
        if len(doing.seen) == 1:
            raise errors.conflict("configmaps", "a")
        if len(doing.seen) == 2:
            raise asyncio.CancelledError
        return None

    api.put(kinds.CONFIG_MAPS, config_map("a"))
    doing, manager = Doing(fail), Manager(client)
    manager.add(controller(doing, workers=1))
    async with running(manager):
        await eventually(lambda: len(doing.seen) == 3)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_what_went_away_meanwhile_is_told_only_if_it_stays_missing(
    api: Any, client: Client, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: Request) -> Result | None:
        if doing.seen.count(request) < {"once": 2, "twice": 3}[request.name]:
            raise errors.not_found("secrets", request.name)
        return None

    api.put(kinds.CONFIG_MAPS, config_map("once"))
    api.put(kinds.CONFIG_MAPS, config_map("twice"))
    doing, manager = Doing(fail), Manager(client)
    manager.add(controller(doing))
    async with running(manager):
        await eventually(lambda: len(doing.seen) == 5)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "ns/twice" in caplog.text


async def test_outcomes_decide_when_to_look_again(
    api: Any, client: Client, clock: FakeClock, eventually: Eventually
) -> None:
    async def act(request: Request) -> Result | None:
        if doing.seen.count(request) > 1:
            return None
        match request.name:
            case "result":
                return Result(requeue_after_seconds=60)
            case "retry":
                raise Retry(30)
            case "throttled":
                raise errors.TooManyRequestsError("slow down", {"retryAfterSeconds": 45})
            case _:
                raise Terminal("cannot be")

    for name in ("result", "retry", "throttled", "terminal"):
        api.put(kinds.CONFIG_MAPS, config_map(name))
    doing, manager = Doing(act), Manager(client, clock=clock)
    manager.add(controller(doing))
    async with running(manager):
        await eventually(lambda: len(doing.seen) == 4)
        for name, seconds in (("retry", 30), ("throttled", 15), ("result", 15)):
            await clock.advance(seconds - 1)
            count = len(doing.seen)
            await clock.advance(1.01)
            assert doing.seen[count:] == [Request("ns", name)]
        await clock.advance(5000)
        assert len(doing.seen) == 7


async def test_a_controller_sees_its_own_writes(
    api: Any, client: Client, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.controller.workers.SEEN_SECONDS", 60)
    api.watch_lag_seconds = 0.02
    doubles: list[str] = []

    async def act(request: Request) -> Result | None:
        cache = manager.cache(kinds.SECRETS)
        if cache.get("ns", request.name) is None:
            try:
                await manager.client.create(kinds.SECRETS, secret(request.name))
            except errors.AlreadyExistsError:
                doubles.append(request.name)
        elif len(doing.seen) < 6:
            await manager.client.delete(kinds.SECRETS, request.name, "ns")
        else:
            return None
        return Result(requeue_after_seconds=0)

    api.put(kinds.CONFIG_MAPS, config_map("a"))
    doing, manager = Doing(act), Manager(client)
    manager.cache(kinds.SECRETS)
    manager.add(controller(doing, owns=(kinds.SECRETS,)))
    async with running(manager):
        await eventually(lambda: len(doing.seen) >= 6)
        await eventually(lambda: ("secrets", "ns", "a") in api.objects)
    assert doubles == []


async def test_stop_lets_reconciles_finish_within_the_bound(api: Any, client: Client) -> None:
    entered, go = asyncio.Event(), asyncio.Event()
    ends: list[str] = []

    async def act(request: Request) -> Result | None:
        entered.set()
        try:
            await (go.wait() if request.name == "quick" else asyncio.Event().wait())
        except asyncio.CancelledError:
            ends.append(f"{request.name} cancelled")
            raise
        ends.append(f"{request.name} finished")
        return None

    for name in ("quick", "endless"):
        api.put(kinds.CONFIG_MAPS, config_map(name))
    manager = Manager(client, stop_seconds=0.2)
    manager.add(controller(Doing(act)))
    async with running(manager):
        await entered.wait()
        stopping = asyncio.create_task(manager.stop())
        await asyncio.sleep(0)
        go.set()
        await stopping
    assert ends == ["quick finished", "endless cancelled"]
    assert api.watchers == 0
    with pytest.raises(RuntimeError):
        await manager.run()


async def test_controllers_are_added_while_it_runs(
    api: Any, client: Client, eventually: Eventually
) -> None:
    api.put(kinds.CONFIG_MAPS, config_map("a"))
    first, second, manager = Doing(), Doing(), Manager(client)
    manager.add(controller(first))
    async with running(manager):
        await eventually(lambda: first.seen)
        manager.add(Controller("late", kinds.CONFIG_MAPS, second))
        await eventually(lambda: second.seen == [Request("ns", "a")])
        assert manager.ready.is_set()
        await eventually(manager.idle)
        with pytest.raises(ValueError, match="unique"):
            manager.add(controller(first))
    assert sum(request.verb == "list" for request in api.requests) == 1


async def test_one_request_is_never_in_two_hands(
    api: Any, client: Client, eventually: Eventually
) -> None:
    inside = 0

    async def act(_: Request) -> Result | None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(0.001)
        inside -= 1
        return None

    doing, manager = Doing(act), Manager(client)
    manager.add(controller(doing, workers=8))
    async with running(manager):
        await client.create(kinds.CONFIG_MAPS, config_map("a"))
        for number in range(20):
            await client.patch(kinds.CONFIG_MAPS, "a", {"data": {"n": str(number)}}, "ns")
        await eventually(lambda: manager.cache(kinds.CONFIG_MAPS).revision == api.revision)
        await eventually(manager.idle)
    assert inside == 0
    assert len(doing.seen) <= 21


async def test_caches_may_be_asked_for_while_it_runs(api: Any, client: Client) -> None:
    api.put(kinds.SECRETS, secret("a"))
    manager = Manager(client)
    async with running(manager):
        cache = manager.cache(kinds.SECRETS)
        async with asyncio.timeout(60):
            await cache.synced.wait()
        assert cache.get("ns", "a") is not None
        assert manager.cache(kinds.SECRETS) is cache
    with pytest.raises(ValueError, match="workers 0"):
        manager.add(controller(Doing(), workers=0))


async def test_a_cache_that_never_fills_is_not_waited_for_for_ever(
    api: Any,
    client: Client,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(request: requests.Request) -> None:
        if request.resource == kinds.SECRETS:
            raise errors.not_found("secrets", "")

    monkeypatch.setattr("wherry.controller.manager.SYNC_SECONDS", 0.05)
    api.refuse = refuse
    api.put(kinds.CONFIG_MAPS, config_map("a"))
    doing, manager = Doing(), Manager(client)
    manager.cache(kinds.SECRETS)
    manager.add(controller(doing))
    async with running(manager):
        await eventually(lambda: doing.seen)
    # A slow machine may not have listed the other kind so soon.
    assert re.search("not listed within 0.05 s: (configmaps, )?secrets", caplog.text)


async def test_writes_that_never_come_back_hold_up_no_longer_than_the_bound(
    api: Any,
    client: Client,
    eventually: Eventually,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def act(request: Request) -> Result | None:
        if len(doing.seen) == 1:
            await manager.client.create(kinds.SECRETS, secret("a"))
            await manager.client.create(kinds.SERVICES, secret("unwatched"))
            return Result(requeue_after_seconds=0)
        return None

    monkeypatch.setattr("wherry.controller.workers.SEEN_SECONDS", 0.05)
    api.watch_lag_seconds = 0.5
    api.put(kinds.CONFIG_MAPS, config_map("a"))
    doing, manager = Doing(act), Manager(client)
    manager.add(controller(doing, owns=(kinds.SECRETS,)))
    async with running(manager):
        await eventually(lambda: len(doing.seen) == 2)
    assert "lack this controller's own writes" in caplog.text


async def test_cancelling_run_stops_in_order(api: Any, client: Client) -> None:
    manager = Manager(client)
    manager.add(controller(Doing()))
    task = asyncio.create_task(manager.run())
    await manager.ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert api.watchers == 0
    await manager.stop()
