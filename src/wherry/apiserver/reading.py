"""get and list. Nothing is parsed unless a selector or a form asks for it: raw JSON goes out."""

import bisect
from collections.abc import Sequence
from functools import partial

from wherry.apiserver import converting, list_options, selection
from wherry.apiserver.answers import Many, One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors
from wherry.store import CompactedError, Record, Snapshot


async def get(core: Core, call: Call) -> One:
    """Return an object.

    Raises:
        NotFoundError: There is none.
        InvalidError: The revision asked for is no number.
    """
    served = core.served(call)
    request = call.request
    if version := list_options.revision(call):
        await list_options.reach(core.store, version)
    record = core.committed(served, request.name or "", request.namespace)
    if served.asks:
        return One(await converting.complete(partial(served.in_version, record.raw)), served)
    return One(served.in_version(record.raw), served)


async def list_(core: Core, call: Call) -> Many:
    """Return a list, or one page of it.

    Raises:
        GoneError: The snapshot that was asked for is no longer kept.
        InvalidError: The options contradict each other.
        BadRequestError: A selector or the continue token cannot be read.
    """
    served = core.served(call)
    list_options.check(call, watch=False)
    chosen = selection.of(core, served, call)
    limit = call.number("limit") or 0
    snapshot, token = await _snapshot(core, served, call)
    records = snapshot.records
    if token is not None:
        records = records[bisect.bisect_right(records, token.after, key=lambda each: each.key) :]
    page, more = await converting.complete(partial(_page, records, chosen, limit))
    raws = [record.raw for record in page]
    items = await converting.complete(partial(served.all_in_version, raws))
    if not more:
        return Many(served, items, snapshot.revision)
    follow = list_options.ContinueToken(
        -1 if token and token.revision < 0 else snapshot.revision, page[-1].key
    )
    remaining = len(records) - len(page) if chosen.everything else None
    return Many(served, items, snapshot.revision, follow.encode(), remaining)


async def records(core: Core, call: Call) -> Sequence[Record]:
    """Return the records that a request selects, unless it says otherwise all of a namespace.

    Raises:
        ApiError: As `list_`.
    """
    served = core.served(call)
    chosen = selection.of(core, served, call)
    snapshot, token = await _snapshot(core, served, call)
    found = [record for record in snapshot.records if token is None or record.key > token.after]
    limit = call.number("limit") or 0
    return (await converting.complete(partial(_page, found, chosen, limit)))[0]


def _page(
    records: Sequence[Record], chosen: selection.Selection, limit: int
) -> tuple[Sequence[Record], bool]:
    """Return the first ``limit`` records that are chosen (0: all), and whether more follow."""
    if chosen.everything:
        return (records[:limit], len(records) > limit) if limit else (records, False)
    chosen.foresee(records)
    page: list[Record] = []
    for record in records:
        if chosen.matches(record):
            if limit and len(page) == limit:
                return page, True
            page.append(record)
    return page, False


async def _snapshot(
    core: Core, served: Served, call: Call
) -> tuple[Snapshot, list_options.ContinueToken | None]:
    namespace = call.request.namespace if served.resource.namespaced else ""
    key, wanted = served.storage.key, list_options.revision(call)
    if text := call.request.options.get("continue"):
        if wanted:
            raise errors.BadRequestError(
                "specifying resource version is not allowed when using continue"
            )
        token = list_options.ContinueToken.decode(text, key)
        return _continued(core, key, namespace, token), token
    if wanted:
        await list_options.reach(core.store, wanted)
    exact = call.request.options.get("resourceVersionMatch") == "Exact"
    try:
        return core.store.list(key, namespace, revision=wanted if exact else None), None
    except CompactedError as error:
        raise _too_old(wanted or 0, core) from error


def _continued(
    core: Core, key: str, namespace: str | None, token: list_options.ContinueToken
) -> Snapshot:
    if token.revision < 0:
        return core.store.list(key, namespace)
    if token.revision > core.store.revision:
        raise errors.BadRequestError("continue key is not valid: it names a revision to come")
    try:
        return core.store.list(key, namespace, revision=token.revision)
    except CompactedError as error:
        raise list_options.ExpiredContinueError(token) from error


def _too_old(wanted: int, core: Core) -> errors.GoneError:
    return errors.GoneError(f"too old resource version: {wanted} ({core.store.oldest_revision})")
