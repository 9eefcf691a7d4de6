"""Where a pod may run beside others: pod affinity, anti-affinity and topology spread. Pure.

Only what is required is heeded; preferences are not: with one node there is nothing to prefer.

Source: kube-scheduler's filter plug-ins InterPodAffinity and PodTopologySpread.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wherry.builtin import placement
from wherry.builtin.placement import Room
from wherry.objects import metadata, selectors
from wherry.objects.requests import Object

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_AFFINITY = "node(s) didn't match pod affinity rules"
_ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
_OTHERS = "node(s) didn't satisfy existing pods anti-affinity rules"
_SPREAD = "node(s) didn't match pod topology spread constraints"


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What rules about other pods are judged by.

    Attributes:
        rooms: All nodes with the pods on them.
        namespaces: Labels of each namespace, for `namespaceSelector`.
    """

    rooms: Sequence[Room]
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def obstacles(self, pod: Object, room: Room) -> list[str]:
        """Return why a pod may not join those who are there; empty where it may."""
        found = []
        if not all(self._attracted(pod, room, term) for term in _terms(pod, "podAffinity")):
            found.append(_AFFINITY)
        if any(self._meets(pod, room, term) for term in _terms(pod, "podAntiAffinity")):
            found.append(_ANTI_AFFINITY)
        if self._repelled(pod, room):
            found.append(_OTHERS)
        constraints = pod["spec"].get("topologySpreadConstraints") or ()
        if not all(self._spread(pod, room, one) for one in constraints):
            found.append(_SPREAD)
        return found

    def _attracted(self, pod: Object, room: Room, term: Mapping[str, Any]) -> bool:
        key = term["topologyKey"]
        if key not in metadata.labels(room.node):
            return False
        if self._meets(pod, room, term):
            return True
        # The first of pods that want to be together has nobody to join but its like.
        anywhere = any(self._meets(pod, other, term) for other in self.rooms)
        return not anywhere and self._chosen(term, pod, pod)

    def _meets(self, pod: Object, room: Room, term: Mapping[str, Any]) -> bool:
        """Return whether one that the term chooses is in the node's domain."""
        return any(
            self._chosen(term, pod, other)
            for near in self._domain(room, term["topologyKey"])
            for other in near.occupants.values()
        )

    def _repelled(self, pod: Object, room: Room) -> bool:
        return any(
            self._chosen(term, other, pod) and _together(near, room, term["topologyKey"])
            for near in self.rooms
            for other in near.occupants.values()
            if (other["spec"].get("affinity") or {}).get("podAntiAffinity")
            for term in _terms(other, "podAntiAffinity")
        )

    def _domain(self, room: Room, key: str) -> Iterable[Room]:
        return (near for near in self.rooms if _together(near, room, key))

    def _chosen(self, term: Mapping[str, Any], owner: Object, other: Object) -> bool:
        """Return whether the term of ``owner`` chooses ``other``."""
        return self._in_namespaces(term, owner, metadata.namespace(other)) and _selects(
            term, owner, other
        )

    def _in_namespaces(self, term: Mapping[str, Any], owner: Object, namespace: str) -> bool:
        named, chosen = term.get("namespaces") or (), term.get("namespaceSelector")
        if not named and chosen is None:
            return namespace == metadata.namespace(owner)
        if namespace in named:
            return True
        labels = self.namespaces.get(namespace) or {}
        return selectors.from_object(chosen).matches(labels)

    def _spread(self, pod: Object, room: Room, constraint: Mapping[str, Any]) -> bool:
        if constraint.get("whenUnsatisfiable") == "ScheduleAnyway":
            return True
        key = constraint["topologyKey"]
        domain = metadata.labels(room.node).get(key)
        if domain is None:
            return False
        counts: Counter[str] = Counter()
        for near in self.rooms:
            there = metadata.labels(near.node).get(key)
            if there is not None and _counted(constraint, pod, near):
                counts[there] += sum(
                    metadata.namespace(other) == metadata.namespace(pod)
                    and not metadata.is_deleting(other)
                    and _selects(constraint, pod, other)
                    for other in near.occupants.values()
                )
        least = min(counts.values(), default=0)
        if len(counts) < (constraint.get("minDomains") or 1):
            least = 0
        skew = counts[domain] + _selects(constraint, pod, pod) - least
        return skew <= int(constraint["maxSkew"])


def concerns(pod: Object) -> bool:
    """Return whether a pod has rules about other pods, so that those placed before it matter."""
    spec = pod["spec"]
    affinity = spec.get("affinity") or {}
    return bool(
        affinity.get("podAffinity")
        or affinity.get("podAntiAffinity")
        or spec.get("topologySpreadConstraints")
    )


def repels(pod: Object) -> bool:
    """Return whether a pod keeps others away from where it is."""
    return bool(_terms(pod, "podAntiAffinity"))


def _terms(pod: Object, kind: str) -> Sequence[Mapping[str, Any]]:
    affinity = pod["spec"].get("affinity") or {}
    found: Sequence[Mapping[str, Any]] = (affinity.get(kind) or {}).get(_REQUIRED) or ()
    return found


def _together(one: Room, other: Room, key: str) -> bool:
    value = metadata.labels(one.node).get(key)
    return value is not None and value == metadata.labels(other.node).get(key)


def _selects(rule: Mapping[str, Any], owner: Object, other: Object) -> bool:
    """Return whether a rule's label selector, and its keys to compare, choose a pod."""
    own, labels = metadata.labels(owner), metadata.labels(other)
    if not selectors.from_object(rule.get("labelSelector")).matches(labels):
        return False
    same = (key for key in rule.get("matchLabelKeys") or () if key in own)
    if any(labels.get(key) != own[key] for key in same):
        return False
    differing = (key for key in rule.get("mismatchLabelKeys") or () if key in own)
    return not any(labels.get(key) == own[key] for key in differing)


def _counted(constraint: Mapping[str, Any], pod: Object, room: Room) -> bool:
    """Return whether the policies of a constraint let a node take part in the count."""
    if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and not placement.is_affine(
        pod["spec"], room.node
    ):
        return False
    if constraint.get("nodeTaintsPolicy", "Ignore") == "Honor":
        return not any("taint" in one for one in placement.obstacles(pod, room.node))
    return True
