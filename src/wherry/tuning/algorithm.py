"""What a search algorithm is: given all trials so far, it proposes the next ones.

An algorithm is one file below `algorithms/`. It keeps no state between calls: what it knows is what
the `Question` holds, so that whoever asks can be killed at any time, and asking again with the same
question gives the same answer. What must be remembered and cannot be derived from the trials goes
into `Answer.state`, which comes back as `Question.state` the next time.

Values are text, as in Katib: `space` gives them meaning. Questions and answers are plain data, as
they travel to the process that does the mathematics (`asking`).
"""

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from wherry.objects.errors import Cause

MINIMIZE = "minimize"
MAXIMIZE = "maximize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A dimension of the search space, as `spec.parameters` has it.

    Attributes:
        name: As in the experiment, such as ``--lr``.
        type: ``double``, ``int``, ``discrete`` or ``categorical``.
        min: Smallest value of a number, as text; inclusive.
        max: Largest value of a number, as text; inclusive.
        step: Distance of allowed values from ``min``, as text; empty: any value.
        distribution: ``uniform``, ``logUniform``, ``normal`` or ``logNormal``; empty: uniform.
        values: What a discrete or categorical parameter can be.
        parent: Name of the parameter that decides whether this one is there; empty: always.
        parent_values: Values of the parent with which it is.
    """

    name: str
    type: str
    min: str = ""
    max: str = ""
    step: str = ""
    distribution: str = ""
    values: tuple[str, ...] = ()
    parent: str = ""
    parent_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is searched for.

    Attributes:
        metric: Its name.
        type: ``minimize`` or ``maximize``.
        goal: Where the search ends; None: nowhere.
    """

    metric: str
    type: str = MINIMIZE
    goal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A kind of layer of an architecture, as `spec.nasConfig.operations` has it."""

    type: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The architectures that are searched, as `spec.nasConfig` has them."""

    layers: int
    input_sizes: tuple[int, ...]
    output_sizes: tuple[int, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrial:
    """A trial as an algorithm sees it.

    Attributes:
        name: Of the trial.
        assignments: Values by parameter name; a parameter that its parent switched off is missing.
        state: Type of its last condition: ``Created``, ``Running``, ``Succeeded``, ``EarlyStopped``,
            ``Failed``, ``Killed`` or ``MetricsUnavailable``.
        metrics: Value of every metric by the experiment's strategies; without it where there is none.
        texts: Metrics that are no numbers, such as genotypes.
        curve: Values of the first objective in the order in which they were reported. Only filled in
            for algorithms that want it (`Algorithm.needs_curves`).
        labels: What the algorithm gave it (`Proposal.labels`).
        index: Its place in the order in which trials were proposed, from 0.
    """

    name: str
    assignments: Mapping[str, str]
    state: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What an experiment searches, and how: all of it that does not change from call to call.

    Attributes:
        name: Of the experiment.
        parameters: The space; empty where `graph` is given.
        graph: The space of architectures.
        objectives: The first decides; several only where the algorithm can (`multi_objective`).
        settings: Of the algorithm, by name, as the user wrote them.
        max_trials: Budget; None: without bound.
        parallel: How many trials run at once.
        seed: Where all randomness comes from when the settings name none (``random_state``).
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    graph: Graph | None = None
    objectives: tuple[Objective, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    max_trials: int | None = None
    parallel: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One call.

    Attributes:
        search: What is searched.
        trials: All so far, in the order of their `index`, those that run among them.
        wanted: How many proposals.
        state: What the last answer had in `Answer.state`; empty at first.
    """

    search: Search
    trials: Sequence[PastTrial] = ()
    wanted: int = 1
    state: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a trial shall try.

    Attributes:
        assignments: Values by parameter name.
        name: Of the trial; empty: whoever asks names it.
        labels: Put on the trial, and given back in `PastTrial.labels`.
        resumes: Name of the trial whose checkpoint it goes on from; empty: none.
    """

    assignments: Mapping[str, str]
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    resumes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an algorithm says.

    Attributes:
        proposals: At most as many as were wanted; fewer (also none) where it has to wait for trials
            that run, or where `ended`.
        ended: There is nothing more to try.
        state: To be given back with the next question; small text.
    """

    proposals: tuple[Proposal, ...] = ()
    ended: bool = False
    state: Mapping[str, str] = field(default_factory=dict)


class Algorithm(abc.ABC):
    """A search algorithm. Subclasses keep no state; both methods are pure."""

    name: ClassVar[str]
    """As users write it in ``algorithmName``."""
    needs_curves: ClassVar[bool] = False
    """Whether `PastTrial.curve` is of use to it."""
    multi_objective: ClassVar[bool] = False
    """Whether it heeds more than the first objective."""
    architectures: ClassVar[bool] = False
    """Whether it searches a graph (`Search.graph`) in place of parameters."""

    @abc.abstractmethod
    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with an experiment by the algorithm's own rules.

        Fields of causes are those of the Experiment, such as
        ``spec.algorithm.algorithmSettings[random_state]``. The space itself has been checked.
        """

    @abc.abstractmethod
    def propose(self, question: Question) -> Answer:
        """Return what to try next.

        Called with a search that `validate` has found right.
        """
