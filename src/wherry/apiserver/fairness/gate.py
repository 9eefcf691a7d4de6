"""The gate that every request passes: at once while there is little to do, in turn when there is much.

The server is one thread. A request that does not wait for anything runs to its end before the next
begins, so counting those that run would never find two. What is bounded is therefore the work that
is begun in one turn of the event loop: beyond it requests queue, and are let in turn by turn, each
priority level by its shares and each flow in it by what it has had. Requests that do wait (for the
disk, for a webhook) hold seats meanwhile, and those are bounded by level as in Kubernetes.
"""

import asyncio
import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from multidict import istr

from wherry.apiserver.fairness import defaults, levels
from wherry.apiserver.fairness.classification import Asked, Schema
from wherry.apiserver.fairness.levels import Level
from wherry.apiserver.fairness.queues import Waiting
from wherry.apiserver.identity import User
from wherry.objects import errors
from wherry.objects.requests import Object

SEATS: Final = 600
"""Requests that may run at once; kube-apiserver's default, both kinds together."""
TURN_COST: Final = 16
"""Light work begun in one turn of the loop; a get costs 1, about 0.1 ms."""
_LIGHT: Final = 4
"""What costs more is begun alone, and not again for `_PAUSE_TURNS`."""
_CARRIED: Final = _LIGHT
"""Work below this is carried into the next turn: to end one costs a tenth of what a get does."""
_PAUSE_TURNS: Final = 5
"""Turns that a small request takes from its first byte to the gate: it must not meet a list in each."""
QUEUE_SECONDS: Final = 15.0
"""How long a request waits before it is refused; a quarter of a request's time, as upstream."""
_COST_ITEMS: Final = 25
_SEAT_ITEMS: Final = 100
_MAX_SEATS: Final = 10
_REMEMBERED: Final = 4096
_LONGEST_PATH: Final = 256
# As `istr` they are put into an answer without being looked at.
_SCHEMA: Final = istr("X-Kubernetes-PF-FlowSchema-UID")
_LEVEL: Final = istr("X-Kubernetes-PF-PriorityLevel-UID")

Load = Callable[[], tuple[Sequence[Object], Sequence[Object]]]
"""Returns the FlowSchemas and PriorityLevelConfigurations as they are now."""


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Requests that are told apart from others: one schema, one distinguisher.

    Attributes:
        schema: What they fall under.
        level: Where they wait.
        key: Names the flow.
        headers: What tells the client of it.
    """

    schema: Schema
    level: Level
    key: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Counts:
    """What `/metrics` tells.

    Attributes:
        dispatched: Requests let in, by level and schema.
        rejected: Requests refused, by level, schema and reason.
        wait_seconds: How long those that had to wait did so altogether, by level and schema.
    """

    dispatched: Counter[tuple[str, str]] = field(default_factory=Counter)
    rejected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wait_seconds: defaultdict[tuple[str, str], float] = field(
        default_factory=lambda: defaultdict(float)
    )


class Gate:
    """Lets requests in. One instance a server, used from its event loop only.

    Args:
        load: Reads the configuration.
        seats: Requests that may run at once.
    """

    def __init__(self, load: Load, seats: int = SEATS) -> None:
        self.counts = Counts()
        self.levels: dict[str, Level] = {}
        self.inflight = [0, 0]
        """Requests that run: those that only read, and those that change something."""
        self._load = load
        self._seats = seats
        self._stale = True
        self._schemas: Sequence[Schema] = ()
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._begun = 0
        self._pause = 0
        self._turning = False
        self._waiting = 0

    def changed(self) -> None:
        """Read the configuration anew before the next request."""
        self._stale = True

    def flow(self, user: User, asked: Asked) -> Flow:
        """Return the flow that a request belongs to."""
        if self._stale:
            self._refresh()
        key = (user.name, user.groups, asked)
        found = self._flows.get(key)
        if found is None:
            found = self._classified(user, asked)
            if len(asked.path) <= _LONGEST_PATH:
                if len(self._flows) >= _REMEMBERED:
                    self._flows.clear()
                self._flows[key] = found
        return found

    def enter(self, flow: Flow, items: int = 0) -> bool:
        """Let a request in if that can be done at once; otherwise `wait` has to be called.

        Args:
            flow: Where it belongs.
            items: How many objects it will go through.
        """
        level = flow.level
        cost = 1 + items // _COST_ITEMS
        if level.exempt:
            level.executing += 1
            self._charge(cost)
            return True
        seats = 1 if items < _SEAT_ITEMS else _seats(items)
        if (
            (self._pause if cost > _LIGHT else self._begun + cost > TURN_COST)
            or level.queues.size
            or level.used + seats > level.seats
        ):
            return False
        self._charge(cost)
        level.used += seats
        level.executing += 1
        return True

    async def wait(self, flow: Flow, items: int = 0) -> None:
        """Wait until a request may run.

        Raises:
            TooManyRequestsError: Its queue is full, or its turn did not come in time.
        """
        level, names = flow.level, (flow.level.name, flow.schema.name)
        loop = asyncio.get_running_loop()
        request = Waiting(loop.create_future(), 1 + items // _COST_ITEMS, _seats(items))
        if level.rejects and level.used + request.seats > levels.limit(level, self._all()):
            raise self._refused(flow, "concurrency-limit")
        if not level.queues.size:
            level.had = max(level.had, min((each.had for each in self._busy()), default=level.had))
        if not level.queues.add(level.queues.deal(flow.key), request):
            raise self._refused(flow, "queue-full")
        self._waiting += 1
        self._turn_soon()
        began = loop.time()
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await request.turn
        except BaseException as error:
            # Cancelled, or its time is up.
            if request.turn.done() and not request.turn.cancelled():
                self.leave(flow, items)
            else:
                level.queues.remove(request)
            if isinstance(error, TimeoutError):
                raise self._refused(flow, "time-out") from error
            raise
        finally:
            self._waiting -= 1
        self.counts.wait_seconds[names] += loop.time() - began

    def leave(self, flow: Flow, items: int = 0) -> None:
        """Give back what a request held. Call once for each that was let in."""
        level = flow.level
        level.executing -= 1
        self.counts.dispatched[level.name, flow.schema.name] += 1
        if level.exempt:
            return
        level.used -= 1 if items < _SEAT_ITEMS else _seats(items)
        if self._waiting:
            self._turn_soon()

    def _refused(self, flow: Flow, reason: str) -> errors.TooManyRequestsError:
        self.counts.rejected[flow.level.name, flow.schema.name, reason] += 1
        return errors.TooManyRequestsError(
            "too many requests, please try again later", {"retryAfterSeconds": 1}
        )

    def _charge(self, cost: int) -> None:
        if cost > _LIGHT:
            self._pause = _PAUSE_TURNS
        else:
            self._begun += cost
            if self._begun < _CARRIED:
                return
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        self._begun = 0
        if self._pause:
            self._pause -= 1
            self._turn_soon()
        if not self._waiting:
            return
        while self._begun < TURN_COST and (level := self._next_level()) is not None:
            request = level.queues.pop(self._most())
            level.had += request.cost / max(1, level.shares)
            if request.turn.done():
                continue
            self._charge(request.cost)
            level.used += request.seats
            level.executing += 1
            request.turn.set_result(None)

    def _most(self) -> float:
        return _LIGHT if self._pause else math.inf

    def _next_level(self) -> Level | None:
        able = [level for level in self._busy() if self._has_room(level)]
        return min(able, key=lambda level: level.had, default=None)

    def _has_room(self, level: Level) -> bool:
        request = level.queues.peek(self._most())
        if request is None:
            return False
        # What is wider than the whole level may run when nothing else does.
        return not level.used or level.used + request.seats <= levels.limit(level, self._all())

    def _busy(self) -> list[Level]:
        return [level for level in self.levels.values() if level.queues.size]

    def _all(self) -> Sequence[Level]:
        return tuple(self.levels.values())

    def _classified(self, user: User, asked: Asked) -> Flow:
        for schema in self._schemas:
            if schema.matches(user, asked):
                break
        else:
            # Everyone is in one of the two groups that the last schema names; an authenticator of
            # another make may forget it.
            schema = self._schemas[-1]
        level = self.levels[schema.level]
        headers: dict[str, str] = {
            name: value
            for name, value in (
                (_SCHEMA, schema.uid),
                (_LEVEL, level.uid),
            )
            if value
        }
        return Flow(schema, level, f"{schema.name}/{schema.distinguisher(user, asked)}", headers)

    def _refresh(self) -> None:
        self._stale = False
        self._flows.clear()
        schemas, found = self._load()
        stored = {obj["metadata"]["name"]: obj for obj in found}
        for obj in defaults.priority_levels():
            name = obj["metadata"]["name"]
            if name in defaults.MANDATORY:
                stored[name] = _as_born(obj, stored.get(name))
        for name, obj in stored.items():
            self.levels.setdefault(name, Level(name)).configure(obj)
        for name in self.levels.keys() - stored.keys():
            # Who waits or runs is still let through; the next refresh takes it away.
            if not self.levels[name].executing and not self.levels[name].queues.size:
                del self.levels[name]
        levels.allot([self.levels[name] for name in stored], self._seats)
        self._schemas = _ordered(schemas, stored)


def _seats(items: int) -> int:
    return min(_MAX_SEATS, 1 + items // _SEAT_ITEMS)


def _as_born(obj: Object, stored: Object | None) -> Object:
    """Return a mandatory object: nobody can lock the administrator out by changing it."""
    return obj if stored is None else {**obj, "metadata": stored["metadata"]}


def _ordered(schemas: Sequence[Object], known: Mapping[str, Object]) -> Sequence[Schema]:
    """Return the schemas whose level exists, in the order in which they are tried."""
    stored = {obj["metadata"]["name"]: obj for obj in schemas}
    for obj in defaults.flow_schemas():
        name = obj["metadata"]["name"]
        if name in defaults.MANDATORY:
            stored[name] = _as_born(obj, stored.get(name))
    read = [Schema.of(obj) for obj in stored.values()]
    usable = itertools.filterfalse(lambda schema: schema.level not in known, read)
    return sorted(usable, key=lambda schema: (schema.precedence, schema.name))
