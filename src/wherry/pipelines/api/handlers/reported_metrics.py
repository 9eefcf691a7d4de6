"""Metrics that steps report by themselves, as in the first version of the API."""

import re
from collections.abc import Mapping
from typing import Final

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api.call import Call, Handler
from wherry.pipelines.api.handlers import runs
from wherry.pipelines.history.records import Metric, Reported
from wherry.pipelines.history.store import MOST_METRICS

_NAME: Final = re.compile(r"[a-zA-Z]([-_a-zA-Z0-9]{0,62}[a-zA-Z0-9])?")
_LONGEST_NODE: Final = 128
_MOST: Final = 200
"""In one report."""
_OK: Final = "OK"
_INVALID: Final = "INVALID_ARGUMENT"
_DUPLICATE: Final = "DUPLICATE_REPORTING"


async def report_run_metrics(call: Call, request: Object) -> Object:
    """Keep metrics of a run; of each it is told whether it is kept. The first report of one stands."""
    run = await runs.found(call, request)
    listed = request.get("metrics", [])
    if len(listed) > _MOST:
        raise errors.BadRequestError(f"metrics: {len(listed)} of them; at most {_MOST} at once")
    problems = [_problem(each) for each in listed]
    fresh = [
        _metric(each, run.run_id)
        for each, problem in zip(listed, problems, strict=True)
        if not problem
    ]
    kept = iter(await call.services.history.add_metrics(fresh) if fresh else ())
    return {
        "results": [
            _result(each, (_INVALID, problem) if problem else _said(each, next(kept)))
            for each, problem in zip(listed, problems, strict=True)
        ]
    }


def _metric(given: Object, run_id: str) -> Metric:
    return Metric(
        run_id=run_id,
        node_id=given["node_id"],
        name=given["name"],
        number=given.get("number_value", 0.0),
        format=given.get("format", ""),
    )


def _said(given: Object, reported: Reported) -> tuple[str, str]:
    """Return the status of a metric, and what is said of it."""
    match reported:
        case Reported.KEPT:
            return _OK, ""
        case Reported.DUPLICATE:
            told = f"metric {given['node_id']}/{given['name']} has been reported before"
            return _DUPLICATE, told
        case Reported.NO_ROOM:
            return _INVALID, f"the run has {MOST_METRICS} metrics already"


def _result(given: Object, said: tuple[str, str]) -> Object:
    status, message = said
    told: Object = {
        "metric_name": given.get("name", ""),
        "metric_node_id": given.get("node_id", ""),
        "status": status,
    }
    return {**told, "message": message} if message else told


def _problem(given: Object) -> str:
    """Return why a metric cannot be kept; empty: it can."""
    name, node = given.get("name", ""), given.get("node_id", "")
    if not _NAME.fullmatch(name):
        return f"name: {name[:80]!r}: want {_NAME.pattern}"
    if not 0 < len(node) <= _LONGEST_NODE:
        return f"node_id: want 1 to {_LONGEST_NODE} characters"
    return ""


HANDLERS: Final[Mapping[str, Handler]] = {"RunService.ReportRunMetricsV1": report_run_metrics}
