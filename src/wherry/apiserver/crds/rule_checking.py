"""Which rules a definition may have: expressions that compile, and that name fields there are.

Source: `pkg/apis/apiextensions/validation` and `pkg/apiserver/schema/cel/compilation.go` of
apiextensions-apiserver. Types are followed as far as fields, items and the variables of loops go.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.apiserver.crds import rules
from wherry.apiserver.crds.keywords import RULES
from wherry.apiserver.strategies import causes
from wherry.objects.cel.compiling import children, unescape
from wherry.objects.cel.program import Program
from wherry.objects.cel.syntax import (
    Call,
    CelSyntaxError,
    ListOf,
    Literal,
    Name,
    Node,
    Select,
)
from wherry.objects.errors import Cause

_REASONS: Final = (
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueInvalid",
    "FieldValueRequired",
)
_LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_TRUTHS: Final = frozenset(
    {"_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_in_"}
)
_ORDERS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_META: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}},
}
_CEL_TYPES: Final = {
    "integer": "int",
    "number": "double",
    "string": "string",
    "boolean": "bool",
    "array": "list",
    "object": "object",
}
_NUMBERS: Final = frozenset({"int", "double"})
_TYPES_OF_LITERALS: Final = {bool: "boolean", int: "integer", float: "number", str: "string"}
_ANY: Final[Mapping[str, Any]] = {}

Schema = Mapping[str, Any]


def check(
    schema: Schema, path: str, *, correlatable: bool = True, root: bool = True
) -> Iterator[Cause]:
    """Yield what is wrong with the rules of a structural schema and those below it.

    Args:
        schema: The schema.
        path: Where it stands in the definition.
        correlatable: Whether a value there can be told from the one before.
        root: Whether it is that of the whole object, or of an embedded one.
    """
    whole = root or bool(schema.get("x-kubernetes-embedded-resource"))
    for index, spec in enumerate(schema.get(RULES) or ()):
        place = f"{path}.{RULES}[{index}]"
        yield from _check_rule(spec, _typed(schema, whole=whole), place, correlatable=correlatable)
    for name, below in (schema.get("properties") or {}).items():
        if isinstance(below, dict):
            inner = f"{path}.properties[{name}]"
            yield from check(below, inner, correlatable=correlatable, root=False)
    extra, items = schema.get("additionalProperties"), schema.get("items")
    if isinstance(extra, dict):
        inner = f"{path}.additionalProperties"
        yield from check(extra, inner, correlatable=correlatable, root=False)
    if isinstance(items, dict):
        known = correlatable and schema.get("x-kubernetes-list-type") == "map"
        yield from check(items, f"{path}.items", correlatable=known, root=False)


def _typed(schema: Schema, *, whole: bool) -> Schema:
    """Return the schema as expressions see it: whole objects also have their type and name."""
    if not whole:
        return schema
    text = {"type": "string"}
    given = {"apiVersion": text, "kind": text, "metadata": _META}
    return {**schema, "properties": {**(schema.get("properties") or {}), **given}}


def _check_rule(
    spec: Mapping[str, Any], schema: Schema, place: str, *, correlatable: bool
) -> Iterator[Cause]:
    text = str(spec.get("rule") or "")
    if not text.strip():
        yield causes.required(f"{place}.rule", "rule is not specified")
        return
    yield from causes.choice(f"{place}.reason", spec.get("reason"), _REASONS)
    field_path = spec.get("fieldPath")
    if field_path and not str(field_path).startswith((".", "[")):
        detail = "fieldPath must be a relative path of a field, such as .spec or ['a-b']"
        yield causes.invalid(f"{place}.fieldPath", field_path, detail)
    for name, wanted in (("rule", "boolean"), ("messageExpression", "string")):
        if not spec.get(name):
            continue
        try:
            program = Program(str(spec[name]), rules.VARIABLES)
            found = _type(program.node, _scope(schema, spec))
            if _known(found) and _kind(found) != _CEL_TYPES[wanted]:
                raise CelSyntaxError(f"must evaluate to a {_CEL_TYPES[wanted]}")
        except CelSyntaxError as error:
            yield causes.invalid(f"{place}.{name}", spec[name], f"compilation failed: {error}")
            continue
        if name == "rule" and "oldSelf" in program.names() and not correlatable:
            detail = "oldSelf cannot be used on the uncorrelatable portion of the schema"
            yield causes.invalid(f"{place}.rule", text, detail)


def _scope(schema: Schema, spec: Mapping[str, Any]) -> dict[str, Schema]:
    return {"self": schema, "oldSelf": _ANY if spec.get("optionalOldSelf") else schema}


def _known(schema: Schema) -> bool:
    return bool(schema.get("type")) and not schema.get("x-kubernetes-int-or-string")


def _kind(schema: Schema) -> str:
    if schema.get("format") in {"date-time", "date", "duration", "byte"}:
        return str(schema["format"])
    return _CEL_TYPES.get(str(schema.get("type")), "dyn")


def _type(node: Node, scope: Mapping[str, Schema]) -> Schema:
    """Return the schema of an expression's value, as far as it is known.

    Raises:
        CelSyntaxError: A field is named that there is not, or things are compared that cannot be.
    """
    if isinstance(node, Literal):
        kind = _TYPES_OF_LITERALS.get(type(node.value))
        return {"type": kind} if kind else _ANY
    if isinstance(node, Name):
        return scope.get(node.name, _ANY)
    if isinstance(node, Select):
        found = _field(_type(node.target, scope), node.field)
        return _ANY if node.optional else found
    if isinstance(node, Call):
        return _call(node, scope)
    for part in children(node):
        _type(part, scope)
    return {"type": "array"} if isinstance(node, ListOf) else _ANY


def _field(schema: Schema, name: str) -> Schema:
    if not _known(schema):
        return _ANY
    properties = schema.get("properties") or {}
    for each in (name, unescape(name)):
        if each in properties:
            found: Schema = properties[each]
            return found
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    if schema.get("x-kubernetes-preserve-unknown-fields") or extra:
        return _ANY
    if schema.get("type") == "object":
        raise CelSyntaxError(f"undefined field '{name}'")
    raise CelSyntaxError(f"type '{_kind(schema)}' does not support field selection")


def _call(node: Call, scope: Mapping[str, Schema]) -> Schema:
    name, args, target = node.function, node.args, node.target
    if target is None:
        return _function(name, args, scope)
    this = _type(target, scope)
    if name in _LOOPS and args and isinstance(args[0], Name):
        return _loop(node, this, scope)
    # The variables of other forms are not followed: what is below them is checked when it runs.
    if name in {"bind", "optMap", "optFlatMap"} or name.startswith("transform"):
        return _ANY
    for arg in args:
        _type(arg, scope)
    return _ANY


def _function(name: str, args: tuple[Node, ...], scope: Mapping[str, Schema]) -> Schema:
    types = [_type(arg, scope) for arg in args]
    if name in _ORDERS and all(map(_known, types)):
        kinds = [_kind(each) for each in types]
        if kinds[0] != kinds[1] and not _NUMBERS.issuperset(kinds):
            raise CelSyntaxError(
                f"found no matching overload for '{name}' applied to '({', '.join(kinds)})'"
            )
    if name in _TRUTHS or name == "has":
        return {"type": "boolean"}
    if name == "size":
        return {"type": "integer"}
    if name == "_[_]" and types[0].get("type") == "array":
        found: Schema = types[0].get("items") or _ANY
        return found
    if name == "_?_:_" and _kind(types[1]) == _kind(types[2]):
        return types[1]
    return _ANY


def _loop(node: Call, this: Schema, scope: Mapping[str, Schema]) -> Schema:
    names = [each.name for each in node.args[:-1] if isinstance(each, Name)]
    inner = dict(scope) | dict.fromkeys(names, _ANY)
    if len(names) == 1 and this.get("type") == "array":
        inner[names[0]] = this.get("items") or _ANY
    elif len(names) == 2 and this.get("type") == "array":
        inner[names[1]] = this.get("items") or _ANY
    bodies = node.args[len(names) :]
    found = [_type(body, inner) for body in bodies]
    if node.function in {"map", "filter"}:
        items = found[-1] if node.function == "map" else this.get("items") or _ANY
        return {"type": "array", "items": items}
    return {"type": "boolean"}
