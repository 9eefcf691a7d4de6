"""Training as those who run it see it."""

import dataclasses
import functools
from collections.abc import Sequence

from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.objects.declared.kind import Kind
from wherry.objects.requests import Object
from wherry.training import admission, controller, frameworks
from wherry.training.chainer import component as chainer
from wherry.training.chainer import controller as chainer_controller
from wherry.training.framework import Framework, declared
from wherry.training.frameworks import mpi
from wherry.training.jobset import component as jobset
from wherry.training.jobset import controller as jobset_controller
from wherry.training.launched import controller as launched
from wherry.training.launched import mpi_job
from wherry.training.policies import gangs
from wherry.training.trainer import component as trainer
from wherry.training.trainer import controller as trainer_controller
from wherry.training.trainer import launchers, receiving, runtimes
from wherry.training.trainer.endpoint import Endpoint

_ALL_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_RULES: tuple[Object, ...] = (
    {"apiGroups": [""], "resources": ["pods", "services"], "verbs": _ALL_VERBS},
    {
        "apiGroups": ["autoscaling"],
        "resources": ["horizontalpodautoscalers"],
        "verbs": _ALL_VERBS,
    },
    {
        "apiGroups": [""],
        "resources": ["configmaps", "secrets", "serviceaccounts"],
        "verbs": _ALL_VERBS,
    },
    {
        "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings"],
        "verbs": _ALL_VERBS,
    },
    # Nobody may grant what he has not: launchers of MPI jobs start processes in their workers.
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create", "get"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": _ALL_VERBS},
    *(
        {"apiGroups": [groups.group], "resources": [groups.plural], "verbs": _ALL_VERBS}
        for groups in (gangs.GROUPS, gangs.VOLCANO_GROUPS)
    ),
)


def _kind(framework: Framework) -> Kind:
    if isinstance(framework, mpi.MPI):
        return mpi_job.KIND
    return declared(
        framework,
        default=functools.partial(admission.default, framework),
        validate=functools.partial(admission.validate, framework),
        warnings=admission.warnings,
    )


def of(chosen: Sequence[Framework]) -> Component:
    """Return the product with these frameworks: all of them, or one that is tried.

    Args:
        chosen: The frameworks.
    """

    def controllers(manager: Manager) -> list[Controller]:
        made = [controller.controller(manager, framework) for framework in chosen]
        if any(isinstance(framework, mpi.MPI) for framework in chosen):
            made.append(launched.controller(manager))
        return made

    return Component(
        name="training",
        kinds=tuple(_kind(framework) for framework in chosen),
        controllers=controllers,
        rules=_RULES,
    )


def _with_sets(jobs: Component) -> Component:
    """Return a product with ChainerJob, JobSet and Trainer v2 beside the jobs of a framework."""

    def controllers(manager: Manager) -> list[Controller]:
        endpoint = Endpoint(manager)
        receiving.serve(manager, endpoint)
        return [
            *jobs.controllers(manager),
            chainer_controller.controller(manager),
            jobset_controller.controller(manager),
            trainer_controller.controller(manager, endpoint),
            launchers.controller(manager),
        ]

    return dataclasses.replace(
        jobs,
        kinds=(*jobs.kinds, chainer.KIND, jobset.KIND, *trainer.KINDS),
        controllers=controllers,
        rules=(*jobs.rules, *chainer.RULES, *jobset.RULES, *trainer.RULES),
        objects=runtimes.all_runtimes,
    )


COMPONENT = _with_sets(of(frameworks.ALL))
