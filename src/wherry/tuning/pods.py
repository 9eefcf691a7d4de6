"""Pods of trials that nobody has made ready beforehand: their template is not in what the trial runs.

A TrainJob's pods come from a runtime, a Workflow's from its controller. They are made ready when they
are made, as Katib's webhook does: variables, labels, the collector's sidecar. Pure.

Source: kubeflow/katib 0.19, ``pkg/webhook/v1beta1/pod/inject_webhook.go``.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.declared.kind import Reference, Seen
from wherry.objects.declared.pods import PodHook
from wherry.objects.requests import Object
from wherry.tuning import (
    checkpoints,
    collecting,
    collectors,
    kinds,
    pipeline_runs,
    trial_status,
    workloads,
)

RUN_LABELS: Final = (
    # Kinds whose pods come from elsewhere name them after themselves, and so after the trial.
    "jobset.sigs.k8s.io/jobset-name",
    "workflows.argoproj.io/workflow",
    "tekton.dev/pipelineRun",
    pipeline_runs.RUN_LABEL,
)
_NAMESPACES: Final = (("katib.kubeflow.org/metrics-collector-injection", "enabled"),)
# Owners of pods that are no trial's own object: those have their template in it.
_GENERAL: Final = frozenset({"", "apps", "batch"})


def _names(pod: Object) -> Iterator[str]:
    """Yield the names that the trial of a pod may have."""
    labels = metadata.labels(pod)
    for label in RUN_LABELS:
        if labels.get(label):
            yield labels[label]
    owner = metadata.controller_of(pod)
    if owner is not None and owner["apiVersion"].rpartition("/")[0] not in _GENERAL:
        yield str(owner["name"])


def _references(pod: Object) -> Sequence[Reference]:
    namespace = metadata.namespace(pod)
    names = dict.fromkeys(_names(pod))
    return [Reference(kinds.TRIALS, name, namespace) for name in names]


def _change(pod: Object, seen: Seen) -> Object:
    for trial in seen.values():
        # Some may have come by another way than by an experiment, and have nothing in them.
        if trial is not None and trial.get("spec") and not trial_status.is_finished(trial):
            return made_ready(trial, pod)
    return pod


def made_ready(trial: Object, pod: Object) -> Object:
    """Return a pod of a trial with labels, and the primary one with all that it needs.

    Args:
        trial: The stored Trial.
        pod: As what the trial runs has made it.
    """
    made = copied(pod)
    workloads.label(trial, made)
    if not workloads.is_primary(trial, made):
        return made
    container = str(trial["spec"].get("primaryContainerName") or "")
    if container and not workloads.has_container(made, container):
        return made
    workloads.tell(trial, made)
    complete(trial, made)
    return made


def complete(trial: Object, pod: Object) -> None:
    """Give the primary pod of a trial, or its template, what metrics and checkpoints need, in place."""
    found = collectors.of(trial)
    if found is not None:
        found.prepare(collecting.wanted_of(trial), pod)
    checkpoints.prepare(trial, pod)


HOOK: Final = PodHook(
    labels=RUN_LABELS,
    namespaces=_NAMESPACES,
    done=kinds.TRIAL_LABEL,
    references=_references,
    change=_change,
)
