"""Executions, artifacts and what is between them, as messages of the API. Pure."""

from collections.abc import Mapping

from wherry.metadata.records import CACHE_KEY, Artifact, Event, Execution
from wherry.objects.requests import Object
from wherry.pipelines.api.showing import instant


def artifact(record: Artifact) -> Object:
    """Return an artifact as clients see it."""
    return {
        "artifact_id": record.id,
        "namespace": record.namespace,
        "type": record.type,
        "name": record.name,
        "uri": record.uri,
        "metadata": dict(record.metadata),
        "created_at": instant(record.created),
    }


def execution(record: Execution, runs: Mapping[str, str]) -> Object:
    """Return an execution as clients see it, without its artifacts.

    Args:
        record: The execution.
        runs: Names of runs by their uids; those that are not known may be missing.
    """
    return {
        "execution_id": record.id,
        "namespace": record.namespace,
        "type": record.type,
        "name": record.name,
        "pipeline": record.pipeline,
        "run_id": record.run,
        "run_name": runs.get(record.run, ""),
        "path": record.path,
        "state": record.state,
        "attempt": record.attempt,
        "pod": record.pod,
        "fingerprint": record.fingerprint,
        "cache_key": str(record.properties.get(CACHE_KEY, "")),
        "cached_from": record.cached_from,
        "cache_reason": record.cache_reason,
        "created_at": instant(record.created),
        "started_at": instant(record.started),
        "ended_at": instant(record.ended),
        "error": record.error,
        "inputs": dict(record.inputs.parameters),
        "outputs": dict(record.outputs.parameters),
    }


def event(record: Event) -> Object:
    """Return an event as clients see it."""
    return {
        "execution_id": record.execution,
        "artifact_id": record.artifact,
        "type": record.type,
        "name": record.name,
        "index": record.index,
    }
