"""What is wrong with a TrainJob when it is written, as far as its runtime tells. Pure.

The same is checked again when it is run (`controller`): a runtime may come, go and change at any
time, and on a cluster without our webhooks nobody has looked.

Source: kubeflow/trainer 2.3 ``pkg/webhooks/trainjob_webhook.go`` and `ValidateObjects` of the runtimes.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from wherry.objects import metadata
from wherry.objects.declared.kind import Reference, Related, Seen
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.jobset import kinds as sets
from wherry.training.trainer import admission, build, checks, kinds, policies, train_job

_PATCHES: Final = ("runtimePatches", "podTemplateOverrides")


def _runtime(obj: Object) -> Reference:
    reference = obj["spec"]["runtimeRef"]
    if reference["kind"] == kinds.RUNTIMES.kind:
        return Reference(kinds.RUNTIMES, reference["name"], metadata.namespace(obj))
    return Reference(kinds.CLUSTER_RUNTIMES, reference["name"])


def _job_set(obj: Object) -> Reference:
    return Reference(sets.JOB_SETS, metadata.name(obj), metadata.namespace(obj))


def references(obj: Object, old: Object | None) -> Sequence[Reference]:
    """Return what a TrainJob is checked against: its runtime, and its JobSet when it is patched."""
    made = admission.default(obj)
    if made["spec"]["managedBy"] != kinds.CONTROLLER:
        return ()
    if old is None:
        return (_runtime(made),)
    changed = any(old["spec"].get(field) != obj["spec"].get(field) for field in _PATCHES)
    return (_runtime(made), _job_set(made)) if changed else ()


def validate(obj: Object, old: Object | None, seen: Seen) -> list[Cause]:
    """Return what is wrong with a TrainJob.

    Args:
        obj: With defaults filled in.
        old: As it was before; None: it is new.
        seen: What `references` names, as far as it could be looked up.
    """
    del old
    made = admission.default(obj)
    return [*_with_runtime(made, seen), *_with_job_set(made, seen)]


def _with_runtime(obj: Object, seen: Seen) -> Iterator[Cause]:
    wanted = _runtime(obj)
    if wanted not in seen:
        return
    runtime = seen[wanted]
    if runtime is None:
        where = f' in namespace "{wanted.namespace}"' if wanted.namespace else ""
        message = (
            f'"{wanted.name}": there is no {wanted.resource.kind} of this name{where}; create it '
            f"first (`kubectl get {wanted.resource.plural}` lists what there is)"
        )
        yield Cause("spec.runtimeRef.name", message)
        return
    draft = build.begin(train_job.read(obj), runtime)
    yield from checks.validate(policies.of(draft.policy), draft)


def _with_job_set(obj: Object, seen: Seen) -> Iterator[Cause]:
    found = seen.get(_job_set(obj))
    status = (found or {}).get("status") or {}
    for each in status.get("replicatedJobsStatus") or ():
        if each.get("active"):
            message = f'"{each["name"]}" still has pods: wait until they are gone'
            yield Cause("spec.runtimePatches", message, "FieldValueForbidden")


RELATED: Final = Related(references, validate)
