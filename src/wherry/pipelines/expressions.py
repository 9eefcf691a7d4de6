"""Expressions in pipelines: conditions of tasks, and what is taken out of a value.

Both are CEL with one more function, ``parseJson``. Source: kubeflow/pipelines 2.17,
``backend/src/v2/expression/expression.go``.
"""

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from wherry.objects.cel import program, syntax
from wherry.objects.cel import values as cel_values
from wherry.pipelines import values
from wherry.pipelines.graph.language import UnresolvedError

_ROOTS: Final = ("inputs", "outputs")
_FIELDS: Final = (
    "null_value",
    "number_value",
    "string_value",
    "bool_value",
    "struct_value",
    "list_value",
)


def check_condition(condition: str) -> str:
    """Return what is wrong with a condition; empty: nothing."""
    return _wrong(_condition, condition)


def check_selector(selector: str) -> str:
    """Return what is wrong with a selector; empty: nothing."""
    return _wrong(_selector, selector)


def holds(condition: str, parameters: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds.

    Args:
        condition: CEL over ``inputs.parameter_values``.
        parameters: The inputs of the task.

    Raises:
        UnresolvedError: It cannot be evaluated, or is neither true nor false.
    """
    given = {"inputs": {"parameter_values": dict(parameters)}, "outputs": {}}
    found = _evaluated(_condition, "condition", condition, given)
    if not isinstance(found, bool):
        raise UnresolvedError(f"the condition {condition} is neither true nor false but {found!r}")
    return found


def selected(selector: str, value: Any) -> Any:
    """Return what a selector takes out of a value.

    Args:
        selector: CEL over the value by its type (``struct_value`` …); ``string_value`` is the text of any.
        value: JSON.

    Raises:
        UnresolvedError: It cannot be evaluated, or what it gives is not JSON.
    """
    given = {_field(value): value, "string_value": values.text(value)}
    found = _evaluated(_selector, "selector", selector, given)
    try:
        # CEL knows more than JSON does: times, bytes, types, keys that are numbers.
        return json.loads(json.dumps(found))
    except (TypeError, ValueError, RecursionError) as error:
        shown = values.shown(repr(found))
        raise UnresolvedError(f"the selector {selector} gives {shown}: {error}") from error


def _field(value: Any) -> str:
    for kind, name in _BY_TYPE:
        if isinstance(value, kind):
            return name
    return "null_value"


_BY_TYPE: Final[tuple[tuple[Any, str], ...]] = (
    (bool, "bool_value"),
    (str, "string_value"),
    (int | float, "number_value"),
    (dict, "struct_value"),
    (list, "list_value"),
)


def _evaluated(
    compiled: Callable[[str], program.Program], what: str, text: str, given: Mapping[str, Any]
) -> Any:
    try:
        return compiled(text).evaluate(given)[0]
    except (syntax.CelSyntaxError, cel_values.CelError) as error:
        raise UnresolvedError(f"the {what} {text} cannot be evaluated: {error}") from error


def _wrong(compiled: Callable[[str], program.Program], text: str) -> str:
    try:
        compiled(text)
    except syntax.CelSyntaxError as error:
        return f"{values.shown(text)}: {error}"
    return ""


def _parse_json(frame: Any, content: Any) -> Any:
    if not isinstance(content, str):
        raise cel_values.CelError("parseJson takes a text")
    frame.spend(len(content) // 10)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise cel_values.CelError(
            f"parseJson: {values.shown(content)} is no JSON: {error}"
        ) from error


_FUNCTIONS: Final = {"parseJson": {1: _parse_json}}


@functools.lru_cache(512)
def _condition(text: str) -> program.Program:
    return program.Program(text, _ROOTS, functions=_FUNCTIONS)


@functools.lru_cache(512)
def _selector(text: str) -> program.Program:
    return program.Program(text, _FIELDS, functions=_FUNCTIONS)
