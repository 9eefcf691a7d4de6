"""Kinds that a controller hears of only while it runs."""

import asyncio
from collections.abc import Awaitable, Callable

from wherry.client.client import Client
from wherry.controller.controller import Controller, Watch
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import kinds
from wherry.objects.requests import Object

EVERYONE = Watch(kinds.SECRETS, lambda _: [Request("ns", "all")])


def secret(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "ns"}}


async def test_a_controller_can_listen_to_more_while_it_runs(
    client: Client, eventually: Callable[..., Awaitable[None]]
) -> None:
    class Seeing:
        def __init__(self) -> None:
            self.seen: list[Request] = []

        async def reconcile(self, request: Request) -> Result | None:
            self.seen.append(request)
            manager.also_watch("seeing", EVERYONE)
            manager.also_watch("seeing", EVERYONE)
            return None

    seeing, manager = Seeing(), Manager(client)
    manager.add(Controller("seeing", kinds.CONFIG_MAPS, seeing))
    await client.create(kinds.SECRETS, secret("before"))
    task = asyncio.create_task(manager.run())
    await manager.ready.wait()
    assert seeing.seen == [], "nobody has asked for Secrets yet"
    meta = {"name": "a", "namespace": "ns"}
    await client.create(
        kinds.CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
    )
    await eventually(lambda: Request("ns", "all") in seeing.seen)
    heard = len(seeing.seen)
    await client.create(kinds.SECRETS, secret("after"))
    await eventually(lambda: len(seeing.seen) == heard + 1)
    await manager.stop()
    await task
