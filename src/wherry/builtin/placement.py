"""Where a pod may run: the scheduler's rules, as pure functions.

Source: kube-scheduler's filter plug-ins NodeUnschedulable, NodeName, NodeAffinity, TaintToleration,
NodePorts and NodeResourcesFit; reasons are worded as `kubectl describe pod` shows them.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
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
        asked = amounts_of((container.get("resources") or {}).get("requests"))
        if container.get("restartPolicy") == "Always":
            running.update(asked)
            _raise_to(peak, running)
        else:
            _raise_to(peak, running + Counter(asked))
    for container in spec.get("containers") or ():
        running.update(amounts_of((container.get("resources") or {}).get("requests")))
    _raise_to(peak, running)
    for name, amount in amounts_of(spec.get("overhead")).items():
        peak[name] = peak.get(name, 0) + amount
    return peak


def amounts_of(resources: Mapping[str, Any] | None) -> dict[str, int]:
    """Return a resource list (`requests`, `allocatable`, `minResources` …) as numbers."""
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
    offered = amounts_of(allocatable)
    if "cpu" in offered:
        offered["cpu"] = int(offered["cpu"] * max(cpu_overcommit, 1.0))
    return offered


def obstacles(pod: Object, node: Object) -> list[str]:
    """Return why a pod may not run on a node, other pods aside; empty where it may."""
    spec, node_spec = pod["spec"], node.get("spec") or {}
    found = []
    if node_spec.get("unschedulable") and not _tolerates(spec, _UNSCHEDULABLE_TAINT):
        found.append("node(s) were unschedulable")
    if not is_affine(spec, node):
        found.append("node(s) didn't match Pod's node affinity/selector")
    for taint in node_spec.get("taints") or ():
        # The unschedulable taint stands for the field of that name, which has been looked at.
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


def is_affine(spec: Object, node: Object) -> bool:
    """Return whether a node has the labels that a pod's spec asks for."""
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
    expressions, fields = term.get("matchExpressions"), term.get("matchFields")
    if not expressions and not fields:
        return False
    names = {"metadata.name": metadata.name(node)}
    return (not expressions or _expressions_match(expressions, metadata.labels(node))) and (
        not fields or _expressions_match(fields, names)
    )


def _expressions_match(expressions: Sequence[Object], labels: Mapping[str, str]) -> bool:
    return selectors.from_node_term({"matchExpressions": expressions}).matches(labels)


class Room:
    """What is left of a node while pods are being placed on it.

    Attributes:
        node: The node; not to be changed.
        name: Its name.
        pods: How many pods are counted.
        offered: What it has for pods.
        occupants: Pods on it, by uid; room that is merely held has none.
    """

    def __init__(self, node: Object, cpu_overcommit: float) -> None:
        """Begin with an empty node.

        Args:
            node: The node.
            cpu_overcommit: What its CPUs are multiplied by, at least 1.
        """
        self.node = node
        self.name = metadata.name(node)
        self.pods = 0
        self.offered = capacity_of(node, cpu_overcommit)
        self.occupants: dict[str, Object] = {}
        self._taken: dict[str, int] = {}
        self._ports: Counter[tuple[str, int]] = Counter()

    def copy(self) -> "Room":
        """Return a room to try things out in."""
        made = object.__new__(Room)
        made.node, made.name, made.pods, made.offered = (
            self.node,
            self.name,
            self.pods,
            self.offered,
        )
        made.occupants = dict(self.occupants)
        made._taken = dict(self._taken)
        made._ports = Counter(self._ports)
        return made

    def take(self, demand: "Demand", pod: Object | None = None) -> None:
        """Count a pod that is on the node, or, without one, hold room for it."""
        self.pods += 1
        taken = self._taken
        for name, amount in demand.amounts.items():
            taken[name] = taken.get(name, 0) + amount
        if demand.ports:
            self._ports.update(demand.ports)
        if pod is not None:
            self.occupants[metadata.uid(pod)] = pod

    def release(self, demand: "Demand", pod: Object | None = None) -> None:
        """Undo a `take`."""
        self.pods -= 1
        for name, amount in demand.amounts.items():
            self._taken[name] -= amount
        for port in demand.ports:
            self._ports[port] -= 1
        if pod is not None:
            self.occupants.pop(metadata.uid(pod), None)

    def hold(self, amounts: Amounts) -> None:
        """Keep free room for somebody: as much of each amount as is left, and no pod more."""
        for name, amount in amounts.items():
            held = min(amount, max(self.free(name), 0))
            self._taken[name] = self._taken.get(name, 0) + held

    def free(self, name: str) -> int:
        """Return how much of a resource is left; negative where more is promised than there is."""
        return self.offered.get(name, 0) - self._taken.get(name, 0)

    def shortages(self, demand: "Demand") -> list[str]:
        """Return what the node has too little of for one more pod."""
        found = []
        if any(self._ports[port] > 0 for port in demand.ports):
            found.append("node(s) didn't have free ports for the requested pod ports")
        if "pods" in self.offered and self.pods >= self.offered["pods"]:
            found.append("Too many pods")
        found += [
            f"Insufficient {name}"
            for name, amount in demand.amounts.items()
            if amount > 0 and amount > self.free(name)
        ]
        return found


@dataclasses.dataclass(frozen=True, slots=True)
class Demand:
    """What a pod wants of a node.

    Attributes:
        amounts: Resources.
        ports: Ports of the machine itself.
        likeness: Equal for pods that fit the same nodes.
    """

    amounts: Amounts
    ports: frozenset[tuple[str, int]]
    likeness: str

    @property
    def counted(self) -> Amounts:
        """The amounts, with the pod itself as one of ``pods``."""
        return {**self.amounts, "pods": 1}

    @classmethod
    def of(cls, pod: Object) -> "Demand":
        """Return the demand of a pod."""
        spec, amounts, ports = pod["spec"], requests_of(pod), host_ports(pod)
        node_affinity = (spec.get("affinity") or {}).get("nodeAffinity")
        rules = [spec.get("nodeSelector"), node_affinity, spec.get("tolerations")]
        return cls(amounts, frozenset(ports), json.dumps([amounts, sorted(ports), rules]))


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
