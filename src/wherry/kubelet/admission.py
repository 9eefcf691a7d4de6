"""Whether the node takes a pod: what was bound past the scheduler may not fit, and must then fail.

Whoever writes `spec.nodeName` by hand has asked nobody. The node looks once, when it first hears of
a pod; one that it has taken stays. Source: the kubelet's `predicateAdmitHandler` (reasons, messages).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from wherry.kubelet import devices, specs
from wherry.objects import metadata, quantities, quotas
from wherry.objects.requests import Object

_ONE: Final = Decimal(1)
_THOUSAND: Final = Decimal(1000)
_Port = tuple[str, int]


class Refusal(NamedTuple):
    """Why a pod is not taken, as its status says it."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class _Demand:
    amounts: Mapping[str, Decimal]
    ports: frozenset[_Port]


class Admission:
    """What the pods of this node have been promised."""

    def __init__(
        self,
        allocatable: Mapping[str, str],
        *,
        cpu_overcommit: float,
        counts: Callable[[str], bool],
    ) -> None:
        """Begin with an empty node.

        Args:
            allocatable: The Node's amounts.
            cpu_overcommit: What its CPUs are multiplied by, as for the scheduler.
            counts: Returns whether the pod of a uid still takes up room.
        """
        self._offered = {name: quantities.parse(text) for name, text in allocatable.items()}
        self._offered["cpu"] *= Decimal(max(cpu_overcommit, 1.0))
        self._counts = counts
        self._taken: dict[str, _Demand] = {}
        self._amounts: dict[str, Decimal] = {}
        """Sums over all that are taken, be it that some count no more."""
        self._ports: Counter[_Port] = Counter()

    def take(self, pod: Object) -> None:
        """Note a pod that the node has taken already."""
        self._take(metadata.uid(pod), _demand(pod))

    def _take(self, uid: str, demand: _Demand) -> None:
        self.forget(uid)
        self._taken[uid] = demand
        for name, amount in demand.amounts.items():
            self._amounts[name] = self._amounts.get(name, Decimal(0)) + amount
        self._ports.update(demand.ports)

    def forget(self, uid: str) -> None:
        """Give a pod's room back. Idempotent."""
        demand = self._taken.pop(uid, None)
        if demand is None:
            return
        for name, amount in demand.amounts.items():
            self._amounts[name] -= amount
        self._ports -= Counter(demand.ports)

    def admit(self, pod: Object) -> Refusal | None:
        """Take a pod, or say why not; one that was taken before is taken again."""
        uid, wanted = metadata.uid(pod), _demand(pod)
        if uid in self._taken:
            return None
        refusal = None if self._fits_beside_all(wanted) else self._refusal(wanted)
        if refusal is None:
            self._take(uid, wanted)
        return refusal

    def _fits_beside_all(self, wanted: _Demand) -> bool:
        """Whether there is room even if all that were taken count still; then nobody needs to be asked."""
        return not wanted.ports & self._ports.keys() and all(
            not amount
            or name not in self._offered
            or self._amounts.get(name, Decimal(0)) + amount <= self._offered[name]
            for name, amount in wanted.amounts.items()
        )

    def _refusal(self, wanted: _Demand) -> Refusal | None:
        """Return why there is no room beside those that count."""
        others = [demand for other, demand in self._taken.items() if self._counts(other)]
        ports = {port for demand in others for port in demand.ports}
        if wanted.ports & ports:
            why = "node(s) didn't have free ports for the requested pod ports"
            return Refusal("NodePorts", f"Pod was rejected: Predicate NodePorts failed: {why}")
        for name, amount in wanted.amounts.items():
            used = sum((demand.amounts.get(name, Decimal(0)) for demand in others), Decimal(0))
            if amount and name in self._offered and used + amount > self._offered[name]:
                return _short(name, amount, used, self._offered[name])
        return None


def _demand(pod: Object) -> _Demand:
    amounts = {**quotas.requested(pod), "pods": _ONE}
    return _Demand(amounts, frozenset(_host_ports(pod)))


def _host_ports(pod: Object) -> set[_Port]:
    return {
        (str(port.get("protocol", "TCP")), int(port["hostPort"]))
        for container in specs.containers(pod)
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _short(name: str, amount: Decimal, used: Decimal, offered: Decimal) -> Refusal:
    if name == devices.RESOURCE:
        why = (
            f"Allocate failed due to requested number of devices unavailable for {name}. "
            f"Requested: {amount}, Available: {max(offered - used, Decimal(0))}"
        )
        return Refusal("UnexpectedAdmissionError", f"Pod was rejected: {why}, which is unexpected")
    scale = _THOUSAND if name == "cpu" else _ONE
    requested, taken, capacity = (int(each * scale) for each in (amount, used, offered))
    return Refusal(
        f"OutOf{name}",
        f"Pod was rejected: Node didn't have enough resource: {name}, requested: {requested}, "
        f"used: {taken}, capacity: {capacity}",
    )
