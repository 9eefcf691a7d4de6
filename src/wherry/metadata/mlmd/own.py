"""The platform's own artifacts, executions and contexts, as Kubeflow Pipelines writes them down. Pure.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/metadata/client.go`` (names of properties, states) and
``converter.go`` (how an artifact's metadata become properties).
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from wherry.metadata import records
from wherry.objects.requests import Object

LIVE: Final = 2
"""The state of artifacts that are there."""
_STATES: Final = {
    "PENDING": 1,
    "RUNNING": 2,
    records.SUCCEEDED: 3,
    "FAILED": 4,
    "CANCELED": 6,
    "SKIPPED": 6,
}
_CACHED: Final = 5
_TURN: Final = re.compile(r"\[(\d+)\]$")
_NAMES: Final = {"pipelineRoot": "pipeline_root", "name": "resource_name"}
"""Of properties of runs: ours, and upstream's."""
_LIST: Final = "list"
_STRUCT: Final = "struct"


def artifact(row: Any) -> Object:
    """Return what an artifact's row says, but for its ids, its type and its times."""
    metadata = {key: value for key, each in row.metadata.items() if (value := _value(each))}
    name = {"display_name": {"string_value": row.name}} if row.name else {}
    return {"uri": row.uri, "state": LIVE, "custom_properties": {**name, **metadata}}


def execution(row: Any, parent: int) -> Object:
    """Return what a task's row says, likewise.

    Args:
        row: Its row.
        parent: Id of the execution of the graph that it is part of; 0: none.
    """
    turn = _TURN.search(row.path)
    texts = {
        "display_name": row.name,
        "task_name": _TURN.sub("", row.name),
        "namespace": row.namespace,
        "pod_name": row.pod,
        "cache_fingerprint": row.fingerprint,
        "cached_execution_id": str(row.cached_from or ""),
        "error": row.error,
    }
    told: Object = {key: {"string_value": value} for key, value in texts.items() if value}
    numbers = {"parent_dag_id": parent or None, "iteration_index": turn and int(turn[1])}
    numbers["iteration_count"] = row.properties.get("turns")
    told |= {key: {"int_value": value} for key, value in numbers.items() if value is not None}
    for key, values in (("inputs", row.inputs), ("outputs", row.outputs)):
        if values:
            told[key] = {"struct_value": _struct(values)}
    state = _CACHED if row.cached_from else _STATES.get(row.state, 0)
    if not row.cached_from and row.state not in _STATES:
        return {"custom_properties": told}
    return {"last_known_state": state, "custom_properties": told}


def context(row: Any) -> Object:
    """Return what a context's row says, likewise."""
    named = {_NAMES.get(key, key): each for key, each in row.properties.items()}
    told = {key: value for key, each in named.items() if (value := _value(each))}
    if row.type == records.PIPELINE_RUN:
        told["namespace"] = {"string_value": row.namespace}
    return {"name": row.name, "custom_properties": told}


def updated(row: Any) -> int:
    """Return when a row changed last, as far as it is known."""
    known: Mapping[str, Any] = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return int(known.get("ended") or known.get("started") or row.created)


def parent_path(path: str) -> str:
    """Return the place of the graph that a task is part of; empty: it is the whole."""
    return _TURN.sub("", path) if _TURN.search(path) else path.rpartition("/")[0]


def _value(value: Any) -> Object | None:
    if isinstance(value, str):
        return {"string_value": value}
    if isinstance(value, bool):
        return {"int_value": int(value)}
    if isinstance(value, int | float):
        number = _struct(value)
        return {"double_value" if isinstance(number, float) else "string_value": number}
    if isinstance(value, list):
        return {"struct_value": {_LIST: _struct(value)}}
    return {"struct_value": {_STRUCT: _struct(value)}} if isinstance(value, dict) else None


def _struct(value: Any) -> Any:
    """Return JSON as ``google.protobuf.Struct`` has it, which knows no other numbers than doubles."""
    if isinstance(value, dict):
        return {key: _struct(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_struct(each) for each in value]
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    try:
        return float(value)
    except OverflowError:
        return str(value)
