"""A pod's spec with the patches that a Workflow and a template have for it."""

from collections.abc import Iterable
from typing import Any

from wherry.objects import errors, openapi
from wherry.objects.patches.strategic import strategic_merge
from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts import one_document


def patched(spec: Object, patches: Iterable[str]) -> Object:
    """Return a pod's spec with strategic merge patches done, one after the other.

    Containers that a patch adds are sidecars: they end with those that there were.

    Args:
        spec: Of the pod; not changed.
        patches: YAML or JSON; empty ones do nothing.

    Raises:
        StepError: one is no object, or cannot be done.
    """
    own = frozenset(each["name"] for each in spec["containers"])
    for text in patches:
        if text:
            try:
                pod = strategic_merge(
                    {"spec": spec}, {"spec": _read(text)}, openapi.schema_for("v1", "Pod")
                )
            except (errors.BadRequestError, errors.InvalidError) as error:
                raise StepError(f"podSpecPatch: {error.message}") from error
            spec = pod["spec"]
    return _with_sidecars(spec, own)


def _with_sidecars(spec: Object, own: frozenset[str]) -> Object:
    containers = spec.get("containers") or ()
    added = [each for each in containers if each.get("name") not in own]
    if not added:
        return spec
    beside = [{**each, "restartPolicy": "Always"} for each in added]
    return {
        **spec,
        "initContainers": [*(spec.get("initContainers") or ()), *beside],
        "containers": [each for each in containers if each.get("name") in own],
    }


def _read(text: str) -> Any:
    found = one_document.read(text, "podSpecPatch")
    if not isinstance(found, dict):
        raise StepError(f"podSpecPatch is {found!r}; want an object with fields of a pod's spec")
    return found
