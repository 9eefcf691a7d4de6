"""From a proposal to the Trial that should exist for it. Pure.

Source: kubeflow/katib 0.19, ``pkg/controller.v1beta1/experiment/experiment_controller_util.go``.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.tuning import checkpoints, defaults, kinds, templates, workloads

FINALIZER: Final = "clean-metrics-in-db"
"""Holds a Trial's deletion until what it has reported is deleted."""

_Part = Mapping[str, Any]


def trial(experiment: Object, proposal: _Part, text: str | None) -> Object:
    """Return the Trial of a proposal.

    Args:
        experiment: With defaults filled in.
        proposal: As ``status.suggestions`` of the Suggestion has it.
        text: What the ConfigMap holds that the template is in; None where it is in none.

    Raises:
        templates.TemplateError: the template makes no object of it.
    """
    spec = experiment["spec"]
    run = templates.render(experiment, proposal, text)
    given: _Part = spec.get("trialTemplate") or {}
    template = {**given, **defaults.by_kind(dict(given), run)}
    for field in ("successCondition", "failureCondition"):
        if not template.get(field):
            told = f"trialTemplate.{field} must be given: how a {run.get('kind')} ends is not known"
            raise templates.TemplateError(told)
    wanted: Object = {
        "objective": spec.get("objective") or {},
        "parameterAssignments": proposal.get("parameterAssignments") or [],
        "runSpec": run,
        "retainRun": bool(template.get("retain")),
        "metricsCollector": spec.get("metricsCollectorSpec") or {},
        "primaryContainerName": template.get("primaryContainerName")
        or workloads.primary_container(run),
        "successCondition": template["successCondition"],
        "failureCondition": template["failureCondition"],
    }
    for field, value in (
        ("earlyStoppingRules", proposal.get("earlyStoppingRules")),
        ("primaryPodLabels", template.get("primaryPodLabels")),
        ("labels", proposal.get("labels")),
    ):
        if value:
            wanted[field] = value
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kinds.TRIALS.kind,
        "metadata": _metadata(experiment, proposal),
        "spec": wanted,
    }


def _metadata(experiment: Object, proposal: _Part) -> Object:
    made: Object = {
        "name": proposal["name"],
        "namespace": metadata.namespace(experiment),
        "labels": {
            **metadata.labels(experiment),
            **(proposal.get("labels") or {}),
            kinds.EXPERIMENT_LABEL: metadata.name(experiment),
            kinds.INDEX_LABEL: str(proposal.get("index") or 0),
        },
        "ownerReferences": [metadata.owner_reference(experiment)],
        "finalizers": [FINALIZER],
    }
    told = checkpoints.annotations(experiment)
    if (beside := _side_by_side(experiment["spec"])) > 1:
        told[metadata.PARALLELISM] = str(beside)
    if proposal.get("resumes"):
        told[kinds.RESUMES] = proposal["resumes"]
    if told:
        made["annotations"] = told
    return made


def _side_by_side(spec: _Part) -> int:
    """Return how many trials of an experiment run at once."""
    counts = (spec.get(field) for field in ("parallelTrialCount", "maxTrialCount"))
    return min((int(each) for each in counts if each), default=1)
