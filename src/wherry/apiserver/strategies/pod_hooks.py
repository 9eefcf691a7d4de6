"""New pods that products change: what a webhook would do, done by functions, without a call."""

import dataclasses
from collections.abc import Sequence

from wherry.apiserver.strategies.rules import Rules
from wherry.apiserver.strategy import Context
from wherry.objects import errors, kinds, openapi
from wherry.objects.declared.pods import PodHook
from wherry.objects.requests import Object


def hooked(pods: Rules, hooks: Sequence[PodHook]) -> Rules:
    """Return the behaviour of pods with products' changes to new ones, before those of the system.

    Args:
        pods: How pods behave.
        hooks: Every pod is shown to each, whatever its labels: that costs no more than to select.
    """
    if not hooks:
        return pods

    def create(pod: Object, context: Context) -> None:
        for hook in hooks:
            if hook.done not in (pod["metadata"].get("labels") or {}):
                _apply(hook, pod, context, pods)
        pods.on_create(pod, context)

    return dataclasses.replace(pods, on_create=create)


def _apply(hook: PodHook, pod: Object, context: Context, pods: Rules) -> None:
    references = hook.references(pod)
    found = {
        each: context.lookup.get(each.resource, each.name, each.namespace) for each in references
    }
    if not any(found.values()):
        return
    changed = hook.change(pod, found)
    if changed is pod:
        return
    pod.clear()
    pod.update(changed)
    _shape(pod)
    # Containers that have come in have their defaults to get.
    pods.on_default(pod)


def _shape(pod: Object) -> None:
    """Hold a changed pod to the schema, in place: what comes in may be what a user wrote somewhere."""
    schema = openapi.schema_for(kinds.PODS.api_version, kinds.PODS.kind)
    schema.decode(pod)
    schema.default(pod)
    if causes := schema.check(pod):
        name = str(pod["metadata"].get("name") or "")
        raise errors.invalid(kinds.PODS.kind, name, causes)
