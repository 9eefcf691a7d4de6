"""What is asked of the archive, and what it gives. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.selectors import LabelSelector
from wherry.pipelines.workflows import kinds

MOST_LOOKED_AT: Final = 20_000
"""So many rows are looked at for one page, unless fewer are to be; a selector that fits none of them finds nothing."""


class Head(NamedTuple):
    """By what a workflow is chosen, but for its labels.

    Attributes:
        namespace: Its.
        name: Its.
        made: When it was made, in milliseconds since the epoch.
    """

    namespace: str
    name: str
    made: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which archived workflows are asked for.

    Attributes:
        namespace: Theirs; empty: any.
        fits: What they have to be like; None: whatever they are.
        labels: What their labels have to fit; None: whatever they are.
        limit: How many at most.
        most: So many rows are looked at.
        before: Only those that come after this place of a list, as `Found.more` said; None: from the first.
    """

    namespace: str = ""
    fits: Callable[[Head], bool] | None = None
    labels: LabelSelector | None = None
    limit: int = 100
    most: int = MOST_LOOKED_AT
    before: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of them, the newest first.

    Attributes:
        workflows: As they were when they ended.
        more: Where the next page begins; None: there is none.
    """

    workflows: list[Object]
    more: tuple[int, int] | None


def head(workflow: Object) -> Head:
    """Return by what a workflow is chosen."""
    created = milliseconds(workflow["metadata"].get("creationTimestamp"))
    return Head(metadata.namespace(workflow), metadata.name(workflow), created)


def milliseconds(text: object) -> int:
    """Return a moment in milliseconds since the epoch; nothing is 0."""
    return int(metadata.parse_time(str(text)).timestamp() * 1000) if text else 0


def kept(workflow: Object) -> Object:
    """Return what is kept of a workflow: without who has written which of its fields."""
    head = {k: v for k, v in workflow["metadata"].items() if k != "managedFields"}
    labels = {**metadata.labels(workflow), kinds.ARCHIVING_LABEL: "Persisted"}
    return {**workflow, "metadata": {**head, "labels": labels}}
