"""The functions that expressions may call: CEL's own, and those that Kubernetes adds."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wherry.objects.cel.library import addresses, amounts, collections, core, texts, times
from wherry.objects.cel.library.table import Function, Method

Functions = Mapping[str, Mapping[int, Callable[..., Any]]]
Methods = Mapping[str, Mapping[int, Mapping[type, Callable[..., Any]]]]

KEYWORDS: Final = frozenset(
    {
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for",
        "function", "if", "import", "let", "loop", "package", "namespace", "return", "var",
        "void", "while",
    }
)  # fmt: skip
"""Properties of these names are written ``__name__``."""

TYPES: Final = {
    "bool": "bool",
    "int": "int",
    "uint": "uint",
    "double": "double",
    "string": "string",
    "bytes": "bytes",
    "list": "list",
    "map": "map",
    "null_type": "null_type",
    "type": "type",
}
_PARTS: Final = (core, texts, collections, times, amounts, addresses)


def _functions(parts: Iterable[Any]) -> Functions:
    found: dict[str, dict[int, Callable[..., Any]]] = {}
    for part in parts:
        each: Function
        for each in part.FUNCTIONS:
            found.setdefault(each.name, {})[each.count] = each.run
    return found


def _methods(parts: Iterable[Any]) -> Methods:
    found: dict[str, dict[int, dict[type, Callable[..., Any]]]] = {}
    for part in parts:
        each: Method
        for each in part.METHODS:
            by_type = found.setdefault(each.name, {}).setdefault(each.count, {})
            by_type.update(dict.fromkeys(each.receivers, each.run))
    return found


FUNCTIONS: Final = _functions(_PARTS)
METHODS: Final = _methods(_PARTS)


def constant(name: str, scope: Mapping[str, int]) -> Any:
    """Return the type that a dotted name stands for, e.g. ``google.protobuf.Duration``; else None."""
    if name.startswith("google.protobuf.") and "google" not in scope:
        return times.TYPES.get(name)
    return None
