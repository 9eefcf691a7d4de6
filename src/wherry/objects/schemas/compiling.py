"""From OpenAPI v3 schemas to nodes.

Two dialects: `NATIVE` for the published schemas of built-in kinds, which Go structs stand behind,
and `STRUCTURAL` for what custom resource definitions hold. A structural schema may lean on native
definitions: the metadata of every object is `ObjectMeta`.
"""

import enum
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson

from wherry.objects.schemas import rules, scalars
from wherry.objects.schemas.node import ANY, MAX_DEPTH, Admit, Node

OBJECT_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_TIME: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.Time"
_REMEMBERED: Final = 4096
"""Compiled parts of structural schemas that are kept for the next that has the same."""
_MICRO_TIME: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime"


class Dialect(enum.Enum):
    """Whose rules a schema follows."""

    NATIVE = "native"
    """Built-in kinds: Go's decoder refuses wrong types, nulls are as absent, unknown is dropped."""
    STRUCTURAL = "structural"
    """Custom resources: OpenAPI rules, pruning, defaults."""


class SchemaError(ValueError):
    """A schema that cannot be compiled; the message names the place in it."""


class Compiler:
    """Compiles schemas that share definitions.

    Args:
        definitions: Native definitions by name; may be empty.
        demanding: Whether native `required` holds. Nobody checks that a status is complete.
    """

    def __init__(self, definitions: Mapping[str, Any], *, demanding: bool = True) -> None:
        self._definitions = definitions
        self._demanding = demanding
        self._named: dict[str, Node] = {}
        self._native_scalars: dict[tuple[str, str], Node] = {}
        self._alike: dict[bytes, Node] = {}

    def definition(self, name: str) -> Node:
        """Return the node of a native definition.

        Raises:
            SchemaError: there is none of that name.
        """
        if name in self._named:
            return self._named[name]
        if name in _SPECIAL:
            go_type, admit, types = _SPECIAL[name]
            node = self._named[name] = _scalar(go_type, admit, types)
            return node
        schema = self._definitions.get(name)
        if schema is None:
            raise SchemaError(f"there is no definition {name!r}")
        if not schema.get("properties") and not schema.get("additionalProperties"):
            # RawExtension, FieldsV1, JSON: whatever is there stays as it is.
            self._named[name] = ANY
            return ANY
        node = Node(native=True, types=("object",))
        self._named[name] = node  # before its fields, which may refer back to it
        version, _, kind = name.rpartition(".")
        node.go_struct = kind
        node.go_type = f"{version.rpartition('.')[2]}.{kind}"
        self._native_object(node, schema)
        return node

    def forget(self) -> None:
        """Let go of the source; what has been compiled stays known."""
        self._definitions = {}

    def native(self, schema: Mapping[str, Any]) -> Node:
        """Return the node of one field of a native definition."""
        reference = _reference(schema)
        if reference:
            return _placed(self.definition(reference), schema)
        kind = schema.get("type", "")
        if isinstance(kind, list):
            kind = kind[0]
        if kind == "array":
            node = Node(native=True, types=("array",))
            node.items = self.native(schema.get("items", {}))
            node.go_type = f"[]{node.items.go_type or 'interface {}'}"
            return _place(node, schema)
        if kind == "object":
            if "properties" not in schema and "additionalProperties" not in schema:
                return ANY
            node = Node(native=True, types=("object",))
            self._native_object(node, schema)
            value = node.additional.go_type if node.additional else ""
            node.go_type = f"map[string]{value or 'interface {}'}"
            return _place(node, schema)
        return self._native_scalar(kind, schema.get("format", ""))

    def _native_object(self, node: Node, schema: Mapping[str, Any]) -> None:
        properties: dict[str, Node] = {}
        node.properties = properties
        if self._demanding:
            node.required = tuple(schema.get("required", ()))
        for name, field in schema.get("properties", {}).items():
            properties[name] = self.native(field)
        if schema.get("additionalProperties"):
            node.additional = self.native(schema["additionalProperties"])
        _place(node, schema)

    def _native_scalar(self, kind: str, format_: str) -> Node:
        if kind not in _SCALARS:
            return ANY
        node = self._native_scalars.get((kind, format_))
        if node is None:
            go_type, admit = _SCALARS[kind].get(format_) or _SCALARS[kind][""]
            node = self._native_scalars[kind, format_] = _scalar(go_type, admit, (kind,))
        return node

    def structural(
        self, schema: Mapping[str, Any], where: str = "openAPIV3Schema", *, resource: bool = False
    ) -> Node:
        """Return the node of a structural schema.

        Args:
            schema: The schema.
            where: Its place, for messages.
            resource: Whether it describes a whole object, with apiVersion, kind and metadata.

        Raises:
            SchemaError: the schema is malformed or nests too deep.
        """
        if resource or not hasattr(schema, "keys") or "properties" not in schema:
            return self._structural(schema, where, resource=resource)
        # A dozen kinds that each spell out a pod template share one node for it.
        try:
            text = orjson.dumps(schema)
        except (TypeError, ValueError):
            return self._structural(schema, where)
        digest = hashlib.blake2b(text, digest_size=16).digest()
        node = self._alike.get(digest)
        if node is None:
            if len(self._alike) >= _REMEMBERED:
                self._alike.clear()
            node = self._alike[digest] = self._structural(schema, where)
        return node

    def _structural(self, schema: Mapping[str, Any], where: str, *, resource: bool = False) -> Node:
        if where.count(".") > MAX_DEPTH:
            raise SchemaError(f"{where[:200]}: the schema nests more than {MAX_DEPTH} levels deep")
        if not isinstance(schema, Mapping):
            raise SchemaError(f"{where}: a schema must be an object, not {schema!r:.64}")
        node = Node(types=_structural_types(schema, where))
        try:
            node.checks = rules.rules(schema)
        except (re.error, ValueError, TypeError) as error:
            raise SchemaError(f"{where}: {error}") from error
        node.nullable = schema.get("nullable") is True
        if "default" in schema:
            node.has_default, node.default = True, schema["default"]
        node.required = tuple(schema.get("required") or ())
        self._parts(node, schema, where)
        if resource or schema.get("x-kubernetes-embedded-resource") is True:
            self._make_resource(node, embedded=not resource)
        return _place(node, schema)

    def _parts(self, node: Node, schema: Mapping[str, Any], where: str) -> None:
        node.properties = {
            name: self.structural(field, f"{where}.properties[{name}]")
            for name, field in (schema.get("properties") or {}).items()
        }
        additional = schema.get("additionalProperties")
        if additional is True or schema.get("x-kubernetes-preserve-unknown-fields") is True:
            node.additional = ANY
        if isinstance(additional, Mapping):
            node.additional = self.structural(additional, f"{where}.additionalProperties")
        if schema.get("items") is not None:
            node.items = self.structural(schema["items"], f"{where}.items")
        for attribute, keyword in _COMBINATIONS:
            made = tuple(
                self.structural(part, f"{where}.{keyword}[{index}]")
                for index, part in enumerate(schema.get(keyword) or ())
            )
            setattr(node, attribute, made)
        if schema.get("not") is not None:
            node.negated = self.structural(schema["not"], f"{where}.not")
        if not node.types and not node.properties and node.items is None:
            # Only preserve-unknown-fields may go without a type: anything stays.
            node.additional = ANY

    def _make_resource(self, node: Node, *, embedded: bool) -> None:
        text = self._native_scalar("string", "")
        known = OBJECT_META in self._named or OBJECT_META in self._definitions
        metadata = self.definition(OBJECT_META) if known else ANY
        node.properties = {
            **node.properties,
            "apiVersion": text,
            "kind": text,
            "metadata": self._metadata(metadata, node.properties.get("metadata")),
        }
        if embedded:
            names = dict.fromkeys((*node.required, "apiVersion", "kind"))
            node.required = tuple(names)

    def _metadata(self, metadata: Node, asked: Node | None) -> Node:
        """Return `ObjectMeta` with the rules that a schema may put on name and generateName."""
        if asked is None or metadata is ANY:
            return metadata
        node = metadata.copy()
        bound = asked.copy()
        bound.types, bound.required = (), ()
        node.all_of = (bound,)
        return node


def _structural_types(schema: Mapping[str, Any], where: str) -> tuple[str, ...]:
    if schema.get("x-kubernetes-int-or-string") is True:
        return ("integer", "string")
    kind = schema.get("type")
    if not kind:
        return ()
    if kind not in _TYPES:
        raise SchemaError(f"{where}.type: {kind!r:.64} is none of {', '.join(sorted(_TYPES))}")
    return (kind,)


def _reference(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    parts = schema.get("allOf")
    if parts and len(parts) == 1 and "$ref" in parts[0]:
        return str(parts[0]["$ref"]).rpartition("/")[2]
    return ""


def _placed(node: Node, schema: Mapping[str, Any]) -> Node:
    """Return the node of a definition, as this place wants it merged."""
    if node is ANY or not _PLACE_KEYWORDS & schema.keys():
        return node
    return _place(node.copy(), schema)


def _place(node: Node, schema: Mapping[str, Any]) -> Node:
    strategy = schema.get("x-kubernetes-patch-strategy")
    if strategy:
        node.patch_strategy = tuple(strategy.split(","))
    node.merge_key = schema.get("x-kubernetes-patch-merge-key", node.merge_key)
    node.list_type = schema.get("x-kubernetes-list-type") or node.list_type
    node.list_keys = tuple(schema.get("x-kubernetes-list-map-keys") or node.list_keys)
    node.map_type = schema.get("x-kubernetes-map-type") or node.map_type
    return node


def _scalar(go_type: str, admit: Admit, types: tuple[str, ...]) -> Node:
    node = Node(native=True, types=types)
    node.go_type, node.admit = go_type, admit
    node.plain = _PLAIN.get(admit)
    return node


def settle(roots: Iterable[Node]) -> None:
    """Find out, for every node below ``roots``, what `check` and `default` may skip."""
    nodes = _reachable(roots)
    above: dict[int, list[Node]] = {}
    for node in nodes:
        for child in node.children():
            above.setdefault(id(child), []).append(node)
    checked = _rise([node for node in nodes if _checks_itself(node)], above)
    defaulted = _rise([node for node in nodes if _defaults_itself(node)], above)
    for node in nodes:
        node.needs_check = id(node) in checked
        node.needs_default = id(node) in defaulted


def _rise(needed: list[Node], above: Mapping[int, list[Node]]) -> set[int]:
    """Return the ids of nodes and of all that lie above them."""
    found = {id(node) for node in needed}
    while needed:
        for parent in above.get(id(needed.pop()), ()):
            if id(parent) not in found:
                found.add(id(parent))
                needed.append(parent)
    return found


def _defaults_itself(node: Node) -> bool:
    return any(child.has_default for child in node.properties.values())


def _checks_itself(node: Node) -> bool:
    if node is ANY:
        return False
    combined = node.all_of or node.any_of or node.one_of or node.negated is not None
    # What is native has been decoded, so its type is right.
    return bool(not node.native or node.required or node.checks or combined)


def _reachable(roots: Iterable[Node]) -> list[Node]:
    nodes = list({id(root): root for root in roots}.values())
    seen = {id(node) for node in nodes}
    for node in nodes:  # grows while it is walked
        for child in node.children():
            if id(child) not in seen:
                seen.add(id(child))
                nodes.append(child)
    return nodes


_TYPES: Final = frozenset(("array", "boolean", "integer", "number", "object", "string"))
_COMBINATIONS: Final = (("all_of", "allOf"), ("any_of", "anyOf"), ("one_of", "oneOf"))
_PLACE_KEYWORDS: Final = frozenset(
    (
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-patch-merge-key",
        "x-kubernetes-patch-strategy",
    )
)
_PLAIN: Final[Mapping[Admit, type]] = {scalars.admit_string: str, scalars.admit_boolean: bool}
_SCALARS: Final[Mapping[str, Mapping[str, tuple[str, Admit]]]] = {
    "string": {
        "": ("string", scalars.admit_string),
        "byte": ("[]uint8", scalars.admit_bytes),
        "date-time": ("v1.Time", scalars.admit_time),
    },
    "boolean": {"": ("bool", scalars.admit_boolean)},
    "integer": {
        "": ("int64", scalars.admit_int64),
        "int32": ("int32", scalars.admit_int32),
        "int64": ("int64", scalars.admit_int64),
    },
    "number": {"": ("float64", scalars.admit_number)},
}
_SPECIAL: Final[Mapping[str, tuple[str, Admit, tuple[str, ...]]]] = {
    _QUANTITY: ("resource.Quantity", scalars.admit_quantity, ("string", "number")),
    _INT_OR_STRING: (
        "intstr.IntOrString",
        scalars.admit_int_or_string,
        ("integer", "string"),
    ),
    _TIME: ("v1.Time", scalars.admit_time, ("string",)),
    _MICRO_TIME: ("v1.MicroTime", scalars.admit_micro_time, ("string",)),
}
