"""Questions and answers as lines of JSON, between `asking` and `worker`."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from wherry.objects.errors import Cause
from wherry.tuning.algorithm import (
    Answer,
    Graph,
    Objective,
    Operation,
    Parameter,
    PastTrial,
    Proposal,
    Question,
    Search,
)
from wherry.tuning.retelling import Listener, Teller

_PROPOSE = "propose"


@dataclass(frozen=True, slots=True)
class Asked:
    """A line as the worker reads it: a question, or a search that is to be checked."""

    algorithm: str
    question: Question
    proposes: bool


def propose(algorithm: str, question: Question, teller: Teller | None = None) -> bytes:
    """Return the line that asks for proposals.

    Args:
        algorithm: Its name.
        question: What it is asked.
        teller: Knows what the worker was told before; None: nothing.
    """
    return _asking(algorithm, _PROPOSE, question, teller or Teller())


def validate(algorithm: str, search: Search) -> bytes:
    """Return the line that asks what is wrong with a search."""
    return _asking(algorithm, "validate", Question(search=search), Teller())


def _asking(algorithm: str, verb: str, question: Question, teller: Teller) -> bytes:
    asked = {
        "search": question.search,
        "trials": teller.told(question.search, question.trials),
        "wanted": question.wanted,
        "state": question.state,
    }
    return _line({"algorithm": algorithm, "verb": verb, "question": asked})


def asked(line: bytes, listener: Listener | None = None) -> Asked:
    """Return what a line asks.

    Args:
        line: As `propose` or `validate` made it.
        listener: Has what was told before; None: nothing was.

    Raises:
        ForgottenError: the line builds on what the listener does not have.
    """
    given = orjson.loads(line)
    proposes = given["verb"] == _PROPOSE
    # A check says nothing of trials, nor does it change what is known of them.
    heard = (listener if proposes else None) or Listener()
    return Asked(given["algorithm"], _question(given["question"], heard), proposes)


def said(result: Answer | Sequence[Cause]) -> bytes:
    """Return the line of an answer, or of what is wrong."""
    if isinstance(result, Answer):
        return _line({"answer": result})
    return _line({"causes": list(result)})


def forgotten() -> bytes:
    """Return the line that says that a question builds on what is not known here."""
    return _line({"forgotten": True})


def is_forgotten(line: bytes) -> bool:
    """Return whether a line says so."""
    return line == forgotten()


def failed(message: str) -> bytes:
    """Return the line that says that there is no answer, and why."""
    return _line({"error": message})


def error(line: bytes) -> str:
    """Return what a line complains of; empty: it is an answer."""
    return str(orjson.loads(line).get("error", ""))


def answer(line: bytes) -> Answer:
    """Return the answer that a line holds."""
    given = orjson.loads(line)["answer"]
    proposals = tuple(Proposal(**proposal) for proposal in given.pop("proposals"))
    return Answer(proposals=proposals, **given)


def causes(line: bytes) -> list[Cause]:
    """Return what is wrong, as a line tells it."""
    return [Cause(**cause) for cause in orjson.loads(line)["causes"]]


def _line(value: Mapping[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE, default=_plain)


def _plain(value: object) -> object:
    """Mappings and sequences that are not dictionaries, lists or tuples."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot travel to a search algorithm")


def _question(given: dict[str, Any], listener: Listener) -> Question:
    search, trials = _search(given.pop("search")), listener.trials(given.pop("trials"), _trial)
    return Question(search=search, trials=trials, **given)


def _search(given: dict[str, Any]) -> Search:
    graph = given.pop("graph")
    return Search(
        parameters=_parameters(given.pop("parameters")),
        objectives=tuple(Objective(**objective) for objective in given.pop("objectives")),
        graph=_graph(graph) if graph else None,
        **given,
    )


def _graph(given: dict[str, Any]) -> Graph:
    return Graph(
        layers=given["layers"],
        input_sizes=tuple(given["input_sizes"]),
        output_sizes=tuple(given["output_sizes"]),
        operations=tuple(
            Operation(type=one["type"], parameters=_parameters(one["parameters"]))
            for one in given["operations"]
        ),
    )


def _parameters(given: list[dict[str, Any]]) -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            values=tuple(one.pop("values")), parent_values=tuple(one.pop("parent_values")), **one
        )
        for one in given
    )


def _trial(given: dict[str, Any]) -> PastTrial:
    curve = tuple(map(_number, given.pop("curve")))
    metrics = {name: _number(value) for name, value in given.pop("metrics").items()}
    return PastTrial(curve=curve, metrics=metrics, **given)


def _number(value: float | None) -> float:
    """What JSON has no word for travels as null: it is no number, nor is infinity a measure."""
    return math.nan if value is None else value
