"""The entries of `metadata.managedFields`: who owns what, since when, in which version.

Source: `pkg/util/managedfields/internal/managedfields.go` of apimachinery.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from wherry.objects.managed_fields import elements
from wherry.objects.managed_fields.fields import LEAF, SELF, Fields, ordered
from wherry.objects.requests import Object

APPLY: Final = "Apply"
UPDATE: Final = "Update"
MAX_DEPTH: Final = 200
_FIELDS_V1: Final = "FieldsV1"
_TEXTS: Final = ("manager", "operation", "apiVersion", "time", "fieldsType", "subresource")


class EntriesError(ValueError):
    """Entries that cannot be read; the text names the entry and the field."""


class Identity(NamedTuple):
    """What tells entries apart.

    Attributes:
        manager: The name.
        operation: ``Apply`` or ``Update``.
        api_version: Empty for appliers, who stay the same in every version.
        subresource: Through which they write.
    """

    manager: str
    operation: str
    api_version: str
    subresource: str

    def __str__(self) -> str:
        """Return the manager as conflicts name it."""
        shown = f'"{self.manager}"'
        if self.subresource:
            shown += f' with subresource "{self.subresource}"'
        return f"{shown} using {self.api_version}" if self.operation == UPDATE else shown


@dataclass(frozen=True, slots=True)
class Manager:
    """What someone owns.

    Attributes:
        fields: The fields.
        api_version: The version that they are named in.
        time: Of the last change, as entries have it; empty for none.
        entry: The entry that this was read from; None for what has changed since.
    """

    fields: Fields
    api_version: str
    time: str = ""
    entry: Object | None = None

    def owning(self, fields: Fields) -> "Manager":
        """Return the manager as owner of other fields, in the same version since the same time."""
        return self if fields is self.fields else Manager(fields, self.api_version, self.time)


Managers = dict[Identity, Manager]


def applier(manager: str, subresource: str) -> Identity:
    """Return the identity of who applies."""
    return Identity(manager or "unknown", APPLY, "", subresource)


def updater(manager: str, api_version: str, subresource: str) -> Identity:
    """Return the identity of who writes otherwise."""
    return Identity(manager or "unknown", UPDATE, api_version, subresource)


def is_reset(entries: Any) -> bool:
    """Return whether a writer's entries ask for forgetting all owners: an empty list, or ``[{}]``."""
    return type(entries) is list and (not entries or entries == [{}])


def decode(entries: Iterable[Mapping[str, Any]], *, trusted: bool = True) -> Managers:
    """Return the managers of an object.

    Args:
        entries: `metadata.managedFields`.
        trusted: Whether this module has written them, so that their sets need no look.

    Raises:
        EntriesError: They are no entries of type FieldsV1.
    """
    managers: Managers = {}
    for number, entry in enumerate(entries):
        if not trusted:
            _check(entry, number)
        identity = identity_of(entry)
        fields = entry.get("fieldsV1") or {}
        if not trusted:
            fields = ordered(_canonical(fields, number, 0))
        kept = dict(entry) if trusted else None
        managers[identity] = Manager(fields, entry["apiVersion"], entry.get("time") or "", kept)
    return managers


def identity_of(entry: Mapping[str, Any]) -> Identity:
    """Return whose an entry is."""
    operation = entry["operation"]
    version = "" if operation == APPLY else entry["apiVersion"]
    return Identity(entry.get("manager") or "", operation, version, entry.get("subresource") or "")


def _check(entry: Any, number: int) -> None:
    where = f"metadata.managedFields[{number}]"
    if type(entry) is not dict:
        raise EntriesError(f"{where} must be an object")
    for name in _TEXTS:
        if type(entry.get(name, "")) is not str:
            raise EntriesError(f"{where}.{name} must be a string")
    if entry.get("operation") not in {APPLY, UPDATE}:
        raise EntriesError(f"{where}.operation must be `Apply` or `Update`")
    if not entry.get("apiVersion"):
        raise EntriesError(f"{where}.apiVersion must not be empty")
    if entry.get("fieldsType") != _FIELDS_V1:
        raise EntriesError(f"{where}.fieldsType must be FieldsV1")


def _canonical(fields: Any, number: int, depth: int) -> Fields:
    """Return a set as this package writes it; elements of unknown kinds are dropped."""
    if type(fields) is not dict or depth > MAX_DEPTH:
        raise EntriesError(
            f"metadata.managedFields[{number}].fieldsV1 must be objects in objects, "
            f"at most {MAX_DEPTH} deep"
        )
    made: Fields = {}
    for name, below in fields.items():
        try:
            element = SELF if name == SELF else elements.canonical(name)
        except ValueError as error:
            raise EntriesError(f"metadata.managedFields[{number}].fieldsV1: {error}") from None
        if element is not None:
            made[element] = LEAF if element == SELF else _canonical(below, number, depth + 1)
    return LEAF if made == {SELF: LEAF} else made


def encode(managers: Managers) -> list[Object]:
    """Return the entries of managers, in upstream's order."""
    rows = [
        (identity, manager.entry or _entry(identity, manager))
        for identity, manager in managers.items()
    ]
    if len(rows) > 1:
        rows.sort(key=_order)
    return [entry for _, entry in rows]


def _entry(identity: Identity, manager: Manager) -> Object:
    entry: Object = {"manager": identity.manager} if identity.manager else {}
    entry["operation"] = identity.operation
    entry["apiVersion"] = manager.api_version
    if manager.time:
        entry["time"] = manager.time
    entry["fieldsType"] = _FIELDS_V1
    entry["fieldsV1"] = manager.fields
    if identity.subresource:
        entry["subresource"] = identity.subresource
    return entry


def _order(row: tuple[Identity, Object]) -> tuple[str, ...]:
    identity, entry = row
    time = entry.get("time", "")
    return (
        identity.operation,
        time,
        identity.manager,
        str(entry["apiVersion"]),
        identity.subresource,
    )


def same_but_times(left: list[Object] | None, right: list[Object] | None) -> bool:
    """Return whether entries say the same but for when."""
    return _timeless(left or []) == _timeless(right or [])


def _timeless(entries: list[Object]) -> list[tuple[Identity, Any, Any]]:
    return sorted(
        ((identity_of(entry), entry["apiVersion"], entry.get("fieldsV1")) for entry in entries),
        key=lambda row: row[:2],
    )
