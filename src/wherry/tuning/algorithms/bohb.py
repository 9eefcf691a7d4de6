"""Hyperband whose new points come from densities around the good ones.

The densities are laid over the trials of the highest rung that has enough of them: what was seen with
much resource says more than what was seen with little. One point in three is drawn at random.

Source: Falkner et al. 2018, "BOHB: robust and efficient hyperparameter optimization at scale".
"""

import dataclasses
from collections.abc import Callable, Sequence

from wherry.objects.errors import Cause
from wherry.tuning import brackets, history, options
from wherry.tuning.algorithm import Algorithm, Answer, PastTrial, Question, Search
from wherry.tuning.options import Option
from wherry.tuning.space import Point, Space, Tried

_OPTIONS = (
    Option(name="random_fraction", default="0.3333", least=0, most=1),
    Option(name="n_ei_candidates", default="64", whole=True, least=1, most=100_000),
    Option(name="gamma", default="0.15", above=0, below=1),
)


class BOHB(Algorithm):
    """``bohb``."""

    name = "bohb"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings and the resource."""
        return brackets.check(search, _OPTIONS)

    def propose(self, question: Question) -> Answer:
        """Return what is to go on, and new points where there is room."""
        plain = brackets.unresourced(question)
        return brackets.hyperband(question, _learnt(plain, _telling(question, plain)))


def _telling(question: Question, plain: Question) -> Question:
    """The question with the trials of the highest rung that has enough of them."""
    enough = len(plain.search.parameters) + 2
    by_level: dict[int, list[PastTrial]] = {}
    for trial, bare in zip(question.trials, plain.trials, strict=True):
        if history.loss(trial, question.search.objectives[0]) is not None:
            by_level.setdefault(brackets.below_top(trial), []).append(bare)
    for level in sorted(by_level):
        if len(by_level[level]) >= enough:
            return dataclasses.replace(plain, trials=tuple(by_level[level]), wanted=1)
    return dataclasses.replace(plain, trials=(), wanted=1)


def _learnt(plain: Question, telling: Question) -> Callable[[], Point | None]:
    from wherry.tuning.models import parzen, parzen_search  # noqa: PLC0415  (NumPy: lazily)

    read = options.Settings(_OPTIONS, plain.search.settings)
    how = parzen.Estimation(
        best_part=read.number("gamma"), candidates=read.whole("n_ei_candidates")
    )
    space = Space(plain.search.parameters)
    tried: Tried = history.tried(space, plain)
    index = history.next_index(plain)

    def fresh() -> Point | None:
        nonlocal index
        rng = history.rng(plain.search, index)
        index += 1
        if not telling.trials or rng.random() < read.number("random_fraction"):
            return tried.fresh(rng)
        good = parzen_search.good(space, telling, how=how, index=index)
        return tried.fresh(rng, good)

    return fresh
