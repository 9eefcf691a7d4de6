"""Evolution of a covariance matrix, with restarts.

Numbers evolve. Categories do not: each is taken from one of the best trials, or drawn anew.
"""

import itertools
from collections.abc import Iterator, Sequence
from random import Random

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Algorithm, Answer, PastTrial, Proposal, Question, Search
from wherry.tuning.dimension import DOUBLE, INT, Dimension
from wherry.tuning.options import Option
from wherry.tuning.space import Point, Space

_OPTIONS = (
    Option(name="restart_strategy", default="none", words=("none", "None", "ipop", "bipop")),
    Option(name="sigma", default="0", least=0, most=10),
    options.RANDOM_STATE,
)
_SIGMA = 1 / 6
"""As part of the range; what ``sigma`` 0 stands for."""
_GENERATION = "wherry.dev/generation"
_ANEW = 0.3


class CMAES(Algorithm):
    """``cmaes``."""

    name = "cmaes"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong: settings, or too few numbers."""
        found = options.check(_OPTIONS, search.settings)
        numbers = [one for one in search.parameters if one.type in {INT, DOUBLE}]
        if sum(Dimension(one).count != 1 for one in numbers) < 2:
            message = "cmaes needs at least two parameters of type int or double with some range"
            found.append(Cause("spec.parameters", message))
        return found

    def propose(self, question: Question) -> Answer:
        """Return draws from the distribution that the trials so far have led to."""
        from wherry.tuning.models import evolution, observed  # noqa: PLC0415  (NumPy: lazily)

        search, space = question.search, Space(question.search.parameters)
        known = observed.of(space, question)
        at = [i for i, one in enumerate(space.dimensions) if one.ordered and one.count != 1]
        read = options.of(_OPTIONS, search)
        told = evolution.Evolution(
            [known.axes[place] for place in at],
            sigma=read.number("sigma") or _SIGMA,
            restarts=read.text("restart_strategy").lower(),
            seed=history.number(search, "cmaes"),
        )
        trials = history.in_order(question.trials)
        by_generation: dict[str, list[evolution.Member]] = {}
        for trial, places, loss in zip(trials, known.places[:, at], known.losses, strict=True):
            member = evolution.Member(
                place=places, loss=float(loss), finished=history.finished(trial)
            )
            by_generation.setdefault(trial.labels.get(_GENERATION, ""), []).append(member)
        draws = told.tell(by_generation.get(str(number), []) for number in itertools.count())
        cubes = (dict(zip(at, draw.tolist(), strict=True)) for draw in draws)
        return _answer(question, space, cubes, {_GENERATION: str(told.generation)})


def _answer(
    question: Question, space: Space, draws: Iterator[dict[int, float]], labels: dict[str, str]
) -> Answer:
    tried = history.tried(space, question)
    first = history.next_index(question)
    objective = question.search.objectives[0]
    best = history.best(question.trials, objective)[: max(len(question.trials) // 4, 3)]
    found: list[Proposal] = []
    for index in range(first, first + question.wanted):
        rng = history.rng(question.search, index)
        wanted = _filled(space, next(draws), best, rng)
        point = tried.fresh(rng, [wanted])
        if point is not None:
            found.append(Proposal(assignments=point, labels=labels))
    return Answer(proposals=tuple(found), ended=tried.all)


def _filled(space: Space, draw: dict[int, float], best: list[PastTrial], rng: Random) -> Point:
    """The point of a draw of numbers, with what does not evolve."""
    cube = []
    for at, dimension in enumerate(space.dimensions):
        if at in draw:
            cube.append(draw[at])
            continue
        given = rng.choice(best).assignments.get(dimension.name) if best else None
        anew = given is None or rng.random() < _ANEW
        cube.append(rng.random() if anew or given is None else dimension.position(given))
    return space.decode(cube)
