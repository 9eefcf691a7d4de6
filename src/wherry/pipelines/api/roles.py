"""Rights: those that the service itself needs, and the roles that let people use it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from wherry.metadata.artifacts import defaults
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.api.access import GROUP
from wherry.pipelines.api.serving import NAME
from wherry.pipelines.definitions.kinds import SHARED
from wherry.pipelines.kinds import URLS_SECRET


class Front(NamedTuple):
    """A Service through which people call us.

    Attributes:
        namespace: Of it.
        name: Of it.
        port: Name of its port.
        number: Of that.
    """

    namespace: str
    name: str
    port: str
    number: int


FRONT: Final = Front(SHARED, NAME, "http", 8888)
_PROXY: Final = "wherry-pipelines-proxy"
_RBAC: Final = core.CLUSTER_ROLES.group
_LOOK: Final = {
    "experiments": ("get", "list"),
    "jobs": ("get", "list"),
    "pipelines": ("get", "list"),
    "runs": ("get", "list", "readArtifact"),
    "viewers": ("get",),
    "visualizations": ("get",),
}
_CHANGE: Final = {
    "experiments": ("archive", "create", "delete", "unarchive"),
    "jobs": ("create", "delete", "disable", "enable"),
    "pipelines": ("create", "delete", "update"),
    "runs": (
        "archive",
        "create",
        "delete",
        "reportMetrics",
        "retry",
        "terminate",
        "unarchive",
    ),
    "viewers": ("create", "delete"),
    "visualizations": ("create",),
}
RULES: Final[tuple[Object, ...]] = (
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "get"]},
    # The keys of a namespace's store, by upstream's name. Others are the namespace's to allow.
    {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [defaults.SECRET],
        "verbs": ["get"],
    },
    {"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["get"]},
    {"apiGroups": [core.TOKEN_REVIEWS.group], "resources": ["tokenreviews"], "verbs": ["create"]},
    {
        "apiGroups": [core.SUBJECT_ACCESS_REVIEWS.group],
        "resources": ["subjectaccessreviews"],
        "verbs": ["create"],
    },
)
"""What the service may do in all namespaces, in the form of a ClusterRole's rules."""
_HOSTING: Final[tuple[Object, ...]] = (
    {"apiGroups": [""], "resources": ["services"], "verbs": ["create", "get", "update"]},
    {
        "apiGroups": [core.ENDPOINT_SLICES.group],
        "resources": ["endpointslices"],
        "verbs": ["create", "get", "update"],
    },
)
_SIGNING: Final[tuple[Object, ...]] = (
    {
        "apiGroups": [""],
        "resources": ["secrets"],
        "resourceNames": [URLS_SECRET],
        "verbs": ["get"],
    },
    # Who may create something may do so under any name.
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
)


def local_rules(fronts: Sequence[Front]) -> Mapping[str, tuple[Object, ...]]:
    """Return what the service may do in the namespaces of its Services alone, by their names."""
    hosting = {each.namespace: _HOSTING for each in fronts}
    return {**hosting, SHARED: (*_HOSTING, *_SIGNING)}


def objects(fronts: Sequence[Front]) -> Sequence[Object]:
    """Return where the services are."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each.namespace}}
        for each in fronts
    ]


def for_people(fronts: Sequence[Front]) -> Sequence[Object]:
    """Return what lets people use the services, from the start.

    Viewers and editors of a namespace get its rights there; the way to them through the API server is
    everyone's, for they check each call themselves.
    """
    everyone = {"kind": "Group", "apiGroup": _RBAC, "name": "system:authenticated"}
    return (
        *objects(fronts),
        _cluster_role("view", _rules(_LOOK), ("view", "edit", "admin")),
        _cluster_role("edit", _rules(_CHANGE), ("edit", "admin")),
        *(
            obj
            for front in fronts
            for obj in (
                {**_head("Role", front), "rules": [_proxy_rule(front)]},
                {
                    **_head("RoleBinding", front),
                    "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": _PROXY},
                    "subjects": [everyone],
                },
            )
        ),
    )


def _cluster_role(name: str, rules: list[Object], into: tuple[str, ...]) -> Object:
    labels = {f"rbac.authorization.k8s.io/aggregate-to-{each}": "true" for each in into}
    return {
        "apiVersion": core.CLUSTER_ROLES.api_version,
        "kind": core.CLUSTER_ROLES.kind,
        "metadata": {"name": f"wherry-pipelines-{name}", "labels": labels},
        "rules": rules,
    }


def _rules(rights: dict[str, tuple[str, ...]]) -> list[Object]:
    return [
        {"apiGroups": [GROUP], "resources": [resource], "verbs": [*verbs]}
        for resource, verbs in rights.items()
    ]


def _head(kind: str, front: Front) -> Object:
    return {
        "apiVersion": core.CLUSTER_ROLES.api_version,
        "kind": kind,
        "metadata": {"name": _PROXY, "namespace": front.namespace},
    }


def _proxy_rule(front: Front) -> Object:
    name, ports = front.name, (front.port, str(front.number))
    names = [name, *(f"{scheme}{name}:{port}" for scheme in ("", "http:") for port in ports)]
    return {
        "apiGroups": [""],
        "resources": ["services/proxy"],
        "resourceNames": names,
        "verbs": ["create", "delete", "get", "patch", "update"],
    }
