"""Tasks as the first cache of upstream has them: which execution has a fingerprint."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

from wherry.metadata.lists import Filter
from wherry.metadata.records import SUCCEEDED, Execution
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import bounds, listing, showing, v1beta1
from wherry.pipelines.api.call import Call, Handler
from wherry.pipelines.history.query import Key, Operation, Predicate

_KEYS: Final = {
    name: Key(name)
    for name in ("namespace", "pipelineName", "pipeline_name", "runId", "run_id", "fingerprint")
}
_WANTED: Final = ("pipelineName", "runId", "mlmdExecutionID", "fingerprint", "created_at")
_PIPELINE: Final = re.compile(r"(?:namespace/([^/]+)/)?pipeline/(.+)", re.DOTALL)
_NEWEST: Final = ("", "created_at desc")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_ID: Final = re.compile(r"[0-9]{1,18}")


async def create_task(call: Call, request: Object) -> Object:
    """Note the fingerprint of an execution that has succeeded, and has none."""
    given = request.get("task", {})
    if given.get("id"):
        raise errors.BadRequestError("task.id: is given here, not by the caller")
    for name in _WANTED:
        if not given.get(name):
            raise errors.BadRequestError(f"task.{name}: is wanted")
    namespace, pipeline = _named(call, given)
    await call.check(namespace)
    if not _FINGERPRINT.fullmatch(given["fingerprint"]):
        raise errors.BadRequestError(f"task.fingerprint: want {_FINGERPRINT.pattern}")
    number = given["mlmdExecutionID"]
    known = await call.services.metadata.execution(int(number)) if _ID.fullmatch(number) else None
    if (
        known is None
        or (known.namespace, known.run) != (namespace, given["runId"])
        or known.pipeline != pipeline
    ):
        raise errors.NotFoundError(
            f"task.mlmdExecutionID: the run has no execution {number[:80]!r} of this pipeline"
        )
    return _task(await _noted(call, known, given["fingerprint"]))


async def list_tasks(call: Call, request: Object) -> Object:
    """List executions that may be taken again, newest first."""
    asked = v1beta1.page(request)
    where = listing.predicates(asked.get("filter", ""), _KEYS)
    if asked.get("sort_by", "").lower() not in _NEWEST:
        raise errors.BadRequestError("sort_by: want created_at desc: the newest come first")
    told = _asked(where)
    named, pipeline = _pipeline(told.get("pipelineName") or told.get("pipeline_name", ""))
    namespace = call.namespace(
        {"namespace": told.get("namespace") or asked.get("namespace") or named}
    )
    await call.check(namespace)
    chosen = Filter(
        namespace=namespace,
        pipeline=pipeline,
        run=told.get("runId") or told.get("run_id", ""),
        key=told.get("fingerprint", ""),
        reusable=True,
    )
    if chosen.key and not _FINGERPRINT.fullmatch(chosen.key):
        return {}
    limit = bounds.within(asked, "page_size", 0, listing.MOST_A_PAGE) or listing.PAGE_SIZE
    try:
        page = await call.services.metadata.executions(
            chosen, limit=limit, more=asked.get("page_token", "")
        )
    except ValueError as error:
        raise errors.BadRequestError(f"page_token: {error}") from error
    return {"tasks": [_task(each) for each in page.items], "next_page_token": page.more}


async def _noted(call: Call, known: Execution, fingerprint: str) -> Execution:
    if known.state != SUCCEEDED:
        raise errors.BadRequestError(f"execution {known.id} has not succeeded")
    if known.fingerprint == fingerprint:
        return known
    if known.fingerprint:
        raise errors.ConflictError(f"execution {known.id} has another fingerprint")
    changed = dataclasses.replace(known, fingerprint=fingerprint)
    return (await call.services.metadata.save([changed]))[0]


def _asked(where: Sequence[Predicate]) -> dict[str, str]:
    for each in where:
        if each.operation is not Operation.EQUALS:
            raise errors.BadRequestError(f"filter: {each.key}: want EQUALS")
    return {each.key: str(each.value) for each in where}


def _named(call: Call, given: Object) -> tuple[str, str]:
    """Return the namespace and the pipeline that a task names."""
    named, pipeline = _pipeline(given["pipelineName"])
    if named and given.get("namespace", named) != named:
        raise errors.BadRequestError(
            f"task.namespace: {given['namespace'][:80]!r}: pipelineName says {named[:80]!r}"
        )
    return call.namespace({"namespace": named or given.get("namespace")}), pipeline


def _pipeline(text: str) -> tuple[str, str]:
    match = _PIPELINE.fullmatch(text)
    return (match[1] or "", match[2]) if match else ("", text)


def _task(row: Execution) -> Object:
    return {
        "id": str(row.id),
        "namespace": row.namespace,
        "pipelineName": f"namespace/{row.namespace}/pipeline/{row.pipeline}",
        "runId": row.run,
        "mlmdExecutionID": str(row.id),
        "created_at": showing.instant(row.created),
        "finished_at": showing.instant(row.ended),
        "fingerprint": row.fingerprint,
    }


HANDLERS: Final[Mapping[str, Handler]] = {
    "TaskService.CreateTaskV1": create_task,
    "TaskService.ListTasksV1": list_tasks,
}
