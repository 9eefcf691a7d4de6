"""A pod's settings beside its containers: those of the template go before those of the Workflow.

Source: argoproj/argo-workflows v4, ``workflow/controller/workflowpod.go`` (addSchedulingConstraints,
setupServiceAccount, addVolumeReferences, addMetadata).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.pipelines.steps.draft import Draft, StepError
from wherry.pipelines.workflows.artifacts.order import Order

_EITHER: Final = (
    ("nodeSelector", "nodeSelector", "nodeSelector"),
    ("affinity", "affinity", "affinity"),
    ("tolerations", "tolerations", "tolerations"),
    ("schedulerName", "schedulerName", "schedulerName"),
    ("priorityClassName", "priorityClassName", "podPriorityClassName"),
    ("securityContext", "securityContext", "securityContext"),
    ("serviceAccountName", "serviceAccountName", "serviceAccountName"),
    ("resources", "podResources", "podResources"),
    ("resourceClaims", "resourceClaims", "resourceClaims"),
    ("automountServiceAccountToken",) * 3,
)
"""Field of the pod, of the template, of the Workflow."""
_OF_WORKFLOW: Final = ("imagePullSecrets", "hostNetwork", "dnsPolicy", "dnsConfig")


def apply(draft: Draft, order: Order) -> None:
    """Put the settings into a pod whose containers are there.

    Raises:
        StepError: a container mounts a volume that there is not.
    """
    template, spec = order.template, order.spec
    for field, inner, outer in _EITHER:
        value = template.get(inner)
        value = spec.get(outer) if value in (None, "", [], {}) else value
        if value not in (None, "", [], {}):
            draft.spec.setdefault(field, copied(value))
    for field in _OF_WORKFLOW:
        if spec.get(field) not in (None, "", []):
            draft.spec[field] = copied(spec[field])
    aliases = [*(spec.get("hostAliases") or ()), *(template.get("hostAliases") or ())]
    if aliases:
        draft.spec["hostAliases"] = copied(aliases)
    _deadline(draft, order)
    for told in (spec.get("podMetadata") or {}, template.get("metadata") or {}):
        draft.labels.update(told.get("labels") or {})
        draft.annotations.update(told.get("annotations") or {})
    _volumes(draft, order)


def _deadline(draft: Draft, order: Order) -> None:
    told = order.template.get("activeDeadlineSeconds")
    left = None if order.on_exit else order.deadline
    try:
        wanted = [int(each) for each in (told, left) if each not in (None, "")]
    except (TypeError, ValueError) as error:
        raise StepError(f"activeDeadlineSeconds is {told!r}; want whole seconds") from error
    if wanted:
        draft.spec["activeDeadlineSeconds"] = max(min(wanted), 1)


def _volumes(draft: Draft, order: Order) -> None:
    """Add the volumes that containers mount; of the template's own all."""
    own = [*(order.template.get("volumes") or ())]
    known = {each["name"]: each for each in (*_claims(order), *(order.spec.get("volumes") or ()))}
    known |= {each["name"]: each for each in own}
    present: list[Object] = draft.spec.setdefault("volumes", [])
    names = {each["name"] for each in present}
    wanted = [each["name"] for each in own]
    for container, name in _mounted(draft.spec):
        if name not in known and name not in names:
            there = ", ".join(sorted(known)) or "none"
            raise StepError(
                f"container {container}: volumeMounts: there is no volume {name!r}; there are: {there}"
            )
        wanted.append(name)
    present += [copied(known[name]) for name in dict.fromkeys(wanted) if name not in names]


def _claims(order: Order) -> Iterator[Mapping[str, Any]]:
    for name, claim in order.claims.items():
        yield {"name": name, "persistentVolumeClaim": {"claimName": claim}}


def _mounted(spec: Object) -> Iterable[tuple[str, str]]:
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        for mount in container.get("volumeMounts") or ():
            yield container.get("name", ""), mount["name"]
