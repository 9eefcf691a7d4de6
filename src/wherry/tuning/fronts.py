"""Several losses at once: which trials are beaten by none, and which of them stand alone.

Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II".
"""

import math
from collections.abc import Iterator, Sequence

Losses = Sequence[float]

_PAIR = 2


def dominates(one: Losses, other: Losses) -> bool:
    """Tell whether one is nowhere worse than another, and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def front(losses: Sequence[Losses]) -> list[int]:
    """Return the places of those that none dominates, in their order."""
    # After sorting only those before one can dominate it.
    order = sorted(range(len(losses)), key=lambda place: (tuple(losses[place]), place))
    if losses and len(losses[0]) == _PAIR:
        return sorted(_front_of_pairs(losses, order))
    found: list[int] = []
    for place in order:
        if not any(dominates(losses[kept], losses[place]) for kept in found):
            found.append(place)
    return sorted(found)


def _front_of_pairs(losses: Sequence[Losses], order: Sequence[int]) -> Iterator[int]:
    """Those of two losses: in order of the first, the second has to fall."""
    latest = losses[order[0]]
    for place in order:
        if losses[place][1] < latest[1] or list(losses[place]) == list(latest):
            latest = losses[place]
            yield place


def ranked(losses: Sequence[Losses], most: int) -> list[int]:
    """Return the best places, so many: front by front, within one those with the most room first."""
    left = list(range(len(losses)))
    if losses and len(losses[0]) == 1:
        return sorted(left, key=lambda place: (losses[place][0], place))[:most]
    found: list[int] = []
    while left and len(found) < most:
        places = [left[at] for at in front([losses[place] for place in left])]
        room = _room([losses[place] for place in places])
        order = sorted(range(len(places)), key=lambda at: (-room[at], places[at]))
        found += [places[at] for at in order]
        gone = set(places)
        left = [place for place in left if place not in gone]
    return found[:most]


def _room(losses: Sequence[Losses]) -> list[float]:
    """How far each one's neighbours are from each other, over all objectives; ends have no end."""
    room = [0.0] * len(losses)
    for objective in zip(*losses, strict=True):
        order = sorted(range(len(objective)), key=objective.__getitem__)
        width = objective[order[-1]] - objective[order[0]]
        room[order[0]] = room[order[-1]] = math.inf
        for before, at, after in zip(order, order[1:], order[2:], strict=False):
            room[at] += (objective[after] - objective[before]) / width if width else 0.0
    return room
