"""The run of a slot, always of the same name. Pure."""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import metadata, names
from wherry.objects.requests import Object
from wherry.pipelines import kinds as run_kinds
from wherry.pipelines import naming, runs, workflow_runs
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.documents import Documents
from wherry.pipelines.schedules import given, kinds
from wherry.pipelines.schedules.macros import Moment

_NAME_LENGTH: Final = 38


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is run.

    Attributes:
        documents: The pipeline.
        pipeline_id: uid of the Pipeline it is kept as; empty: it stands in the schedule.
        version_id: uid of its version.
    """

    documents: Documents
    pipeline_id: str = ""
    version_id: str = ""


def name_of(schedule: Object, slot: datetime.datetime) -> str:
    """Return the name of the run of a slot: the same each time that one asks."""
    name = metadata.name(schedule)[:_NAME_LENGTH].rstrip("-.")
    time = slot.astimezone(datetime.UTC).strftime("%Y%m%d%H%M%S")
    return f"{name}-{time}-{names.suffix(metadata.uid(schedule))}"


def run(
    schedule: Object, source: Source, *, slot: datetime.datetime, index: int, now: datetime.datetime
) -> Object:
    """Return the run of a slot.

    Args:
        schedule: Whose.
        source: What is run.
        slot: For when.
        index: Its number among the schedule's runs, from 1.
        now: The time.

    Raises:
        PipelineError: the pipeline, or what it is given, is not right.
    """
    spec = schedule["spec"]
    moment = Moment(now=now, scheduled=slot, index=index)
    workflow = spec.get("workflow") or {}
    wish = runs.Wish(
        parameters=_parameters(source.documents, workflow.get("parameters") or (), moment),
        root=workflow.get("pipelineRoot") or "",
        service_account=spec.get("serviceAccount") or "",
    )
    namespace = metadata.namespace(schedule)
    made = _of(source.documents, wish, name_of(schedule, slot), namespace)
    labels = {
        run_kinds.RECURRING_RUN_LABEL: metadata.uid(schedule),
        run_kinds.EXPERIMENT_LABEL: spec.get("experimentId") or "",
        run_kinds.PIPELINE_LABEL: source.pipeline_id,
        run_kinds.PIPELINE_VERSION_LABEL: source.version_id,
        kinds.NAME_LABEL: naming.label(metadata.name(schedule)),
        kinds.EPOCH_LABEL: str(int(slot.timestamp())),
        kinds.INDEX_LABEL: str(index),
    }
    made["metadata"] |= {
        "labels": {
            **metadata.labels(made),
            **{key: value for key, value in labels.items() if value},
        },
        "annotations": {
            **metadata.annotations(made),
            run_kinds.SCHEDULED_ANNOTATION: metadata.format_time(slot),
        },
        "ownerReferences": [metadata.owner_reference(schedule)],
    }
    return made


def _parameters(
    documents: Documents, listed: Iterable[Mapping[str, Any]], moment: Moment
) -> dict[str, Any]:
    if workflow_runs.is_workflow(documents.spec):
        return given.of_workflow(documents.spec, listed, moment)
    return given.parameters(Pipeline(documents.spec, documents.platform), listed, moment)


def _of(documents: Documents, wish: runs.Wish, name: str, namespace: str) -> Object:
    """Return a run as an object of its own kind."""
    if not workflow_runs.is_workflow(documents.spec):
        return runs.manifest(documents, wish, name=name, namespace=namespace)
    called = dataclasses.replace(wish, display_name=name)
    return workflow_runs.make(documents.spec, called, namespace=namespace, name=name)
