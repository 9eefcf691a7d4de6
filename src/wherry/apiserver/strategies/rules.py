"""A strategy made of functions: a kind names those that it needs and leaves out the rest."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wherry.apiserver.strategy import Context, Strategy
from wherry.objects.errors import Cause
from wherry.objects.requests import Object

Default = Callable[[Object], None]
PrepareCreate = Callable[[Object, Context], None]
PrepareUpdate = Callable[[Object, Object, Context], None]
Validate = Callable[[Object, Object | None, Context], list[Cause]]
Warn = Callable[[Object], list[str]]
Grace = Callable[[Object, Mapping[str, Any]], int | None]
Release = Callable[[Object, Context], None]
Fields = Callable[[Object], Mapping[str, str]]


def _no_default(obj: Object) -> None:
    """Leave the object as it is."""


def _no_create(obj: Object, context: Context) -> None:
    """Leave the new object as it is."""


def _no_update(obj: Object, old: Object, context: Context) -> None:
    """Leave the changed object as it is."""


def _no_rule(obj: Object, old: Object | None, context: Context) -> list[Cause]:
    return []


def _no_warning(obj: Object) -> list[str]:
    return []


def _no_grace(obj: Object, options: Mapping[str, Any]) -> int | None:
    return None


def _no_release(obj: Object, context: Context) -> None:
    """Nothing was allocated."""


def _no_fields(obj: Object) -> Mapping[str, str]:
    return {}


# Python 3.11 has no `typing.override`.
# mypy: disable-error-code="explicit-override"


@dataclass(frozen=True, slots=True)
class Rules(Strategy):
    """The behaviour of a kind; each part is a function with the contract of `Strategy`'s method."""

    on_default: Default = _no_default
    on_create: PrepareCreate = _no_create
    on_update: PrepareUpdate = _no_update
    on_validate: Validate = _no_rule
    on_warn: Warn = _no_warning
    on_grace: Grace = _no_grace
    on_release: Release = _no_release
    fields: Fields = _no_fields
    status_on_create: bool = False

    def default(self, obj: Object) -> None:
        """Fill in what Kubernetes fills in, in place."""
        self.on_default(obj)

    def prepare_create(self, obj: Object, context: Context) -> None:
        """Set generated fields and drop what a creator may not set, in place."""
        self.on_create(obj, context)

    def prepare_update(self, obj: Object, old: Object, context: Context) -> None:
        """Carry over or recompute what a writer may not set, in place."""
        self.on_update(obj, old, context)

    def validate(self, obj: Object, old: Object | None, context: Context) -> list[Cause]:
        """Return every rule the object breaks."""
        return self.on_validate(obj, old, context)

    def warnings(self, obj: Object) -> list[str]:
        """Return sentences for the person who wrote the object."""
        return self.on_warn(obj)

    def graceful_deletion_seconds(self, obj: Object, options: Mapping[str, Any]) -> int | None:
        """Return for how long a deletion waits for someone to finish it."""
        return self.on_grace(obj, options)

    def release(self, obj: Object, context: Context) -> None:
        """Give back what was allocated."""
        self.on_release(obj, context)

    def selectable_fields(self, obj: Object) -> Mapping[str, str]:
        """Return the fields a field selector may name."""
        return self.fields(obj)
