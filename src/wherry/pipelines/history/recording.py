"""A run's object as the history keeps it, and an object for a run whose own is gone. Pure."""

from collections.abc import Mapping
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
    return _workflow(run) if workflow_runs.is_workflow(run) else _pipeline_run(run)


def _pipeline_run(run: Object) -> Run:
    spec: Mapping[str, Any] = run["spec"]
    told: Mapping[str, Any] = run.get("status") or {}
    labels, notes = metadata.labels(run), metadata.annotations(run)
    created = milliseconds(run["metadata"].get("creationTimestamp"))
    pipeline: Mapping[str, Any] = spec.get("pipelineSpec") or {}
    name = metadata.name(run)
    goes_on = _state(run) not in kinds.FINAL_STATES
    return Run(
        run_id=naming.run_id(run),
        namespace=metadata.namespace(run),
        name=name,
        display_name=str(spec.get("displayName") or name),
        description=notes.get(kinds.DESCRIPTION_ANNOTATION, ""),
        state=_state(run),
        error=str(told.get("message") or ""),
        experiment_id=labels.get(kinds.EXPERIMENT_LABEL, ""),
        recurring_run_id=labels.get(kinds.RECURRING_RUN_LABEL, ""),
        pipeline_id=labels.get(kinds.PIPELINE_LABEL, ""),
        pipeline_version_id=labels.get(kinds.PIPELINE_VERSION_LABEL, ""),
        # Where no webhook has looked at it, it may be any.
        pipeline_name=str((pipeline.get("pipelineInfo") or {}).get("name") or "")[:_LONGEST_NAME],
        pipeline_root=str(told.get("pipelineRoot") or ""),
        service_account=str(spec.get("serviceAccountName") or ""),
        created_at=created,
        scheduled_at=milliseconds(notes.get(kinds.SCHEDULED_ANNOTATION)) or created,
        finished_at=0 if goes_on else milliseconds(told.get("completionTime")),
        runtime_config=spec.get("runtimeConfig") or {},
        outputs=told.get("outputs") or {},
        settings={key: value for key, value in spec.items() if key not in _OWN_FIELDS},
        labels=labels,
        annotations=notes,
        object_uid=metadata.uid(run),
        resource_version=metadata.resource_version(run),
        retries=int(told.get("retries") or 0),
        pipeline_spec=pipeline,
        platform_spec=spec.get("platformSpec") or {},
    )


def _workflow(run: Object) -> Run:
    told: Mapping[str, Any] = run.get("status") or {}
    labels, notes = metadata.labels(run), metadata.annotations(run)
    created = milliseconds(run["metadata"].get("creationTimestamp"))
    name, state = metadata.name(run), workflow_runs.state(run)
    return Run(
        run_id=naming.run_id(run),
        namespace=metadata.namespace(run),
        name=name,
        display_name=(notes.get(kinds.RUN_NAME_ANNOTATION) or name)[:_LONGEST_NAME],
        description=notes.get(kinds.DESCRIPTION_ANNOTATION, ""),
        state=state,
        error=str(told.get("message") or ""),
        experiment_id=labels.get(kinds.EXPERIMENT_LABEL, ""),
        recurring_run_id=labels.get(kinds.RECURRING_RUN_LABEL, ""),
        pipeline_id=labels.get(kinds.PIPELINE_LABEL, ""),
        pipeline_version_id=labels.get(kinds.PIPELINE_VERSION_LABEL, ""),
        # Its tasks and their folders are under this name.
        pipeline_name=name,
        service_account=str(run["spec"].get("serviceAccountName") or "")[:_LONGEST_ACCOUNT],
        created_at=created,
        scheduled_at=milliseconds(notes.get(kinds.SCHEDULED_ANNOTATION)) or created,
        finished_at=milliseconds(told.get("finishedAt")) if state in kinds.FINAL_STATES else 0,
        runtime_config={"parameters": _given(run)},
        settings=WORKFLOW_SETTINGS,
        labels=labels,
        annotations=notes,
        object_uid=metadata.uid(run),
        resource_version=metadata.resource_version(run),
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
