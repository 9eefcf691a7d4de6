"""Tuning as those who run it see it."""

from collections.abc import Sequence
from typing import Any, Final

from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.objects.declared.kind import Column, Kind, Version
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.tuning import (
    admission,
    collecting,
    defaults,
    kinds,
    measuring,
    pods,
    related,
    rights,
    settings,
    trial_checks,
    v1alpha3,
)
from wherry.tuning.api import address
from wherry.tuning.asking import Asker
from wherry.tuning.controller import experiment, suggestion, trial
from wherry.tuning.controller.runs import TRIAL_CONTROLLER

_OLD: Final = (
    "kubeflow.org/v1alpha3 is of Kubeflow 1.0 and before; it is served for what was written then: "
    "write kubeflow.org/v1beta1"
)
_ALL_VERBS: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]
_RULES: Final[tuple[Object, ...]] = (
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "patch", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]},
    # The API of Katib's database, under its name; and algorithms that are others' services.
    {"apiGroups": [""], "resources": ["services"], "verbs": _ALL_VERBS},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": _ALL_VERBS},
    {
        "apiGroups": [""],
        "resources": ["persistentvolumeclaims", "persistentvolumes"],
        "verbs": ["create", "get"],
    },
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["create", "get", "patch", "update"],
    },
    # Whether who has made an experiment may have its trials made.
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["subjectaccessreviews"],
        "verbs": ["create"],
    },
    {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["get", "list", "watch"],
    },
    # What trials run; who has them run kinds of others gives the right to make these.
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": _ALL_VERBS},
    {
        "apiGroups": ["kubeflow.org", "trainer.kubeflow.org", "jobset.x-k8s.io"],
        "resources": ["*"],
        "verbs": _ALL_VERBS,
    },
    {"apiGroups": ["wherry.dev"], "resources": ["pipelineruns"], "verbs": _ALL_VERBS},
)


def _versions(
    spec: type[Any], status: type[Any], columns: tuple[Column, ...]
) -> tuple[Version, ...]:
    return (
        Version(name=kinds.V1BETA1, spec=spec, status=status, columns=columns),
        Version(name=kinds.V1ALPHA3, spec=spec, status=status, columns=columns, deprecated=_OLD),
    )


def _kind(
    resource: Resource,
    spec: type[Any],
    status: type[Any],
    columns: tuple[Column, ...],
    **functions: Any,
) -> Kind:
    return Kind(
        resource=resource,
        versions=_versions(spec, status, columns),
        convert=v1alpha3.convert,
        **functions,
    )


_KINDS: Final = (
    _kind(
        kinds.EXPERIMENTS,
        kinds.ExperimentSpec,
        kinds.ExperimentStatus,
        kinds.EXPERIMENT_COLUMNS,
        default=defaults.default,
        validate=admission.validate,
        related=related.RELATED,
        rights=rights.of_experiment,
        maker=rights.MAKER,
    ),
    _kind(
        kinds.SUGGESTIONS,
        kinds.SuggestionSpec,
        kinds.SuggestionStatus,
        kinds.SUGGESTION_COLUMNS,
    ),
    _kind(
        kinds.TRIALS,
        kinds.TrialSpec,
        kinds.TrialStatus,
        kinds.TRIAL_COLUMNS,
        validate=trial_checks.validate,
        rights=rights.of_trial,
    ),
)


def _controllers(manager: Manager) -> Sequence[Controller]:
    asker = Asker()
    # Controllers that are ending still ask.
    manager.afterwards(asker.close)
    measuring.measure(manager)
    metrics = collecting.of(manager, lambda request: manager.request(TRIAL_CONTROLLER, request))
    address.serve(manager, metrics)
    return (
        experiment.controller(manager),
        suggestion.controller(manager, asker, metrics),
        trial.controller(manager, metrics),
    )


COMPONENT: Final = Component(
    name="tuning",
    kinds=_KINDS,
    controllers=_controllers,
    rules=_RULES,
    objects=settings.objects,
    pods=pods.HOOK,
)
