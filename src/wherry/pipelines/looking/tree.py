"""What something came from, and what became of it, as lines of text. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from wherry.metadata.lineage import Lineage
from wherry.metadata.records import INPUT, Artifact, Execution
from wherry.pipelines.looking import words

_BRANCH, _LAST, _BAR, _SPACE = "├─ ", "└─ ", "│  ", "   "
_MOST_PARAMETERS: Final = 5


@dataclass(slots=True)
class _Branch:
    """A line, and what hangs on it."""

    text: str
    below: "list[_Branch]" = field(default_factory=list)


def of_artifact(found: Lineage, number: int) -> list[str]:
    """Return the lines for an artifact."""
    graph = _Graph(found)
    artifact = found.artifacts[number]
    title = (
        f"{artifact.name}: {words.artifact(artifact)}"
        if artifact.name
        else words.artifact(artifact)
    )
    came, became = graph.makers(number, set()), graph.users(number, set())
    return _told(title, came, became, complete=found.complete)


def of_execution(found: Lineage, number: int) -> list[str]:
    """Return the lines for a task."""
    graph = _Graph(found)
    execution = found.executions[number]
    came = graph.read_by(execution, {number})
    became = graph.made_by(execution, {number})
    return _told(graph.task(execution), came, became, complete=found.complete)


def of_run(found: Lineage, run: str) -> list[str]:
    """Return the lines for all steps of a run: what they read, and from whom; what they made, for whom.

    Args:
        found: Their lineage.
        run: Uid of the run.
    """
    graph = _Graph(found)
    own = [each for each in found.executions.values() if each.run == run and words.is_step(each)]
    steps = [
        _Branch(words.path(each), [*graph.origins(each), *graph.uses(each)])
        for each in sorted(own, key=lambda each: each.id)
    ]
    name = graph.runs.get(run, run)
    return [*_lines(_Branch(f"run {name}", steps)), *_incomplete(complete=found.complete)]


class _Graph:
    """A lineage, by what is connected."""

    def __init__(self, found: Lineage) -> None:
        self._found = found
        self.runs = words.named(found.executions.values())
        self._makers: dict[int, list[Execution]] = {}
        self._readers: dict[int, list[Execution]] = {}
        for event in found.events:
            execution = found.executions.get(event.execution)
            if execution is not None and words.is_step(execution):
                side = self._readers if event.type == INPUT else self._makers
                side.setdefault(event.artifact, []).append(execution)

    def task(self, execution: Execution) -> str:
        """Return a task in a line."""
        facts = [f"run {self.runs[execution.run]}"] if execution.run else []
        if execution.state != "SUCCEEDED":
            facts.append(execution.state)
        if execution.cached_from:
            facts.append("from the cache")
        elif words.lasted(execution) is not None:
            facts.append(words.duration(words.lasted(execution)))
        shown = [*execution.inputs.parameters.items()][:_MOST_PARAMETERS]
        given = " ".join(f"{name}={words.value(each)}" for name, each in shown)
        return f"{words.path(execution)} ({', '.join(facts)})  {given}".rstrip()

    def makers(self, artifact: int, seen: set[int]) -> list[_Branch]:
        """Return who made an artifact, with what they read."""
        made = self._makers.get(artifact, [])
        ran = [each for each in made if not each.cached_from] or made
        return [self._branch(each, seen, up=True) for each in _by_id(ran)]

    def users(self, artifact: int, seen: set[int]) -> list[_Branch]:
        """Return who read an artifact, with what they made of it, and who had it from the cache."""
        readers = [self._branch(each, seen, up=False) for each in self._read(artifact)]
        taken = [each for each in self._makers.get(artifact, []) if each.cached_from]
        return [*readers, *(_Branch(self.task(each)) for each in _by_id(taken))]

    def read_by(self, execution: Execution, seen: set[int]) -> list[_Branch]:
        """Return what a task read, with what that came from."""
        return [
            _Branch(_named("", name, artifact), self.makers(artifact.id, seen))
            for name, artifact in _each(execution.inputs.artifacts)
        ]

    def made_by(self, execution: Execution, seen: set[int]) -> list[_Branch]:
        """Return what a task made, with what became of it."""
        return [
            _Branch(_named("", name, artifact), self.users(artifact.id, seen))
            for name, artifact in _each(execution.outputs.artifacts)
        ]

    def origins(self, execution: Execution) -> Iterator[_Branch]:
        """Yield what a task read, and who made it."""
        for name, artifact in _each(execution.inputs.artifacts):
            made = self._makers.get(artifact.id, [])
            ran = [each for each in made if not each.cached_from] or made
            yield _Branch(
                f"{_named('read ', name, artifact)}{self._among(' from ', ran, execution)}"
            )

    def uses(self, execution: Execution) -> Iterator[_Branch]:
        """Yield what a task made, and who read it."""
        for name, artifact in _each(execution.outputs.artifacts):
            readers = self._read(artifact.id)
            yield _Branch(
                f"{_named('made ', name, artifact)}{self._among(' for ', readers, execution)}"
            )

    def _read(self, artifact: int) -> list[Execution]:
        return [each for each in _by_id(self._readers.get(artifact, [])) if not each.cached_from]

    def _among(self, word: str, tasks: Sequence[Execution], own: Execution) -> str:
        """Return who tasks are, as seen from one of them."""
        told = [
            words.path(each) + ("" if each.run == own.run else f" (run {self.runs[each.run]})")
            for each in tasks
            if each.id != own.id
        ]
        return word + ", ".join(told) if told else ""

    def _branch(self, execution: Execution, seen: set[int], *, up: bool) -> _Branch:
        if execution.id in seen:
            return _Branch(f"{self.task(execution)}  (as above)")
        seen.add(execution.id)
        below = self.read_by(execution, seen) if up else self.made_by(execution, seen)
        return _Branch(self.task(execution), below)


def _by_id(tasks: Sequence[Execution]) -> list[Execution]:
    return [*{each.id: each for each in sorted(tasks, key=lambda each: each.id)}.values()]


def _each(artifacts: Mapping[str, tuple[Artifact, ...]]) -> Iterator[tuple[str, Artifact]]:
    for name, listed in artifacts.items():
        for number, artifact in enumerate(listed):
            yield (name if len(listed) == 1 else f"{name}[{number}]"), artifact


def _named(word: str, name: str, artifact: Artifact) -> str:
    return f"{word}{name}: {words.artifact(artifact)}"


def _told(title: str, came: list[_Branch], became: list[_Branch], *, complete: bool) -> list[str]:
    made = [title]
    for word, branches in (("came from", came), ("became", became)):
        made += [*_lines(_Branch(word, branches))] if branches else []
    if len(made) == 1:
        made.append("nothing is known of where it came from, or of what became of it")
    return [*made, *_incomplete(complete=complete)]


def _incomplete(*, complete: bool) -> list[str]:
    return [] if complete else ["(there is more: ask with greater --up, --down or --limit)"]


def _lines(branch: _Branch, before: str = "") -> Iterator[str]:
    yield branch.text
    for number, each in enumerate(branch.below, 1):
        last = number == len(branch.below)
        first, *rest = _lines(each)
        yield f"{before}{_LAST if last else _BRANCH}{first}"
        yield from (f"{before}{_SPACE if last else _BAR}{line}" for line in rest)
