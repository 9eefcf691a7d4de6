"""A run's object as the history keeps it, and an object for a run whose own is gone. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming, status, workflow_runs
from wherry.pipelines.history.records import WORKFLOW_SETTINGS, Run

_OWN_FIELDS: Final = frozenset({"pipelineSpec", "platformSpec", "runtimeConfig"})
_PASSING: Final = frozenset({"suspend", "terminate", "retry"})
"""What a run was told once is not said to the one that follows it."""
_LONGEST_NAME: Final = 255
_LONGEST_ACCOUNT: Final = 253


def seen(run: Object) -> Run:
    """Return what an object says of its run."""
    labels, notes = metadata.labels(run), metadata.annotations(run)
    created = milliseconds(run["metadata"].get("creationTimestamp"))
    told: Mapping[str, Any] = run.get("status") or {}
    common = Run(
        run_id=naming.run_id(run),
        namespace=metadata.namespace(run),
        name=metadata.name(run),
        description=notes.get(kinds.DESCRIPTION_ANNOTATION, ""),
        error=str(told.get("message") or ""),
        experiment_id=labels.get(kinds.EXPERIMENT_LABEL, ""),
        recurring_run_id=labels.get(kinds.RECURRING_RUN_LABEL, ""),
        pipeline_id=labels.get(kinds.PIPELINE_LABEL, ""),
        pipeline_version_id=labels.get(kinds.PIPELINE_VERSION_LABEL, ""),
        created_at=created,
        scheduled_at=milliseconds(notes.get(kinds.SCHEDULED_ANNOTATION)) or created,
        labels=labels,
        annotations=notes,
        object_uid=metadata.uid(run),
        resource_version=metadata.resource_version(run),
    )
    if workflow_runs.is_workflow(run):
        return _workflow(common, run, told)
    return _pipeline_run(common, run, told)


def _pipeline_run(common: Run, run: Object, told: Mapping[str, Any]) -> Run:
    spec: Mapping[str, Any] = run["spec"]
    pipeline: Mapping[str, Any] = spec.get("pipelineSpec") or {}
    state = _state(run)
    return replace(
        common,
        display_name=str(spec.get("displayName") or common.name),
        state=state,
        # Where no webhook has looked at it, it may be any.
        pipeline_name=str((pipeline.get("pipelineInfo") or {}).get("name") or "")[:_LONGEST_NAME],
        pipeline_root=str(told.get("pipelineRoot") or ""),
        service_account=str(spec.get("serviceAccountName") or ""),
        finished_at=milliseconds(told.get("completionTime")) if state in kinds.FINAL_STATES else 0,
        runtime_config=spec.get("runtimeConfig") or {},
        outputs=told.get("outputs") or {},
        settings={key: value for key, value in spec.items() if key not in _OWN_FIELDS},
        retries=int(told.get("retries") or 0),
        pipeline_spec=pipeline,
        platform_spec=spec.get("platformSpec") or {},
    )


def _workflow(common: Run, run: Object, told: Mapping[str, Any]) -> Run:
    state = workflow_runs.state(run)
    named = common.annotations.get(kinds.RUN_NAME_ANNOTATION) or common.name
    return replace(
        common,
        display_name=named[:_LONGEST_NAME],
        state=state,
        # Its tasks and their folders are under this name.
        pipeline_name=common.name,
        service_account=str(run["spec"].get("serviceAccountName") or "")[:_LONGEST_ACCOUNT],
        finished_at=milliseconds(told.get("finishedAt")) if state in kinds.FINAL_STATES else 0,
        runtime_config={"parameters": _given(run)},
        settings=WORKFLOW_SETTINGS,
        pipeline_spec=workflow_runs.manifest(run),
    )


def _given(workflow: Object) -> dict[str, str]:
    known = workflow_runs.parameters(workflow)
    return {name: value for name, value in known.items() if value is not None}


def made_anew(run: Run, name: str, wishes: Mapping[str, Any]) -> Object:
    """Return an object for a run whose own is gone.

    Args:
        run: With its pipeline.
        name: Of the object.
        wishes: What its spec says besides.
    """
    settings = {key: value for key, value in run.settings.items() if key not in _PASSING}
    documents = {
        "pipelineSpec": run.pipeline_spec,
        "platformSpec": run.platform_spec,
        "runtimeConfig": run.runtime_config,
    }
    return {
        "apiVersion": kinds.PIPELINE_RUNS.api_version,
        "kind": kinds.PIPELINE_RUNS.kind,
        "metadata": {
            "name": name,
            "namespace": run.namespace,
            "labels": dict(run.labels),
            "annotations": {**run.annotations, kinds.RUN_ID_ANNOTATION: run.run_id},
        },
        "spec": {
            **{key: dict(value) for key, value in documents.items() if value},
            **settings,
            **wishes,
        },
    }


def _state(run: Object) -> str:
    """Return the state of a run, as it will be once it was seen what it is told."""
    state = status.state(run) or kinds.PENDING
    if status.retry_wanted(run):
        return kinds.RUNNING
    ends = run["spec"].get("terminate") and state not in kinds.FINAL_STATES
    return kinds.CANCELING if ends else state


def milliseconds(time: object) -> int:
    """Return a time of an object as the history keeps it; 0 of what is none."""
    try:
        return int(metadata.parse_time(str(time)).timestamp() * 1000) if time else 0
    except ValueError:
        return 0
