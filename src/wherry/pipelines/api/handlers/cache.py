"""Which results may be taken again, which no longer may, and why none was taken."""

from collections.abc import Mapping
from typing import Final

from wherry.metadata.lists import Filter
from wherry.metadata.records import Execution
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines import missing_hits
from wherry.pipelines.api import bounds, executions, naming_runs, wire
from wherry.pipelines.api.call import Call, Handler

_PAGE: Final = 20
_MOST_A_PAGE: Final = 200
_MOST_EXPLAINED: Final = 200
"""Steps of a run that are told of; what the cache said of the others is in their executions."""
_LOOKED_AT: Final = 50
"""Earlier executions of a task of which one is in the same place of the graph."""


async def list_cached(call: Call, request: Object) -> Object:
    """List the executions of a namespace whose results may be taken again, newest first."""
    namespace = call.namespace(request)
    await call.check(namespace)
    metadata = call.services.metadata
    limit = bounds.within(request, "page_size", _PAGE, _MOST_A_PAGE) or _PAGE
    try:
        page = await metadata.executions(
            _chosen(namespace, request), limit=limit, more=request.get("page_token", "")
        )
    except ValueError as error:
        raise errors.BadRequestError(f"page_token: {error}") from error
    runs = await naming_runs.of(metadata, page.items)
    listed = [executions.execution(each, runs) for each in page.items]
    return {"executions": listed, "next_page_token": page.more}


async def forget_cached(call: Call, request: Object) -> Object:
    """Let results of a namespace not be taken again."""
    namespace = call.namespace(request)
    await call.check(namespace)
    return {"forgotten": await call.services.metadata.forget_cached(_chosen(namespace, request))}


async def list_reasons(call: Call, request: Object) -> Object:
    """Tell of the steps of a run whose result was taken, or not, and of those that ran what was different."""
    run = request.get("run_id", "")
    metadata = call.services.metadata
    missing = errors.NotFoundError(f"there is no run_id {run[:80]!r}")
    rows = await metadata.of_run(run) if run else []
    if not rows:
        raise missing
    await call.check_found(rows[0].namespace, missing)
    asked = [each for each in rows if each.cache_reason][:_MOST_EXPLAINED]
    compared = [await _compared(call, each) for each in asked]
    runs = await naming_runs.of(metadata, filter(None, compared))
    told = zip(asked, compared, strict=True)
    return {"reasons": [_reason(row, before, runs) for row, before in told]}


async def _compared(call: Call, row: Execution) -> Execution | None:
    """Return the execution whose result was taken; of one that ran, the same task's last one before."""
    if row.cached_from:
        return await call.services.metadata.execution(row.cached_from)
    return await _latest_before(call, row)


def _reason(row: Execution, before: Execution | None, runs: Mapping[str, str]) -> Object:
    hit = bool(row.cached_from)
    made: Object = {
        "execution_id": row.id,
        "path": row.path,
        "reason": row.cache_reason,
        "hit": hit,
    }
    if before is not None:
        made["compared"] = executions.execution(before, runs)
        made["differences"] = [] if hit else missing_hits.differences(row, before)
    return made


async def _latest_before(call: Call, row: Execution) -> Execution | None:
    """Return the last execution of the same task, in an earlier run of its pipeline."""
    if not row.fingerprint:
        return None
    metadata = call.services.metadata
    chosen = Filter(namespace=row.namespace, pipeline=row.pipeline, name=row.name)
    page = await metadata.executions(chosen, limit=_LOOKED_AT, more=str(row.id))
    for each in page.items:
        if each.run != row.run and each.path == row.path:
            return await metadata.execution(each.id)
    return None


def _chosen(namespace: str, request: Object) -> Filter:
    before = request.get("before", "")
    return Filter(
        namespace=namespace,
        pipeline=request.get("pipeline", ""),
        name=request.get("name", ""),
        run=request.get("run_id", ""),
        key=request.get("key", ""),
        before=wire.milliseconds(before, "before") if before else 0,
        reusable=True,
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "CacheService.ListCached": list_cached,
    "CacheService.ForgetCached": forget_cached,
    "CacheService.ListReasons": list_reasons,
}
