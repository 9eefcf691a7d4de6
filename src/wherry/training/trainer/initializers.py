"""What is fetched before the training begins: which Jobs do it, and where it lies afterwards. Pure.

Source: kubeflow/trainer 2.3 ``pkg/runtime/framework/plugins/jobset``. There a runtime whose
initializer mounts no volume called ``initializer`` is refused, upstream's own example
``05-multi-step.yaml`` with it; here its pods are given one to share.
"""

from collections.abc import Iterator
from typing import Final

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.training.trainer import draft as drafts
from wherry.training.trainer import kinds, merging
from wherry.training.trainer.draft import Draft
from wherry.training.trainer.kinds import SourceInitializer

CLAIM: Final[Object] = {
    "metadata": {"name": kinds.INITIALIZER_VOLUME},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}},
}
"""Template of the claim that the pods of a job share."""
MOUNT: Final[Object] = {"name": kinds.INITIALIZER_VOLUME, "mountPath": "/workspace"}
"""Where they find it."""

_CACHED: Final = "cache://"
"""What is served by a cache in the cluster lies in no volume."""


def _asked(draft: Draft) -> Iterator[tuple[str, str, SourceInitializer]]:
    """Yield field, step and wish of what the job wants fetched."""
    given = draft.job.spec.initializer
    if given is not None and given.dataset is not None:
        yield "dataset", kinds.DATASET_INITIALIZER, given.dataset
    if given is not None and given.model is not None:
        yield "model", kinds.MODEL_INITIALIZER, given.model


def validate(draft: Draft) -> Iterator[Cause]:
    """Yield what the runtime lacks to fetch what the job wants."""
    for field, name, _ in _asked(draft):
        problem = _lacking(draft, name)
        if problem:
            runtime = draft.job.spec.runtime_ref.name
            yield Cause(f"spec.initializer.{field}", f'runtime "{runtime}" {problem}')


def _lacking(draft: Draft, name: str) -> str:
    replicated = draft.step(name) or draft.called(name)
    if replicated is None:
        return f'has no replicated job for the step "{name}"'
    container = drafts.container(replicated, name)
    if container is None:
        return f'has no container "{name}" in its replicated job "{replicated["name"]}"'
    volumes = drafts.pod_spec(replicated).get("volumes") or ()
    if not _mounts(container) and any(one.get("name") == MOUNT["name"] for one in volumes):
        return f'has a volume "{MOUNT["name"]}" that its container "{name}" does not mount'
    return ""


def _mounts(container: Object) -> bool:
    return any(
        mount.get("name") == MOUNT["name"] or mount.get("mountPath") == MOUNT["mountPath"]
        for mount in container.get("volumeMounts") or ()
    )


def prepare(draft: Draft) -> None:
    """Tell the initializers of a draft what to fetch, and have its pods share it, in place."""
    for _, name, wanted in _asked(draft):
        replicated = draft.step(name) or draft.called(name)
        one = drafts.container(replicated, name) if replicated is not None else None
        if replicated is None or one is None:
            continue
        _fetch(one, wanted)
        if not _mounts(one) and not wanted.storage_uri.startswith(_CACHED):
            _share(draft, one)


def _fetch(one: Object, wanted: SourceInitializer) -> None:
    if wanted.storage_uri:
        drafts.give(one, {"STORAGE_URI": wanted.storage_uri})
    if wanted.env:
        one["env"] = merging.keyed("env", one.get("env") or (), [*wanted.env])
    if wanted.secret_ref.get("name"):
        source = {"secretRef": {"name": wanted.secret_ref["name"]}}
        one["envFrom"] = [*(one.get("envFrom") or ()), source]


def _share(draft: Draft, initializer: Object) -> None:
    """Mount a claim in a container that fetches and in those that train."""
    for one in (initializer, *draft.training()):
        if not _mounts(one):
            one["volumeMounts"] = [*(one.get("volumeMounts") or ()), dict(MOUNT)]
    policies = draft.template["spec"].setdefault("volumeClaimPolicies", [])
    templates = [each for policy in policies for each in policy.get("templates") or ()]
    if all((each.get("metadata") or {}).get("name") != MOUNT["name"] for each in templates):
        policies.append({"templates": [merging.merged({}, CLAIM)]})
