"""Walks, fetches what the walk asked for, and walks again, until nothing is open."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from wherry.cli.why import walk
from wherry.cli.why.finding import Finding
from wherry.cli.why.world import Question, World
from wherry.objects.resources import Resource

_ROUNDS = 20
"""Each goes one object deeper; a chain of owners is not longer."""

Answer = Callable[[Question], Awaitable[Any]]
"""Fetches one answer: an object or None, a list of objects, of (kind, object) or of lines."""


@dataclass(frozen=True, slots=True)
class Report:
    """The end of an inquiry.

    Attributes:
        finding: The chain, from the object that was asked about.
        looked_at: Names of the objects that were seen.
    """

    finding: Finding
    looked_at: tuple[str, ...]


async def investigate(
    resource: Resource, namespace: str, name: str, *, answer: Answer, now: datetime.datetime
) -> Report:
    """Find out what holds an object back.

    Args:
        resource: The object's kind.
        namespace: Where it is; empty for cluster-scoped kinds.
        name: Its name.
        answer: Fetches what the walk asks for.
        now: Aware time.
    """
    answers: dict[Question, Any] = {}
    world = World(answers, now)
    for _ in range(_ROUNDS):
        world = World(answers, now)
        found = walk.start(resource, namespace, name, world)
        if not world.open:
            break
        asked = list(world.open)
        given = await asyncio.gather(*map(answer, asked))
        answers |= dict(zip(asked, given, strict=True))
    else:
        found = walk.start(resource, namespace, name, world)
    return Report(found, tuple(world.looked_at))
