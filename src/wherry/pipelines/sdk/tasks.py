"""The tasks of runs, and what came from what, as those see them who ask from Python."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wherry.metadata.lineage import Lineage
from wherry.metadata.records import Artifact, Execution
from wherry.pipelines.looking import tree, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task of a run: a step, or a graph or loop of them.

    Attributes:
        path: Its place in the run's graph, such as ``for-loop-1[3]/train``.
        name: Its name there.
        run: What its run is called.
        state: KFP's word.
        attempt: Number of the latest attempt, from 0.
        pod: Of that attempt; empty: there is none.
        started: When it began; None: it has not.
        seconds: How long it took; None: it has not ended, or did not run.
        inputs: Parameters that it was given, by name.
        outputs: Parameters that it gave, by name.
        reads: Artifacts that it was given, by name.
        makes: Artifacts that it gave, by name.
        error: Why it failed, or was not run.
        cache: Whether its result was taken from an earlier run, whose, or why not; empty: nobody asked.
    """

    path: str
    name: str
    run: str
    state: str
    attempt: int
    pod: str
    started: datetime.datetime | None
    seconds: float | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    reads: Mapping[str, tuple[Artifact, ...]]
    makes: Mapping[str, tuple[Artifact, ...]]
    error: str
    cache: str


class Trace:
    """What the tasks of a run read and made, what that came from, and what became of it; as text, a tree."""

    def __init__(self, found: Lineage, run: str) -> None:
        """Take what was found, and the uid of the run."""
        self._found = found
        self._run = run

    def __str__(self) -> str:
        return "\n".join(tree.of_run(self._found, self._run))

    @property
    def artifacts(self) -> list[Artifact]:
        """All of it, by age."""
        return [self._found.artifacts[number] for number in sorted(self._found.artifacts)]

    @property
    def tasks(self) -> list[Task]:
        """Steps of this run and of others, by age."""
        executions = sorted(self._found.executions.values(), key=lambda each: each.id)
        return [of(each) for each in executions if words.is_step(each)]

    @property
    def complete(self) -> bool:
        """Whether there is nothing beyond what was asked for."""
        return self._found.complete


def of(execution: Execution, cache: str = "") -> Task:
    """Return a task.

    Args:
        execution: What the service tells of it.
        cache: What it says of the cache, where that was asked for.
    """
    begun = execution.started / 1000
    return Task(
        path=words.path(execution),
        name=execution.name,
        run=words.named([execution])[execution.run],
        state=execution.state,
        attempt=execution.attempt,
        pod=execution.pod,
        started=datetime.datetime.fromtimestamp(begun, datetime.UTC) if begun else None,
        seconds=words.lasted(execution),
        inputs=execution.inputs.parameters,
        outputs=execution.outputs.parameters,
        reads=execution.inputs.artifacts,
        makes=execution.outputs.artifacts,
        error=execution.error,
        cache=cache or execution.cache_reason,
    )
