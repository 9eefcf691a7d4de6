"""What the loop itself costs: processor time, so that a busy machine does not change the verdict."""

import asyncio
import contextlib
import copy
import time
from collections.abc import AsyncIterator
from typing import Any

from wherry.client.client import Client
from wherry.controller.clock import SystemClock
from wherry.controller.controller import Controller
from wherry.controller.informers import Informer
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.objects import errors, kinds, requests
from wherry.objects.requests import Object, WatchEvent


def pod(number: int, version: int) -> Object:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": f"o{number % 50}"}
    fields = {
        "name": f"p{number}",
        "namespace": "ns",
        "uid": f"u{number}",
        "resourceVersion": str(version),
        "labels": {"app": "a"},
        "ownerReferences": [{**owner, "controller": True}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": fields, "spec": {"nodeName": "n"}}


class Prepared:
    """A transport whose answers cost nothing."""

    def __init__(self, items: list[Object]) -> None:
        self.items = items
        self.batches: asyncio.Queue[list[WatchEvent]] = asyncio.Queue()

    async def send(self, request: requests.Request) -> Object:
        return {"metadata": {"resourceVersion": "1"}, "items": self.items}

    def chunks(self, request: requests.Request) -> AsyncIterator[bytes]:
        raise errors.not_found(request.resource.plural, str(request.name))

    async def watch(self, request: requests.Request) -> AsyncIterator[WatchEvent]:
        while True:
            for event in await self.batches.get():
                yield event

    async def close(self) -> None:
        pass


class Counting:
    count = 0

    async def reconcile(self, _: Request) -> None:
        self.count += 1


def copying() -> float:
    """Return the processor time that a copy of an object takes here, seconds: what others are measured by."""
    objects = [pod(number, number) for number in range(1000)]
    before = time.process_time()
    copy.deepcopy(objects)
    return (time.process_time() - before) / len(objects)


async def test_an_event_costs_no_more_than_a_few_copies_of_its_object(eventually: Any) -> None:
    transport, counting = Prepared([]), Counting()
    manager = Manager(Client(transport))
    manager.add(Controller("tester", kinds.PODS, counting))
    task = asyncio.create_task(manager.run())
    await manager.ready.wait()
    await asyncio.sleep(0)
    rounds, copies = [], []
    for start in range(1000, 6000, 1000):
        events = [WatchEvent("MODIFIED", pod(number, start + number)) for number in range(1000)]
        counting.count = 0
        before = time.process_time()
        transport.batches.put_nowait(events)
        await eventually(lambda: counting.count == 1000 and manager.idle())
        rounds.append(time.process_time() - before)
        copies.append(copying())
    assert min(rounds) / 1000 < 5 * min(copies)  # about as much as one, of 10 microseconds
    await manager.stop()
    await task


async def test_objects_are_cached_at_less_than_a_few_copies_of_them() -> None:
    transport = Prepared([pod(number, number) for number in range(10_000)])
    copies = [copying() for _ in range(5)]
    informer = Informer(Client(transport), kinds.PODS, SystemClock())
    before = time.process_time()
    task = asyncio.create_task(informer.run())
    await informer.cache.synced.wait()
    assert time.process_time() - before < 10_000 * 5 * min(copies)  # about half of one
    assert len(informer.cache) == 10_000
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
