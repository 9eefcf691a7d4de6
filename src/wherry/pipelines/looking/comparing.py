"""In what two runs differ: state, parameters, pipeline, tasks and what they read and made. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.metadata.records import Artifact, Execution
from wherry.pipelines.looking import words

RUN: Final = "run"
PARAMETERS: Final = "parameters"
PIPELINE: Final = "pipeline"
TASKS: Final = "tasks"
ROOT: Final = "root"
"""Place of the graph that is the run itself."""
_MOST_DEEP: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two.

    Attributes:
        name: What people call it.
        uid: Its uid.
        facts: What is said of the whole run, by name; its outputs among it.
        parameters: What it was run with.
        pipeline: What was compiled, both documents.
        tasks: Its executions, with artifacts, by path.
    """

    name: str
    uid: str
    facts: Mapping[str, Any]
    parameters: Mapping[str, Any]
    pipeline: Mapping[str, Any]
    tasks: Mapping[str, Execution]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which they differ; None: one of them does not have it.

    Attributes:
        section: `RUN`, `PARAMETERS`, `PIPELINE` or `TASKS`.
        what: Its name or place.
        first: In the one.
        second: In the other.
    """

    section: str
    what: str
    first: Any
    second: Any


def compare(first: Side, second: Side) -> list[Difference]:
    """Return in what two runs differ, in the order in which it explains the rest."""
    return [
        *_of(RUN, first.facts, second.facts),
        *_of(PARAMETERS, first.parameters, second.parameters),
        *_of_documents("", first.pipeline, second.pipeline, 0),
        *_of_tasks(first, second),
    ]


def durations(first: Side, second: Side) -> list[tuple[str, float | None, float | None]]:
    """Return what the steps that both have took, by path, in seconds; None: it did not run."""
    return [
        (path, words.lasted(first.tasks[path]), words.lasted(second.tasks[path]))
        for path in _paths(first, second)
        if path in first.tasks and path in second.tasks and words.is_step(first.tasks[path])
    ]


def _of(section: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted({*first, *second}):
        one, other = first.get(name), second.get(name)
        if one != other:
            yield Difference(section, name, one, other)


def _of_documents(where: str, first: Any, second: Any, depth: int) -> Iterator[Difference]:
    """Yield the differences of two JSON values, as deep as they are."""
    if first == second:
        return
    below = f"{where}." if where else ""
    if isinstance(first, Mapping) and isinstance(second, Mapping) and depth < _MOST_DEEP:
        for name in sorted({*first, *second}):
            one, other = first.get(name), second.get(name)
            yield from _of_documents(f"{below}{name}", one, other, depth + 1)
    else:
        yield Difference(PIPELINE, where, first, second)


def _of_tasks(first: Side, second: Side) -> Iterator[Difference]:
    own = {uid: "RUN" for uid in (first.uid, second.uid) if uid}
    for path in _paths(first, second):
        if path == ROOT:
            continue
        one, other = first.tasks.get(path), second.tasks.get(path)
        place = path.removeprefix("root/")
        if one is None or other is None:
            yield Difference(TASKS, place, one and one.state, other and other.state)
            continue
        yield from _of(TASKS, _facts(place, one, own), _facts(place, other, own))


def _facts(place: str, task: Execution, own: Mapping[str, str]) -> dict[str, Any]:
    """Return what may differ of a task, by what it is called."""
    made: dict[str, Any] = {place: task.state}
    if task.attempt:
        made[f"{place}: attempts"] = task.attempt + 1
    if words.is_step(task) and task.cache_reason:
        made[f"{place}: cache"] = "hit" if task.cached_from else "miss"
    if task.error:
        made[f"{place}: error"] = task.error
    for word, values in (("input", task.inputs), ("output", task.outputs)):
        for name, value in values.parameters.items():
            made[f"{place}: {word} {name}"] = value
        for name, listed in values.artifacts.items():
            for number, each in enumerate(listed):
                called = name if len(listed) == 1 else f"{name}[{number}]"
                made |= _artifact(f"{place}: {word} {called}", each, own)
    return made


def _artifact(what: str, artifact: Artifact, own: Mapping[str, str]) -> dict[str, Any]:
    """Return what may differ of an artifact; that its folder is called after its run does not count."""
    uri = artifact.uri
    for uid, word in own.items():
        uri = uri.replace(uid, word)
    known = {f"{what}.{name}": value for name, value in artifact.metadata.items()}
    return {what: f"{artifact.type} {uri}", **known}


def _paths(first: Side, second: Side) -> list[str]:
    return [*dict.fromkeys([*first.tasks, *second.tasks])]
