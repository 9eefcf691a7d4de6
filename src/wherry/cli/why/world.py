"""What a walk may ask for, and what is known so far.

A question that has no answer yet is noted, and the walk goes on as if there were nothing; it is then
walked again with the answers. So causes read as if everything were at hand, and only what matters
is fetched.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from wherry.cli.targets import short
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_RECENT = datetime.timedelta(hours=1)


class Question(NamedTuple):
    """One thing to fetch.

    Attributes:
        about: ``object``; ``objects`` of a kind; ``events`` of an object (``name`` is its uid);
            ``log`` of a container; ``children``: what an object owns (``name`` is its uid).
        resource: Which kind; of events and children, the object's own.
        namespace: Where, empty for cluster-scoped kinds and for all namespaces.
        name: Which one.
        detail: A label selector; of logs, the container, after ``previous:`` for its last run.
    """

    about: Literal["object", "objects", "events", "log", "children"]
    resource: Resource
    namespace: str = ""
    name: str = ""
    detail: str = ""


@dataclass
class World:
    """Answers by question.

    Attributes:
        answers: What is known.
        now: Aware time of the walk.
        open: Questions without an answer.
        looked_at: Names of the objects that were seen, in order.
    """

    answers: Mapping[Question, Any]
    now: datetime.datetime
    open: dict[Question, None] = field(default_factory=dict)
    looked_at: dict[str, None] = field(default_factory=dict)

    def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return an object; None if it does not exist."""
        found: Object | None = self._ask(Question("object", resource, namespace, name), None)
        if found is not None:
            self.looked_at[short(resource, name)] = None
        return found

    def is_missing(self, resource: Resource, namespace: str, name: str) -> bool:
        """Return whether it is known that an object does not exist."""
        found = self._ask(Question("object", resource, namespace, name), "not known yet")
        return found is None

    def objects(self, resource: Resource, namespace: str = "", labels: str = "") -> list[Object]:
        """Return the objects of a kind; an empty namespace means all."""
        question = Question("objects", resource, namespace, detail=labels)
        found: list[Object] = self._ask(question, [])
        return found

    def names(self, resource: Resource, namespace: str = "") -> list[str]:
        """Return the names of the objects of a kind, sorted."""
        return sorted(metadata.name(obj) for obj in self.objects(resource, namespace))

    def children(self, resource: Resource, obj: Object) -> list[tuple[Resource, Object]]:
        """Return what an object owns, with the kind of each."""
        question = Question("children", resource, metadata.namespace(obj), metadata.uid(obj))
        found: list[tuple[Resource, Object]] = self._ask(question, [])
        for kind, child in found:
            self.looked_at[short(kind, metadata.name(child))] = None
        return found

    def owned(self, resource: Resource, obj: Object, kind: Resource) -> list[Object]:
        """Return the objects of one kind that an object controls."""
        uid = metadata.uid(obj)
        found = [
            child
            for child in self.objects(kind, metadata.namespace(obj))
            if (metadata.controller_of(child) or {}).get("uid") == uid
        ]
        for child in found:
            self.looked_at[short(kind, metadata.name(child))] = None
        return found

    def events(self, resource: Resource, obj: Object) -> list[Object]:
        """Return an object's events, the newest first."""
        uid = metadata.uid(obj)
        question = Question("events", resource, metadata.namespace(obj), uid)
        found: list[Object] = self._ask(question, [])
        return sorted(found, key=event_time, reverse=True)

    def warning(self, resource: Resource, obj: Object, *reasons: str) -> str:
        """Return the message of the newest recent warning; empty if there is none.

        Args:
            resource: The object's kind.
            obj: Whose events.
            reasons: Which ones; all if none is named.
        """
        for event in self.events(resource, obj):
            recent = self.now - event_time(event) < _RECENT
            wanted = not reasons or event.get("reason") in reasons
            if recent and wanted and (reasons or event.get("type") == "Warning"):
                return str(event.get("message") or event.get("note") or "")
        return ""

    def log(self, pod: Object, container: str, *, previous: bool) -> list[str]:
        """Return the last lines that a container wrote; empty if it wrote none."""
        detail = f"previous:{container}" if previous else container
        place = metadata.namespaced_name(pod)
        lines: list[str] = self._ask(Question("log", kinds.PODS, *place, detail), [])
        return lines

    def _ask(self, question: Question, default: Any) -> Any:
        if question not in self.answers:
            self.open[question] = None
            return default
        return self.answers[question]


def event_time(event: Object) -> datetime.datetime:
    """Return when an event happened last."""
    series = event.get("series") or {}
    said = (
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
    )
    return metadata.parse_time(said) if said else datetime.datetime.min.replace(tzinfo=datetime.UTC)
