"""What of a run that has ended is done again when it is taken up. Pure.

The walk itself says so: it is made anew without the steps that are to be done again, and what it then
has not come to has to wait for them. No loop is held back by how many of its turns may run at once:
turns do not depend on one another.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wherry.metadata.records import Values
from wherry.pipelines.graph.known import ROOT
from wherry.pipelines.graph.language import Language
from wherry.pipelines.graph.model import Attempt, Graph, State
from wherry.pipelines.graph.walk import Walk

_REDONE: Final = frozenset({State.FAILED, State.ERROR, State.CANCELED})


@dataclass(frozen=True, slots=True)
class Again:
    """What is done again.

    Attributes:
        steps: Places of steps whose latest attempt does not count any more.
        states: What the others have become by those that count, by place.
    """

    steps: frozenset[str]
    states: Mapping[str, State]


def of(
    graph: Graph,
    language: Language,
    inputs: Values,
    attempts: Iterable[Attempt],
    *,
    chosen: Collection[str] = (),
) -> Again:
    """Return what is done again.

    Args:
        graph: What is run.
        language: What it is written in.
        inputs: Of the root.
        attempts: What is known of its steps.
        chosen: Places of steps, graphs, loops and turns that are done again though they succeeded.
    """
    known = {attempt.path: attempt for attempt in attempts}
    redone = {
        path
        for path, attempt in known.items()
        if attempt.state in _REDONE or any(is_within(path, each) for each in chosen)
    }
    walk = Walk(graph, language, inputs, unlimited=True)
    for path, attempt in known.items():
        if path not in redone:
            walk.record(attempt)
    walk.ready(0)
    states = {node.path: node.state for node in walk.nodes()}
    waiting = {path for path in known if _state(states, path) is State.PENDING}
    return Again(frozenset(redone | waiting), states)


def is_within(path: str, other: str) -> bool:
    """Return whether a place is another one, or part of it."""
    return path == other or path.startswith((f"{other}/", f"{other}["))


def place(task: str) -> str:
    """Return the place of a task, which may have been named without the root."""
    return task if is_within(task, ROOT) else f"{ROOT}/{task}"


def _state(states: Mapping[str, State], path: str) -> State:
    """Return what has become of a place, or of what it is in where the walk has not come to it."""
    while path and path not in states:
        path = path.rpartition("[" if path.endswith("]") else "/")[0]
    return states.get(path, State.PENDING)
