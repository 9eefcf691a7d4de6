"""The rules that a schema may put on one value: bounds, lengths, patterns, formats, enumerations.

Each maker returns a check for `checking`. A check passes values of other types: what type a value
must have is said once, by the node.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from wherry.objects.errors import Cause
from wherry.objects.schemas.checking import canonical
from wherry.objects.schemas.formats import FORMATS
from wherry.objects.schemas.node import Check, Path, render, show

MAX_MATCHED: Final = 16_384
"""How long a text may be, in characters, to be matched against a pattern. Python's engine backtracks."""

MAX_SUPPORTED: Final = 50
"""How many supported values a message lists."""


def invalid(value: Any, path: Path, detail: str) -> Cause:
    """Return ``Invalid value: 0: spec.x in body …``."""
    where = render(path)
    return Cause(where, f"Invalid value: {show(value)}: {where} in body {detail}")


def rules(schema: Mapping[str, Any]) -> tuple[Check, ...]:
    """Return the checks of a schema's own keywords, not those of its parts.

    Args:
        schema: One level of an OpenAPI v3 schema.

    Raises:
        ValueError: a pattern is no regular expression.
    """
    return tuple(_rules(schema))


def _rules(schema: Mapping[str, Any]) -> Iterator[Check]:
    if schema.get("enum"):
        yield _enum(schema["enum"])
    if "pattern" in schema:
        yield _pattern(schema["pattern"])
    if schema.get("format") in FORMATS:
        yield _format(schema["format"])
    for keyword, maker in _NUMERIC.items():
        if schema.get(keyword) is not None:
            yield maker(schema, schema[keyword])
    if schema.get("uniqueItems"):
        yield _unique


def _enum(values: list[Any]) -> Check:
    allowed = frozenset(canonical(value) for value in values)
    shown = ", ".join(show(value) for value in values[:MAX_SUPPORTED])
    if len(values) > MAX_SUPPORTED:
        shown += ", ..."

    def check(value: Any, path: Path) -> Cause | None:
        if canonical(value) in allowed:
            return None
        message = f"Unsupported value: {show(value)}: supported values: {shown}"
        return Cause(render(path), message, "FieldValueNotSupported")

    return check


def _pattern(text: str) -> Check:
    pattern = re.compile(_from_re2(text), re.ASCII)

    def check(value: Any, path: Path) -> Cause | None:
        if type(value) is not str:
            return None
        if len(value) > MAX_MATCHED:
            detail = f"may not be more than {MAX_MATCHED} characters to be matched against '{text}'"
            return invalid(value, path, detail)
        return None if pattern.search(value) else invalid(value, path, f"should match '{text}'")

    return check


_RE2_ONLY: Final = re.compile(r"\\.|\[:(\w+):\]|\$|\[\^?\]?|\]|.", re.DOTALL)
_POSIX_CLASSES: Final = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "space": r"\s",
    "upper": "A-Z",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}


def _from_re2(text: str) -> str:
    r"""Return a Go pattern as Python reads it: ``$`` and ``\z`` mean the very end there."""
    parts: list[str] = []
    in_class = False
    for match in _RE2_ONLY.finditer(text):
        piece = match.group()
        if piece == r"\z" or (piece == "$" and not in_class):
            parts.append(r"\Z")
        elif match.group(1) and in_class:
            parts.append(_POSIX_CLASSES.get(match.group(1), re.escape(piece)))
        else:
            parts.append(re.escape(piece) if in_class and piece.startswith("[") else piece)
            in_class = piece.startswith("[") or (in_class and piece != "]")
    return "".join(parts)


def _format(name: str) -> Check:
    accepts = FORMATS[name]

    def check(value: Any, path: Path) -> Cause | None:
        if accepts(value):
            return None
        where = render(path)
        message = (
            f"Invalid value: {show(value)}: {where} in body must be of type {name}: {show(value)}"
        )
        return Cause(where, message, "FieldValueTypeInvalid")

    return check


def _is_number(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _minimum(schema: Mapping[str, Any], bound: float) -> Check:
    exclusive = schema.get("exclusiveMinimum") is True
    wording = "greater than" if exclusive else "greater than or equal to"

    def check(value: Any, path: Path) -> Cause | None:
        if not _is_number(value) or value > bound or (value == bound and not exclusive):
            return None
        return invalid(value, path, f"should be {wording} {bound:g}")

    return check


def _maximum(schema: Mapping[str, Any], bound: float) -> Check:
    exclusive = schema.get("exclusiveMaximum") is True
    wording = "less than" if exclusive else "less than or equal to"

    def check(value: Any, path: Path) -> Cause | None:
        if not _is_number(value) or value < bound or (value == bound and not exclusive):
            return None
        return invalid(value, path, f"should be {wording} {bound:g}")

    return check


def _multiple_of(_schema: Mapping[str, Any], factor: float) -> Check:
    def check(value: Any, path: Path) -> Cause | None:
        if not _is_number(value) or (value / factor).is_integer():
            return None
        return invalid(value, path, f"should be a multiple of {factor:g}")

    return check


def _min_length(_schema: Mapping[str, Any], bound: int) -> Check:
    def check(value: Any, path: Path) -> Cause | None:
        if type(value) is not str or len(value) >= bound:
            return None
        return invalid(value, path, f"should be at least {bound} chars long")

    return check


def _max_length(_schema: Mapping[str, Any], bound: int) -> Check:
    def check(value: Any, path: Path) -> Cause | None:
        if type(value) is not str or len(value) <= bound:
            return None
        message = f"Too long: may not be more than {bound} bytes"
        return Cause(render(path), message, "FieldValueTooLong")

    return check


def _at_least(
    kind: type[list[Any]] | type[dict[str, Any]], noun: str
) -> Callable[[Mapping[str, Any], int], Check]:
    def maker(_schema: Mapping[str, Any], bound: int) -> Check:
        def check(value: Any, path: Path) -> Cause | None:
            if not isinstance(value, kind) or len(value) >= bound:
                return None
            return invalid(value, path, f"should have at least {bound} {noun}")

        return check

    return maker


def _at_most(
    kind: type[list[Any]] | type[dict[str, Any]],
) -> Callable[[Mapping[str, Any], int], Check]:
    def maker(_schema: Mapping[str, Any], bound: int) -> Check:
        def check(value: Any, path: Path) -> Cause | None:
            if not isinstance(value, kind) or len(value) <= bound:
                return None
            message = f"Too many: {len(value)}: must have at most {bound} items"
            return Cause(render(path), message, "FieldValueTooMany")

        return check

    return maker


def _unique(value: Any, path: Path) -> Cause | None:
    if type(value) is not list or len({canonical(item) for item in value}) == len(value):
        return None
    return invalid(value, path, "shouldn't contain duplicates")


_NUMERIC: Final[Mapping[str, Callable[[Mapping[str, Any], Any], Check]]] = {
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "minLength": _min_length,
    "maxLength": _max_length,
    "minItems": _at_least(list, "items"),
    "maxItems": _at_most(list),
    "minProperties": _at_least(dict, "properties"),
    "maxProperties": _at_most(dict),
}
