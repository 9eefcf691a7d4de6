"""Trainer v2 as the training component takes it in: its kinds, its rights, its first runtimes."""

from typing import Final

from wherry.builtin.gangs.kinds import POD_GROUPS, VOLCANO_POD_GROUPS
from wherry.objects.declared.kind import Column, Kind, Version
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training.jobset import kinds as sets
from wherry.training.trainer import admission, kinds, related
from wherry.training.trainer.runtime import RuntimeSpec


def _runtime(resource: Resource) -> Kind:
    version = Version(name=kinds.VERSION, spec=RuntimeSpec)
    return Kind(resource=resource, versions=(version,), validate=admission.validate_runtime)


KINDS: Final[tuple[Kind, ...]] = (
    Kind(
        resource=kinds.TRAIN_JOBS,
        versions=(
            Version(
                name=kinds.VERSION,
                spec=kinds.TrainJobSpec,
                status=kinds.TrainJobStatus,
                columns=(Column("State", "string", ".status.conditions[-1:].type"),),
            ),
        ),
        default=admission.default,
        validate=admission.validate,
        related=related.RELATED,
        warnings=admission.warnings,
    ),
    _runtime(kinds.RUNTIMES),
    _runtime(kinds.CLUSTER_RUNTIMES),
)
_VERBS: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]
RULES: Final[tuple[Object, ...]] = (
    *(
        {"apiGroups": [resource.group], "resources": [resource.plural], "verbs": _VERBS}
        for resource in (sets.JOB_SETS, POD_GROUPS, VOLCANO_POD_GROUPS)
    ),
    # The address that jobs send their state to, and whose the tokens are that they show.
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "get"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _VERBS},
    {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["tokenreviews"],
        "verbs": ["create"],
    },
)
