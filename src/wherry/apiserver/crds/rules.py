"""``x-kubernetes-validations``: the rules that a definition's schema has in CEL.

Loaded when the first object comes whose definition has rules.

Source: `pkg/apiserver/schema/cel` of apiextensions-apiserver. Differs on purpose: what an evaluation
costs is bounded while it runs, not estimated when the definition is stored.
"""

import base64
import binascii
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.apiserver.crds.keywords import RULES
from wherry.objects.cel import compiling
from wherry.objects.cel.library import times
from wherry.objects.cel.program import Program
from wherry.objects.cel.values import NONE, CelError, CostError, Optional, equal
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.schemas.node import Entry, Path, render

VARIABLES: Final = ("self", "oldSelf")
_MAX_MESSAGE: Final = 5 * 1024

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        spec: As the definition has it.
        program: Its expression.
        message: Its `messageExpression`.
        transition: Whether it compares with the value before, and so has no say without one.
        optional_old: Whether it has a say then all the same.
    """

    spec: Mapping[str, Any]
    program: Program
    message: Program | None
    transition: bool
    optional_old: bool


def compiled(spec: Mapping[str, Any]) -> Rule:
    """Return a rule that is ready to be asked.

    Raises:
        CelSyntaxError: Its expressions are none.
    """
    program = Program(str(spec.get("rule") or ""), VARIABLES)
    given = spec.get("messageExpression")
    optional = spec.get("optionalOldSelf") is True
    return Rule(
        spec=spec,
        program=program,
        message=Program(given, VARIABLES) if given else None,
        transition="oldSelf" in program.names(),
        optional_old=optional,
    )


@dataclass(slots=True)
class Place:
    """A place of the schema with its rules and those below it.

    Attributes:
        kind: The schema's type, for messages.
        rules: Of the value itself.
        properties: Of its fields.
        values: Of what a map holds.
        items: Of what a list holds.
        keys: What items of a list are told apart by; None where they cannot be.
        convert: Makes CEL's values out of JSON's; None where they are the same.
    """

    kind: str
    rules: list[Rule] = field(default_factory=list)
    properties: dict[str, "Place"] = field(default_factory=dict)
    values: "Place | None" = None
    items: "Place | None" = None
    keys: tuple[str, ...] | None = None
    convert: Convert | None = None


def place_of(schema: Mapping[str, Any]) -> Place | None:
    """Return the rules of a schema and all below it; None where there are none.

    Raises:
        CelSyntaxError: An expression is none.
    """
    place = Place(str(schema.get("type") or "object"))
    place.rules = [compiled(each) for each in schema.get(RULES) or ()]
    for name, below in (schema.get("properties") or {}).items():
        if (found := place_of(below)) is not None:
            place.properties[name] = found
    if isinstance(extra := schema.get("additionalProperties"), dict):
        place.values = place_of(extra)
    if isinstance(items := schema.get("items"), dict):
        place.items = place_of(items)
    if schema.get("x-kubernetes-list-type") == "map":
        place.keys = tuple(schema.get("x-kubernetes-list-map-keys") or ())
    if place.rules:
        place.convert = _converter(schema)
    if place.rules or place.properties or place.values or place.items:
        return place
    return None


@dataclass(slots=True)
class Check:
    """One object on its way through the rules.

    Attributes:
        causes: What is wrong.
        left: What may still be spent.
        asked: The rule that was asked last.
    """

    causes: list[Cause] = field(default_factory=list)
    left: int = compiling.DEFAULT_BUDGET
    asked: Rule | None = None

    def run(self, place: Place, value: Any, old: Any, path: Path = ()) -> None:
        """Ask the rules of a place, then those below it.

        Args:
            place: Where.
            value: What stands there.
            old: What stood there; None where nothing did, or nobody can tell.
            path: For messages.

        Raises:
            CostError: Too much has been spent.
        """
        if value is None:
            return
        unchanged = old is not None and equal(value, old)
        if place.rules:
            self._ask(place, value, old, path, unchanged=unchanged)
        if isinstance(value, dict):
            before = old if isinstance(old, dict) else {}
            for name, below, item in _fields(place, value):
                self.run(below, item, before.get(name), (path, name))
        elif isinstance(value, list) and place.items is not None:
            known = _by_keys(place, old)
            for index, item in enumerate(value):
                self.run(place.items, item, known(item), (path, index))

    def _ask(self, place: Place, value: Any, old: Any, path: Path, *, unchanged: bool) -> None:
        convert = place.convert
        this = convert(value) if convert else value
        before = convert(old) if convert and old is not None else old
        for rule in place.rules:
            if old is None and rule.transition and not rule.optional_old:
                continue
            # What was stored before a rule was there may stay as it is.
            if unchanged and not rule.transition:
                continue
            self.asked = rule
            values = {"self": this, "oldSelf": before}
            if rule.optional_old:
                values["oldSelf"] = (
                    Optional(present=True, value=before) if old is not None else NONE
                )
            if (text := self._failure(rule, values)) is not None:
                self.causes.append(_cause(rule, place, path, text))

    def _failure(self, rule: Rule, values: Mapping[str, Any]) -> str | None:
        try:
            result, self.left = rule.program.evaluate(values, self.left)
        except CostError:
            raise
        except CelError as error:
            return f"{error} evaluating rule: {_plain_message(rule)}"
        return None if result is True else self._message(rule, values)

    def _message(self, rule: Rule, values: Mapping[str, Any]) -> str:
        if rule.message is not None:
            try:
                text, self.left = rule.message.evaluate(values, self.left)
            except CelError:
                text = ""
            if isinstance(text, str) and text.strip() and "\n" not in text:
                return text.strip()[:_MAX_MESSAGE]
        return _plain_message(rule)


class RuleSet:
    """The rules of one version of a definition.

    Args:
        schema: Its schema; the rules in it have been checked.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = place_of(schema)

    def check(self, obj: Object, old: Object | None) -> list[Cause]:
        """Return what is wrong with an object, which its schema allows.

        Args:
            obj: What will be stored.
            old: What it replaces.
        """
        if self._root is None:
            return []
        check = Check()
        try:
            check.run(self._root, obj, old)
        except CostError:
            rule = check.asked.spec.get("rule") if check.asked else ""
            text = (
                "no further validation rules will be run due to call cost exceeds limit for rule: "
                f"{rule}"
            )
            check.causes.append(Cause("", f'Invalid value: "object": {text}'))
        return check.causes


def _plain_message(rule: Rule) -> str:
    given = str(rule.spec.get("message") or "").strip()
    return given or f"failed rule: {str(rule.spec.get('rule')).strip()}"


def _cause(rule: Rule, place: Place, path: Path, text: str) -> Cause:
    where = render(path) + str(rule.spec.get("fieldPath") or "")
    where = where.removeprefix(".")
    reason = str(rule.spec.get("reason") or "FieldValueInvalid")
    if reason == "FieldValueForbidden":
        message = f"Forbidden: {text}"
    elif reason == "FieldValueRequired":
        message = f"Required value: {text}"
    elif reason == "FieldValueDuplicate":
        message = f'Duplicate value: "{place.kind}"'
    else:
        message = f'Invalid value: "{place.kind}": {text}'
    return Cause(where, message, reason)


def _fields(place: Place, value: dict[str, Any]) -> Iterator[tuple[str, Place, Any]]:
    for name, below in place.properties.items():
        if name in value:
            yield name, below, value[name]
    if place.values is not None:
        for name, item in value.items():
            if name not in place.properties:
                yield Entry(name), place.values, item


def _by_keys(place: Place, old: Any) -> Callable[[Any], Any]:
    """Return what finds the item before, for items that have keys."""
    if place.keys is None or not isinstance(old, list):
        return lambda item: None
    keys = place.keys

    def key_of(item: Any) -> tuple[str, ...] | None:
        return tuple(repr(item.get(key)) for key in keys) if isinstance(item, dict) else None

    known = {key_of(item): item for item in old}
    return lambda item: known.get(key_of(item))


def _converter(schema: Mapping[str, Any]) -> Convert | None:
    """Return what makes CEL's values out of JSON's; None where they are the same."""
    kind, form = schema.get("type"), schema.get("format")
    if kind == "number":
        return lambda value: float(value) if type(value) is int else value
    if kind == "string" and form in _FORMATS:
        return functools.partial(_formatted, _FORMATS[str(form)])
    if kind == "array" and isinstance(schema.get("items"), dict):
        inner = _converter(schema["items"])
        return (lambda value: [inner(each) for each in value]) if inner else None
    if kind == "object":
        return _object_converter(schema)
    return None


def _object_converter(schema: Mapping[str, Any]) -> Convert | None:
    below = {
        name: inner
        for name, each in (schema.get("properties") or {}).items()
        if (inner := _converter(each)) is not None
    }
    extra = schema.get("additionalProperties")
    rest = _converter(extra) if isinstance(extra, dict) else None
    if not below and rest is None:
        return None

    def convert(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {
            name: run(item) if (run := below.get(name, rest)) and item is not None else item
            for name, item in value.items()
        }

    return convert


def _formatted(read: Callable[[str], Any], value: Any) -> Any:
    try:
        return read(value)
    except (CelError, binascii.Error, TypeError, ValueError):
        # The schema's own check of the format has said so; or it takes more than CEL does.
        return value


_FORMATS: Final[Mapping[str, Callable[[str], Any]]] = {
    "date-time": times.parse_timestamp,
    "date": lambda text: times.parse_timestamp(f"{text}T00:00:00Z"),
    "duration": times.parse_duration,
    "byte": base64.b64decode,
}
