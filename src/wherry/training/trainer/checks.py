"""What is wrong with a TrainJob when its runtime is looked at. Pure.

Source: kubeflow/trainer 2.3, the `Validate` of its plug-ins.
"""

from collections.abc import Iterator

from wherry.objects.errors import Cause
from wherry.training.trainer import draft as drafts
from wherry.training.trainer import initializers, kinds
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.kinds import PodSpecPatch, ReplicatedJobPatch, RuntimePatch
from wherry.training.trainer.policy import Policy

_OWN_ENV = frozenset(kinds.CONTAINERS.values())


def validate(policy: Policy, draft: Draft) -> list[Cause]:
    """Return what is wrong.

    Args:
        policy: That the runtime asks for.
        draft: Of the two; before anything of the job is in it.
    """
    return [
        *_reserved(policy, draft),
        *initializers.validate(draft),
        *_patches(draft),
        *policy.validate(draft),
    ]


def _reserved(policy: Policy, draft: Draft) -> Iterator[Cause]:
    for index, variable in enumerate(draft.job.trainer.env):
        name = str(variable.get("name"))
        if name in policy.reserved:
            message = f'"{name}": is set by the {policy.field} policy of the runtime'
            yield Cause(f"spec.trainer.env[{index}].name", message, "FieldValueForbidden")


def _patches(draft: Draft) -> Iterator[Cause]:
    for index, patch in enumerate(draft.job.spec.runtime_patches):
        for each in _of(patch):
            yield from _replicated(draft, each, f"spec.runtimePatches[{index}]")


def _of(patch: RuntimePatch) -> tuple[ReplicatedJobPatch, ...]:
    spec = patch.training_runtime_spec
    template = spec.template if spec is not None else None
    inner = template.spec if template is not None else None
    return inner.replicated_jobs if inner is not None else ()


def _replicated(draft: Draft, patch: ReplicatedJobPatch, field: str) -> Iterator[Cause]:
    replicated = draft.called(patch.name)
    if replicated is None:
        known = ", ".join(each["name"] for each in draft.replicated())
        message = f'"{patch.name}": the runtime has no such replicated job; it has {known}'
        yield Cause(field, message)
        return
    job = patch.template.spec if patch.template is not None else None
    pod = job.template.spec if job is not None and job.template is not None else None
    if pod is not None:
        yield from _containers(replicated, pod, field)


def _containers(replicated: dict[str, object], pod: PodSpecPatch, field: str) -> Iterator[Cause]:
    for each in (*pod.init_containers, *pod.containers):
        if drafts.container(replicated, each.name) is None:
            held = ", ".join(str(one.get("name")) for one in drafts.containers(replicated))
            message = f'"{each.name}": "{replicated["name"]}" has no such container; it has {held}'
            yield Cause(field, message)
        elif each.env and each.name in _OWN_ENV:
            message = (
                f'"{each.name}": its variables stand in spec.trainer.env and in '
                "spec.initializer, not in a patch"
            )
            yield Cause(field, message, "FieldValueForbidden")
