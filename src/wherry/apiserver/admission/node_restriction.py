"""What a node may write: of itself and its own pods only, whatever its roles allow.

Source: `plugin/pkg/admission/noderestriction` of Kubernetes.
"""

from collections.abc import Sequence
from typing import Any, Final

from wherry.apiserver.identity import User, node_of
from wherry.objects import errors, metadata
from wherry.objects.requests import Object

_LEASES: Final = "kube-node-lease"
_MIRROR: Final = "kubernetes.io/config.mirror"
_CLOSED_LABELS: Final = ("node-restriction.kubernetes.io", "kubernetes.io", "k8s.io")
_OPEN_LABELS: Final = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_OPEN_DOMAINS: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")


def restrict(user: User, plural: str, obj: Object, old: Object | None) -> None:
    """Hold a node to writing of itself, whatever its roles allow.

    Args:
        user: Who writes.
        plural: Of what is written.
        obj: What will be stored.
        old: What it replaces; None for a creation.

    Raises:
        ForbiddenError: It writes of another, or what nodes may not write.
    """
    node = node_of(user)
    if not node:
        return
    why = ""
    if plural == "nodes":
        why = _about_node(node, obj, old)
    elif plural == "pods":
        why = _about_pod(node, obj, old)
    elif plural == "leases":
        if (metadata.namespace(obj), metadata.name(obj)) != (_LEASES, node):
            why = f'can only access leases named "{node}" in the namespace "{_LEASES}"'
    elif plural == "csinodes" and metadata.name(obj) != node:
        why = f'can only access CSINode with the same name as the requesting node "{node}"'
    if why:
        raise errors.forbidden(plural, metadata.name(obj), why)


def _about_pod(node: str, obj: Object, old: Object | None) -> str:
    if old is None and _MIRROR not in metadata.annotations(obj):
        return (
            f'pod does not have "{_MIRROR}" annotation, node "{node}" can only create mirror pods'
        )
    if _bound_to(old or obj) != node:
        return f'node "{node}" can only write pods with spec.nodeName set to itself'
    if old is not None and metadata.labels(obj) != metadata.labels(old):
        return f'node "{node}" cannot update labels through pod status'
    return ""


def _about_node(node: str, obj: Object, old: Object | None) -> str:
    name = metadata.name(obj)
    if name != node:
        return f'node "{node}" is not allowed to modify node "{name}"'
    if old is not None and _taints(obj) != _taints(old):
        return f'node "{node}" is not allowed to modify taints'
    labels, before = metadata.labels(obj), metadata.labels(old or {"metadata": {}})
    changed = {key for key in labels.keys() | before.keys() if labels.get(key) != before.get(key)}
    closed = sorted(key for key in changed if _is_closed(key))
    if closed:
        return f'node "{node}" is not allowed to modify labels: {", ".join(closed)}'
    return ""


def _taints(node: Object) -> Any:
    return (node.get("spec") or {}).get("taints") or []


def _is_closed(label: str) -> bool:
    domain, slash, _ = label.partition("/")
    if not slash or label in _OPEN_LABELS or _within(domain, _OPEN_DOMAINS):
        return False
    return _within(domain, _CLOSED_LABELS)


def _within(domain: str, others: Sequence[str]) -> bool:
    return any(domain == other or domain.endswith(f".{other}") for other in others)


def _bound_to(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")
