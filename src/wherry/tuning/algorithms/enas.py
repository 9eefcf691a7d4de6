"""Architecture search by reinforcement: a recurrent network writes architectures and learns from them.

No architecture is proposed twice while others come up. Trials come in rounds of as many as run at once, at
least eight. The network has learnt from the rounds that are finished; nobody waits for one to end. It is made
anew from the trials whenever it is asked, and remembered for the next question, which nearly always begins
with the same rounds.

Settings are Katib's. Where ``controller_learning_rate`` is left out it is 0.01, not 5e-5: Katib's is for
thousands of rounds, and the network would not have moved by the end of an experiment.
"""

import itertools
import json
from collections.abc import Collection, Iterator, Sequence

from wherry.objects.errors import Cause
from wherry.tuning import graphs, history, options
from wherry.tuning.algorithm import (
    Algorithm,
    Answer,
    Graph,
    PastTrial,
    Proposal,
    Question,
    Search,
)
from wherry.tuning.options import Option

_OPTIONS = (
    Option(name="controller_hidden_size", default="64", whole=True, least=1, most=1024),
    Option(name="controller_temperature", default="5.0", above=0, none=True),
    Option(name="controller_tanh_const", default="2.25", above=0, none=True),
    Option(name="controller_entropy_weight", default="1e-5", above=0, none=True),
    Option(name="controller_baseline_decay", default="0.999", above=0, most=1),
    Option(name="controller_learning_rate", default="0.01", above=0, most=1),
    Option(name="controller_skip_target", default="0.4", above=0, most=1),
    Option(name="controller_skip_weight", default="0.8", above=0, none=True),
    Option(name="controller_train_steps", default="50", whole=True, least=1, most=10_000),
    Option(name="controller_log_every_steps", default="10", whole=True, least=1),
)
_SMALLEST_ROUND = 8
_MOST_DRAWN = 100


class ENAS(Algorithm):
    """``enas``."""

    name = "enas"
    architectures = True

    def validate(self, search: Search) -> Sequence[Cause]:
        """Return what is wrong with the settings and the graph."""
        return [*options.check(_OPTIONS, search.settings), *graphs.check(search.graph)]

    def propose(self, question: Question) -> Answer:
        """Return architectures that the network writes."""
        from wherry.tuning.models import lessons  # noqa: PLC0415  (NumPy: lazily)

        search, first = question.search, history.next_index(question)
        assert search.graph is not None
        read = options.of(_OPTIONS, search)
        school = lessons.School(
            layers=search.graph.layers,
            operations=len(graphs.choices(search.graph)),
            seed=history.number(search, "enas"),
            hidden=read.whole("controller_hidden_size"),
            temperature=read.number("controller_temperature"),
            bound=read.number("controller_tanh_const"),
            entropy=read.number("controller_entropy_weight"),
            decay=read.number("controller_baseline_decay"),
            rate=read.number("controller_learning_rate"),
            skip_target=read.number("controller_skip_target"),
            skip_weight=read.number("controller_skip_weight"),
            steps=read.whole("controller_train_steps"),
        )
        network = lessons.taught(school, _rounds(question))
        known = {trial.assignments.get("architecture", "") for trial in question.trials}
        found = []
        for index in range(first, first + question.wanted):
            drawn = lessons.drawn(network, history.number(search, index))
            told = _new(search.graph, drawn, known)
            known.add(told["architecture"])
            found.append(Proposal(assignments=told))
        return Answer(proposals=tuple(found))


def _new(graph: Graph, drawn: Iterator[list[list[int]]], known: Collection[str]) -> dict[str, str]:
    """Return an architecture that was not proposed before, unless hardly anything else is drawn."""
    told = _told(graph, next(drawn))
    for layers in itertools.islice(drawn, _MOST_DRAWN):
        if told["architecture"] not in known:
            break
        told = _told(graph, layers)
    return told


def _rounds(question: Question) -> list[tuple[tuple[str, float], ...]]:
    """The rounds that are finished, from the first: architectures as text, what each was worth."""
    size = max(question.search.parallel, _SMALLEST_ROUND)
    trials = history.in_order(question.trials)
    found = []
    for begin in range(0, len(trials) - size + 1, size):
        members = trials[begin : begin + size]
        if not all(map(history.finished, members)):
            break
        found.append(tuple(_rewards(members, question.search)))
    return found


def _rewards(members: Sequence[PastTrial], search: Search) -> list[tuple[str, float]]:
    losses = [(trial, history.loss(trial, search.objectives[0])) for trial in members]
    return [
        (trial.assignments.get("architecture", ""), -loss)
        for trial, loss in losses
        if loss is not None
    ]


def _told(graph: Graph, layers: list[list[int]]) -> dict[str, str]:
    """An architecture as trials read it: its layers, and what the numbers of operations mean."""
    known = graphs.choices(graph)
    used = sorted({layer[0] for layer in layers})
    network = {
        "num_layers": graph.layers,
        "input_sizes": list(graph.input_sizes),
        "output_sizes": list(graph.output_sizes),
        "embedding": {
            str(number): {
                "opt_id": number,
                "opt_type": known[number].type,
                "opt_params": known[number].parameters,
            }
            for number in used
        },
    }
    # Trials get them in double quotes.
    return {
        name: json.dumps(value).replace('"', "'")
        for name, value in (("architecture", layers), ("nn_config", network))
    }
