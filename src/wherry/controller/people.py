"""What people may do with the products' kinds, by the roles that they have in a namespace anyway. Pure."""

from collections.abc import Sequence
from typing import Final

from wherry.controller.component import Component
from wherry.objects import kinds
from wherry.objects.requests import Object

_NAME: Final = "wherry"
_LOOK: Final = ("get", "list", "watch")
_CHANGE: Final = ("create", "delete", "deletecollection", "patch", "update")


def roles(components: Sequence[Component]) -> list[Object]:
    """Return the ClusterRoles that let a namespace's admins, editors and viewers use the kinds."""
    groups: dict[str, list[str]] = {}
    for component in components:
        for kind in component.kinds:
            groups.setdefault(kind.resource.group, []).append(kind.resource.plural)
    return [
        _role("edit", groups, (*_LOOK, *_CHANGE), ("edit", "admin")),
        _role("view", groups, _LOOK, ("view",)),
    ]


def _role(
    name: str, groups: dict[str, list[str]], verbs: Sequence[str], into: Sequence[str]
) -> Object:
    role = kinds.CLUSTER_ROLES
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"
    return {
        "apiVersion": role.api_version,
        "kind": role.kind,
        "metadata": {
            "name": f"{_NAME}-{name}",
            "labels": {f"{aggregate}{each}": "true" for each in into},
        },
        "rules": [
            {"apiGroups": [group], "resources": plurals, "verbs": [*verbs]}
            for group, plurals in groups.items()
        ],
    }
