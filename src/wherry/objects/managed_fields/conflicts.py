"""What an applier may not take from others without force."""

from dataclasses import dataclass

from wherry.objects.errors import Cause
from wherry.objects.managed_fields import fields
from wherry.objects.managed_fields.fields import Fields
from wherry.objects.managed_fields.managers import Identity

_REASON = "FieldManagerConflict"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A field that the applied configuration would change and someone else owns.

    Attributes:
        owner: Who owns it.
        path: Which field.
    """

    owner: Identity
    path: tuple[str, ...]

    @property
    def field(self) -> str:
        """The path as messages show it, e.g. ``.spec.replicas``."""
        return fields.render(self.path)


class FieldConflictsError(Exception):
    """An apply that would take fields from others.

    Attributes:
        conflicts: Each field, by owner.
    """

    def __init__(self, conflicts: list[Conflict]) -> None:
        self.conflicts = conflicts
        super().__init__(_message(conflicts))

    @property
    def causes(self) -> list[Cause]:
        """The conflicts as a `Status` lists them."""
        return [
            Cause(conflict.field, f"conflict with {conflict.owner}", _REASON)
            for conflict in self.conflicts
        ]


def of(owned: dict[Identity, Fields]) -> list[Conflict]:
    """Return the conflicts over the fields of each owner."""
    return [Conflict(owner, path) for owner in sorted(owned) for path in fields.paths(owned[owner])]


def beyond(conflicts: list[Conflict], allowed: Fields) -> list[Conflict]:
    """Return the conflicts over other fields than those allowed."""
    return [each for each in conflicts if not fields.contains(allowed, each.path)]


def _message(conflicts: list[Conflict]) -> str:
    if len(conflicts) == 1:
        only = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {only.owner}: {only.field}"
    lines: list[str] = []
    owner: Identity | None = None
    for conflict in conflicts:
        if conflict.owner != owner:
            owner = conflict.owner
            lines.append(f"conflicts with {owner}:")
        lines.append(f"- {conflict.field}")
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
