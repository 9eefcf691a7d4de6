"""What a cause is given: an object, the world around it, and the way to look further."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wherry.cli.why.finding import Finding
from wherry.cli.why.world import World
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


@dataclass(frozen=True, slots=True)
class Look:
    """One object to be looked at.

    Attributes:
        world: What is known.
        resource: The object's kind.
        obj: The object; not to be changed.
        name: E.g. ``pod/web-0``.
        descend: Looks at another object and returns what is found there.
    """

    world: World
    resource: Resource
    obj: Object
    name: str
    descend: Callable[[Resource, Object], Finding]

    @property
    def namespace(self) -> str:
        """Where the object is."""
        return metadata.namespace(self.obj)

    @property
    def spec(self) -> dict[str, Any]:
        """The object's spec, empty if it has none."""
        return self.obj.get("spec") or {}

    @property
    def status(self) -> dict[str, Any]:
        """The object's status, empty if it has none."""
        return self.obj.get("status") or {}

    def warning(self, *reasons: str) -> str:
        """Return the message of the object's newest recent event of these reasons, or warning."""
        return self.world.warning(self.resource, self.obj, *reasons)


Cause = Callable[[Look], Finding]
"""Looks at the objects of one kind."""
