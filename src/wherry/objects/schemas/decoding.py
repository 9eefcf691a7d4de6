"""Reading an object into the shape of its kind: what kube-apiserver does when it decodes.

One pass drops what the kind does not know (and remembers where it was), drops nulls, and brings
times and quantities of built-in kinds into the form that Kubernetes prints. Built-in kinds refuse
wrong types here, as Go's decoder does; custom ones leave that to `checking`.
"""

from typing import Any, NoReturn

from wherry.objects import errors
from wherry.objects.schemas.node import (
    ANY,
    MAX_DEPTH,
    TOO_DEEP,
    Mismatch,
    Node,
    Path,
    field_names,
    json_type,
    refuse_deep,
    render,
    show,
)

MAX_UNKNOWN = 100
"""How many unknown fields are remembered by name; all are dropped."""

_DROP = object()


class Scan:
    """One pass over one object.

    Attributes:
        edit: Whether the object is changed.
        refuse: Whether wrong types in native fields are refused, or left alone.
        unknown: Paths of unknown fields, in the object's order.
    """

    __slots__ = ("edit", "refuse", "unknown")

    def __init__(self, *, edit: bool, refuse: bool) -> None:
        self.edit = edit
        self.refuse = refuse
        self.unknown: list[str] = []

    def run(self, node: Node, value: Any) -> None:
        """Pass over a value.

        Raises:
            BadRequestError: a native field has the wrong type, or the value nests too deep.
        """
        self._value(node, value, (), 0)

    def _value(self, node: Node, value: Any, path: Path, depth: int) -> Any:
        """Return what should stand in place of ``value``."""
        if node is ANY:
            if type(value) is dict or type(value) is list:
                refuse_deep(value, depth)
            return value
        if type(value) is dict and (not node.types or "object" in node.types):
            self._object(node, value, path, depth)
            return value
        if type(value) is list and (not node.types or "array" in node.types):
            self._array(node, value, path, depth)
            return value
        if node.admit is None:
            return self._misfit(node, value, path, depth)
        try:
            return node.admit(value)
        except Mismatch as mismatch:
            if self.refuse:
                _refuse(node, value, path, mismatch.detail)
            return value

    def _object(self, node: Node, value: dict[str, Any], path: Path, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise errors.BadRequestError(TOO_DEEP)
        known = node.properties
        dropped: list[str] = []
        for key, item in value.items():
            child = known.get(key) or node.additional
            if child is None:
                dropped.append(key)
                self._unknown((path, key))
            elif type(item) is child.plain:
                continue
            else:
                if item is None:
                    kept = _null(child, in_map=key not in known)
                else:
                    kept = self._field(node, child, item, ((path, key), depth + 1))
                if kept is _DROP:
                    dropped.append(key)
                elif kept is not item and self.edit:
                    value[key] = kept
        if self.edit:
            for key in dropped:
                del value[key]

    def _field(self, node: Node, child: Node, item: Any, place: tuple[Path, int]) -> Any:
        try:
            return self._value(child, item, *place)
        except _ScalarError as error:
            raise error.in_struct(node) from None

    def _array(self, node: Node, value: list[Any], path: Path, depth: int) -> None:
        if depth >= MAX_DEPTH:
            raise errors.BadRequestError(TOO_DEEP)
        child = node.items
        if child is None:
            refuse_deep(value, depth)
            return
        plain = child.plain
        for index, item in enumerate(value):
            if type(item) is plain:
                continue
            kept = (
                _null(child, in_map=True)
                if item is None
                else self._value(child, item, (path, index), depth + 1)
            )
            if kept is not item and kept is not _DROP and self.edit:
                value[index] = kept

    def _misfit(self, node: Node, value: Any, path: Path, depth: int) -> Any:
        if node.native and self.refuse and node.types:
            _refuse(node, value, path)
        if type(value) is dict or type(value) is list:
            refuse_deep(value, depth)
        return value

    def _unknown(self, path: Path) -> None:
        if len(self.unknown) < MAX_UNKNOWN:
            self.unknown.append(render(path))


class WrongTypeError(errors.BadRequestError):
    """A field holds what Go could not have read into it.

    Attributes:
        found: What stands there: a JSON type, of a number also its value.
        go_type: What Go would have made of it.
    """

    def __init__(self, found: str, go_type: str, where: str = "Go value") -> None:
        super().__init__(f"json: cannot unmarshal {found} into {where} of type {go_type}")
        self.found, self.go_type = found, go_type


class _ScalarError(WrongTypeError):
    """A wrong type whose struct is not known yet: it is the nearest native object above."""

    def __init__(self, found: str, fields: str, go_type: str) -> None:
        super().__init__(found, go_type)
        self.fields = fields

    def in_struct(self, node: Node) -> WrongTypeError:
        if not node.go_struct:
            return self
        where = f"Go struct field {node.go_struct}.{self.fields}"
        return WrongTypeError(self.found, self.go_type, where)


def _refuse(node: Node, value: Any, path: Path, detail: str = "") -> NoReturn:
    if detail:
        where = render(path)
        raise errors.BadRequestError(f"{where}: {detail}" if where else detail) from None
    found = {"boolean": "bool", "integer": "number"}.get(json_type(value), json_type(value))
    if found == "number" and node.go_type.startswith(("int", "float")):
        found = f"number {show(value)}"
    raise _ScalarError(found, field_names(path), node.go_type) from None


def _null(child: Node, *, in_map: bool) -> Any:
    """Return what Go makes of a null: nothing in a struct, the zero value in a map or list."""
    if child.nullable or child is ANY:
        return None
    if not in_map or not child.native:
        return _DROP
    return _zero(child)


def _zero(node: Node) -> Any:
    if node.plain is str:
        return ""
    if node.plain is bool:
        return False
    if "object" in node.types:
        return {}
    if "array" in node.types:
        return []
    return "0" if node.go_type == "resource.Quantity" else 0
