"""Several objectives at once: a population that moves towards their Pareto front.

A generation's trials are bred from the best of all that are finished, by non-dominated rank and then
by how much room each has around it. Nobody waits: whoever asks while a generation is under way gets a
child of what is known by then.

Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", with its
crossover and mutation for numbers.
"""

import math
from collections.abc import Iterator, Sequence
from random import Random

from wherry.objects.errors import Cause
from wherry.tuning import fronts, history, options
from wherry.tuning.algorithm import Algorithm, Answer, PastTrial, Proposal, Question, Search
from wherry.tuning.options import Option
from wherry.tuning.space import Point, Space

_OPTIONS = (
    Option(name="population_size", default="20", whole=True, least=4, most=10_000),
    Option(name="crossover_prob", default="0.9", least=0, most=1),
    Option(name="mutation_prob", least=0, most=1),
    options.RANDOM_STATE,
)
_CROSSOVER_SPREAD, _MUTATION_SPREAD = 10.0, 15.0
_BREEDINGS = 16
"""How often parents are drawn for a child that is new."""


class NSGA2(Algorithm):
    """``nsga2``."""

    name = "nsga2"
    multi_objective = True

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings."""
        return options.check(_OPTIONS, search.settings)

    def propose(self, question: Question) -> Answer:
        """Return children of the best trials; at first, points drawn anew."""
        search, space = question.search, Space(question.search.parameters)
        size = options.of(_OPTIONS, search).whole("population_size")
        tried = history.tried(space, question)
        parents = _parents(question, size)
        first = history.next_index(question)
        found: list[Point] = []
        for index in range(first, first + question.wanted):
            rng = history.rng(search, index)
            breeds = index >= size and len(parents) > 1
            children = _children(space, search, parents, rng) if breeds else None
            point = tried.fresh(rng, children)
            found += [point] if point is not None else []
        proposals = tuple(Proposal(assignments=point) for point in found)
        return Answer(proposals=proposals, ended=tried.all)


def _parents(question: Question, size: int) -> list[PastTrial]:
    """The trials that breed, the best first."""
    objectives = question.search.objectives
    measured = [
        (trial, [value for value in losses if value is not None])
        for trial in history.in_order(question.trials)
        if None not in (losses := [history.loss(trial, one) for one in objectives])
    ]
    order = fronts.ranked([losses for _, losses in measured], size)
    return [measured[place][0] for place in order]


def _children(
    space: Space, search: Search, parents: Sequence[PastTrial], rng: Random
) -> Iterator[Point]:
    read = options.of(_OPTIONS, search)
    text = read.text("mutation_prob")
    mutation = float(text) if text else 1.0 / len(space.dimensions)
    for _ in range(_BREEDINGS):
        one, other = (space.encode(_winner(parents, rng).assignments) for _ in range(2))
        cross = rng.random() < read.number("crossover_prob")
        child = [
            _gene(a, b if cross else a, rng, ordered=dimension.ordered)
            for a, b, dimension in zip(one, other, space.dimensions, strict=True)
        ]
        yield space.decode(
            [
                _mutated(gene, rng, ordered=dimension.ordered) if rng.random() < mutation else gene
                for gene, dimension in zip(child, space.dimensions, strict=True)
            ]
        )


def _winner(parents: Sequence[PastTrial], rng: Random) -> PastTrial:
    """The better of two."""
    return parents[min(rng.randrange(len(parents)), rng.randrange(len(parents)))]


def _gene(one: float, other: float, rng: Random, *, ordered: bool) -> float:
    """A child's place on an axis; NaN of a parent in which the parameter is switched off."""
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    if not ordered or rng.random() < 0.5:
        return rng.choice((one, other))
    draw = rng.random()
    power = 1.0 / (_CROSSOVER_SPREAD + 1.0)
    spread = math.pow(2 * draw if draw < 0.5 else 1 / (2 * (1 - draw)), power)
    sign = rng.choice((-1, 1))
    return min(max(((1 + sign * spread) * one + (1 - sign * spread) * other) / 2, 0.0), 1.0)


def _mutated(gene: float, rng: Random, *, ordered: bool) -> float:
    if not ordered or math.isnan(gene):
        return rng.random()
    draw = rng.random()
    power = 1.0 / (_MUTATION_SPREAD + 1.0)
    reach = 1.0 - math.pow(2 * min(draw, 1 - draw), power)
    moved = math.copysign(reach, draw - 0.5)
    return min(max(gene + moved, 0.0), 1.0)
