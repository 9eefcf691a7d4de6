"""What a controller is: a reconciler, and which objects' changes concern it.

Values only: the manager brings them to life (`workers`, `informers`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from wherry.controller.requests import Request, Result
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


class Reconciler(Protocol):
    """Brings one object a step nearer to what it should be."""

    async def reconcile(self, request: Request) -> Result | None:
        """Read, decide, write.

        Called for one request at most once at a time, for different requests in parallel. May be
        cut off between any two awaits when the process ends, so every step must be repeatable.

        Raises:
            Retry: Look again after a while.
            Terminal: Wait for a change.
            Exception: Anything else is retried with growing delays.
        """
        ...


@dataclass(frozen=True, slots=True)
class Watch:
    """Changes of another resource that concern a controller.

    Attributes:
        resource: Of which resource.
        requests: Whom a changed object concerns; called for the state before and after. Must be
            pure and quick.
        matters: Whether a change from one state to another concerns anybody; None: every change
            does. Must be pure, and quicker than a reconcile.
    """

    resource: Resource
    requests: Callable[[Object], Iterable[Request]]
    matters: Callable[[Object, Object], bool] | None = None


def itself(obj: Object) -> Iterable[Request]:
    """Return the request for the object itself."""
    fields = obj["metadata"]
    return (Request(fields.get("namespace") or "", fields["name"]),)


@dataclass(frozen=True, slots=True)
class Controller:
    """A reconciler with what it listens to.

    Attributes:
        name: For logs and events, e.g. ``deployment``; unique in a manager.
        resource: Each change of one of these is a request for it.
        reconciler: Who works.
        owns: A change of one of these is a request for the ``resource`` that controls it.
        watches: Other changes, mapped by hand.
        workers: How many different requests are worked on at once, at least 1.
        requests: Whom a changed ``resource`` concerns: itself, or nobody.
    """

    name: str
    resource: Resource
    reconciler: Reconciler
    owns: tuple[Resource, ...] = ()
    watches: tuple[Watch, ...] = ()
    workers: int = 4
    requests: Callable[[Object], Iterable[Request]] = itself

    def all_watches(self) -> list[Watch]:
        """Return every resource it listens to with its mapping."""
        return [
            Watch(self.resource, self.requests),
            *(Watch(owned, self._controlling) for owned in self.owns),
            *self.watches,
        ]

    def _controlling(self, obj: Object) -> Iterable[Request]:
        reference = metadata.controller_of(obj)
        if reference is None or reference.get("kind") != self.resource.kind:
            return ()
        group, _, version = str(reference.get("apiVersion", "")).rpartition("/")
        if group != self.resource.group or not version:
            return ()
        namespace = metadata.namespace(obj) if self.resource.namespaced else ""
        return (Request(namespace, reference["name"]),)
