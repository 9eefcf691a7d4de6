"""The same as JSON, for programs. Names are those of Kubernetes' objects: camelCase, times in RFC 3339. Pure."""

import datetime
from collections.abc import Sequence
from typing import Any

from wherry.metadata.lineage import Lineage
from wherry.metadata.records import CACHE_KEY, Artifact, Execution, Values
from wherry.pipelines.looking import words
from wherry.pipelines.looking.comparing import Difference, Side


def task(execution: Execution) -> dict[str, Any]:
    """Return a task."""
    fields = {
        "id": execution.id,
        "path": execution.path,
        "name": execution.name,
        "type": execution.type,
        "run": execution.run,
        "runName": execution.properties.get(words.RUN_NAME),
        "pipeline": execution.pipeline,
        "state": execution.state,
        "attempt": execution.attempt,
        "pod": execution.pod,
        "error": execution.error,
        "startTime": _time(execution.started),
        "completionTime": _time(execution.ended),
        "seconds": words.lasted(execution),
        "fingerprint": execution.fingerprint,
        "cacheKey": execution.properties.get(CACHE_KEY),
        "cachedFrom": execution.cached_from or None,
        "cacheReason": execution.cache_reason,
        "inputs": _values(execution.inputs),
        "outputs": _values(execution.outputs),
    }
    return {name: value for name, value in fields.items() if value not in (None, "", {})}


def artifact(made: Artifact) -> dict[str, Any]:
    """Return an artifact."""
    fields = {
        "id": made.id,
        "name": made.name,
        "type": made.type,
        "uri": made.uri,
        "metadata": dict(made.metadata),
        "creationTime": _time(made.created),
    }
    return {name: value for name, value in fields.items() if value not in (None, "", {})}


def lineage(found: Lineage) -> dict[str, Any]:
    """Return a lineage."""
    return {
        "artifacts": [artifact(each) for each in found.artifacts.values()],
        "tasks": [task(each) for each in found.executions.values()],
        "events": [
            {
                "task": each.execution,
                "artifact": each.artifact,
                "type": each.type,
                "name": each.name,
                "index": each.index,
            }
            for each in found.events
        ],
        "complete": found.complete,
    }


def comparison(
    first: Side,
    second: Side,
    differences: Sequence[Difference],
    lasted: Sequence[tuple[str, float | None, float | None]],
) -> dict[str, Any]:
    """Return in what two runs differ, and how long their steps took."""
    return {
        "runs": [{"name": each.name, "uid": each.uid} for each in (first, second)],
        "differences": [
            {
                "section": each.section,
                "what": each.what,
                "first": each.first,
                "second": each.second,
            }
            for each in differences
        ],
        "seconds": {path: [one, other] for path, one, other in lasted},
    }


def _values(values: Values) -> dict[str, Any]:
    found = {
        "parameters": dict(values.parameters),
        "artifacts": {name: [each.id for each in made] for name, made in values.artifacts.items()},
    }
    return {name: value for name, value in found.items() if value}


def _time(milliseconds: int) -> str | None:
    if not milliseconds:
        return None
    at = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
