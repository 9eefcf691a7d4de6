"""Recurring runs: as messages, as objects, and as rows of lists."""

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds as run_kinds
from wherry.pipelines import runs
from wherry.pipelines.api import showing, wire
from wherry.pipelines.api.object_lists import Row
from wherry.pipelines.api.sources import Source
from wherry.pipelines.definitions import packages
from wherry.pipelines.history.query import Key
from wherry.pipelines.history.records import Experiment
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.schedules import given as schedule_given
from wherry.pipelines.schedules import kinds

KEYS: Final[Mapping[str, Key]] = {
    "recurring_run_id": Key("id"),
    "id": Key("id"),
    "name": Key("display_name"),
    "display_name": Key("display_name"),
    "description": Key("description", sorts=False),
    "namespace": Key("namespace"),
    "created_at": Key("created_at", is_time=True),
    "updated_at": Key("updated_at", is_time=True),
    "experiment_id": Key("experiment_id"),
    "pipeline_id": Key("pipeline_id"),
    "status": Key("status"),
}
ENABLE: Final = "ENABLE"
_DISABLE: Final = "DISABLE"
_ENABLED: Final = "ENABLED"
_DISABLED: Final = "DISABLED"
_INVALID: Final = 3
"""Of the codes of gRPC."""
_MOST_NAME: Final = 256
_MOST_DESCRIPTION: Final = 8 * 1024
_TRIGGERS: Final = {"cron_schedule": "cronSchedule", "periodic_schedule": "periodicSchedule"}
_TIMES: Final = {
    "cron": "cron",
    "interval_second": "intervalSecond",
    "start_time": "startTime",
    "end_time": "endTime",
}


def schedule(given: Object, experiment: Experiment, source: Source) -> Object:
    """Return the object of a recurring run.

    Args:
        given: The message.
        experiment: What its runs are in.
        source: What they run, as it is now.

    Raises:
        BadRequestError: a field is not what it should be.
    """
    name = given.get("display_name", "")
    if not name.strip() or len(name) > _MOST_NAME:
        raise errors.BadRequestError(
            f"recurring_run.display_name: {name[:80]!r}: want 1 to {_MOST_NAME} characters"
        )
    if len(given.get("description", "")) > _MOST_DESCRIPTION:
        raise errors.BadRequestError(
            f"recurring_run.description: is longer than {_MOST_DESCRIPTION} characters"
        )
    notes = {
        kinds.DISPLAY_NAME_ANNOTATION: name,
        run_kinds.DESCRIPTION_ANNOTATION: given.get("description"),
    }
    spec = _spec(given, experiment, source)
    _check_parameters(source.documents, spec["workflow"].get("parameters") or ())
    return {
        "apiVersion": kinds.SCHEDULED_WORKFLOWS.api_version,
        "kind": kinds.SCHEDULED_WORKFLOWS.kind,
        "metadata": {
            "name": runs.name_of(name, uuid.uuid4().hex),
            "namespace": experiment.namespace,
            "annotations": {key: value for key, value in notes.items() if value},
        },
        "spec": {key: value for key, value in spec.items() if value not in (None, "", {})},
    }


def shown(obj: Object) -> Object:
    """Return a recurring run as clients see it."""
    spec, fields = obj["spec"], obj["metadata"]
    enabled = bool(spec.get("enabled"))
    return {
        "recurring_run_id": metadata.uid(obj),
        "display_name": _display_name(obj),
        "description": metadata.annotations(obj).get(run_kinds.DESCRIPTION_ANNOTATION, ""),
        **_shown_source(spec),
        "runtime_config": _shown_config(spec.get("workflow") or {}),
        "service_account": spec.get("serviceAccount", ""),
        "max_concurrency": spec.get("maxConcurrency") or 1,
        "trigger": _shown_trigger(spec.get("trigger") or {}),
        "mode": ENABLE if enabled else _DISABLE,
        "status": _ENABLED if enabled else _DISABLED,
        "created_at": fields["creationTimestamp"],
        "updated_at": _updated(obj),
        "no_catchup": bool(spec.get("noCatchup")),
        "namespace": metadata.namespace(obj),
        "experiment_id": spec.get("experimentId", ""),
        "plugins_input": spec.get("pluginsInput") or {},
    }


def row(obj: Object) -> Row:
    """Return a recurring run as a row of a list."""
    spec = obj["spec"]
    return Row(
        obj,
        metadata.uid(obj),
        {
            "id": metadata.uid(obj),
            "display_name": _display_name(obj),
            "description": metadata.annotations(obj).get(run_kinds.DESCRIPTION_ANNOTATION, ""),
            "namespace": metadata.namespace(obj),
            "created_at": wire.milliseconds(obj["metadata"]["creationTimestamp"], "created_at"),
            "updated_at": wire.milliseconds(_updated(obj), "updated_at"),
            "experiment_id": spec.get("experimentId", ""),
            "pipeline_id": spec.get("pipelineId", ""),
            "status": _ENABLED if spec.get("enabled") else _DISABLED,
        },
    )


def _spec(given: Object, experiment: Experiment, source: Source) -> dict[str, Any]:
    concurrency = given.get("max_concurrency", 0)
    if not 1 <= concurrency <= kinds.MAX_CONCURRENCY:
        raise errors.BadRequestError(
            f"recurring_run.max_concurrency: {concurrency}: want 1 to {kinds.MAX_CONCURRENCY}"
        )
    config, reference = given.get("runtime_config") or {}, given.get("pipeline_version_reference")
    embedded = given.get("pipeline_spec")
    pinned = given.get("pipeline_version_id") or (reference or {}).get("pipeline_version_id")
    return {
        "enabled": given.get("mode") == ENABLE,
        "maxConcurrency": concurrency,
        "noCatchup": bool(given.get("no_catchup")),
        "trigger": _trigger(given.get("trigger") or {}),
        "workflow": {
            "parameters": [
                {"name": name, "value": json.dumps(value)}
                for name, value in (config.get("parameters") or {}).items()
                if value is not None
            ],
            "pipelineRoot": config.get("pipeline_root", ""),
            **({"spec": _envelope(source.documents)} if embedded else {}),
        },
        "pipelineId": "" if embedded else source.pipeline_id,
        "pipelineVersionId": "" if embedded else pinned,
        "experimentId": experiment.experiment_id,
        "serviceAccount": given.get("service_account", ""),
        "pluginsInput": given.get("plugins_input") or {},
    }


def _trigger(given: Object) -> Object:
    """Return when it makes runs; as upstream has it, one is made at once where nothing is said."""
    for field, name in _TRIGGERS.items():
        if field in given:
            if not given[field]:
                raise errors.BadRequestError(f"recurring_run.trigger.{field}: says nothing")
            return {
                name: {
                    kept: given[field][told]
                    for told, kept in _TIMES.items()
                    if told in given[field]
                }
            }
    return {}


def _check_parameters(documents: Documents, parameters: Any) -> None:
    try:
        schedule_given.check(documents, parameters)
    except PipelineError as error:
        raise errors.BadRequestError(f"recurring_run: {error}") from error


def _envelope(documents: Documents) -> Object:
    if not documents.platform:
        return dict(documents.spec)
    return {"pipelineSpec": dict(documents.spec), "platformSpec": dict(documents.platform)}


def _shown_source(spec: Object) -> Object:
    embedded = (spec.get("workflow") or {}).get("spec")
    if embedded:
        try:
            documents = packages.read(embedded)
        except PipelineError as error:
            return {"error": {"code": _INVALID, "message": str(error)}}
        return {"pipeline_spec": showing.documents(documents.spec, documents.platform)}
    reference = {
        "pipeline_id": spec.get("pipelineId", ""),
        "pipeline_version_id": spec.get("pipelineVersionId", ""),
    }
    return {"pipeline_version_reference": reference}


def _shown_config(workflow: Object) -> Object:
    return {
        "parameters": {
            each["name"]: _value(each.get("value", "")) for each in workflow.get("parameters") or ()
        },
        "pipeline_root": workflow.get("pipelineRoot", ""),
    }


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown_trigger(trigger: Object) -> Object | None:
    for field, name in _TRIGGERS.items():
        if trigger.get(name):
            kept = {told: trigger[name].get(key) for told, key in _TIMES.items()}
            return {field: {key: value for key, value in kept.items() if value}}
    return None


def _display_name(obj: Object) -> str:
    told = metadata.annotations(obj).get(kinds.DISPLAY_NAME_ANNOTATION)
    return told or metadata.name(obj)


def _updated(obj: Object) -> str:
    fields = obj["metadata"]
    written = [
        str(entry["time"])
        for entry in fields.get("managedFields") or ()
        if entry.get("time") and not entry.get("subresource")
    ]
    return max(written, default=str(fields["creationTimestamp"]))
