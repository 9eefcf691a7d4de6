"""One field of a compiled schema, and the path to a value.

Nodes are made by `compiling` and are read-only afterwards. Nodes of one definition are shared by
every kind that refers to it, so what is specific to a place (merge keys of a list) is on the node
of that place.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import orjson

from wherry.objects import errors
from wherry.objects.errors import Cause

MAX_DEPTH = 200
"""How deep values may nest. orjson writes 254 levels; the envelopes of lists and watches need some."""

TOO_DEEP = f"the object nests more than {MAX_DEPTH} levels deep; at most {MAX_DEPTH} are accepted"

MAX_SHOWN = 256
"""How many characters of an offending value a message repeats."""


class Entry(str):
    """The key of a map in a path that tells it apart from the name of a field."""

    __slots__ = ()


Path = tuple[Any, ...]
"""``(parent path, key or index)``, or ``()``: linked, because it is made for every container and
read only when something is wrong."""

Check = Callable[[Any, Path], Cause | None]
"""A rule on one value that has the right type already."""

Admit = Callable[[Any], Any]
"""Reads a scalar as Go would: returns the value to keep, raises `Mismatch` where Go would refuse."""


class Mismatch(Exception):  # noqa: N818 (not an error yet: the caller words it)
    """A scalar that Go could not read; ``detail`` replaces the usual wording if set."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail


class Node:
    """What one field may hold.

    Attributes:
        native: Whether the field is read as Go reads a built-in kind: nulls are dropped, wrong
            types are refused at once.
        types: Names of the JSON types allowed; empty for any.
        plain: The Python type of values that need no further look when decoding, else None.
        go_type: How Go names the type, for messages, e.g. ``int32`` or ``v1.PodSpec``.
        go_struct: Name of the Go struct, for messages about its fields, e.g. ``PodSpec``.
        properties: Known fields of an object.
        additional: What other fields of an object hold; None if there may be none.
        items: What the items of an array hold.
        required: Fields that must be there.
        nullable: Whether null is a value (never for native nodes).
        has_default: Whether a default is set.
        default: The default; to be copied.
        admit: Reads a native scalar.
        checks: Rules on the value.
        all_of: Value rules that must all hold; likewise the others.
        any_of: See `all_of`.
        one_of: See `all_of`.
        negated: A value rule that must not hold.
        list_type: ``atomic``, ``set`` or ``map``; empty where not said.
        list_keys: The fields that tell items of a ``map`` list apart.
        map_type: ``atomic`` or ``granular``; empty where not said.
        patch_strategy: Words of `x-kubernetes-patch-strategy`: ``merge``, ``replace``, ``retainKeys``.
        merge_key: The field that tells items apart in a strategic merge; empty where there is none.
        needs_check: Whether `check` has anything to do here or below.
        needs_default: Whether a default is set below.
    """

    __slots__ = (
        "additional",
        "admit",
        "all_of",
        "any_of",
        "checks",
        "default",
        "go_struct",
        "go_type",
        "has_default",
        "items",
        "list_keys",
        "list_type",
        "map_type",
        "merge_key",
        "native",
        "needs_check",
        "needs_default",
        "negated",
        "nullable",
        "one_of",
        "patch_strategy",
        "plain",
        "properties",
        "required",
        "types",
    )

    def __init__(self, *, native: bool = False, types: tuple[str, ...] = ()) -> None:
        self.native = native
        self.types = types
        self.plain: type | None = None
        self.go_type = ""
        self.go_struct = ""
        self.properties: Mapping[str, Node] = _NONE
        self.additional: Node | None = None
        self.items: Node | None = None
        self.required: tuple[str, ...] = ()
        self.nullable = False
        self.has_default = False
        self.default: Any = None
        self.admit: Admit | None = None
        self.checks: tuple[Check, ...] = ()
        self.all_of: tuple[Node, ...] = ()
        self.any_of: tuple[Node, ...] = ()
        self.one_of: tuple[Node, ...] = ()
        self.negated: Node | None = None
        self.list_type: Literal["", "atomic", "set", "map"] = ""
        self.list_keys: tuple[str, ...] = ()
        self.map_type: Literal["", "atomic", "granular"] = ""
        self.patch_strategy: tuple[str, ...] = ()
        self.merge_key = ""
        self.needs_check = True
        self.needs_default = True

    def property(self, name: str) -> "Node | None":
        """Return what the field ``name`` of an object holds; None where there is no such field."""
        return self.properties.get(name) or self.additional

    def children(self) -> "list[Node]":
        """Return the nodes one step below, value rules included."""
        below = [*self.properties.values(), *self.all_of, *self.any_of, *self.one_of]
        below += [node for node in (self.additional, self.items, self.negated) if node is not None]
        return below

    def copy(self) -> "Node":
        """Return a node that shares what is below, to be changed for one place."""
        twin = Node.__new__(Node)
        for slot in Node.__slots__:
            setattr(twin, slot, getattr(self, slot))
        return twin


_NONE: Mapping[str, Node] = {}

ANY = Node()
"""Anything at all, kept as it is."""
ANY.needs_check = ANY.needs_default = False


def render(path: Path) -> str:
    """Return a path as Kubernetes prints it, e.g. ``spec.containers[0].name``."""
    parts: list[str] = []
    while path:
        path, step = path
        parts.append(f"[{step}]" if isinstance(step, int | Entry) else f".{step}")
    return "".join(reversed(parts)).lstrip(".")


def field_names(path: Path) -> str:
    """Return a path as Go's decoder prints it: without indices."""
    names: list[str] = []
    while path:
        path, step = path
        if isinstance(step, str):
            names.append(step)
    return ".".join(reversed(names))


def show(value: Any) -> str:
    """Return a value as it stands in a message, cut at `MAX_SHOWN` characters."""
    try:
        text = orjson.dumps(value, default=repr).decode()
    except TypeError:  # an integer of more than 64 bits
        text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def json_type(value: Any) -> str:
    """Return the name that JSON schemas give to the type of a value."""
    return _JSON_TYPES.get(type(value), "object")


_JSON_TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    dict: "object",
    list: "array",
    type(None): "null",
}


def refuse_deep(value: Any, depth: int = 0) -> None:
    """Refuse a value that nests deeper than `MAX_DEPTH`, counting from ``depth``.

    Raises:
        BadRequestError: it does.
    """
    level = [value]
    while level:
        if depth > MAX_DEPTH:
            raise errors.BadRequestError(TOO_DEEP)
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below += [child for child in item.values() if type(child) in _CONTAINERS]
            elif type(item) is list:
                below += [child for child in item if type(child) in _CONTAINERS]
        level = below
        depth += 1


_CONTAINERS = frozenset((dict, list))
