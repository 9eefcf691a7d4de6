"""Nodes are stored here, as clients of ML Metadata tell them. Blocking, in a transaction."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy

from wherry.metadata import reading, schema
from wherry.metadata.mlmd import node_types, nodes
from wherry.metadata.mlmd.failures import PreconditionError
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION, Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

_MAPS: Final = ("properties", "custom_properties")
_KEPT: Final = (*_MAPS, "external_id", "system_metadata")
_UPDATED: Final = "last_update_time_since_epoch"
_VALUES: Final = {
    "int_value": 1,
    "double_value": 2,
    "string_value": 3,
    "struct_value": 4,
    "proto_value": 5,
    "bool_value": 6,
}
"""Types of properties by the field of their values."""
_EMPTY: Final[Mapping[str, Mapping[str, Any]]] = {
    EXECUTION.name: {
        **dict.fromkeys(("pipeline", "run", "path", "state", "pod", "error", "fingerprint"), ""),
        **dict.fromkeys(("attempt", "started", "ended", "cached_from"), 0),
        "cache_reason": "",
        "inputs": {},
        "outputs": {},
        "properties": {},
    },
    ARTIFACT.name: {"metadata": {}},
    CONTEXT.name: {"properties": {}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How nodes are stored.

    Attributes:
        paths: The fields that are changed of nodes that are there; empty: all.
        unchanged_since: Whether to refuse to change what was changed since the caller read it.
        touch: Whether what is stored again as it was counts as changed.
    """

    paths: tuple[str, ...] = ()
    unchanged_since: bool = False
    touch: bool = False


_USUAL: Final = Options()


def put(view: View, kind: Kind, given: Object, options: Options = _USUAL) -> int:
    """Store a node: a new one, or what is to be of one that has an id; return its id.

    Raises:
        BadRequestError: it has no type, properties that its type does not have …
        NotFoundError: there is no such type.
        AlreadyExistsError: another has its name, or its external id.
        PreconditionError: it was changed since.
        ForbiddenError: it is in another namespace than the caller's.
    """
    for name in _MAPS:
        for key, value in given.get(name, {}).items():
            _check_value(name, key, value)
    if "id" not in given:
        return _insert(view, kind, given)
    row = nodes.rows(view, kind, [given["id"]]).get(given["id"])
    if row is None:
        raise errors.BadRequestError(f"id: there is no {kind.name} {given['id']}")
    view.check_home(f"{kind.name} {row.id}", row.namespace)
    (before,) = nodes.messages(view, kind, [row])
    if options.unchanged_since and given.get(_UPDATED) != before[_UPDATED]:
        raise PreconditionError(
            f"{kind.name} {row.id} was changed at {before[_UPDATED]}, and not at {given.get(_UPDATED)}"
        )
    if given.get("type_id", before["type_id"]) != before["type_id"]:
        raise errors.BadRequestError(
            f"type_id: {kind.name} {row.id} has type {before['type_id']}, which cannot be changed"
        )
    wanted = _masked(before, given, options.paths) if options.paths else dict(given)
    there = _There(view, kind, row, before)
    if row.said_type:
        there.change(wanted, touch=options.touch)
    else:
        there.add(wanted)
    return int(row.id)


def _insert(view: View, kind: Kind, given: Object) -> int:
    if not given.get("type_id"):
        raise errors.BadRequestError(f"type_id: a new {kind.name} needs one")
    type_ = node_types.by_id(view, kind, [given["type_id"]]).get(given["type_id"])
    if type_ is None:
        raise errors.NotFoundError(f"type_id: there is no {kind.name} type {given['type_id']}")
    _check_properties(type_, given)
    name = given.get("name", "")
    row = {
        **_EMPTY[kind.name],
        "namespace": view.home,
        "type": type_["name"],
        "name": name,
        "created": view.now,
    }
    if kind is ARTIFACT:
        row |= _place(given.get("uri", ""))
    if kind is CONTEXT:
        row["slot"] = _free_context(view, type_, name, 0)
    _check_free(view, kind, given, type_=type_["id"], own=0)
    key = view.at.execute(sqlalchemy.insert(kind.table), row).inserted_primary_key
    assert key is not None  # the tables have one
    number = int(key[0])
    _say(view, kind, number, given, type_=type_["id"], name=name)
    return number


@dataclass(frozen=True, slots=True)
class _There:
    """A node that is there.

    Attributes:
        view: Of who changes it.
        kind: Of it.
        row: As it is kept.
        node: As it is seen.
    """

    view: View
    kind: Kind
    row: Any
    node: Object

    def change(self, wanted: Object, *, touch: bool) -> None:
        """Make a client's node what is wanted of it; artifacts and executions keep their names."""
        view, kind, row = self.view, self.kind, self.row
        (type_,) = node_types.by_id(view, kind, [row.said_type]).values()
        _check_properties(type_, wanted)
        name = wanted.get("name", "") if kind is CONTEXT else row.name
        same = _told(kind, wanted) == _told(kind, self.node) and name == row.name
        if same and not touch:
            return
        _check_free(view, kind, wanted, type_=row.said_type, own=row.id)
        change = sqlalchemy.update(kind.table).where(kind.table.c.id == row.id)
        if kind is ARTIFACT:
            view.at.execute(change.values(**_place(wanted.get("uri", ""))))
        if kind is CONTEXT:
            slot = _free_context(view, type_, name, row.id)
            view.at.execute(change.values(name=name, slot=slot))
        _forget(view, kind, row.id)
        _say(view, kind, row.id, wanted, type_=row.said_type, name=name)

    def add(self, wanted: Object) -> None:
        """Keep what a client adds to a node of the platform's own, which stays as it is."""
        said = self.row.said_body or {}
        added = said.get("custom_properties", {}).keys()
        custom = wanted.get("custom_properties", {})
        own = self.node["custom_properties"].keys() - added
        self._check_fixed(wanted, own)
        kept = {key: value for key, value in custom.items() if key not in own}
        told = {"custom_properties": kept}
        told |= {key: wanted[key] for key in ("external_id", "system_metadata") if key in wanted}
        told = {key: value for key, value in told.items() if value}
        if told == said:
            return
        _check_free(self.view, self.kind, told, type_=0, own=self.row.id)
        _forget(self.view, self.kind, self.row.id)
        _say(self.view, self.kind, self.row.id, told, type_=0)

    def _check_fixed(self, wanted: Object, own: Collection[str]) -> None:
        """Refuse to change what the platform says of its own."""
        told = f"{self.kind.name} {self.row.id} is the platform's own"
        custom, before = wanted.get("custom_properties", {}), self.node["custom_properties"]
        changed = [n for n in (self.kind.state, "uri", "name") if _differs(n, wanted, self.node)]
        changed += [name for name in sorted(own) if _differs(name, custom, before)]
        if changed:
            raise errors.BadRequestError(f"{changed[0]}: {told}, which cannot be changed in it")
        if wanted.get("properties"):
            raise errors.BadRequestError(f"properties: {told}; use custom_properties")


def _differs(name: str, wanted: Object, before: Object) -> bool:
    return name in wanted and wanted[name] != before.get(name)


def _told(kind: Kind, node: Object) -> Object:
    """Return what can be changed of a node."""
    kept = {key: node[key] for key in _KEPT if node.get(key)}
    return {**kept, "uri": node.get("uri", ""), "state": node.get(kind.state)}


def _say(view: View, kind: Kind, number: int, given: Object, *, type_: int, name: str = "") -> None:
    named = name and kind is not CONTEXT
    row = {
        "kind": kind.name,
        "node": number,
        "type": type_,
        "slot": _slot(view, kind, type_, name) if named else None,
        "external": _external(view, kind, given),
        "state": given.get(kind.state),
        "updated": view.now,
        "body": {key: given[key] for key in _KEPT if given.get(key)},
    }
    view.at.execute(sqlalchemy.insert(nodes.SAID), row)


def _forget(view: View, kind: Kind, number: int) -> None:
    said = nodes.SAID
    own = sqlalchemy.and_(said.c.kind == kind.name, said.c.node == number)
    view.at.execute(sqlalchemy.delete(said).where(own))


def _masked(before: Object, given: Object, paths: Iterable[str]) -> Object:
    """Return a node in which only some fields are changed; what it cannot have is left alone."""
    made = {**before, **{name: dict(before.get(name, {})) for name in _MAPS}}
    for path in paths:
        map_, _, key = path.partition(".")
        if map_ in _MAPS and key:
            _take(made[map_], given.get(map_, {}), key)
        else:
            _take(made, given, path)
    return made


def _take(target: Object, source: Object, name: str) -> None:
    if name in source:
        target[name] = source[name]
    else:
        target.pop(name, None)


def _check_value(map_: str, key: str, value: Object) -> None:
    if not value:
        raise errors.BadRequestError(
            f"Found unmatched property type: {key} ({map_} has it without a value)"
        )


def _check_properties(type_: Object, given: Object) -> None:
    known = type_.get("properties", {})
    for key, value in given.get("properties", {}).items():
        (field,) = value
        if key not in known:
            raise errors.BadRequestError(
                f"Found unknown property: {key} (type {type_['name']} has "
                f"{', '.join(sorted(known))[:500] or 'none'})"
            )
        if known[key] != _VALUES[field]:
            raise errors.BadRequestError(
                f"Found unmatched property type: {key} (it is {field}, and its type wants another)"
            )


def _check_free(view: View, kind: Kind, given: Object, *, type_: int, own: int) -> None:
    """Refuse a name or an external id that another node has."""
    said = nodes.SAID
    name = given.get("name", "")
    wanted = {"external_id": (said.c.external, _external(view, kind, given))}
    if name and not own and kind is not CONTEXT:
        wanted["name"] = said.c.slot, _slot(view, kind, type_, name)
    for field, (column, value) in wanted.items():
        taken = sqlalchemy.select(said.c.node).where(column == value, said.c.node != own)
        if value is not None and view.at.execute(taken).first() is not None:
            raise errors.AlreadyExistsError(
                f"{field}: another {kind.name} has {given[field][:100]!r} already"
            )


def _free_context(view: View, type_: Object, name: str, own: int) -> str:
    """Return the slot of a context, which no other has."""
    if not name:
        raise errors.BadRequestError("name: a context needs one")
    version = (type_["version"],) if type_.get("version") else ()
    slot = schema.digest(type_["name"], *version, view.home, name)
    table = schema.CONTEXTS
    taken = sqlalchemy.select(table.c.id).where(table.c.slot == slot, table.c.id != own)
    if view.at.execute(taken).first() is not None:
        raise errors.AlreadyExistsError(f"name: another context has {name[:100]!r} already")
    return slot


def same_context(view: View, given: Object) -> int | None:
    """Return the id of the context that has the type and the name of another."""
    types = node_types.by_id(view, CONTEXT, [given.get("type_id", 0)])
    if not types or not given.get("name"):
        return None
    (type_,) = types.values()
    version = (type_["version"],) if type_.get("version") else ()
    slot = schema.digest(type_["name"], *version, view.home, given["name"])
    found = sqlalchemy.select(schema.CONTEXTS.c.id).where(schema.CONTEXTS.c.slot == slot)
    known = view.at.execute(found).scalar()
    return None if known is None else int(known)


def with_external_id(view: View, kind: Kind, given: Object) -> int | None:
    """Return the id of the caller's node that has the external id of another."""
    external = _external(view, kind, given)
    return next(iter(_having(view, [external])), None) if external else None


def with_external_ids(view: View, kind: Kind, given: Collection[str]) -> list[int]:
    """Return the ids of the nodes that have one of some external ids, where the caller may see them."""
    names = sorted(view.known())
    return _having(view, [schema.digest(name, kind.name, each) for name in names for each in given])


def _having(view: View, externals: Sequence[str]) -> list[int]:
    said = nodes.SAID.c
    return [
        int(number)
        for some in reading.portions(externals)
        for number in view.at.execute(
            sqlalchemy.select(said.node).where(said.external.in_(some))
        ).scalars()
    ]


def _slot(view: View, kind: Kind, type_: int, name: str) -> str:
    return schema.digest(view.home, kind.name, str(type_), name)


def _external(view: View, kind: Kind, given: Object) -> str | None:
    external = given.get("external_id", "")
    return schema.digest(view.home, kind.name, external) if external else None


def _place(uri: str) -> Object:
    return {"uri": uri, "uri_digest": schema.digest(uri)}
