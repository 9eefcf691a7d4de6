"""What a list is asked for: the language of filters and sorting, pages and their tokens. Pure.

Source: kubeflow/pipelines 2.17, ``backend/api/v2beta1/filter.proto`` and ``backend/src/apiserver/list``.
"""

import base64
import json
import math
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import wire
from wherry.pipelines.history.query import (
    METRIC,
    Cursor,
    Key,
    Operation,
    Order,
    Predicate,
    Query,
    Value,
)

PAGE_SIZE: Final = 20
MOST_A_PAGE: Final = 200
_MOST_PREDICATES: Final = 50
_MOST_VALUES: Final = 1000
_MOST_TEXT: Final = 32 * 1024
_MOST_TOKEN: Final = 64 * 1024
_LARGEST: Final = 2**63 - 1
_MOST_DIGITS: Final = 16
"""Of seconds; a date without dashes has 8, which are seconds too."""
_SINGLE: Final = ("int_value", "long_value", "string_value", "timestamp_value")
_SEVERAL: Final = ("int_values", "long_values", "string_values")


def query(
    request: Object,
    keys: Mapping[str, Key],
    *,
    namespaces: tuple[str, ...] | None,
    where: tuple[Predicate, ...] = (),
) -> Query:
    """Return what a list is asked for.

    Args:
        request: Of a method that lists.
        keys: By what it can be listed.
        namespaces: Whose things it is about.
        where: What has to hold besides.

    Raises:
        BadRequestError: a part of the request is wrong; the error names it.
    """
    token = request.get("page_token", "")
    filtered, sorted_by, after = _resumed(request, token) if token else _begun(request)
    chosen = order(sorted_by, keys)
    if after is not None and not _is_of(after.value, keys[chosen.key]):
        raise _unsaid(token)
    return Query(
        namespaces=namespaces,
        where=(*where, *predicates(filtered, keys)),
        order=chosen,
        limit=_page_size(request),
        after=after,
    )


def token(request: Object, after: Cursor | None) -> str:
    """Return what the next page is asked for with; nothing where there is none.

    Args:
        request: That was answered.
        after: Where its page has ended.
    """
    if after is None:
        return ""
    before = request.get("page_token", "")
    filtered, sorted_by, _ = _resumed(request, before) if before else _begun(request)
    text = json.dumps([filtered, sorted_by, after.value, after.row], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def order(text: str, keys: Mapping[str, Key]) -> Order:
    """Return how a list is sorted: ``field``, ``field asc`` or ``field desc``; nothing: by age.

    Raises:
        BadRequestError: it is none of these.
    """
    match [each if each.startswith(METRIC) else each.lower() for each in text.split()]:
        case []:
            return Order()
        case [name] | [name, "asc"]:
            return Order(_sorting(name, keys))
        case [name, "desc"]:
            return Order(_sorting(name, keys), descending=True)
    raise errors.BadRequestError(
        f"sort_by: {text[:80]!r}: want a field, maybe followed by asc or desc"
    )


def predicates(text: str, keys: Mapping[str, Key]) -> tuple[Predicate, ...]:
    """Return what a filter says: JSON ``{"predicates": [{"operation": …, "key": …, "string_value": …}]}``.

    Raises:
        BadRequestError: it is no filter, or about what the list does not have.
    """
    if not text:
        return ()
    # Some clients write it as a URL's query has it, twice.
    plain = text if text.lstrip().startswith("{") else urllib.parse.unquote_plus(text)
    try:
        given = wire.read("Filter", wire.parse(plain.encode()), "filter")
    except UnicodeEncodeError as error:
        raise errors.BadRequestError("filter: is no Unicode") from error
    listed = given.get("predicates", [])
    if len(listed) > _MOST_PREDICATES:
        raise errors.BadRequestError(f"filter: has more than {_MOST_PREDICATES} predicates")
    return tuple(
        _predicate(each, keys, f"filter.predicates[{index}]") for index, each in enumerate(listed)
    )


def _begun(request: Object) -> tuple[str, str, Cursor | None]:
    filtered = request.get("filter", "")
    if len(filtered) > _MOST_TEXT:
        raise errors.BadRequestError(f"filter: is longer than {_MOST_TEXT} characters")
    return filtered, request.get("sort_by", ""), None


def _resumed(request: Object, token: str) -> tuple[str, str, Cursor | None]:
    """Return filter and order of the page before: those of the request are the same, or not given."""
    filtered, sorted_by, value, row = _opened(token)
    for name, known in (("filter", filtered), ("sort_by", sorted_by)):
        if request.get(name, known) != known:
            raise errors.BadRequestError(
                f"page_token: is of a list with another {name}; leave that out, or begin anew"
            )
    return filtered, sorted_by, Cursor(value, row)


def _opened(token: str) -> tuple[str, str, Value, int]:
    try:
        if len(token) > _MOST_TOKEN:
            raise ValueError(f"it is longer than {_MOST_TOKEN} characters")
        told = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        match told:
            case [str(filtered), str(sorted_by), str() | int() | float() as value, int(row)]:
                if isinstance(value, bool) or abs(row) > _LARGEST or _is_too_large(value):
                    raise ValueError("it holds what no page has said")
                return filtered, sorted_by, value, row
        raise ValueError("it holds what no page has said")
    except (ValueError, RecursionError) as error:
        raise _unsaid(token) from error


def _unsaid(token: str) -> errors.BadRequestError:
    return errors.BadRequestError(
        f"page_token: {token[:40]!r} is not what a page has said; leave it out for the first one"
    )


def _is_of(value: Value, key: Key) -> bool:
    kind = float if key.measured else int if key.is_time else str
    return isinstance(value, kind)


def _is_too_large(value: Value) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) > _LARGEST


def _page_size(request: Object) -> int:
    size = int(request.get("page_size", 0))
    if size < 0:
        raise errors.BadRequestError(f"page_size: {size}: want 0 (for {PAGE_SIZE}) or more")
    return min(size or PAGE_SIZE, MOST_A_PAGE)


def _sorting(name: str, keys: Mapping[str, Key]) -> str:
    if name not in keys or not keys[name].sorts:
        told = ", ".join(each for each, key in keys.items() if key.sorts)
        raise errors.BadRequestError(f"sort_by: {name[:80]!r}: want one of {told}")
    return name


def _predicate(given: Object, keys: Mapping[str, Key], path: str) -> Predicate:
    name, operation = given.get("key", ""), given.get("operation", "OPERATION_UNSPECIFIED")
    if name not in keys or keys[name].measured:
        raise errors.BadRequestError(f"{path}.key: {name[:80]!r}: want one of {', '.join(keys)}")
    if operation not in Operation.__members__:
        told = ", ".join(Operation.__members__)
        raise errors.BadRequestError(f"{path}.operation: want one of {told}")
    chosen = Operation[operation]
    if keys[name].is_exact and chosen is not Operation.EQUALS:
        raise errors.BadRequestError(f"{path}.operation: {operation}: of {name[:80]!r} want EQUALS")
    wanted = _SEVERAL if chosen is Operation.IN else _SINGLE
    field = next((field for field in wanted if field in given), None)
    if field is None or (chosen is Operation.IS_SUBSTRING and field != "string_value"):
        fields = "string_value" if chosen is Operation.IS_SUBSTRING else ", ".join(wanted)
        raise errors.BadRequestError(f"{path}: {operation} wants one of {fields}")
    told_path = f"{path}.{field}"
    if chosen is Operation.IN:
        return Predicate(name, chosen, _several(given[field], keys[name], told_path))
    return Predicate(name, chosen, _value(given[field], keys[name], told_path))


def _several(given: Object, key: Key, path: str) -> tuple[Value, ...]:
    values = given.get("values", [])
    if len(values) > _MOST_VALUES:
        raise errors.BadRequestError(f"{path}: has more than {_MOST_VALUES} values")
    return tuple(_value(each, key, path) for each in values)


def _value(given: Any, key: Key, path: str) -> Value:
    if not key.is_time:
        return given if isinstance(given, str) else str(given)
    # Whole numbers are seconds, as upstream keeps times; clients write them as texts, too.
    if (
        isinstance(given, str)
        and given.isascii()
        and given.isdigit()
        and len(given) <= _MOST_DIGITS
    ):
        given = int(given)
    milliseconds = given * 1000 if isinstance(given, int) else wire.milliseconds(given, path)
    if _is_too_large(milliseconds):
        raise errors.BadRequestError(f"{path}: {given}: is no time")
    return milliseconds
