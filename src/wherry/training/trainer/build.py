"""From a TrainJob and its runtime to the JobSet that runs it. Pure.

Source: kubeflow/trainer 2.3 ``pkg/runtime/core/trainingruntime.go`` and its plug-in ``jobset``.
"""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.copies import copied
from wherry.objects.declared import reading
from wherry.objects.requests import Object
from wherry.training.jobset import kinds as sets
from wherry.training.trainer import draft as drafts
from wherry.training.trainer import groups, initializers, kinds, merging
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.policy import Policy
from wherry.training.trainer.runtime import RuntimeSpec
from wherry.training.trainer.train_job import TrainJob

_OVERRIDDEN: Final = ("metadata", "spec")


def begin(job: TrainJob, runtime: Object) -> Draft:
    """Return the draft of a job's JobSet: the runtime's template as it stands.

    Args:
        job: What is trained.
        runtime: The TrainingRuntime or ClusterTrainingRuntime; not changed.
    """
    spec: Mapping[str, Any] = runtime.get("spec") or {}
    template: Object = copied(spec.get("template") or {})
    template.setdefault("metadata", {})
    template.setdefault("spec", {}).setdefault("replicatedJobs", [])
    return Draft(job, reading.read(RuntimeSpec, spec), template)


def finish(policy: Policy, draft: Draft) -> None:
    """Put what the job says into its draft, in place."""
    _patch(draft)
    _train(draft)
    initializers.prepare(draft)
    for replicated in draft.replicated():
        if drafts.step_of(replicated) in kinds.CONTAINERS:
            replicated["replicas"] = 1
        _count(draft, replicated)
    policy.enforce(draft)
    groups.join(draft)


def job_set(draft: Draft) -> Object:
    """Return the JobSet of a finished draft."""
    job, meta = draft.job, draft.template["metadata"]
    labels, annotations = (meta.get(field) or {} for field in ("labels", "annotations"))
    return {
        "apiVersion": sets.JOB_SETS.api_version,
        "kind": sets.JOB_SETS.kind,
        "metadata": {
            "name": job.name,
            "namespace": job.namespace,
            "labels": {**labels, **job.spec.labels},
            "annotations": {**annotations, **job.spec.annotations},
            "ownerReferences": [metadata.owner_reference(job.obj)],
        },
        "spec": {**draft.template["spec"], "suspend": job.spec.suspend},
    }


def _patch(draft: Draft) -> None:
    for patch in draft.job.obj["spec"].get("runtimePatches") or ():
        template = (patch.get("trainingRuntimeSpec") or {}).get("template") or {}
        changed = merging.merged(draft.template, template)
        draft.template.update(changed)
    for override in draft.job.spec.pod_template_overrides:
        for target in override.get("targetJobs") or ():
            replicated = draft.called(str(target.get("name")))
            if replicated is not None:
                part: Object = {key: override[key] for key in _OVERRIDDEN if key in override}
                template = replicated["template"].setdefault("spec", {})
                template["template"] = merging.merged(template.get("template") or {}, part)


def _train(draft: Draft) -> None:
    trainer, wanted = draft.trainer(), draft.job.trainer
    if trainer is None:
        return
    if wanted.image:
        trainer["image"] = wanted.image
    if wanted.command:
        trainer["command"] = [*wanted.command]
    if wanted.args:
        trainer["args"] = [*wanted.args]
    for one in draft.training():
        if wanted.env:
            one["env"] = merging.keyed("env", one.get("env") or (), [*wanted.env])
        if wanted.resources_per_node:
            one["resources"] = merging.merged(one.get("resources") or {}, wanted.resources_per_node)


def _count(draft: Draft, replicated: Object) -> None:
    """Say how many pods a replicated job has."""
    job = replicated["template"].setdefault("spec", {})
    trains = drafts.step_of(replicated) == kinds.TRAINER and draft.runtime.ml_policy is not None
    asked = drafts.step_of(replicated) == kinds.TRAINER and draft.job.trainer.num_nodes is not None
    # With MPI the step that trains is the launcher, of which there is one.
    if (trains or asked) and draft.policy.mpi is None:
        count = draft.nodes
    else:
        given = job.get("parallelism")
        count = 1 if given is None else int(given)
    job["parallelism"] = job["completions"] = count
