"""Where a pod may run: the scheduler's rules, as pure functions.

Source: kube-scheduler's filter plug-ins NodeUnschedulable, NodeName, NodeAffinity, TaintToleration,
NodePorts and NodeResourcesFit; reasons are worded as `kubectl describe pod` shows them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wherry.objects import metadata, quantities, selectors
from wherry.objects.requests import Object

Amounts = Mapping[str, int]
"""Resource name → amount: milli-CPUs for ``cpu``, whole units (bytes, devices) for all others."""

_FINISHED = ("Succeeded", "Failed")
_UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def requests_of(pod: Object) -> dict[str, int]:
    """Return what a pod asks for.

    Containers and sidecars add up; an ordinary init container counts with the sidecars started
    before it, since it runs alone; the larger of the two is what must be free.
    """
    spec = pod["spec"]
    running: Counter[str] = Counter()
    peak: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _amounts((container.get("resources") or {}).get("requests"))
        if container.get("restartPolicy") == "Always":
            running.update(asked)
            _raise_to(peak, running)
        else:
            _raise_to(peak, running + Counter(asked))
    for container in spec.get("containers") or ():
        running.update(_amounts((container.get("resources") or {}).get("requests")))
    _raise_to(peak, running)
    for name, amount in _amounts(spec.get("overhead")).items():
        peak[name] = peak.get(name, 0) + amount
    return peak


def _amounts(resources: Mapping[str, str] | None) -> dict[str, int]:
    return {name: _amount(name, text) for name, text in (resources or {}).items()}


def _amount(name: str, text: str) -> int:
    return quantities.cpu_millis(text) if name == "cpu" else quantities.bytes_(text)


def _raise_to(peak: dict[str, int], amounts: Mapping[str, int]) -> None:
    for name, amount in amounts.items():
        peak[name] = max(peak.get(name, 0), amount)


def is_finished(pod: Object) -> bool:
    """Return whether all containers have ended for good, so that the pod takes up nothing."""
    return (pod.get("status") or {}).get("phase") in _FINISHED


def capacity_of(node: Object, cpu_overcommit: float) -> dict[str, int]:
    """Return what a node offers to pods, its CPUs multiplied by ``cpu_overcommit`` (at least 1)."""
    allocatable = (node.get("status") or {}).get("allocatable")
    offered = _amounts(allocatable)
    if "cpu" in offered:
        offered["cpu"] = int(offered["cpu"] * max(cpu_overcommit, 1.0))
    return offered


def obstacles(pod: Object, node: Object) -> list[str]:
    """Return why a pod may not run on a node, other pods aside; empty where it may."""
    spec, node_spec = pod["spec"], node.get("spec") or {}
    found = []
    taints = list(node_spec.get("taints") or ())
    if node_spec.get("unschedulable") and not _tolerates(spec, _UNSCHEDULABLE_TAINT):
        found.append("node(s) were unschedulable")
    if not _affine(spec, node):
        found.append("node(s) didn't match Pod's node affinity/selector")
    for taint in taints:
        if taint.get("effect") == "PreferNoSchedule" or taint["key"] == _UNSCHEDULABLE_TAINT["key"]:
            continue
        if not _tolerates(spec, taint):
            found.append(f"node(s) had untolerated taint {{{_taint_text(taint)}}}")
            break
    return found


def _taint_text(taint: Mapping[str, str]) -> str:
    return f"{taint['key']}: {taint.get('value', '')}"


def _tolerates(spec: Object, taint: Mapping[str, str]) -> bool:
    return any(_tolerated_by(toleration, taint) for toleration in spec.get("tolerations") or ())


def _tolerated_by(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _affine(spec: Object, node: Object) -> bool:
    labels = metadata.labels(node)
    wanted = spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term_matches(term: Mapping[str, Any], node: Object) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    labels = metadata.labels(node)
    names = {"metadata.name": metadata.name(node)}
    return all(_expression_matches(one, labels) for one in expressions) and all(
        _expression_matches(one, names) for one in fields
    )


def _expression_matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    if expression["operator"] in {"Gt", "Lt"}:
        sign = ">" if expression["operator"] == "Gt" else "<"
        return selectors.parse_labels(f"{key}{sign}{values[0]}").matches(labels)
    selector = selectors.from_object({"matchExpressions": [dict(expression)]})
    return selector.matches(labels)


def shortages(pod: Object, offered: Amounts, present: Iterable[Amounts]) -> list[str]:
    """Return which resources a node has too little of.

    Args:
        pod: The pod to place.
        offered: What the node offers in all.
        present: What each pod that is already there asks for.
    """
    taken: Counter[str] = Counter()
    count = 0
    for amounts in present:
        taken.update(amounts)
        count += 1
    found = []
    if "pods" in offered and count >= offered["pods"]:
        found.append("Too many pods")
    for name, amount in requests_of(pod).items():
        if amount > 0 and amount > offered.get(name, 0) - taken[name]:
            found.append(f"Insufficient {name}")
    return found


def host_ports(pod: Object) -> set[tuple[str, int]]:
    """Return the (protocol, port) pairs of the machine itself that the pod's containers take."""
    ports = set()
    for container in pod["spec"].get("containers") or ():
        for port in container.get("ports") or ():
            if port.get("hostPort"):
                ports.add((port.get("protocol", "TCP"), port["hostPort"]))
    return ports


def refusal(nodes: int, reasons: Sequence[str]) -> str:
    """Return the sentence that says why, such as ``0/1 nodes are available: 1 Insufficient cpu.``.

    Args:
        nodes: How many nodes there are.
        reasons: One entry for each node and reason.
    """
    if not nodes:
        return "0/0 nodes are available: no node is registered."
    counted = sorted(Counter(reasons).items())
    listed = ", ".join(f"{count} {reason}" for reason, count in counted)
    return f"0/{nodes} nodes are available: {listed}."
