"""Types of nodes: each namespace has its own; those of Kubeflow Pipelines are everybody's. Blocking."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy

from wherry.metadata import reading, schema
from wherry.metadata.mlmd.kinds import FIRST_OWN_TYPE, SHARED_TYPES, Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

UNKNOWN: Final = 0
"""No type of a property."""
_TYPES: Final = schema.TYPES
_IDS: Final = {key: number for number, key in enumerate(SHARED_TYPES, 1)}
_KEPT: Final = ("description", "external_id", "base_type", "input_type", "output_type")
_MOST_SHOWN: Final = 100


def shared(kind: Kind) -> dict[int, Object]:
    """Return the types that all namespaces share."""
    return {
        number: {"id": number, "name": name}
        for (of, name), number in _IDS.items()
        if of == kind.name
    }


def by_id(view: View, kind: Kind, numbers: Collection[int]) -> dict[int, Object]:
    """Return types by their ids, as far as the caller may see them."""
    found = {number: each for number, each in shared(kind).items() if number in numbers}
    rows = [number - FIRST_OWN_TYPE for number in sorted(set(numbers)) if number > FIRST_OWN_TYPE]
    for some in reading.portions(rows):
        for row in _rows(view, kind, _TYPES.c.id.in_(some)):
            found[row.id + FIRST_OWN_TYPE] = _message(row)
    return found


def listed(view: View, kind: Kind) -> list[Object]:
    """Return all types that the caller may see, by id."""
    table = kind.table
    used = sqlalchemy.select(table.c.namespace, table.c.type).distinct()
    ensure(
        view, kind, [(row.namespace, row.type) for row in view.at.execute(_seen(view, table, used))]
    )
    rows = _rows(view, kind, sqlalchemy.true())
    return [*shared(kind).values(), *map(_message, rows)]


def find(view: View, kind: Kind, name: str, version: str = "") -> Object | None:
    """Return a type by its name: everybody's, that of the caller's namespace, or the oldest seen."""
    known = _IDS.get((kind.name, name))
    if known is not None and not version:
        return shared(kind)[known]
    own = _TYPES.c.name == name, _TYPES.c.version == version
    rows = sorted(_rows(view, kind, *own), key=lambda row: (row.namespace != view.home, row.id))
    return _message(rows[0]) if rows else None


def numbers(view: View, kind: Kind, name: str, version: str) -> list[int]:
    """Return the ids of all types of a name that the caller may see."""
    known = _IDS.get((kind.name, name))
    if known is not None and not version:
        return [known]
    own = _TYPES.c.name == name, _TYPES.c.version == version
    return [row.id + FIRST_OWN_TYPE for row in _rows(view, kind, *own)]


def by_external_id(view: View, kind: Kind, given: Collection[str]) -> list[Object]:
    """Return types by the ids that their makers gave them, as far as the caller may see them."""
    wanted = [
        schema.digest(name, kind.name, each) for name in sorted(view.known()) for each in given
    ]
    return [
        _message(row)
        for some in reading.portions(wanted)
        for row in _rows(view, kind, _TYPES.c.external.in_(some))
    ]


def ensure(view: View, kind: Kind, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Return the ids of types that the platform's own nodes have, by namespace and name; made if new."""
    found: dict[tuple[str, str], int] = {}
    for namespace, name in sorted(set(wanted)):
        known = _IDS.get((kind.name, name))
        found[namespace, name] = known or _ensured(view, kind, namespace, name)
    return found


def _ensured(view: View, kind: Kind, namespace: str, name: str) -> int:
    slot = schema.digest(namespace, kind.name, name, "")
    known = view.at.execute(sqlalchemy.select(_TYPES.c.id).where(_TYPES.c.slot == slot)).scalar()
    if known is not None:
        return int(known) + FIRST_OWN_TYPE
    return _added(view, kind, namespace, {"name": name})


def put(view: View, kind: Kind, given: Object, *, can_add: bool, can_omit: bool) -> int:
    """Store a type in the caller's namespace, or add to it; return its id.

    Raises:
        BadRequestError: it has no name, or a property of no type.
        AlreadyExistsError: it is there and its properties differ by more than may be added or omitted.
    """
    name = given.get("name", "")
    if not name:
        raise errors.BadRequestError("name: a type needs one")
    for key, value in given.get("properties", {}).items():
        if value == UNKNOWN:
            raise errors.BadRequestError(f"properties[{key}]: is UNKNOWN; want a type of values")
    known = _IDS.get((kind.name, name))
    if known is not None and not given.get("version"):
        return _checked_shared(known, given)
    slot = schema.digest(view.home, kind.name, name, given.get("version", ""))
    row = view.at.execute(sqlalchemy.select(_TYPES).where(_TYPES.c.slot == slot)).one_or_none()
    if row is None:
        _check_external(view, kind, given, 0)
        return _added(view, kind, view.home, given)
    properties = _merged(
        name, row.body.get("properties", {}), given, can_add=can_add, can_omit=can_omit
    )
    body = {**row.body, "properties": properties}
    if given.get("external_id"):
        _check_external(view, kind, given, row.id)
        body["external_id"] = given["external_id"]
    if body != row.body:
        change = sqlalchemy.update(_TYPES).where(_TYPES.c.id == row.id)
        external = _external(view.home, kind, body.get("external_id", ""))
        view.at.execute(change.values(body=body, external=external))
    return int(row.id) + FIRST_OWN_TYPE


def _checked_shared(known: int, given: Object) -> int:
    extra = [key for key in ("properties", *_KEPT) if given.get(key)]
    if extra:
        raise errors.BadRequestError(
            f"{extra[0]}: type {given['name']} is shared by all namespaces and has none; use "
            "custom_properties, or a type of your own"
        )
    return known


def _merged(
    name: str, stored: Mapping[str, int], given: Object, *, can_add: bool, can_omit: bool
) -> dict[str, int]:
    wanted: Mapping[str, int] = given.get("properties", {})
    told = f"type {name} is there already with other properties"
    for key, value in wanted.items():
        if key not in stored and not can_add:
            raise errors.AlreadyExistsError(f"{told}: {key} is new and can_add_fields is not set")
        if stored.get(key, value) != value:
            raise errors.AlreadyExistsError(
                f"{told}: {key} has type {stored[key]}, and cannot become {value}"
            )
    missing = sorted(stored.keys() - wanted.keys())
    if missing and not can_omit:
        raise errors.AlreadyExistsError(
            f"{told}: {missing[0][:_MOST_SHOWN]} is missing and can_omit_fields is not set"
        )
    return {**stored, **wanted}


def _added(view: View, kind: Kind, namespace: str, given: Object) -> int:
    body = {key: given[key] for key in (*_KEPT, "properties") if given.get(key)}
    row = {
        "slot": schema.digest(namespace, kind.name, given["name"], given.get("version", "")),
        "external": _external(namespace, kind, given.get("external_id", "")),
        "namespace": namespace,
        "kind": kind.name,
        "name": given["name"],
        "version": given.get("version", ""),
        "body": body,
    }
    key = view.at.execute(sqlalchemy.insert(_TYPES), row).inserted_primary_key
    assert key is not None  # the table has one
    return int(key[0]) + FIRST_OWN_TYPE


def _check_external(view: View, kind: Kind, given: Object, own: int) -> None:
    external = _external(view.home, kind, given.get("external_id", ""))
    if external is None:
        return
    wanted = sqlalchemy.select(_TYPES.c.id).where(_TYPES.c.external == external, _TYPES.c.id != own)
    if view.at.execute(wanted).first() is not None:
        raise errors.AlreadyExistsError(
            f"external_id {given['external_id'][:_MOST_SHOWN]!r}: another type has it"
        )


def _external(namespace: str, kind: Kind, given: str) -> str | None:
    return schema.digest(namespace, kind.name, given) if given else None


def _rows(view: View, kind: Kind, *conditions: Any) -> Sequence[Any]:
    wanted = sqlalchemy.select(_TYPES).where(_TYPES.c.kind == kind.name, *conditions)
    return view.at.execute(_seen(view, _TYPES, wanted).order_by(_TYPES.c.id)).all()


def _seen(view: View, table: Any, wanted: Any) -> Any:
    return wanted.where(view.seen(table.c.namespace))


def _message(row: Any) -> Object:
    version = {"version": row.version} if row.version else {}
    return {"id": row.id + FIRST_OWN_TYPE, "name": row.name, **version, **row.body}
