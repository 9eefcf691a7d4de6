"""Default roles of a cluster's own parts and of those who approve certificates.

Nothing of this platform needs them; charts, operators and people's bindings name them. Source:
`plugin/pkg/auth/authorizer/rbac/bootstrappolicy` of Kubernetes, without what no longer exists.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from wherry.objects.requests import Object

Rules = Sequence[Object]

_READ: Final = "get list watch"
_CERTIFICATES: Final = "certificates.k8s.io"
_CSR: Final = "certificatesigningrequests"


def _rule(verbs: str, resources: str, groups: str = "core", names: str = "") -> Object:
    """Return a rule from words; ``core`` is the group without a name."""
    rule: Object = {
        "verbs": verbs.split(),
        "apiGroups": ["" if group == "core" else group for group in groups.split()],
        "resources": resources.split(),
    }
    return rule | ({"resourceNames": names.split()} if names else {})


def _events() -> Object:
    return _rule("create patch update", "events", "core events.k8s.io")


_NODE: Final[Rules] = (
    _rule("create", "tokenreviews", "authentication.k8s.io"),
    _rule("create", "localsubjectaccessreviews subjectaccessreviews", "authorization.k8s.io"),
    _rule(_READ, "services"),
    _rule("create get list watch", "nodes"),
    _rule("patch update", "nodes nodes/status"),
    _events(),
    _rule("create delete get list watch", "pods"),
    _rule("patch update", "pods/status"),
    _rule("create", "pods/eviction"),
    _rule("get list watch", "configmaps secrets"),
    _rule("get", "persistentvolumeclaims persistentvolumes"),
    _rule("patch update get", "persistentvolumeclaims/status"),
    _rule("get", "endpoints"),
    _rule("create get list watch", _CSR, _CERTIFICATES),
    _rule("create delete get patch update", "leases", "coordination.k8s.io"),
    _rule("get", "volumeattachments", "storage.k8s.io"),
    _rule("create", "serviceaccounts/token"),
    _rule(_READ, "csidrivers", "storage.k8s.io"),
    _rule("create delete get patch update", "csinodes", "storage.k8s.io"),
    _rule(_READ, "runtimeclasses", "node.k8s.io"),
)
_SCHEDULER: Final[Rules] = (
    _events(),
    _rule("create", "leases", "coordination.k8s.io"),
    _rule("get update", "leases", "coordination.k8s.io", "kube-scheduler"),
    _rule("get list watch", "leases", "coordination.k8s.io"),
    _rule(_READ, "nodes"),
    _rule("delete get list watch", "pods"),
    _rule("create", "bindings pods/binding"),
    _rule("patch update", "pods/status"),
    _rule(_READ, "namespaces replicationcontrollers services"),
    _rule(_READ, "replicasets statefulsets", "apps"),
    _rule(_READ, "poddisruptionbudgets", "policy"),
    _rule(_READ, "persistentvolumeclaims persistentvolumes"),
    _rule("create", "tokenreviews", "authentication.k8s.io"),
    _rule("create", "subjectaccessreviews", "authorization.k8s.io"),
    _rule(_READ, "csidrivers csinodes csistoragecapacities", "storage.k8s.io"),
)
_CONTROLLER_MANAGER: Final[Rules] = (
    _events(),
    _rule("create", "leases", "coordination.k8s.io"),
    _rule("get update", "leases", "coordination.k8s.io", "kube-controller-manager"),
    _rule("create", "secrets serviceaccounts"),
    _rule("delete", "secrets"),
    _rule("get", "configmaps namespaces secrets serviceaccounts"),
    _rule("update", "secrets serviceaccounts"),
    _rule("create", "tokenreviews", "authentication.k8s.io"),
    _rule("create", "subjectaccessreviews", "authorization.k8s.io"),
    _rule("list watch", "*", "*"),
    _rule("create", "serviceaccounts/token"),
)
_VOLUME_SCHEDULER: Final[Rules] = (
    _rule("get list patch update watch", "persistentvolumes"),
    _rule(_READ, "storageclasses", "storage.k8s.io"),
    _rule("get list patch update watch", "persistentvolumeclaims"),
)
_PROVISIONER: Final[Rules] = (
    _rule("create delete get list watch", "persistentvolumes"),
    _rule("get list update watch", "persistentvolumeclaims"),
    _rule(_READ, "storageclasses", "storage.k8s.io"),
    _rule("watch", "events"),
    _events(),
)
_PROXIER: Final[Rules] = (
    _rule("list watch", "endpoints services"),
    _rule("get list watch", "nodes"),
    _events(),
    _rule("list watch", "endpointslices", "discovery.k8s.io"),
    _rule("list watch", "servicecidrs", "networking.k8s.io"),
)
_DNS: Final[Rules] = (
    _rule("list watch", "endpoints services pods namespaces"),
    _rule("list watch", "endpointslices", "discovery.k8s.io"),
)

ROLES: Final[Mapping[str, Rules]] = {
    "system:node": _NODE,
    "system:node-proxier": _PROXIER,
    "system:node-problem-detector": (
        _rule("get", "nodes"),
        _rule("patch", "nodes/status"),
        _events(),
    ),
    "system:node-bootstrapper": (_rule("create get list watch", _CSR, _CERTIFICATES),),
    "system:kubelet-api-admin": (
        _rule(_READ, "nodes"),
        _rule("proxy", "nodes"),
        _rule("*", "nodes/log nodes/metrics nodes/proxy nodes/stats"),
    ),
    "system:kube-scheduler": _SCHEDULER,
    "system:volume-scheduler": _VOLUME_SCHEDULER,
    "system:kube-controller-manager": _CONTROLLER_MANAGER,
    "system:kube-dns": _DNS,
    "system:kube-aggregator": (_rule(_READ, "endpoints services"),),
    "system:persistent-volume-provisioner": _PROVISIONER,
    "system:heapster": (
        _rule(_READ, "events namespaces nodes pods"),
        _rule(_READ, "deployments", "apps"),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": (
        _rule("create", f"{_CSR}/nodeclient", _CERTIFICATES),
    ),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": (
        _rule("create", f"{_CSR}/selfnodeclient", _CERTIFICATES),
    ),
    **{
        f"system:certificates.k8s.io:{name}-approver": (
            _rule("approve", "signers", _CERTIFICATES, f"kubernetes.io/{name}"),
        )
        for name in (
            "kube-apiserver-client",
            "kube-apiserver-client-kubelet",
            "kubelet-serving",
            "legacy-unknown",
        )
    },
}
"""Cluster roles by name."""

USERS: Final[Mapping[str, str]] = {
    "system:node-proxier": "system:kube-proxy",
    "system:kube-scheduler": "system:kube-scheduler",
    "system:volume-scheduler": "system:kube-scheduler",
    "system:kube-controller-manager": "system:kube-controller-manager",
}
"""Which user holds a role from the start."""
