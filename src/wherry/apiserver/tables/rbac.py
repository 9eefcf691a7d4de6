"""Rows of the bindings of ``rbac.authorization.k8s.io``; roles show name and time of creation."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import AGE, CREATED_AT, NAME, Layout, column
from wherry.objects.requests import Object


def _role(obj: Object, now: datetime.datetime) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def _named(subjects: list[dict[str, Any]], kind: str) -> str:
    return ", ".join(one.get("name", "") for one in subjects if one.get("kind") == kind)


def _binding(obj: Object, now: datetime.datetime) -> list[Any]:
    role, subjects = obj.get("roleRef") or {}, obj.get("subjects") or []
    accounts = (one for one in subjects if one.get("kind") == "ServiceAccount")
    return [
        obj["metadata"]["name"],
        f"{role.get('kind', '')}/{role.get('name', '')}",
        texts.age(obj, now),
        _named(subjects, "User"),
        _named(subjects, "Group"),
        ", ".join(f"{one.get('namespace', '')}/{one.get('name', '')}" for one in accounts),
    ]


_ROLE = Layout((NAME, CREATED_AT), _role)
_BINDING = Layout(
    (
        NAME,
        column("Role", "Kind and name of the role."),
        AGE,
        column("Users", "Users it is given to.", priority=1),
        column("Groups", "Groups it is given to.", priority=1),
        column("ServiceAccounts", "Service accounts it is given to.", priority=1),
    ),
    _binding,
)

_GROUP = "rbac.authorization.k8s.io"
TABLES = {
    f"roles.{_GROUP}": _ROLE,
    f"clusterroles.{_GROUP}": _ROLE,
    f"rolebindings.{_GROUP}": _BINDING,
    f"clusterrolebindings.{_GROUP}": _BINDING,
}
