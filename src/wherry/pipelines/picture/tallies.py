"""What has become of the nodes of a picture: loops are drawn once, so that turns are counted. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from wherry.pipelines.graph.model import State

_TURN: Final = re.compile(r"\[\d+\]")
_WORST_FIRST: Final = (
    State.FAILED,
    State.RUNNING,
    State.CANCELED,
    State.PENDING,
    State.SUCCEEDED,
    State.SKIPPED,
)
_MOST_NOTES: Final = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """A node of a run.

    Attributes:
        path: Where, turns included.
        state: What has become of it.
        note: Why, or how.
        cached: Whether an earlier result was taken.
    """

    path: str
    state: State
    note: str = ""
    cached: bool = False


@dataclass(slots=True)
class Tally:
    """What has become of all turns of a node."""

    states: Counter[State] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    cached: int = 0

    @property
    def state(self) -> State:
        """The one that is most worth knowing."""
        return next(each for each in _WORST_FIRST if self.states[each])

    @property
    def count(self) -> int:
        """How many there are."""
        return self.states.total()

    @property
    def words(self) -> str:
        """E.g. ``2/3 succeeded``, where there are several."""
        if self.count == 1:
            return "from cache" if self.cached else ""
        done = self.states[State.SUCCEEDED]
        return f"{done}/{self.count} succeeded"


def tally(seen: Iterable[Seen]) -> Mapping[str, Tally]:
    """Count what was seen by place: the path without turns."""
    found: dict[str, Tally] = {}
    for each in seen:
        if each.path.endswith("]"):
            # One turn of a loop: its loop is counted, and what is in it.
            continue
        one = found.setdefault(_TURN.sub("", each.path), Tally())
        one.states[each.state] += 1
        one.cached += each.cached
        if each.note and len(one.notes) < _MOST_NOTES:
            one.notes.append(each.note)
    return found
