"""Controllers that are made with the first request: once, and again where that has failed."""

import asyncio
from collections.abc import Sequence

import pytest

from wherry.client.client import Client
from wherry.controller.controller import Controller
from wherry.controller.late import LateControllers
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import kinds


class Noting:
    """A reconciler that notes whom it was asked for."""

    def __init__(self) -> None:
        self.seen: list[Request] = []

    async def reconcile(self, request: Request) -> Result | None:
        self.seen.append(request)
        return Result(requeue_after_seconds=7)


async def test_all_are_made_with_the_first_request_of_any(client: Client) -> None:
    made: list[list[Noting]] = []

    def make() -> Sequence[Controller]:
        if not made:
            made.append([])
            raise OSError("not yet")
        made.append([Noting(), Noting()])
        names = ("one", "other")
        return [
            Controller(name, kinds.CONFIG_MAPS, each)
            for name, each in zip(names, made[-1], strict=True)
        ]

    late = LateControllers(Manager(client), make)
    one = late.shape("one", kinds.CONFIG_MAPS)
    other = late.shape("other", kinds.CONFIG_MAPS, owns=(kinds.PODS,), workers=2)
    assert not made
    assert (other.name, other.owns, other.workers) == ("other", (kinds.PODS,), 2)
    requests = [Request("ns", name) for name in "abc"]
    with pytest.raises(OSError, match="not yet"):
        await one.reconciler.reconcile(requests[0])
    both = (one.reconciler.reconcile(requests[1]), other.reconciler.reconcile(requests[2]))
    results = await asyncio.gather(*both)
    assert [each and each.requeue_after_seconds for each in results] == [7, 7]
    assert len(made) == 2
    assert [each.seen for each in made[1]] == [[requests[1]], [requests[2]]]
