"""Successive halving: many points with little, the best of them with more, and so on.

A *rung* is a level of the resource, each ``eta`` times the one below; a *bracket* is a ladder of
rungs with its numbers of trials. Which trial stands where is in its labels, so that any of this can
be told anew from the trials.

Source: Li et al. 2018, "Hyperband"; Li et al. 2020, "A system for massively parallel hyperparameter
tuning".
"""

import dataclasses
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Answer, Parameter, PastTrial, Proposal, Question, Search
from wherry.tuning.dimension import DISCRETE, DOUBLE, INT, Dimension
from wherry.tuning.options import Option
from wherry.tuning.space import Point

Fresh = Callable[[], Point | None]

ROUND = "wherry.dev/round"
BRACKET = "wherry.dev/bracket"
RUNG = "wherry.dev/rung"
PROMOTED = "wherry.dev/promoted-from"

RESOURCE = (
    Option(name="r_l", required=True, above=0),
    Option(name="resource_name", required=True, text=True),
    Option(name="eta", default="3", above=1, most=1000),
    Option(name="suggestion_trial_dir", text=True),
)
"""Katib's settings: the most resource for one trial, the parameter that it is, and the factor; and where
trials keep the state that those with more of the resource go on from."""


@dataclass(frozen=True, slots=True)
class Resource:
    """The parameter that says how much a trial may use.

    Attributes:
        parameter: It; None: none has that name, and trials are not told.
        most: For one trial. It counts, whatever bounds the parameter has, as in Katib.
        eta: The factor between rungs.
    """

    parameter: Parameter | None
    most: float
    eta: float

    @property
    def rungs(self) -> int:
        """How many rungs there are above the lowest."""
        # A logarithm of a power may fall short of its exponent by the last digit.
        return max(int(math.log(self.most) / math.log(self.eta) + 1e-9), 0)

    def given(self, point: Mapping[str, str], rungs_below_top: int) -> dict[str, str]:
        """Return a point with what it gets so many rungs below the top."""
        if self.parameter is None:
            return dict(point)
        return dict(point) | {self.parameter.name: self._amount(self.parameter, rungs_below_top)}

    def without(self, point: Mapping[str, str]) -> dict[str, str]:
        """Return a point without what it gets."""
        name = self.parameter.name if self.parameter else ""
        return {each: text for each, text in point.items() if each != name}

    def _amount(self, parameter: Parameter, rungs_below_top: int) -> str:
        amount = self.most / self.eta**rungs_below_top
        if parameter.type == DOUBLE:
            return repr(amount)
        if parameter.type == INT:
            # As Katib has it: whole units, what is begun does not count.
            return str(max(int(amount + 1e-9), 1))
        dimension = Dimension(parameter)
        return dimension.at(dimension.rank(repr(amount)))


def resource(search: Search) -> Resource:
    """Return the resource of a search."""
    read = options.Settings(RESOURCE, search.settings)
    name = read.text("resource_name")
    parameter = next((one for one in search.parameters if one.name == name), None)
    return Resource(parameter, read.number("r_l"), read.number("eta"))


def check(search: Search, more: Sequence[Option] = ()) -> list[Cause]:
    """Return what is wrong with settings and resource."""
    found = options.check((*RESOURCE, options.RANDOM_STATE, *more), search.settings)
    name = search.settings.get("resource_name", "")
    parameter = next((one for one in search.parameters if one.name == name), None)
    field = f"{options.ALGORITHM}[resource_name]"
    if name and parameter is None:
        known = ", ".join(one.name for one in search.parameters)
        found.append(Cause(field, f"{name!r} is none of the parameters: {known}"))
    elif parameter is not None and parameter.type not in {INT, DOUBLE, DISCRETE}:
        found.append(Cause(field, f"{name!r} is {parameter.type}; a resource is a number"))
    elif parameter is not None and parameter.parent:
        found.append(Cause(field, f"{name!r} is not always there; a resource has no parent"))
    return found


def unresourced(question: Question) -> Question:
    """Return a question about all parameters but the resource."""
    found = resource(question.search)
    trials = [
        dataclasses.replace(trial, assignments=found.without(trial.assignments))
        for trial in question.trials
    ]
    rest = tuple(one for one in question.search.parameters if one != found.parameter)
    search = dataclasses.replace(question.search, parameters=rest)
    return dataclasses.replace(question, search=search, trials=trials)


def below_top(trial: PastTrial) -> int:
    """Return how many rungs a trial stands below the most resource; many: it stands nowhere."""
    bracket, rung = _number(trial, BRACKET), _number(trial, RUNG)
    return bracket - rung if min(bracket, rung) >= 0 else sys.maxsize


def _begun(
    point: Point | None, found: Resource, below_top: int, labels: Mapping[str, int]
) -> Proposal | None:
    """A new point, so many rungs below the top, with labels of ours; None: there was none."""
    if point is None:
        return None
    return Proposal(assignments=found.given(point, below_top), labels=_labels(labels))


def _raised(
    trial: PastTrial, found: Resource, below_top: int, labels: Mapping[str, int]
) -> Proposal:
    """The point of a trial with more resource; it goes on from where the trial ended."""
    return Proposal(
        assignments=found.given(trial.assignments, below_top),
        labels=_labels(labels) | {PROMOTED: trial.name},
        resumes=trial.name,
    )


def _labels(labels: Mapping[str, int]) -> dict[str, str]:
    return {f"wherry.dev/{name}": str(number) for name, number in labels.items()}


class Standing:
    """Which trial stands where."""

    def __init__(self, trials: Iterable[PastTrial]) -> None:
        self._by_place: dict[tuple[int, ...], list[PastTrial]] = {}
        for trial in trials:
            place = tuple(_number(trial, label) for label in (ROUND, BRACKET, RUNG))
            self._by_place.setdefault(place, []).append(trial)

    def at(self, round_: int, bracket: int, rung: int) -> list[PastTrial]:
        """Return the trials on a rung, in their order."""
        return self._by_place.get((round_, bracket, rung), [])


def _number(trial: PastTrial, label: str) -> int:
    """What a label of ours says; -1: it is not there, or somebody else wrote it."""
    text = trial.labels.get(label, "")
    return int(text) if text.isascii() and text.isdigit() else -1


@dataclass(frozen=True, slots=True)
class Halving:
    """One bracket of one round.

    Attributes:
        round: How often all brackets have been gone through, from 0.
        bracket: How many rungs it has above its first.
        sizes: How many trials each rung takes, the first rung first.
    """

    round: int
    bracket: int
    sizes: tuple[int, ...]

    def labels(self, rung: int) -> dict[str, int]:
        """Return what a trial's labels say."""
        return {"round": self.round, "bracket": self.bracket, "rung": rung}

    def promotions(self, search: Search, standing: Standing) -> Iterator[Proposal]:
        """Yield what is to go on, of rungs that are complete."""
        found = resource(search)
        expected = self.sizes[0]
        for rung in range(1, len(self.sizes)):
            below = standing.at(self.round, self.bracket, rung - 1)
            if len(below) < expected or not all(map(history.finished, below)):
                return
            chosen = best(search, below)[: self.sizes[rung]]
            here = standing.at(self.round, self.bracket, rung)
            for trial in _staying(chosen, here):
                yield _raised(trial, found, self.bracket - rung, self.labels(rung))
            expected = len(chosen)


def _staying(below: Iterable[PastTrial], here: Iterable[PastTrial]) -> list[PastTrial]:
    """Those that have not gone up yet."""
    gone = {trial.labels.get(PROMOTED) for trial in here}
    return [trial for trial in below if trial.name not in gone]


def best(search: Search, trials: Sequence[PastTrial]) -> list[PastTrial]:
    """Return the trials that have a value, the best first."""
    objective = search.objectives[0]
    ranked = history.best(trials, objective)
    return [trial for trial in ranked if history.loss(trial, objective) is not None]


def of_round(found: Resource, round_: int) -> list[Halving]:
    """Return the brackets of a round, the one with the most rungs first."""
    most = found.rungs
    return [
        Halving(round_, bracket, tuple(_sizes(most, bracket, found.eta)))
        for bracket in range(most, -1, -1)
    ]


def _sizes(most: int, bracket: int, eta: float) -> Iterator[int]:
    count = math.ceil((most + 1) * eta**bracket / (bracket + 1) - 1e-9)
    for rung in range(bracket + 1):
        yield max(int(count / eta**rung + 1e-9), 1)


def hyperband(question: Question, fresh: Fresh) -> Answer:
    """Return what hyperband does next: what is to go on, then new points.

    Brackets are gone through one after another; while trials of one are waited for, the next one
    begins. Without a budget it ends with the last bracket of the first round; with one, rounds follow
    each other until it is used up.

    Args:
        question: What is known, and how many are wanted.
        fresh: Gives new points, without the resource.
    """
    search, found = question.search, resource(question.search)
    standing = Standing(history.in_order(question.trials))
    rounds = itertools.count() if search.max_trials is not None else iter(range(1))

    def steps() -> Iterator[Proposal | None]:
        for brackets in (of_round(found, round_) for round_ in rounds):
            for halving in brackets:
                yield from halving.promotions(search, standing)
            for halving in brackets:
                for _ in range(
                    len(standing.at(halving.round, halving.bracket, 0)), halving.sizes[0]
                ):
                    point = fresh()
                    yield _begun(point, found, halving.bracket, halving.labels(0))

    return _answer(question, steps())


def asynchronous(question: Question, fresh: Fresh) -> Answer:
    """Return what asynchronous halving does next: the highest that is good enough goes on.

    Of the trials that have a value on a rung, the best 1/eta may go on, however many are still to
    come; where none may, a new point begins below.

    Args:
        question: What is known, and how many are wanted.
        fresh: Gives new points, without the resource.
    """
    search, found = question.search, resource(question.search)
    standing, top = Standing(history.in_order(question.trials)), found.rungs

    def steps() -> Iterator[Proposal | None]:
        for rung in range(top, 0, -1):
            measured = best(search, standing.at(0, top, rung - 1))
            good = measured[: int(len(measured) / found.eta)]
            for trial in _staying(good, standing.at(0, top, rung)):
                yield _raised(trial, found, top - rung, {"round": 0, "bracket": top, "rung": rung})
        while True:
            point = fresh()
            yield _begun(point, found, top, {"round": 0, "bracket": top, "rung": 0})

    return _answer(question, steps())


def _answer(question: Question, steps: Iterator[Proposal | None]) -> Answer:
    """As many steps as are wanted; None: there are no new points, and nothing else to do."""
    taken = itertools.takewhile(lambda step: step is not None, steps)
    proposals = [step for step in itertools.islice(taken, question.wanted) if step is not None]
    waits = not all(map(history.finished, question.trials))
    return Answer(proposals=tuple(proposals), ended=not proposals and not waits)
