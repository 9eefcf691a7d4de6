"""Leader election with a clock that is moved by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.controller.controller import Controller
from wherry.controller.leader import Elector, LeaderElection
from wherry.controller.manager import Manager
from wherry.objects import errors, kinds
from wherry.testing.clock import FakeClock


class Candidate:
    def __init__(self, client: Client, clock: FakeClock, identity: str) -> None:
        self.elector = Elector(client, LeaderElection(identity=identity), clock)
        self.log: list[str] = []
        self.task: asyncio.Task[None] | None = None

    async def _started(self) -> None:
        self.log.append("started")

    async def _lost(self) -> None:
        self.log.append("lost")

    def start(self) -> None:
        self.task = asyncio.create_task(
            self.elector.run(on_started=self._started, on_lost=self._lost)
        )

    async def stop(self) -> None:
        assert self.task
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


@pytest.fixture
async def pair(client: Client, clock: FakeClock) -> AsyncIterator[tuple[Candidate, Candidate]]:
    first, second = (Candidate(client, clock, name) for name in ("first", "second"))
    first.start()
    await clock.advance(1)
    second.start()
    await clock.advance(1)
    yield first, second
    await first.stop()
    await second.stop()


def lease(api: Any) -> Any:
    return api.objects["leases.coordination.k8s.io", "kube-system", "wherry"]["spec"]


async def test_one_leads_and_renews(
    api: Any, clock: FakeClock, pair: tuple[Candidate, Candidate]
) -> None:
    first, second = pair
    for _ in range(12):
        await clock.advance(5)
    assert (first.log, second.log) == (["started"], [])
    assert lease(api)["holderIdentity"] == "first"
    assert lease(api)["renewTime"] > lease(api)["acquireTime"]
    assert lease(api)["leaseDurationSeconds"] == 15


async def test_a_leader_that_stops_releases(
    api: Any, clock: FakeClock, pair: tuple[Candidate, Candidate]
) -> None:
    first, second = pair
    await first.stop()
    assert first.log == ["started", "lost"]
    assert lease(api)["holderIdentity"] == ""
    await clock.advance(5)
    assert second.log == ["started"]
    assert lease(api)["leaseTransitions"] == 1


async def test_a_leader_that_stops_amid_a_renewal_releases_too(
    api: Any, clock: FakeClock, pair: tuple[Candidate, Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = pair
    update, asked = api._update, asyncio.Event()

    async def lose_the_answer(request: Any) -> Any:
        monkeypatch.setattr(api, "_update", update)
        await update(request)
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(api, "_update", lose_the_answer)
    await clock.advance(3)
    assert asked.is_set()
    await first.stop()
    assert lease(api)["holderIdentity"] == ""
    await clock.advance(5)
    assert second.log == ["started"]


async def test_a_leader_that_cannot_renew_stops_before_another_starts(
    api: Any, clock: FakeClock, pair: tuple[Candidate, Candidate]
) -> None:
    first, second = pair

    def refuse(request: Any) -> None:
        if request.verb == "update" and request.body["spec"]["holderIdentity"] == "first":
            raise errors.ServiceUnavailableError("not you")

    await clock.advance(2)
    api.refuse = refuse
    await clock.advance(9)
    assert (first.log, second.log) == (["started"], [])
    await clock.advance(3.1)
    assert (first.log, second.log) == (["started", "lost"], [])
    # It looks every 2 to 4.4 s, so it may see the last renewal and the end of the lease that late.
    await clock.advance(13)
    assert second.log == ["started"]
    api.refuse = lambda _: None
    await clock.advance(30)
    assert first.log == ["started", "lost"]


async def test_an_answer_that_never_comes_is_no_renewal(
    api: Any, clock: FakeClock, pair: tuple[Candidate, Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = pair
    await clock.advance(2)

    async def hang(_: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(api, "_get", hang)
    await clock.advance(11)
    assert first.log == ["started", "lost"]


@pytest.mark.parametrize("times", [(10, 10, 2), (15, 2, 2), (15, 10, 0)])
def test_times_that_cannot_work_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="lease_duration_seconds"):
        LeaderElection("me", "n", "ns", *times)


async def test_a_manager_works_only_while_it_leads(
    api: Any, client: Client, clock: FakeClock
) -> None:
    class Counting:
        count = 0

        async def reconcile(self, _: Any) -> None:
            self.count += 1

    counting = Counting()
    api.put(kinds.CONFIG_MAPS, {"metadata": {"name": "a", "namespace": "ns"}})
    manager = Manager(client, clock=clock, leader_election=LeaderElection("manager"))
    manager.add(Controller("tester", kinds.CONFIG_MAPS, counting))
    task = asyncio.create_task(manager.run())
    await clock.advance(0.1)
    assert counting.count == 1
    api.down = True
    await api.hang_up()
    await clock.advance(14)
    assert not manager.ready.is_set()
    api.down = False
    # The informer catches up and the lease is taken again: everything is looked at anew.
    for _ in range(10):
        await clock.advance(2)
    assert manager.ready.is_set()
    assert counting.count == 2
    await manager.stop()
    await task
    assert lease(api)["holderIdentity"] == ""
