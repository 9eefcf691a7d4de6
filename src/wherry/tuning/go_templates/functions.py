"""The functions of Go's template language, over Python's values. Pure.

Source: the documentation of Go's ``text/template`` and ``fmt``.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from wherry.tuning.go_templates.parsing import GoTemplateError

_VERB: Final = re.compile(
    r"%(?P<flags>[-+ 0]*)(?P<width>[0-9]{0,3})(?P<precision>\.[0-9]{0,3})?(?P<verb>[a-zA-Z%])"
)


def truth(value: Any) -> bool:
    """Return whether a value counts as true: not zero, and not empty."""
    return bool(value)


def shown(value: Any) -> str:
    """Return a value as a template prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{shown(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(shown(each) for each in value)}]"
    return str(value)


def call(name: str, arguments: Sequence[Any]) -> Any:
    """Return what a function gives.

    Raises:
        GoTemplateError: there is no such function, or it does not take this.
    """
    function = _FUNCTIONS.get(name)
    if function is None:
        raise GoTemplateError(f'there is no function "{name}"; there are {", ".join(_FUNCTIONS)}')
    try:
        return function(*arguments)
    except (TypeError, ValueError, IndexError, KeyError):
        told = ", ".join(shown(each) for each in arguments)
        raise GoTemplateError(f"{name} does not take ({told})") from None


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise TypeError
    return any(first == each and isinstance(first, str) == isinstance(each, str) for each in others)


def _and(*values: Any) -> Any:
    return next((each for each in values if not truth(each)), values[-1])


def _or(*values: Any) -> Any:
    return next((each for each in values if truth(each)), values[-1])


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else value[key]
    return value


def _print(*values: Any) -> str:
    made = ""
    for index, each in enumerate(values):
        # Go puts a space between two operands of which none is a string.
        if index and not isinstance(each, str) and not isinstance(values[index - 1], str):
            made += " "
        made += shown(each)
    return made


def _println(*values: Any) -> str:
    return " ".join(shown(each) for each in values) + "\n"


def _printf(form: str, *values: Any) -> str:
    left = list(values)

    def one(match: "re.Match[str]") -> str:
        verb = match["verb"]
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        return _formatted(match, left.pop(0))

    return _VERB.sub(one, form)


def _formatted(match: "re.Match[str]", value: Any) -> str:
    verb, precision = match["verb"], match["precision"] or ""
    if verb in "vs":
        made = shown(value)
        return f"%{match['flags']}{match['width']}s" % (
            made[: int(precision[1:])] if precision[1:] else made
        )
    if verb == "q":
        return json.dumps(shown(value), ensure_ascii=False)
    if verb == "t" and isinstance(value, bool):
        return shown(value)
    if verb in "dxXobc" and isinstance(value, int):
        return f"{value:{match['flags'].replace('-', '<')}{match['width']}{verb}}"
    if verb in "feEgG" and isinstance(value, int | float):
        return f"%{match['flags']}{match['width']}{precision}{verb}" % float(value)
    return f"%!{verb}({shown(value)})"


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "and": _and,
    "or": _or,
    "not": lambda value: not truth(value),
    "eq": _equal,
    "ne": lambda one, other: not _equal(one, other),
    "lt": lambda one, other: bool(one < other),
    "le": lambda one, other: bool(one <= other),
    "gt": lambda one, other: bool(one > other),
    "ge": lambda one, other: bool(one >= other),
    "len": len,
    "index": _index,
    "print": _print,
    "println": _println,
    "printf": _printf,
}
