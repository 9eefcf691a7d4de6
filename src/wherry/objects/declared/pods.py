"""What a product changes in pods that others make: as a mutating webhook does, told as functions. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.objects.declared.kind import Reference, Seen
from wherry.objects.requests import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class PodHook:
    """A change to new pods.

    Attributes:
        labels: Pods that have one of these are looked at.
        namespaces: Namespaces with these labels have all their pods looked at.
        done: Label of pods that have been changed, or need not be: they are left alone.
        references: Returns what the change depends on.
        change: Returns a pod as it should be, given what was found: the argument, or a changed copy of it.
    """

    labels: tuple[str, ...]
    namespaces: tuple[tuple[str, str], ...]
    done: str
    references: Callable[[Object], Sequence[Reference]]
    change: Callable[[Object, Seen], Object]

    def selectors(self) -> list[dict[str, Any]]:
        """Return which pods are looked at, as the fields of webhooks that select them."""
        undone = {"key": self.done, "operator": "DoesNotExist"}
        made: list[dict[str, Any]] = [
            {"objectSelector": {"matchExpressions": [{"key": label, "operator": "Exists"}, undone]}}
            for label in self.labels
        ]
        if self.namespaces:
            chosen = {"matchLabels": dict(self.namespaces)}
            rest = {"matchExpressions": [undone]}
            made.append({"namespaceSelector": chosen, "objectSelector": rest})
        return made
