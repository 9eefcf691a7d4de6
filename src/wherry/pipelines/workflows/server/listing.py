"""Lists: what clients ask for by ``listOptions.…`` and names, and how lists are answered."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from wherry.objects import errors, metadata, selectors
from wherry.objects.requests import Object
from wherry.objects.selectors import LabelSelector
from wherry.pipelines.workflows.archive.records import Head, milliseconds
from wherry.pipelines.workflows.server.calls import Call

_NAMED: Final = "metadata.name"
_REQUIREMENT: Final = re.compile(r"\s*([\w.]+)\s*(!=|==|=|<|>)\s*(.*?)\s*")
_WAYS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "": str.__eq__,
    "Exact": str.__eq__,
    "Prefix": str.startswith,
    "Contains": str.__contains__,
    "NotEquals": str.__ne__,
}
MOST_A_PAGE: Final = 500


def labels(call: Call) -> LabelSelector:
    """Return the label selector of a call.

    Raises:
        BadRequestError: it cannot be read.
    """
    try:
        return selectors.parse_labels(call.option("listOptions.labelSelector"))
    except ValueError as error:
        raise errors.BadRequestError(f"listOptions.labelSelector: {error}") from error


def named(call: Call) -> Callable[[str], bool]:
    """Return what a name has to be like by a call's field selector, as its ``nameFilter`` says.

    Raises:
        BadRequestError: it is about other fields, or the filter is none.
    """
    test = fitting(call)
    return lambda name: test(Head(call.namespace, name, 0))


def fitting(call: Call) -> Callable[[Head], bool]:
    """Return what a workflow has to be like by a call's field selector, ``nameFilter`` and ``namePrefix``.

    Raises:
        BadRequestError: it is about other fields, or the filter is none.
    """
    way = _WAYS.get(call.option("nameFilter"))
    if way is None:
        raise errors.BadRequestError(
            f"nameFilter: {call.option('nameFilter')[:50]!r}: want one of {', '.join(filter(None, _WAYS))}"
        )
    prefix = call.option("namePrefix")
    tests = [_test(part, way) for part in filter(None, _fields(call).split(","))]
    return lambda head: head.name.startswith(prefix) and all(test(head) for test in tests)


def _fields(call: Call) -> str:
    return call.option("listOptions.fieldSelector")


def _test(part: str, way: Callable[[str, str], bool]) -> Callable[[Head], bool]:
    """Return one requirement of a field selector."""
    match = _REQUIREMENT.fullmatch(part)
    match match.groups() if match else ():
        case ("metadata.name", "!=", value):
            return lambda head: head.name != value
        case ("metadata.name", "=" | "==", value):
            return lambda head: way(head.name, value)
        case ("metadata.namespace", "!=", value):
            return lambda head: head.namespace != value
        case ("metadata.namespace", "=" | "==", value):
            return lambda head: head.namespace == value
        case ("spec.startedAt", "<" | ">" as sign, value):
            moment = _moment(value)
            return lambda head: (head.made > moment) == (sign == ">")
    raise errors.BadRequestError(
        f"listOptions.fieldSelector: {part[:100]!r}: want {_NAMED}=… (or !=), likewise "
        "metadata.namespace, or spec.startedAt> (or <) and a moment"
    )


def _moment(text: str) -> int:
    try:
        return milliseconds(text)
    except ValueError:
        raise errors.BadRequestError(
            f"listOptions.fieldSelector: {text[:50]!r}: want a moment such as 2026-01-02T03:04:05Z"
        ) from None


def limit(call: Call) -> int:
    """Return how many a page has at most; 0: all.

    Raises:
        BadRequestError: it is no number.
    """
    return call.number("listOptions.limit")


def page(call: Call) -> int:
    """Return how many of what may be large a page has.

    Raises:
        BadRequestError: what is asked for is no number.
    """
    return min(limit(call) or MOST_A_PAGE, MOST_A_PAGE)


def resource_version(call: Call) -> str:
    """Return after which revision a watch begins; empty: with all that is there."""
    return call.option("listOptions.resourceVersion")


def newest_first(found: Iterable[Object]) -> list[Object]:
    """Return objects as clients expect them: what began last stands first."""
    return sorted(found, key=_age, reverse=True)


def _age(found: Object) -> tuple[str, str]:
    started = str((found.get("status") or {}).get("startedAt") or "")
    return started or str(found["metadata"].get("creationTimestamp") or ""), metadata.name(found)


def shown(workflow: Object) -> Object:
    """Return a workflow as upstream's server writes it: one that nothing is known of yet has a status, too."""
    status = {"startedAt": None, "finishedAt": None, **(workflow.get("status") or {})}
    return {**workflow, "status": status}


def answer(items: list[Any], *, revision: str = "", more: str = "") -> Object:
    """Return a list as an answer.

    Args:
        items: What is in it.
        revision: Of the list.
        more: By which the next page is asked for; empty: there is none.
    """
    head = {"resourceVersion": revision} if revision else {}
    return {"metadata": head | ({"continue": more} if more else {}), "items": items or None}
