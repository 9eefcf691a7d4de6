"""Functions that every expression has: expr-lang's, and the few that Argo adds.

Source: expr-lang 1.17, its language definition; argo-workflows after 4.1.2, ``util/expr/env/env.go``.
"""

import base64
import functools
import math
import operator
import re
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import jsonpath

from wherry.pipelines.workflows.expr import moments, operators, sprig, values
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.expr.evaluating import Turn
from wherry.pipelines.workflows.expr.values import Function, entries, items, number, text

_MAX_PATH: Final = 1024
_PATTERN: Final = re.compile(r"=~|\b(?:match|search)\s*\(")
_MANY: Final = re.compile(r"\.\.|,|\?|(?<=.)\$")
"""Parts of a JSONPath each of which multiplies how often something is looked at."""
_MOST_MANY: Final = 4


def whole(value: Any) -> int:
    """Return a number, or a text of one, as a whole number.

    Raises:
        ExprError: It is neither.
    """
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError as error:
            raise ExprError(f"{values.shown(value)} is no whole number") from error
    return int(number(value))


def real(value: Any) -> float:
    """Return a number, or a text of one, as a number.

    Raises:
        ExprError: It is neither.
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError as error:
            raise ExprError(f"{values.shown(value)} is no number") from error
    return float(number(value))


def followed(document: Any, path: Any) -> Any:
    """Return where a JSONPath leads in a JSON text: a list, where it may lead to several places.

    Raises:
        ExprError: It leads nowhere, or one of them is none.
    """
    if len(text(path)) > _MAX_PATH or path.count("..") > 2:
        raise ExprError(f"a JSONPath has at most {_MAX_PATH} characters and twice '..'")
    if _PATTERN.search(path):
        raise ExprError(
            "a JSONPath with a regular expression; there is sprig.regexMatch for filter"
        )
    if len(_MANY.findall(path)) > _MOST_MANY:
        raise ExprError(f"a JSONPath has at most {_MOST_MANY} of '..', ',', '?' and inner '$'")
    try:
        compiled = jsonpath.compile(path)
        found = compiled.findall(values.parsed(document))
    except jsonpath.JSONPathError as error:
        raise ExprError(f"JSONPath {values.shown(path)}: {error}") from error
    if not isinstance(compiled, jsonpath.JSONPath) or not compiled.singular_query():
        return found
    if not found:
        raise ExprError(f"JSONPath {values.shown(path)} leads nowhere")
    return found[0]


def length(value: Any) -> int:
    """Return how long a text, a list or a map is.

    Raises:
        ExprError: It is none of them.
    """
    if not isinstance(value, str | list | Mapping):
        raise ExprError(f"invalid argument for len (type {values.kind(value)})")
    return len(value)


def _hits(given: Any, turn: Turn) -> Iterable[bool]:
    return (operators.flag(turn(item, place)) for place, item in enumerate(items(given)))


def _filter(given: Any, turn: Turn) -> list[Any]:
    return [item for item, hit in zip(given, _hits(given, turn), strict=True) if hit]


def _count(given: Any, turn: Turn | None = None) -> int:
    return sum(_hits(given, turn)) if turn else sum(operators.flag(each) for each in items(given))


def _sum(given: Any, turn: Turn | None = None) -> Any:
    each = (turn(item, place) if turn else item for place, item in enumerate(items(given)))
    return functools.reduce(lambda left, right: operators.apply("+", left, right), each, 0)


def _find(given: Any, turn: Turn, *, last: bool = False) -> Any:
    place = _find_index(given, turn, last=last)
    return None if place is None else given[place]


def _find_index(given: Any, turn: Turn, *, last: bool = False) -> int | None:
    places = range(len(items(given)))
    for place in reversed(places) if last else places:
        if operators.flag(turn(given[place], place)):
            return place
    return None


def _group(given: Any, turn: Turn) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for place, item in enumerate(items(given)):
        found.setdefault(values.written(turn(item, place)), []).append(item)
    return found


def _reduce(given: Any, turn: Turn, *first: Any) -> Any:
    rest = items(given)
    if not first and not rest:
        raise ExprError("reduce of an empty array with no initial value")
    acc = first[0] if first else rest[0]
    for place, item in enumerate(rest if first else rest[1:]):
        acc = turn(item, place + (not first), acc)
    return acc


def _sorted(keys: list[Any], given: list[Any], order: Any) -> list[Any]:
    if order not in {"asc", "desc"}:
        raise ExprError(f"invalid order {values.shown(order)}, expected asc or desc")

    def compare(left: int, right: int) -> int:
        if operators.apply("<", keys[left], keys[right]):
            return -1
        return int(operators.apply("<", keys[right], keys[left]))

    places = sorted(range(len(given)), key=functools.cmp_to_key(compare), reverse=order == "desc")
    return [given[place] for place in places]


def _sort_by(given: Any, turn: Turn, order: Any = "asc") -> list[Any]:
    keys = [turn(item, place) for place, item in enumerate(items(given))]
    return _sorted(keys, given, order)


def _flat(given: list[Any]) -> list[Any]:
    found: list[Any] = []
    for each in given:
        found += _flat(each) if isinstance(each, list) else [each]
    return found


def _numbers(args: Iterable[Any]) -> list[Any]:
    return [number(each) for each in _flat([*args])]


def _first(given: Any, *, last: bool = False) -> Any:
    return items(given)[-1 if last else 0] if given else None


def _get(target: Any, key: Any) -> Any:
    try:
        return operators.member(target, key)
    except ExprError:
        return None


def _repeat(value: Any, count: Any) -> str:
    if len(text(value)) * number(count) > values.MOST_CHARACTERS:
        raise ExprError(f"repeat makes more than {values.MOST_CHARACTERS} characters")
    return text(value) * int(count)


def _split(value: Any, separator: Any, count: Any = -1, *, after: bool = False) -> list[str]:
    mark = text(separator)
    parts = text(value).split(mark, count - 1 if count > 0 else -1) if mark else [*text(value)]
    return [each + mark for each in parts[:-1]] + parts[-1:] if after else parts


def _pairs(value: Any) -> dict[str, Any]:
    return {values.written(key): each for key, each in map(items, items(value))}


def _bits(run: Callable[[int, int], int]) -> Callable[[Any, Any], int]:
    def applied(left: Any, right: Any) -> int:
        return _signed(run(whole(left), whole(right)))

    return applied


def _shift(run: Callable[[int, int], int]) -> Callable[[Any, Any], int]:
    def applied(left: Any, right: Any) -> int:
        if not 0 <= whole(right) < 64:
            raise ExprError(f"cannot shift by {values.shown(right)}; 0 to 63 can be")
        return _signed(run(whole(left), right))

    return applied


def _signed(found: int) -> int:
    return (found + values.MAX_INT) % (2 * values.MAX_INT) - values.MAX_INT


_UNSIGNED: Final = 2 * values.MAX_INT
_CLOSED: Final[Mapping[str, tuple[int, int, Callable[..., Any]]]] = {
    "all": (2, 2, lambda given, turn: all(_hits(given, turn))),
    "any": (2, 2, lambda given, turn: any(_hits(given, turn))),
    "none": (2, 2, lambda given, turn: not any(_hits(given, turn))),
    "one": (2, 2, lambda given, turn: sum(_hits(given, turn)) == 1),
    "map": (2, 2, lambda given, turn: [turn(item, n) for n, item in enumerate(items(given))]),
    "filter": (2, 2, _filter),
    "count": (1, 2, _count),
    "sum": (1, 2, _sum),
    "find": (2, 2, _find),
    "findIndex": (2, 2, _find_index),
    "findLast": (2, 2, functools.partial(_find, last=True)),
    "findLastIndex": (2, 2, functools.partial(_find_index, last=True)),
    "groupBy": (2, 2, _group),
    "sortBy": (2, 3, _sort_by),
    "reduce": (2, 3, _reduce),
}
_LISTS: Final[Mapping[str, tuple[int, int, Callable[..., Any]]]] = {
    "len": (1, 1, length),
    "get": (2, 2, _get),
    "concat": (1, -1, lambda *given: [each for one in given for each in items(one)]),
    "flatten": (1, 1, lambda given: _flat(items(given))),
    "uniq": (1, 1, values.unique),
    "join": (1, 2, lambda given, mark="": values.joined(text(mark), [*map(text, items(given))])),
    "first": (1, 1, _first),
    "last": (1, 1, functools.partial(_first, last=True)),
    "take": (2, 2, lambda given, count: items(given)[: max(0, whole(count))]),
    "reverse": (1, 1, lambda given: items(given)[::-1]),
    "sort": (1, 2, lambda given, order="asc": _sorted(items(given), given, order)),
    "keys": (1, 1, lambda given: [*entries(given)]),
    "values": (1, 1, lambda given: [*entries(given).values()]),
    "toPairs": (1, 1, lambda given: [[key, each] for key, each in entries(given).items()]),
    "fromPairs": (1, 1, _pairs),
}
_NUMBERS: Final[Mapping[str, tuple[int, int, Callable[..., Any]]]] = {
    "max": (1, -1, lambda *given: max(_numbers(given))),
    "min": (1, -1, lambda *given: min(_numbers(given))),
    "mean": (1, -1, lambda *given: statistics.fmean(_numbers(given))),
    "median": (1, -1, lambda *given: float(statistics.median(_numbers(given)))),
    "abs": (1, 1, lambda value: abs(number(value))),
    "ceil": (1, 1, lambda value: float(math.ceil(number(value)))),
    "floor": (1, 1, lambda value: float(math.floor(number(value)))),
    "round": (1, 1, lambda value: math.copysign(math.floor(abs(number(value)) + 0.5), value)),
    "bitand": (2, 2, _bits(operator.and_)),
    "bitor": (2, 2, _bits(operator.or_)),
    "bitxor": (2, 2, _bits(operator.xor)),
    "bitnand": (2, 2, _bits(lambda left, right: left & ~right)),
    "bitnot": (1, 1, lambda value: ~whole(value)),
    "bitshl": (2, 2, _shift(operator.lshift)),
    "bitshr": (2, 2, _shift(operator.rshift)),
    "bitushr": (2, 2, _shift(lambda left, right: (left % _UNSIGNED) >> right)),
}
_TEXTS: Final[Mapping[str, tuple[int, int, Callable[..., Any]]]] = {
    "trim": (1, 2, lambda value, chars=None: text(value).strip(chars)),
    "trimPrefix": (1, 2, lambda value, part=" ": text(value).removeprefix(text(part))),
    "trimSuffix": (1, 2, lambda value, part=" ": text(value).removesuffix(text(part))),
    "upper": (1, 1, lambda value: text(value).upper()),
    "lower": (1, 1, lambda value: text(value).lower()),
    "split": (2, 3, _split),
    "splitAfter": (2, 3, functools.partial(_split, after=True)),
    "replace": (3, 3, lambda value, old, new: values.replaced(text(value), text(old), text(new))),
    "repeat": (2, 2, _repeat),
    "indexOf": (2, 2, lambda value, part: text(value).find(text(part))),
    "lastIndexOf": (2, 2, lambda value, part: text(value).rfind(text(part))),
    "hasPrefix": (2, 2, lambda value, part: text(value).startswith(text(part))),
    "hasSuffix": (2, 2, lambda value, part: text(value).endswith(text(part))),
}
_CONVERSIONS: Final[Mapping[str, tuple[int, int, Callable[..., Any]]]] = {
    "type": (1, 1, values.kind),
    "int": (1, 1, whole),
    "asInt": (1, 1, whole),
    "float": (1, 1, real),
    "asFloat": (1, 1, real),
    "string": (1, 1, values.written),
    "toJSON": (1, 1, functools.partial(values.json_text, indent=True)),
    "toJson": (1, 1, values.json_text),
    "fromJSON": (1, 1, values.parsed),
    "fromJson": (1, 1, values.parsed),
    "toBase64": (1, 1, lambda value: base64.b64encode(text(value).encode()).decode()),
    "fromBase64": (1, 1, lambda value: base64.b64decode(text(value), validate=True).decode()),
    "jsonpath": (2, 2, followed),
    "now": (0, 0, moments.now),
    "duration": (1, 1, values.duration),
    "date": (1, 3, moments.read),
    "timezone": (1, 1, moments.zone),
}

FUNCTIONS: Final[Mapping[str, Any]] = {
    **{
        name: Function(name, least, most, run)
        for table in (_CLOSED, _LISTS, _NUMBERS, _TEXTS, _CONVERSIONS)
        for name, (least, most, run) in table.items()
    },
    "sprig": sprig.FUNCTIONS,
}
