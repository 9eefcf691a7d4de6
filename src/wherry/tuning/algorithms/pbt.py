"""Population-based training: members train side by side, bad ones take over from good ones.

Each member is a line of trials, one a generation, that go on from one another's checkpoints. When a
member's trial is finished its next one follows at once: if its value is among the worst part of the
members' latest, it goes on from one of the best part, with changed parameters; else from its own
checkpoint. Katib's settings and labels; ``suggestion_trial_dir`` is where trials find their
checkpoint, which the controller sees to.

Source: Jaderberg et al. 2017, "Population based training of neural networks"; changes as Katib
makes them: times 0.8 or 1.2, a neighbour in lists, or drawn anew with ``resample_probability``.
"""

import math
from collections.abc import Mapping, Sequence
from random import Random

from wherry.objects.errors import Cause
from wherry.tuning import history, options
from wherry.tuning.algorithm import Algorithm, Answer, PastTrial, Proposal, Question, Search
from wherry.tuning.dimension import DISCRETE, DOUBLE, INT, Dimension
from wherry.tuning.options import Option
from wherry.tuning.space import Space

GENERATION = "pbt.suggestion.katib.kubeflow.org/generation"
PARENT = "pbt.suggestion.katib.kubeflow.org/parent"
MEMBER = "wherry.dev/member"

_OPTIONS = (
    Option(name="suggestion_trial_dir", required=True, text=True),
    Option(name="n_population", required=True, whole=True, least=5, most=10_000),
    Option(name="truncation_threshold", required=True, least=0, most=1),
    Option(name="resample_probability", least=0, most=1),
    options.RANDOM_STATE,
)
_DOWN, _UP = 0.8, 1.2


class PBT(Algorithm):
    """``pbt``."""

    name = "pbt"

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong: settings, or numbers without a step."""
        found = options.check(_OPTIONS, search.settings)
        found += [
            Cause(
                f"spec.parameters[{index}].feasibleSpace.step",
                f"is required by pbt for {one.name!r} of type double",
                "FieldValueRequired",
            )
            for index, one in enumerate(search.parameters)
            if one.type == DOUBLE and not one.step
        ]
        return found

    def propose(self, question: Question) -> Answer:
        """Return the next trials of members that wait, those that are furthest behind first."""
        population = _Population(question)
        found: list[Proposal] = []
        for member in population.waiting()[: question.wanted]:
            rng = history.rng(question.search, history.next_index(question) + len(found))
            found.append(population.following(member, rng))
        return Answer(proposals=tuple(found))


class _Population:
    """The members, each with its trials in their order."""

    def __init__(self, question: Question) -> None:
        self._search = question.search
        self._space = Space(question.search.parameters)
        self._read = options.of(_OPTIONS, question.search)
        self._members: dict[int, list[PastTrial]] = {
            number: [] for number in range(self._read.whole("n_population"))
        }
        for trial in history.in_order(question.trials):
            text = trial.labels.get(MEMBER, "")
            if text.isascii() and text.isdigit() and int(text) in self._members:
                self._members[int(text)].append(trial)

    def waiting(self) -> list[int]:
        """Return the members none of whose trials runs, those with the fewest trials first."""
        idle = [
            number
            for number, trials in self._members.items()
            if not trials or history.finished(trials[-1])
        ]
        return sorted(idle, key=lambda number: (len(self._members[number]), number))

    def following(self, member: int, rng: Random) -> Proposal:
        """Return a member's next trial."""
        latest = {number: self._latest(trials) for number, trials in self._members.items()}
        measured = [trial for trial in latest.values() if trial is not None]
        if not measured or not self._members[member]:
            return self._proposal(member, self._space.draw(rng.random), None)
        ranked = history.best(measured, self._search.objectives[0])
        part = min(int(self._read.number("truncation_threshold") * len(ranked)), len(ranked) // 2)
        own = latest[member]
        if own is not None and own not in ranked[len(ranked) - part :]:
            return self._proposal(member, own.assignments, own)
        better = rng.choice(ranked[: max(part, 1)])
        return self._proposal(member, self._changed(better.assignments, rng), better)

    def _latest(self, trials: Sequence[PastTrial]) -> PastTrial | None:
        """A member's last trial; None: it has no value, the member has to go on from another's."""
        if not trials or history.loss(trials[-1], self._search.objectives[0]) is None:
            return None
        return trials[-1]

    def _proposal(
        self, member: int, point: Mapping[str, str], parent: PastTrial | None
    ) -> Proposal:
        labels = {MEMBER: str(member), GENERATION: "0"}
        if parent is not None:
            generation = int(parent.labels.get(GENERATION, "0")) + 1
            labels |= {GENERATION: str(generation), PARENT: parent.name}
        return Proposal(
            assignments=dict(point), labels=labels, resumes=parent.name if parent else ""
        )

    def _changed(self, point: Mapping[str, str], rng: Random) -> Mapping[str, str]:
        """A point near another one, or with some of its values drawn anew."""
        resample = self._read.number("resample_probability")
        wanted = {}
        for one in self._space.dimensions:
            old = point.get(one.name)
            if math.isnan(resample) and old is not None:
                wanted[one.name] = _perturbed(one, old, rng)
            elif old is None or rng.random() < resample:
                wanted[one.name] = one.quantile(rng.random())
            else:
                wanted[one.name] = old
        # What a changed value switches on or off follows.
        return self._space.decode(
            [one.position(wanted[one.name]) for one in self._space.dimensions]
        )


def _perturbed(one: Dimension, text: str, rng: Random) -> str:
    if one.parameter.type in {INT, DOUBLE}:
        number = float(text) * rng.choice((_DOWN, _UP))
        return one.nearest(number)
    assert one.count is not None
    place = one.rank(text) + rng.choice((-1, 1))
    if one.parameter.type == DISCRETE:
        return one.at(min(max(place, 0), one.count - 1))
    return one.at(place % one.count)
