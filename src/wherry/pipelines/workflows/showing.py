"""A workflow as people read it in a terminal: its head, and the tree of its steps. Pure.

What stands there and in which order is what `argo get` shows.
"""

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.looking import words
from wherry.pipelines.workflows import names, nodes
from wherry.pipelines.workflows.reading import any_text

HEADINGS: Final = ("STEP", "TEMPLATE", "PODNAME", "DURATION", "MESSAGE")
_LONGEST: Final = 1000
_INDEX: Final = re.compile(r"[(\[](\d{1,9})")
_MANY: Final = ("StepGroup", "Retry")
"""Types of nodes whose children are below them; all others are below the steps or the DAG around."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What trees are drawn with.

    Attributes:
        phases: Mark of each phase.
        waits: Mark of a step that waits for somebody.
        only: Before a step that is alone in its group.
        first: Before the first of several in a group.
        branch: Before a step after which others come.
        last: Before the last one.
        bar: Before what is below a step after which others come.
    """

    phases: Mapping[str, str]
    waits: str
    only: str
    first: str
    branch: str
    last: str
    bar: str


PLAIN: Final = Marks(
    {"Succeeded": "+", "Failed": "x", "Error": "!", "Running": "*", "Pending": "~", "Skipped": "o"},
    "=", "--", "+-", "|-", "`-", "| ",
)  # fmt: skip
"""For terminals that have no more than ASCII."""
DRAWN: Final = Marks(
    {"Succeeded": "✔", "Failed": "✖", "Error": "⚠", "Running": "●", "Pending": "◷", "Skipped": "○"},
    "ǁ", "──", "┬─", "├─", "└─", "│ ",
)  # fmt: skip


def head(workflow: Object, now: datetime.datetime) -> list[tuple[str, str]]:
    """Return what is said of a workflow as a whole: names with values, those of parameters indented."""
    told: Mapping[str, Any] = workflow.get("status") or {}
    spec = told.get("storedWorkflowTemplateSpec") or workflow.get("spec") or {}
    arguments = (workflow.get("spec") or {}).get("arguments") or spec.get("arguments") or {}
    rows = [
        ("Name:", metadata.name(workflow)),
        ("Namespace:", metadata.namespace(workflow)),
        ("ServiceAccount:", spec.get("serviceAccountName")),
        ("Status:", status(workflow)),
        ("Message:", told.get("message")),
        ("Created:", _moment(workflow["metadata"].get("creationTimestamp"), now)),
        ("Started:", _moment(told.get("startedAt"), now)),
        ("Finished:", _moment(told.get("finishedAt"), now)),
        ("Duration:", duration(told, now)),
        ("EstimatedDuration:", _estimate(told)),
        ("Progress:", told.get("progress")),
    ]
    found = [(name, _line(value)) for name, value in rows if value]
    found += _values("Parameters:", arguments)
    return found + _values("Output Parameters:", told.get("outputs") or {})


def status(workflow: Object) -> str:
    """Return a workflow's phase; one that is held says so."""
    phase = str((workflow.get("status") or {}).get("phase") or "Pending")
    held = bool((workflow.get("spec") or {}).get("suspend"))
    return "Running (Suspended)" if held and phase == "Running" else phase


def duration(told: Mapping[str, Any], now: datetime.datetime) -> str:
    """Return how long a workflow or a node has taken, by its ``startedAt`` and ``finishedAt``; empty: not begun."""
    began = told.get("startedAt")
    if not began:
        return ""
    ended = told.get("finishedAt")
    end = metadata.parse_time(ended) if ended else now
    seconds = max(0.0, (end - metadata.parse_time(began)).total_seconds())
    # Of nodes only whole seconds are known.
    return f"{seconds:.0f}s" if seconds < 60 else words.duration(seconds)


def _estimate(told: Mapping[str, Any]) -> str:
    seconds = told.get("estimatedDuration")
    return words.duration(seconds) if isinstance(seconds, int) and seconds > 0 else ""


def _moment(text: str | None, now: datetime.datetime) -> str:
    if not text:
        return ""
    return f"{text} ({duration({'startedAt': text}, now)} ago)"


def _values(title: str, given: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [
        (f"  {each.get('name')}:", _line(any_text(each["value"])))
        for each in given.get("parameters") or ()
        if each.get("value") is not None
    ]
    return [(title, ""), *found] if found else []


def steps(
    workflow: Object,
    now: datetime.datetime,
    *,
    marks: Marks = DRAWN,
    pods: Mapping[str, str] | None = None,
) -> list[list[str]]:
    """Return the tree of a workflow's steps, a row each, without headings.

    Args:
        workflow: The workflow.
        now: The time, for steps that run.
        marks: What the tree is drawn with.
        pods: Names of pods by ids of nodes, where they are known; others are worked out.
    """
    tree = _Tree(workflow)
    made = []
    for prefix, node in tree.lines(marks):
        shown = f"{prefix}{_mark(node, marks)} {_line(node.get('displayName'))}".rstrip()
        template = _template(node)
        pod = ""
        if node.get("type") == "Pod":
            name = str(node.get("name") or "")
            pod = (pods or {}).get(node["id"]) or names.pod(tree.name, name, template[1])
        took = duration(node, now) if node.get("type") == "Pod" else ""
        called = "/".join(filter(None, template))
        made.append([f" {shown}", called, pod, took, _line(node.get("message"))])
    return made


def _mark(node: Object, marks: Marks) -> str:
    if node.get("type") == "Suspend" and node.get("phase") == "Running":
        return marks.waits
    return marks.phases.get(str(node.get("phase")), marks.phases["Pending"])


def _template(node: Object) -> tuple[str, str]:
    reference = node.get("templateRef") or {}
    return (
        _line(reference.get("name")),
        _line(reference.get("template") or node.get("templateName")),
    )


def _line(value: object) -> str:
    """Return a text on one line, without what a terminal would obey."""
    text = "" if value is None else str(value)[:_LONGEST].replace("\n", "\\n")
    return "".join(each if each.isprintable() else " " for each in text)


@dataclass(frozen=True, slots=True)
class _Place:
    """A node that is to be drawn: it, what stands before it, and before what is below it."""

    node: Object
    before: str
    below: str


class _Tree:
    """Nodes of a workflow by what they are drawn below."""

    def __init__(self, workflow: Object) -> None:
        self.name = metadata.name(workflow)
        self._nodes = {
            key: {**each, "id": key} for key, each in nodes.stored(workflow).items() if _shown(each)
        }
        above = dict(self._above())
        self._below: dict[str, list[Object]] = {}
        for key, node in self._nodes.items():
            over = above.get(key) or str(node.get("boundaryID") or "")
            self._below.setdefault(over if over in self._nodes else "", []).append(node)
        for several in self._below.values():
            several.sort(key=_order)

    def _above(self) -> Iterator[tuple[str, str]]:
        for key, node in self._nodes.items():
            if node.get("type") not in _MANY:
                continue
            for child in node.get("children") or ():
                other = self._nodes.get(child)
                # What comes after a group of steps is among its children too.
                if other is not None and other.get("type") != "StepGroup":
                    yield child, key

    def lines(self, marks: Marks) -> Iterator[tuple[str, Object]]:
        """Yield each node with what stands before it, from the top down."""
        roots = sorted(self._below.get("", ()), key=lambda node: node["id"] != self.name)
        left = [_Place(self._only(node), "", "") for node in reversed(roots)]
        seen: set[str] = set()
        while left:
            place = left.pop()
            if place.node["id"] not in seen:
                seen.add(place.node["id"])
                yield place.before, place.node
                left += reversed([*self._inside(place, marks)])

    def _inside(self, place: _Place, marks: Marks) -> Iterator[_Place]:
        found = self._below.get(place.node["id"], [])
        groups = [(node, self._members(node)) for node in found]
        groups = [(node, members) for node, members in groups if members]
        for number, (node, members) in enumerate(groups, 1):
            is_last = number == len(groups)
            before = place.below + (marks.last if is_last else marks.branch)
            below = place.below + ("  " if is_last else marks.bar)
            if node.get("type") == "StepGroup":
                yield from _grouped(members, before, below, marks)
            else:
                yield _Place(members[0], before, below)

    def _members(self, node: Object) -> list[Object]:
        if node.get("type") == "StepGroup":
            return [self._only(each) for each in self._below.get(node["id"], ())]
        return [self._only(node)]

    def _only(self, node: Object) -> Object:
        """Return a node; the attempt of one that was tried once only."""
        below = self._below.get(node["id"], [])
        if node.get("type") == "Retry" and len(below) == 1:
            return below[0]
        return node


def _grouped(members: list[Object], before: str, below: str, marks: Marks) -> Iterator[_Place]:
    """Yield the places of steps that run at once."""
    for number, node in enumerate(members, 1):
        is_last = number == len(members)
        under = below + ("  " if is_last else marks.bar)
        if number == 1:
            yield _Place(node, before + (marks.only if is_last else marks.first), under)
        else:
            yield _Place(node, below + (marks.last if is_last else marks.branch), under)


def _shown(node: Object) -> bool:
    """Tell whether a node is drawn: not what only holds others together, nor what was left out."""
    return node.get("type") != "TaskGroup" and node.get("phase") != "Omitted"


def _order(node: Object) -> tuple[str, int, str]:
    name = str(node.get("displayName") or "")
    index = _INDEX.search(name)
    return str(node.get("startedAt") or "9"), int(index[1]) if index else -1, name


def pods(found: Iterable[Object], annotation: str) -> dict[str, str]:
    """Return the names of pods by the ids of their nodes, of several the newest.

    Args:
        found: The pods.
        annotation: In which a pod has its node's id.
    """
    ordered = sorted(found, key=lambda each: str(each["metadata"].get("creationTimestamp") or ""))
    return {
        metadata.annotations(each)[annotation]: metadata.name(each)
        for each in ordered
        if annotation in metadata.annotations(each)
    }
