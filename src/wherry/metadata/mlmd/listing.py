"""Lists of nodes: filtered, in an order, by pages. Blocking.

Of a page's filter, what the database can tell is asked of it, and the rest of what it gives, a part at a
time; a page may be short, or empty, where much was looked at in vain, and goes on with the next.
"""

import base64
import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy

from wherry.metadata import schema
from wherry.metadata.mlmd import filters, links, node_types, nodes
from wherry.metadata.mlmd.filters import Known, Query
from wherry.metadata.mlmd.kinds import ARTIFACT, EXECUTION, Kind
from wherry.metadata.mlmd.view import View
from wherry.objects import errors
from wherry.objects.requests import Object

_USUAL: Final = 20
_MOST: Final = 100
_CHUNK: Final = 500
_MOST_LOOKED_AT: Final = 10_000
_CREATED: Final = 1
_UPDATED: Final = 2
_BY_ID: Final = 3
_ORDERS: Final = {_CREATED: "CREATE_TIME", _UPDATED: "LAST_UPDATE_TIME", _BY_ID: "ID"}
_END: Final = 1 << 63
"""No number in the database is as large."""
_COLUMNS: Final = ("id", "name", "uri", "type")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a list is asked for.

    Attributes:
        size: How many at most.
        order: 1: by the time of creation, 2: of the last change, 3: by id.
        ascending: Or not.
        query: Which.
        after: Order and id of the last node of the page before; None: it is the first page.
        mark: Of all that must be the same for all pages.
    """

    size: int
    order: int
    ascending: bool
    query: Query
    after: tuple[int, int] | None
    mark: str

    @property
    def chunk(self) -> int:
        """How many rows are asked for at once; one more than a page says whether there is another."""
        exact = isinstance(self.query.expression, Known)
        return min(self.size + 1, _CHUNK) if exact else _CHUNK

    def token(self, last: Any) -> str:
        """Return what asks for what comes after a place."""
        text = json.dumps([int(last.place), int(last.id), self.mark], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()


def listed(
    view: View, kind: Kind, options: Object | None, conditions: Iterable[Any] = ()
) -> tuple[list[Object], str]:
    """Return a page of nodes, and what asks for the next; empty: there is none.

    Args:
        view: Whose.
        kind: Of nodes.
        options: ``ListOperationOptions``; None: all are wanted at once, up to 10,000.
        conditions: Of the database that hold beside these.

    Raises:
        BadRequestError: the options are not what they should be.
    """
    wanted = read(kind, options)
    found: list[Object] = []
    looked_at, size, last = 0, 0, None
    while looked_at < _MOST_LOOKED_AT and size < nodes.MOST_TOLD:
        places = _places(view, kind, wanted, last=last, conditions=conditions)
        some = _affordable(places)
        for place, node in _meant(view, kind, wanted.query, some):
            if len(found) == wanted.size:
                return found, wanted.token(last)
            if node is not None:
                found.append(node)
                size += place.weight
            last = place
        looked_at += len(some)
        if len(places) < wanted.chunk and len(some) == len(places):
            return found, ""
    return found, wanted.token(last)


def matching(view: View, kind: Kind, query: str, limit: int) -> list[int]:
    """Return the ids of nodes that a filter query means, by id.

    Raises:
        BadRequestError: it is not understood, or means more than the limit.
    """
    options: Object = {"filter_query": query, "max_result_size": _MOST}
    numbers: list[int] = []
    while True:
        found, more = listed(view, kind, options)
        numbers += [each["id"] for each in found]
        if len(numbers) > limit:
            raise errors.BadRequestError(
                f"filter_query: means more than {limit} {kind.name}s; ask for fewer"
            )
        if not more:
            return numbers
        options["next_page_token"] = more


def read(kind: Kind, options: Object | None) -> Wanted:
    """Return what a list is asked for.

    Raises:
        BadRequestError: it is not what it should be.
    """
    most, options = (_MOST_LOOKED_AT, {}) if options is None else (_MOST, options)
    size = options.get("max_result_size", _USUAL if most == _MOST else most)
    if size <= 0:
        raise errors.BadRequestError(f"max_result_size: {size}: want 1 to {_MOST}")
    ordered = options.get("order_by_field", {})
    order = ordered.get("field", _BY_ID)
    if order not in _ORDERS:
        raise errors.BadRequestError(
            f"order_by_field.field: {order}: want one of {', '.join(_ORDERS.values())}"
        )
    query = options.get("filter_query", "")
    ascending = ordered.get("is_asc", True)
    mark = hashlib.sha256(f"{kind.name} {order} {ascending} {query}".encode()).hexdigest()[:16]
    return Wanted(
        size=min(size, most),
        order=order,
        ascending=ascending,
        query=filters.read(kind, query),
        after=_after(options.get("next_page_token", ""), mark),
        mark=mark,
    )


def _after(token: str, mark: str) -> tuple[int, int] | None:
    if not token:
        return None
    try:
        place, number, made_for = json.loads(base64.urlsafe_b64decode(token))
        if made_for == mark and all(abs(int(each)) < _END for each in (place, number)):
            return int(place), int(number)
    except (ValueError, TypeError, OverflowError, RecursionError):
        pass
    raise errors.BadRequestError(
        "next_page_token: is none of a page with this order and filter; leave it out for the first one"
    )


def _places(
    view: View, kind: Kind, wanted: Wanted, *, last: Any, conditions: Iterable[Any]
) -> Sequence[Any]:
    """Return ids of nodes in their order, each with its place in that and how large it is."""
    own, order = kind.table.c.id, _order(kind, wanted.order)
    told = (own, order.label("place"), nodes.weight(kind).label("weight"))
    chosen = nodes.selected(view, kind).with_only_columns(*told)
    chosen = chosen.where(*conditions, *_exact(view, kind, wanted.query))
    after = wanted.after if last is None else (last.place, last.id)
    if after is not None:
        chosen = chosen.where(_beyond(order, own, after, ascending=wanted.ascending))
    ends = (each.asc() if wanted.ascending else each.desc() for each in (order, own))
    return view.at.execute(chosen.order_by(*ends).limit(wanted.chunk)).all()


def _affordable(places: Sequence[Any]) -> Sequence[Any]:
    """Return the first of them, as many as may be read at once; one may always."""
    total = itertools.accumulate(place.weight for place in places)
    fitting = sum(1 for size in total if size <= nodes.MOST_TOLD)
    return places[: max(fitting, 1)]


def _beyond(place: Any, number: Any, after: tuple[int, int], *, ascending: bool) -> Any:
    at, last = after
    reached, next_ = (place >= at, number > last) if ascending else (place <= at, number < last)
    # In this form an index of the place begins where the last page ended.
    return sqlalchemy.and_(reached, sqlalchemy.or_(place != at, next_))


def _order(kind: Kind, order: int) -> Any:
    own = kind.table.c
    if order == _BY_ID:
        return own.id
    if order == _CREATED:
        return own.created
    told = nodes.SAID.c.updated
    known: Any = own.created
    if kind is EXECUTION:
        known = sqlalchemy.case(
            (own.ended > 0, own.ended), (own.started > 0, own.started), else_=known
        )
    return sqlalchemy.case((told > known, told), else_=known)


def _exact(view: View, kind: Kind, query: Query) -> list[Any]:
    """Return what a query asks that the database can tell; all of it is asked again of what it gives."""
    made, exact = [], query.exact()
    for name in _COLUMNS:
        values = exact.get(name, ())
        if not values:
            continue
        if name == "uri":
            made.append(kind.table.c.uri_digest.in_([schema.digest(value) for value in values]))
        else:
            made.append(kind.table.c[name].in_(values))
    if "type_id" in exact:
        known = node_types.by_id(view, kind, exact["type_id"])
        made.append(kind.table.c.type.in_(sorted({each["name"] for each in known.values()})))
    return made


def _meant(
    view: View, kind: Kind, query: Query, places: Sequence[Any]
) -> Iterable[tuple[Any, Object | None]]:
    """Give places with the nodes that are there; None: the query does not mean it."""
    numbers = [place.id for place in places]
    made = {node["id"]: node for node in nodes.by_id(view, kind, numbers)}
    sources = query.sources()
    linked = links.of_sources(view, kind, sources, numbers if sources else ())
    for place in places:
        node = made[place.id]
        yield place, node if query.holds(node, linked.get(place.id, {}), view.check_time) else None


def of_type(view: View, kind: Kind, name: str, version: str) -> list[Any]:
    """Return the conditions that nodes are of a type."""
    said = nodes.SAID.c.type
    numbers = node_types.numbers(view, kind, name, version)
    of_clients = said.in_(numbers)
    own = sqlalchemy.or_(said.is_(None), said == 0)
    chosen = of_clients if version else sqlalchemy.or_(of_clients, own)
    return [kind.table.c.type == name, chosen]


def in_group(kind: Kind, number: int) -> Any:
    """Return the condition that nodes are in a context."""
    assert kind.groups is not None  # contexts are in none
    members = sqlalchemy.select(kind.groups.c[kind.name])
    return kind.table.c.id.in_(members.where(kind.groups.c.context == number))


def with_uris(uris: Iterable[str]) -> Any:
    """Return the condition that artifacts have one of some URIs."""
    return ARTIFACT.table.c.uri_digest.in_([schema.digest(uri) for uri in sorted(set(uris))])
