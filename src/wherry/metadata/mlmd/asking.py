"""What calls have in common: the form of a call, lists in requests, pages."""

from collections.abc import Callable
from typing import Any, Final

from wherry.metadata.mlmd import listing
from wherry.metadata.mlmd.kinds import Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

Function = Callable[[View, Object], Object]
"""A call: gives the answer to a request, both messages as mappings."""
MOST_NAMED: Final = 10_000
"""Ids or URIs in one request."""
MOST_STORED: Final = 1000
"""Nodes or edges in one request that stores them: all others wait for it."""
_MOST_EXTERNAL: Final = 100
"""Each is looked for in every namespace that the caller may see."""


def named(request: Object, field: str, most: int = MOST_NAMED) -> list[Any]:
    """Return what a request names.

    Raises:
        BadRequestError: it is too much.
    """
    given = request.get(field, [])
    if len(given) > most:
        raise errors.BadRequestError(f"{field}: {len(given)} are given; at most {most} are taken")
    return list(given)


def external_ids(request: Object) -> list[str]:
    """Return the external ids that a request names.

    Raises:
        BadRequestError: they are too many, or one is empty.
    """
    given = named(request, "external_ids", _MOST_EXTERNAL)
    if "" in given:
        raise errors.BadRequestError("external_ids: one is empty")
    return given


def page(view: View, kind: Kind, request: Object, *conditions: Any) -> Object:
    """Return the answer to a call for a list.

    Raises:
        BadRequestError: its options are not what they should be.
    """
    found, more = listing.listed(view, kind, request.get("options"), conditions)
    return {f"{kind.name}s": found, **({"next_page_token": more} if more else {})}
