"""What Go's zero value of a kind has already, so that its creator is not said to have added it.

Built-in kinds hold structs by value, which are there in an object of which nothing was set; custom
resources begin with nothing. The published document does not tell pointers from values, so those
that are no required fields are listed here.

Source: the Go types of `k8s.io/api`.
"""

import functools
from collections.abc import Mapping
from typing import Final

from wherry.objects.requests import Object
from wherry.objects.schemas import Node

_ROOT: Final = frozenset({"metadata", "spec", "status"})
_BY_VALUE: Final[Mapping[str, frozenset[str]]] = {
    "CronJobSpec": frozenset({"jobTemplate"}),
    "DaemonSetSpec": frozenset({"template", "updateStrategy"}),
    "DeploymentSpec": frozenset({"strategy", "template"}),
    "Event": frozenset({"involvedObject", "source"}),
    "IngressStatus": frozenset({"loadBalancer"}),
    "JobSpec": frozenset({"template"}),
    "JobTemplateSpec": _ROOT,
    "NetworkPolicySpec": frozenset({"podSelector"}),
    "NodeStatus": frozenset({"daemonEndpoints", "nodeInfo"}),
    "PersistentVolumeClaimSpec": frozenset({"resources"}),
    "PersistentVolumeClaimTemplate": _ROOT,
    "PodTemplate": frozenset({"template"}),
    "PodTemplateSpec": _ROOT,
    "ReplicaSetSpec": frozenset({"template"}),
    "RoleBinding": frozenset({"roleRef"}),
    "ClusterRoleBinding": frozenset({"roleRef"}),
    "ServiceStatus": frozenset({"loadBalancer"}),
    "StatefulSetSpec": frozenset({"template", "updateStrategy"}),
}
_REMEMBERED: Final = 512


@functools.lru_cache(maxsize=_REMEMBERED)
def value(root: Node) -> Object:
    """Return the object of a kind of which nothing was set; shared, not to be changed."""
    return _value(root, _ROOT) if root.native else {}


def _value(node: Node, held: frozenset[str]) -> Object:
    made: Object = {}
    for name, field in node.properties.items():
        if not field.native or (name not in held and name not in node.required):
            continue
        if field.types == ("array",):
            made[name] = []
        elif field.types == ("object",):
            made[name] = _value(field, _BY_VALUE.get(field.go_struct, frozenset()))
    return made
