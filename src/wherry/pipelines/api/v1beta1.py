"""Between the messages of v1beta1 and those of v2beta1. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines import runs, workflow_runs
from wherry.pipelines.api import showing
from wherry.pipelines.definitions import packages
from wherry.pipelines.history.records import Metric
from wherry.pipelines.ir.documents import PipelineError

_STORAGE: Final = "STORAGESTATE_"
_STATES: Final = {
    "PENDING": "Pending",
    "PAUSED": "Pending",
    "RUNNING": "Running",
    "SUCCEEDED": "Succeeded",
    "SKIPPED": "Skipped",
    "FAILED": "Failed",
    "CANCELED": "Failed",
    "CANCELING": "Terminating",
}
"""What upstream says of runs in v1beta1; it has no word for those that were ended."""


def reference(given: Object, kind: str) -> str:
    """Return the id of what a thing refers to; empty where it refers to none of that kind.

    Args:
        given: The thing, or a request with a ``resource_reference_key``.
        kind: Such as ``NAMESPACE``.
    """
    listed = [each.get("key") or {} for each in given.get("resource_references") or ()]
    listed.append(given.get("resource_reference_key") or given.get("resource_key") or {})
    return next((str(key.get("id", "")) for key in listed if key.get("type") == kind), "")


def page(given: Object) -> Object:
    """Return what a list is asked for, in v2beta1."""
    kept = ("page_token", "page_size", "sort_by")
    made: Object = {name: given[name] for name in kept if name in given}
    if given.get("filter"):
        made["filter"] = _filter(given["filter"])
    wanted = {
        "namespace": reference(given, "NAMESPACE"),
        "experiment_id": reference(given, "EXPERIMENT"),
    }
    return made | {name: value for name, value in wanted.items() if value}


def experiment(given: Object) -> Object:
    """Return an experiment of v1beta1."""
    return {
        "id": given["experiment_id"],
        **_named(given),
        "resource_references": [_reference("NAMESPACE", given["namespace"], "OWNER")],
        "storage_state": f"{_STORAGE}{given['storage_state']}",
    }


def run(given: Object, metrics: Sequence[Metric] = ()) -> Object:
    """Return a run of v1beta1.

    Args:
        given: The run.
        metrics: What was reported of it.
    """
    return {
        "id": given["run_id"],
        **_named(given),
        "storage_state": f"{_STORAGE}{given['storage_state']}",
        "pipeline_spec": _spec(given),
        "resource_references": _references(given),
        "service_account": given.get("service_account"),
        "scheduled_at": given.get("scheduled_at"),
        "finished_at": given.get("finished_at"),
        "status": _STATES.get(given.get("state", ""), "Unknown"),
        "error": (given.get("error") or {}).get("message"),
        "metrics": [_metric(each) for each in metrics],
    }


def run_detail(given: Object, metrics: Sequence[Metric], workflow: Object | None = None) -> Object:
    """Return a run of v1beta1 with what it runs; see `run`.

    Args:
        given: The run.
        metrics: What was reported of it.
        workflow: The Workflow that it is, with its status; None: it is none.
    """
    made = run(given, metrics)
    manifest = made["pipeline_spec"].get("pipeline_manifest")
    runtime = {"pipeline_manifest": manifest} if manifest else {}
    if workflow is not None:
        runtime["workflow_manifest"] = json.dumps(_shown(workflow))
    return {"run": made, "pipeline_runtime": runtime or None}


def _shown(workflow: Object) -> Object:
    """Return a Workflow without who has written which of its fields."""
    head = {key: each for key, each in workflow["metadata"].items() if key != "managedFields"}
    return {**workflow, "metadata": head}


def new_run(given: Object) -> Object:
    """Return a run that is to be made, in v2beta1."""
    return {
        "display_name": given.get("name", ""),
        "description": given.get("description", ""),
        "service_account": given.get("service_account", ""),
        "experiment_id": reference(given, "EXPERIMENT"),
        **_source(given, "run"),
    }


def job(given: Object) -> Object:
    """Return a recurring run, in v1beta1."""
    enabled = given.get("status") == "ENABLED"
    return {
        "id": given["recurring_run_id"],
        **_named(given),
        "pipeline_spec": _spec(given),
        "resource_references": _references(given),
        "service_account": given.get("service_account"),
        "max_concurrency": given.get("max_concurrency"),
        "trigger": given.get("trigger"),
        "mode": "ENABLED" if enabled else "DISABLED",
        "updated_at": given.get("updated_at"),
        "status": "Enabled" if enabled else "Disabled",
        "error": (given.get("error") or {}).get("message"),
        "enabled": enabled,
        "no_catchup": given.get("no_catchup"),
    }


def new_job(given: Object) -> Object:
    """Return a recurring run that is to be made, in v2beta1."""
    kept = ("description", "service_account", "max_concurrency", "trigger", "no_catchup")
    enabled = given.get("enabled") or given.get("mode") == "ENABLED"
    return {
        "display_name": given.get("name", ""),
        "experiment_id": reference(given, "EXPERIMENT"),
        "mode": "ENABLE" if enabled else "DISABLE",
        **{name: given[name] for name in kept if name in given},
        **_source(given, "job"),
    }


def pipeline(given: Object, default: Object | None) -> Object:
    """Return a pipeline of v1beta1.

    Args:
        given: The pipeline.
        default: Its default version; None: it has none.
    """
    shown = None if default is None else version(default)
    namespace = given.get("namespace", "")
    return {
        "id": given["pipeline_id"],
        **_named(given),
        "parameters": shown["parameters"] if shown else [],
        "default_version": shown,
        "resource_references": [_reference("NAMESPACE", namespace, "OWNER")] if namespace else [],
    }


def version(given: Object) -> Object:
    """Return a version of a pipeline, in v1beta1."""
    return {
        "id": given["pipeline_version_id"],
        **_named(given),
        "parameters": _parameters(given.get("pipeline_spec") or {}),
        "code_source_url": given.get("code_source_url"),
        "package_url": given.get("package_url"),
        "resource_references": [_reference("PIPELINE", given["pipeline_id"], "OWNER")],
    }


def template(given: Object) -> Object:
    """Return what a version runs, as text."""
    spec = given.get("pipeline_spec") or {}
    if workflow_runs.is_workflow(spec):
        return {"template": yaml.safe_dump(spec, sort_keys=False)}
    return {"template": json.dumps(given.get("pipeline_spec") or {})}


def _metric(metric: Metric) -> Object:
    return {
        "name": metric.name,
        "node_id": metric.node_id,
        "number_value": metric.number,
        "format": metric.format or None,
    }


def _named(given: Object) -> Object:
    return {
        "name": given.get("display_name"),
        "description": given.get("description"),
        "created_at": given.get("created_at"),
    }


def _reference(kind: str, of: str, relationship: str) -> Object:
    return {"key": {"type": kind, "id": of}, "relationship": relationship}


def _references(given: Object) -> list[Object]:
    made = [_reference("EXPERIMENT", given["experiment_id"], "OWNER")]
    if given.get("namespace"):
        made.append(_reference("NAMESPACE", given["namespace"], "OWNER"))
    chosen = (given.get("pipeline_version_reference") or {}).get("pipeline_version_id")
    if chosen:
        made.append(_reference("PIPELINE_VERSION", chosen, "CREATOR"))
    if given.get("recurring_run_id") and "run_id" in given:
        made.append(_reference("JOB", given["recurring_run_id"], "CREATOR"))
    return made


def _spec(given: Object) -> Object:
    spec = given.get("pipeline_spec")
    known = given.get("pipeline_version_reference") or {}
    source = {
        "pipeline_id": known.get("pipeline_id"),
        "pipeline_name": given.get("pipeline_name"),
    }
    if spec and workflow_runs.is_workflow(spec):
        return {
            **source,
            "workflow_manifest": json.dumps(spec),
            "parameters": _texts(workflow_runs.parameters(spec) | _given(given)),
        }
    return {
        **source,
        "pipeline_manifest": json.dumps(spec) if spec else None,
        "runtime_config": given.get("runtime_config"),
    }


def _source(given: Object, path: str) -> Object:
    """Return what is run, and with what."""
    spec = given.get("pipeline_spec") or {}
    texts = {each.get("name", ""): each.get("value", "") for each in spec.get("parameters") or ()}
    config = dict(spec.get("runtime_config") or {})
    config["parameters"] = {**texts, **(config.get("parameters") or {})}
    chosen = reference(given, "PIPELINE_VERSION")
    pipeline_id = spec.get("pipeline_id") or reference(given, "PIPELINE")
    if chosen or pipeline_id:
        known = {"pipeline_id": pipeline_id, "pipeline_version_id": chosen}
        return {"runtime_config": config, "pipeline_version_reference": known}
    return {"runtime_config": config, "pipeline_spec": _manifest(spec, path)}


def _manifest(spec: Object, path: str) -> Object:
    field = "workflow_manifest" if spec.get("workflow_manifest") else "pipeline_manifest"
    text = spec.get(field, "")
    if not text:
        return {}
    try:
        found = packages.read(text)
    except PipelineError as error:
        raise errors.BadRequestError(f"{path}.pipeline_spec.{field}: {error}") from error
    if not found.spec:
        raise errors.BadRequestError(f"{path}.pipeline_spec.{field}: there is nothing in it")
    return showing.documents(found.spec, found.platform)


def _parameters(spec: Mapping[str, Any]) -> list[Object]:
    """Return a pipeline's parameters; those of version 1 with their values."""
    if workflow_runs.is_workflow(spec):
        return _texts(workflow_runs.parameters(spec))
    spec = spec.get("pipeline_spec") or spec
    root = spec.get("root") or {}
    return [{"name": name} for name in (root.get("inputDefinitions") or {}).get("parameters") or {}]


def _texts(parameters: Mapping[str, Any]) -> list[Object]:
    return [{"name": name, "value": value} for name, value in parameters.items()]


def _given(run: Object) -> dict[str, str]:
    """Return what a run or a job was given, as texts."""
    parameters = (run.get("runtime_config") or {}).get("parameters") or {}
    return {name: runs.shown(value) for name, value in parameters.items()}


def _filter(text: str) -> str:
    """Return a filter as v2beta1 has it: there ``op`` is ``operation``, and states have other names."""
    try:
        given = json.loads(text)
        listed = [dict(each) for each in given["predicates"]]
    except (ValueError, RecursionError, TypeError, KeyError):
        # What is wrong with it is told where it is read.
        return text
    for each in listed:
        if "op" in each:
            each["operation"] = each.pop("op")
        for name in ("string_value", "stringValue"):
            if isinstance(each.get(name), str):
                each[name] = each[name].removeprefix(_STORAGE)
    return json.dumps({**given, "predicates": listed})
