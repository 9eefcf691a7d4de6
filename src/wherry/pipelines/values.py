"""Values of parameters: their types, and their texts.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/driver/resolve.go`` and
``backend/src/v2/metadata/converter.go``. Where these know only one kind of number, here a whole number is
whole and any other is not, as the parameter's type says.
"""

import json
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from wherry.pipelines.ir.messages import (
    InputParameter,
    OutputParameter,
    ParameterType,
    PrimitiveType,
)

_LARGEST_WHOLE: Final = 2**53 - 1
"""Beyond it, JSON's numbers do not say which whole number they are."""
_LONGEST_NUMBER: Final = 400
_SHOWN: Final = 60
_OLD: Final = {
    PrimitiveType.INT: ParameterType.NUMBER_INTEGER,
    PrimitiveType.DOUBLE: ParameterType.NUMBER_DOUBLE,
    PrimitiveType.STRING: ParameterType.STRING,
}
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})


def type_of(definition: InputParameter | OutputParameter) -> ParameterType:
    """Return what a parameter may be, whether it says so in the new way or in the old one."""
    if definition.parameter_type is not ParameterType.UNSPECIFIED:
        return definition.parameter_type
    return _OLD.get(definition.type, ParameterType.UNSPECIFIED)


def coerce(value: Any, kind: ParameterType) -> Any:
    """Return a value as a parameter of a type has it.

    Any value may stand for a text (`text`), and a whole number for a number; else nothing is converted.

    Raises:
        ValueError: The value is of another type.
    """
    if kind is ParameterType.STRING:
        return text(value)
    convert = _COERCIONS.get(kind)
    if convert is None:
        return value
    words, found = _WORDS[kind], convert(value)
    if found is None:
        raise ValueError(f"must be {words}, not {shown(value)}")
    return found


def from_text(content: str, kind: ParameterType) -> Any:
    """Return the value that a text (of a file, of a command line) stands for.

    Raises:
        ValueError: It is no value of that type.
    """
    if kind in {ParameterType.STRING, ParameterType.UNSPECIFIED}:
        return content
    if kind is ParameterType.BOOLEAN:
        return _flag_of(content.strip())
    if kind in {ParameterType.NUMBER_INTEGER, ParameterType.NUMBER_DOUBLE}:
        return coerce(_number_of(content.strip(), kind), kind)
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"must be {_WORDS[kind]} as JSON, not {shown(content)}: {error}"
        ) from error
    return coerce(value, kind)


def text(value: Any) -> str:
    """Return the text that stands for a value: of numbers without ``.0`` and exponents, of lists and objects JSON.

    Source: kubeflow/pipelines, ``PbValueToText``.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal; 1 is 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def shown(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    written = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return written if len(written) <= _SHOWN else written[:_SHOWN] + "…"


def _float_text(value: float) -> str:
    if not math.isfinite(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    written = format(Decimal(repr(value)), "f")
    return written.removesuffix(".0")


def _flag_of(content: str) -> bool:
    if content in _TRUE or content in _FALSE:
        return content in _TRUE
    raise ValueError(f"must be true or false, not {shown(content)}")


def _number_of(content: str, kind: ParameterType) -> int | float:
    try:
        if len(content) > _LONGEST_NUMBER:
            raise ValueError("too long")
        return int(content) if kind is ParameterType.NUMBER_INTEGER else float(content)
    except ValueError as error:
        raise ValueError(f"must be {_WORDS[kind]}, not {shown(content)}") from error


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if abs(value) <= _LARGEST_WHOLE else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _is(kind: type) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, kind) else None


_COERCIONS: Final[Mapping[ParameterType, Callable[[Any], Any]]] = {
    ParameterType.NUMBER_INTEGER: _whole,
    ParameterType.NUMBER_DOUBLE: _number,
    ParameterType.BOOLEAN: _is(bool),
    ParameterType.LIST: _is(list),
    ParameterType.STRUCT: _is(dict),
    ParameterType.TASK_FINAL_STATUS: _is(dict),
    ParameterType.TASK_CONFIG: _is(dict),
}
_WORDS: Final = {
    ParameterType.NUMBER_INTEGER: "a whole number of at most 2^53-1",
    ParameterType.NUMBER_DOUBLE: "a number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.LIST: "a list",
    ParameterType.STRUCT: "an object",
    ParameterType.TASK_FINAL_STATUS: "an object",
    ParameterType.TASK_CONFIG: "an object",
}
