"""Proposals by Parzen estimation, for every algorithm that makes them so."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from wherry.tuning import history
from wherry.tuning.algorithm import Question, Search
from wherry.tuning.models import design, observed, parzen
from wherry.tuning.models.observed import Observed
from wherry.tuning.models.parzen import Estimation
from wherry.tuning.space import Point, Space


def points(
    space: Space, question: Question, *, how: Estimation, startup: int
) -> tuple[list[Point], bool]:
    """Return points to try, as many as are wanted, and whether there are no more.

    Args:
        space: What is searched.
        question: What is known, and how many are wanted.
        how: Of the estimation.
        startup: With fewer trials measured than this, points fill the space evenly.
    """
    known = observed.of(space, question)
    tried = history.tried(space, question)
    first = history.next_index(question)
    found: list[Point] = []
    for index in range(first, first + question.wanted):
        rng = history.rng(question.search, index)
        if known.measured < startup:
            wanted = design.points(space, question.search, index)
            point = tried.fresh(rng, (next(wanted) for _ in range(1)))
        else:
            point = tried.fresh(
                rng, _good(space, known, how=how, search=question.search, index=index)
            )
        if point is not None:
            known = _with(known, space, point)
            found.append(point)
    return found, tried.all


def _with(known: Observed, space: Space, point: Point) -> Observed:
    """What is known when a point is being tried: the next one shall not be the same."""
    return Observed(
        axes=known.axes,
        places=np.vstack([known.places, space.encode(point)]),
        losses=np.append(known.losses, np.inf),
        running=np.append(known.running, True),
    )


def good(space: Space, question: Question, *, how: Estimation, index: int) -> Iterator[Point]:
    """Return points to try, the best first, whether they are new or not.

    Args:
        space: What is searched.
        question: What is known.
        how: Of the estimation.
        index: Of the trial that it is for.
    """
    return _good(space, observed.of(space, question), how=how, search=question.search, index=index)


def _good(
    space: Space, known: Observed, *, how: Estimation, search: Search, index: int
) -> Iterator[Point]:
    rng = np.random.default_rng(history.number(search, index))
    # Every other trial looks closer: functions differ in which finds more.
    how = dataclasses.replace(how, close=index % 2 == 0)
    cubes = np.full((how.candidates, len(space.dimensions)), np.nan)
    for group in observed.groups(space):
        there = ~np.isnan(known.places[:, group[0]])
        ranked = parzen.ranked(
            [known.axes[at] for at in group],
            known.places[there][:, group],
            known.losses[there],
            how=how,
            rng=rng,
        )
        cubes[:, group] = ranked
    return (space.decode(cube.tolist()) for cube in cubes)
