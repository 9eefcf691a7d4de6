"""Training as those who run it see it."""

import functools
from collections.abc import Sequence

from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.objects.declared.kind import Kind
from wherry.objects.requests import Object
from wherry.training import admission, controller, frameworks
from wherry.training.framework import Framework, declared
from wherry.training.policies import gangs

_ALL_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
_RULES: tuple[Object, ...] = (
    {"apiGroups": [""], "resources": ["pods", "services"], "verbs": _ALL_VERBS},
    {
        "apiGroups": ["autoscaling"],
        "resources": ["horizontalpodautoscalers"],
        "verbs": _ALL_VERBS,
    },
    *(
        {"apiGroups": [groups.group], "resources": [groups.plural], "verbs": _ALL_VERBS}
        for groups in (gangs.GROUPS, gangs.VOLCANO_GROUPS)
    ),
)


def _kind(framework: Framework) -> Kind:
    return declared(
        framework,
        default=functools.partial(admission.default, framework),
        validate=functools.partial(admission.validate, framework),
        warnings=admission.warnings,
    )


def _controllers(manager: Manager) -> Sequence[Controller]:
    return [controller.controller(manager, framework) for framework in frameworks.ALL]


COMPONENT = Component(
    name="training",
    kinds=tuple(_kind(framework) for framework in frameworks.ALL),
    controllers=_controllers,
    rules=_RULES,
)
