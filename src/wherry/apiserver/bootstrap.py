"""The objects every cluster is born with: namespaces, default roles and their bindings.

Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy` of Kubernetes, for the roles that people
and their tools name; priority classes as in `pkg/apis/scheduling`.
"""

from collections.abc import Sequence

from wherry.apiserver.auth import bootstrap_system
from wherry.objects.requests import Object

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_ALL = (*_READ, *_WRITE)

_RBAC = "rbac.authorization.k8s.io"
_AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
_BOOTSTRAPPING = "kubernetes.io/bootstrapping"


def namespaces() -> list[Object]:
    """Return the namespaces that exist from the start."""
    names = ("default", "kube-system", "kube-public", "kube-node-lease")
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]


def priority_classes() -> list[Object]:
    """Return the two system priority classes."""
    about = {
        "system-cluster-critical": (2_000_000_000, "Used for system critical pods that must run."),
        "system-node-critical": (2_000_001_000, "Used for pods that their node cannot do without."),
    }
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }
        for name, (value, description) in about.items()
    ]


def roles() -> list[Object]:
    """Return the default roles."""
    return [
        _cluster_role("cluster-admin", [_rule(["*"], ["*"], ["*"]), _paths(["*"], ["*"])]),
        _cluster_role("system:discovery", [_paths(["get"], _DISCOVERY_PATHS)]),
        _cluster_role("system:public-info-viewer", [_paths(["get"], _PUBLIC_PATHS)]),
        _cluster_role("system:monitoring", [_paths(["get"], _MONITORING_PATHS)]),
        _cluster_role(
            "system:basic-user",
            [
                _rule(
                    ["create"],
                    ["authorization.k8s.io"],
                    ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
                ),
                _rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"]),
            ],
        ),
        _cluster_role(
            "system:auth-delegator",
            [
                _rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
                _rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews"]),
            ],
        ),
        _cluster_role(
            "system:service-account-issuer-discovery",
            [_paths(["get"], ["/.well-known/openid-configuration", "/openid/v1/jwks"])],
        ),
        _aggregate("view", ["rbac.authorization.k8s.io/aggregate-to-view"]),
        _aggregate("edit", ["rbac.authorization.k8s.io/aggregate-to-edit"]),
        _aggregate("admin", ["rbac.authorization.k8s.io/aggregate-to-admin"]),
        _cluster_role("system:aggregate-to-view", _VIEW, to=("view", "edit", "admin")),
        _cluster_role("system:aggregate-to-edit", _EDIT, to=("edit", "admin")),
        _cluster_role("system:aggregate-to-admin", _ADMIN, to=("admin",)),
        _cluster_role(
            "system:aggregated-metrics-reader",
            [_rule(_READ, ["metrics.k8s.io"], ["nodes", "pods"])],
            to=("view", "edit", "admin"),
        ),
        *(_cluster_role(name, rules) for name, rules in bootstrap_system.ROLES.items()),
    ]


def role_bindings() -> list[Object]:
    """Return the default bindings."""
    everyone = ["system:authenticated"]
    return [
        _cluster_role_binding("cluster-admin", ["system:masters"]),
        _cluster_role_binding("system:discovery", everyone),
        _cluster_role_binding("system:basic-user", everyone),
        _cluster_role_binding("system:monitoring", ["system:monitoring"]),
        _cluster_role_binding("system:public-info-viewer", [*everyone, "system:unauthenticated"]),
        _cluster_role_binding(
            "system:service-account-issuer-discovery", ["system:serviceaccounts"]
        ),
        *(_user_binding(role, user) for role, user in bootstrap_system.USERS.items()),
    ]


def _rule(verbs: Sequence[str], groups: Sequence[str], resources: Sequence[str]) -> Object:
    return {"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources)}


def _paths(verbs: Sequence[str], paths: Sequence[str]) -> Object:
    return {"verbs": list(verbs), "nonResourceURLs": list(paths)}


def _default_metadata(name: str) -> Object:
    return {
        "name": name,
        "labels": {_BOOTSTRAPPING: "rbac-defaults"},
        "annotations": {_AUTOUPDATE: "true"},
    }


def _cluster_role(name: str, rules: Sequence[Object], to: Sequence[str] = ()) -> Object:
    metadata = _default_metadata(name)
    for role in to:
        metadata["labels"][f"rbac.authorization.k8s.io/aggregate-to-{role}"] = "true"
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": list(rules),
    }


def _aggregate(name: str, labels: Sequence[str]) -> Object:
    role = _cluster_role(name, [])
    role["aggregationRule"] = {
        "clusterRoleSelectors": [{"matchLabels": {label: "true"}} for label in labels]
    }
    return role


def _user_binding(role: str, user: str) -> Object:
    binding = _cluster_role_binding(role, ())
    binding["subjects"] = [{"apiGroup": _RBAC, "kind": "User", "name": user}]
    return binding


def _cluster_role_binding(name: str, groups: Sequence[str]) -> Object:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _default_metadata(name),
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
        "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups],
    }


_PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY_PATHS = (
    *("/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez"),
    *("/openapi", "/openapi/*", "/readyz", "/version", "/version/"),
)
_MONITORING_PATHS = (
    *("/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis"),
    *("/readyz", "/readyz/*"),
)

_WORKLOADS = (
    *("daemonsets", "deployments", "deployments/scale"),
    *("replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale"),
)
_CORE_SPECS = (
    *("configmaps", "events", "persistentvolumeclaims", "pods"),
    *("replicationcontrollers", "replicationcontrollers/scale", "services"),
)
_DISRUPTION = ("poddisruptionbudgets",)
_INGRESSES = ("ingresses", "networkpolicies")

_VIEW = (
    _rule(
        _READ,
        [""],
        [
            *_CORE_SPECS,
            *("bindings", "endpoints", "limitranges", "namespaces", "namespaces/status"),
            *("persistentvolumeclaims/status", "pods/log", "pods/status"),
            *("replicationcontrollers/status", "resourcequotas", "resourcequotas/status"),
            *("serviceaccounts", "services/status"),
        ],
    ),
    _rule(_READ, ["discovery.k8s.io"], ["endpointslices"]),
    _rule(_READ, ["events.k8s.io"], ["events"]),
    _rule(
        _READ,
        ["apps"],
        [
            *_WORKLOADS,
            "controllerrevisions",
            *(f"{kind}/status" for kind in ("daemonsets", "deployments")),
            *(f"{kind}/status" for kind in ("replicasets", "statefulsets")),
        ],
    ),
    _rule(
        _READ,
        ["autoscaling"],
        ["horizontalpodautoscalers", "horizontalpodautoscalers/status"],
    ),
    _rule(_READ, ["batch"], ["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    _rule(_READ, ["policy"], [*_DISRUPTION, "poddisruptionbudgets/status"]),
    _rule(_READ, ["networking.k8s.io"], [*_INGRESSES, "ingresses/status"]),
)
_EDIT = (
    _rule(
        _READ,
        [""],
        ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"],
    ),
    _rule(["impersonate"], [""], ["serviceaccounts"]),
    _rule(
        _WRITE,
        [""],
        [
            *_CORE_SPECS,
            *("pods/attach", "pods/exec", "pods/portforward", "pods/proxy"),
            *("secrets", "serviceaccounts", "services/proxy"),
        ],
    ),
    # Not endpoints: who writes them leads others' traffic astray (CVE-2021-25740).
    _rule(["create"], [""], ["pods/eviction", "serviceaccounts/token"]),
    _rule(["patch", "update"], [""], ["pods/resize"]),
    _rule(_WRITE, ["apps"], [*_WORKLOADS, "deployments/rollback"]),
    _rule(_WRITE, ["autoscaling"], ["horizontalpodautoscalers"]),
    _rule(_WRITE, ["batch"], ["cronjobs", "jobs"]),
    _rule(_WRITE, ["policy"], _DISRUPTION),
    _rule(_WRITE, ["networking.k8s.io"], _INGRESSES),
    _rule(_ALL, ["coordination.k8s.io"], ["leases"]),
)
_ADMIN = (
    _rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
    _rule(_ALL, [_RBAC], ["rolebindings", "roles"]),
)
