"""The flow schemas and priority levels that every cluster is born with.

Source: ``pkg/apis/flowcontrol/bootstrap/default.go`` of ``k8s.io/apiserver``, as of 1.29 and later.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.apiserver.identity import AUTHENTICATED, MASTERS, UNAUTHENTICATED
from wherry.objects.requests import Object

_API: Final = "flowcontrol.apiserver.k8s.io/v1"
_AUTOUPDATE: Final = "apf.kubernetes.io/autoupdate-spec"
_BY_USER: Final = "ByUser"
_BY_NAMESPACE: Final = "ByNamespace"
_MANAGER: Final = "system:kube-controller-manager"
_SCHEDULER: Final = "system:kube-scheduler"
_LEADER_VERBS: Final = ("get", "create", "update")

MANDATORY: Final = frozenset({"exempt", "catch-all"})
"""Names of the schemas and levels that cannot be changed or taken away."""


def priority_levels() -> list[Object]:
    """Return the priority levels, the mandatory ones first."""
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    rejecting = _limited(5, 0)
    return [
        _object("PriorityLevelConfiguration", "exempt", exempt),
        _object("PriorityLevelConfiguration", "catch-all", rejecting),
        *(
            _object("PriorityLevelConfiguration", name, _limited(*amounts))
            for name, amounts in _LEVELS.items()
        ),
    ]


def flow_schemas() -> list[Object]:
    """Return the flow schemas, in the order in which they are tried."""
    everyone = [_group(AUTHENTICATED), _group(UNAUTHENTICATED)]
    system_accounts = [_account("*")]
    leases = [_resources(_LEADER_VERBS, "coordination.k8s.io", ["leases"], namespaces=["*"])]
    own = [
        _resources(["*"], "", ["nodes", "nodes/status"], cluster=True, namespaces=["*"]),
        _resources(["*"], "coordination.k8s.io", ["leases"], namespaces=["*"]),
    ]
    endpoints = [_resources(_LEADER_VERBS, "", ["endpoints"], namespaces=["*"])]
    probes = [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]
    leaders = [_user(_MANAGER), _user(_SCHEDULER), *system_accounts]
    managers = [_user(_MANAGER), _account("endpoint-controller")]
    managers.append(_account("endpointslicemirroring-controller"))
    masters, accounts = [_group(MASTERS)], [_group("system:serviceaccounts")]
    nodes = [_group("system:nodes")]
    return [
        _schema("exempt", "exempt", 1, "", [_all(masters)]),
        _schema("probes", "exempt", 2, "", [_rules(everyone, paths=probes)]),
        _schema(
            "system-leader-election", "leader-election", 100, _BY_USER, [_rules(leaders, leases)]
        ),
        _schema(
            "endpoint-controller", "workload-high", 150, _BY_USER, [_rules(managers, endpoints)]
        ),
        _schema(
            "workload-leader-election",
            "leader-election",
            200,
            _BY_USER,
            [_rules(system_accounts, leases)],
        ),
        _schema("system-node-high", "node-high", 400, _BY_USER, [_rules(nodes, own)]),
        _schema("system-nodes", "system", 500, _BY_USER, [_all(nodes)]),
        _schema(
            "kube-controller-manager",
            "workload-high",
            800,
            _BY_NAMESPACE,
            [_all([_user(_MANAGER)])],
        ),
        _schema("kube-scheduler", "workload-high", 800, _BY_NAMESPACE, [_all([_user(_SCHEDULER)])]),
        _schema(
            "kube-system-service-accounts",
            "workload-high",
            900,
            _BY_NAMESPACE,
            [_all(system_accounts)],
        ),
        _schema("service-accounts", "workload-low", 9000, _BY_USER, [_all(accounts)]),
        _schema("global-default", "global-default", 9900, _BY_USER, [_all(everyone)]),
        _schema("catch-all", "catch-all", 10000, _BY_USER, [_all(everyone)]),
    ]


_LEVELS: Final[Mapping[str, tuple[int, int, int, int]]] = {
    "leader-election": (10, 0, 16, 4),
    "node-high": (40, 25, 64, 6),
    "system": (30, 33, 64, 6),
    "workload-high": (40, 50, 128, 6),
    "workload-low": (100, 90, 128, 6),
    "global-default": (20, 50, 128, 6),
}
"""Shares, lendable percent, queues and hand size; 50 requests wait in a queue at most."""


def _object(kind: str, name: str, spec: Object) -> Object:
    metadata = {"name": name, "annotations": {_AUTOUPDATE: "true"}}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}


def _limited(shares: int, lendable: int, queues: int = 0, hand: int = 0) -> Object:
    response: dict[str, Any] = {"type": "Reject"}
    if queues:
        queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": 50}
        response = {"type": "Queue", "queuing": queuing}
    limited = {
        "nominalConcurrencyShares": shares,
        "lendablePercent": lendable,
        "limitResponse": response,
    }
    return {"type": "Limited", "limited": limited}


def _schema(  # noqa: PLR0917 (one row of a table)
    name: str, level: str, precedence: int, method: str, rules: Sequence[Object]
) -> Object:
    spec: Object = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": list(rules),
    }
    if method:
        spec["distinguisherMethod"] = {"type": method}
    return _object("FlowSchema", name, spec)


def _rules(
    subjects: Sequence[Object], resources: Sequence[Object] = (), paths: Sequence[Object] = ()
) -> Object:
    rules: Object = {"subjects": list(subjects)}
    if resources:
        rules["resourceRules"] = list(resources)
    if paths:
        rules["nonResourceRules"] = list(paths)
    return rules


def _all(subjects: Sequence[Object]) -> Object:
    everything = _resources(["*"], "*", ["*"], cluster=True, namespaces=["*"])
    return _rules(subjects, [everything], [{"verbs": ["*"], "nonResourceURLs": ["*"]}])


def _resources(
    verbs: Sequence[str],
    group: str,
    resources: Sequence[str],
    *,
    namespaces: Sequence[str],
    cluster: bool = False,
) -> Object:
    rule: Object = {
        "verbs": list(verbs),
        "apiGroups": [group],
        "resources": list(resources),
        "namespaces": list(namespaces),
    }
    if cluster:
        rule["clusterScope"] = True
    return rule


def _group(name: str) -> Object:
    return {"kind": "Group", "group": {"name": name}}


def _user(name: str) -> Object:
    return {"kind": "User", "user": {"name": name}}


def _account(name: str) -> Object:
    account = {"name": name, "namespace": "kube-system"}
    return {"kind": "ServiceAccount", "serviceAccount": account}
