"""What differs between kinds when they are written, beyond what their schema says.

The registry runs every write through the same steps and asks a kind's strategy at the places where
Kubernetes' kinds differ. The base class is the behaviour of a kind without peculiarities; the
peculiar ones are in `strategies/`.

The order of a create: schema check, schema defaults, `default`, `prepare_create`, `validate`.
Of an update: the same with `prepare_update`, after the registry has put back the metadata that
the system owns and the half (spec or status) that the request may not touch.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from wherry.apiserver.identity import User
from wherry.objects.declared.kind import Right
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


class Lookup(Protocol):
    """The committed state, for strategies whose rules depend on other objects."""

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """Return a copy of the object, or None."""
        ...

    def list(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """Return copies of all objects of a resource, of all namespaces unless one is given."""
        ...

    def names(self, resource: Resource) -> Sequence[str]:
        """Return the names of all objects of a resource: nothing is parsed for them."""
        ...


class Allocator(Protocol):
    """Hands out values of which each may be in use once: cluster IPs, node ports.

    What was allocated is given back by `Strategy.release`, which the registry calls when the object is
    gone, or was never stored.
    """

    def allocate(self, wanted: str = "") -> str:
        """Return ``wanted``, or any free value where it is empty, and mark it as used.

        Raises:
            ValueError: It is in use or out of range, or none is left; the message says which.
        """
        ...

    def release(self, value: str) -> None:
        """Mark a value as free; one that is not in use is ignored."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of a write.

    Attributes:
        resource: What is written, in the version of the request.
        user: Who writes.
        lookup: The committed state.
        cluster_ips: Service addresses.
        node_ports: Ports of Services of type NodePort and LoadBalancer, as decimal text.
        clock: Current time, aware, UTC.
        subresource: ``status`` …, or None for the object itself.
        dry_run: Nothing will be stored.
    """

    resource: Resource
    user: User
    lookup: Lookup
    cluster_ips: Allocator
    node_ports: Allocator
    clock: Callable[[], datetime.datetime]
    subresource: str | None = None
    dry_run: bool = False


class Strategy:
    """The behaviour of a kind without peculiarities. Subclasses keep no state."""

    status_on_create: bool = False
    """Whether a creator may set the status of a kind that writes it apart; nodes do."""

    unconditional_update: bool = True
    """Whether a PUT without `resourceVersion` is taken; custom resources demand one."""

    def default(self, obj: Object) -> None:
        """Fill in what Kubernetes fills in, in place.

        Idempotent; also applied to objects whose stored form is older. The schema has been checked:
        fields have their types, but optional ones may be missing.
        """

    def prepare_create(self, obj: Object, context: Context) -> None:
        """Set generated fields and drop what a creator may not set, in place.

        Raises:
            ApiError: It cannot be done, e.g. no address is left.
        """

    def prepare_update(self, obj: Object, old: Object, context: Context) -> None:
        """Carry over or recompute what a writer may not set, in place.

        Args:
            obj: What will be stored.
            old: What is stored; not to be changed.
            context: The circumstances; ``context.subresource`` tells status from spec.
        """

    def validate(self, obj: Object, old: Object | None, context: Context) -> list[Cause]:
        """Return every rule the object breaks, immutable fields included when ``old`` is given."""
        return []

    def rights(self, obj: Object, old: Object | None, context: Context) -> Sequence[Right]:
        """Return what the writer has to be allowed besides, because the object will have it done."""
        return ()

    def warnings(self, obj: Object) -> list[str]:
        """Return sentences for the person who wrote the object; they do not stop the write."""
        return []

    def graceful_deletion_seconds(self, obj: Object, options: Mapping[str, Any]) -> int | None:
        """Return for how long a deletion waits for someone to finish it.

        Args:
            obj: The object to delete.
            options: `DeleteOptions`; ``gracePeriodSeconds`` is an int where given.

        Returns:
            Seconds, 0 for at once, or None where the kind knows no grace.
        """
        return None

    def release(self, obj: Object, context: Context) -> None:
        """Give back what was allocated for an object that is gone or was never stored."""

    def has_status(self, resource: Resource) -> bool:
        """Return whether spec and status are written apart."""
        return "status" in resource.subresources

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        """Return the fields a field selector may name besides metadata.name and metadata.namespace.

        Must return every selectable field, empty text for those that are unset: names that are missing
        are answered with 400.
        """
        return {}
