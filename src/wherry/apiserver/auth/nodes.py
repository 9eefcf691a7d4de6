"""What a node may do as itself: `system:node:NAME` of the group `system:nodes`.

A node may read what its own pods refer to, and write of itself only; what it takes from one node is
then no key to the others. Source: `plugin/pkg/auth/authorizer/node` and
`plugin/pkg/admission/noderestriction` of Kubernetes. Differs: pods and nodes may be listed without
a field selector, as before Kubernetes 1.34.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from wherry.apiserver.auth import bootstrap_system
from wherry.apiserver.authorization import Rule
from wherry.apiserver.identity import Attributes, Decision, node_of
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object
from wherry.store import Key, Record, Store

_READS: Final = frozenset({"get", "list", "watch"})
_LEASES: Final = "kube-node-lease"
_Place = tuple[str, str, str]
"""Plural, namespace and name of something a pod refers to."""


class NodeAuthorizer:
    """Decides by the pods that are bound to the node."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rules = tuple(Rule.compile(rule) for rule in bootstrap_system.ROLES["system:node"])
        self._seen: Sequence[Record] | None = None
        self._parsed: dict[Record, tuple[str, frozenset[_Place]]] = {}
        self._reached: dict[str, set[_Place]] = {}

    def authorize(self, asked: Attributes) -> Decision:
        """Return whether a node may; that it may not leaves the roles to say otherwise."""
        node = node_of(asked.user)
        if not any(rule.allows(asked) for rule in self._rules):
            return Decision(allowed=False)
        if asked.resource in _BY_REFERENCE:
            return self._referred(node, asked)
        if asked.resource in {"nodes", "csinodes"} and asked.verb not in _READS:
            return _own(node, asked, "modify")
        if asked.resource == "leases":
            return _own(node, asked, "access") if asked.namespace == _LEASES else _no(asked, node)
        if asked.resource == "pods" and asked.name and asked.verb not in _READS:
            record = self._store.get(Key(kinds.PODS.key, asked.namespace, asked.name))
            if record is not None and _bound_to(record.value()) != node:
                return Decision(allowed=False, reason=f"node {node!r} does not run this pod")
        return Decision(allowed=True)

    def _referred(self, node: str, asked: Attributes) -> Decision:
        if not asked.name:
            why = f"No Object name found, node {node!r} may only access single objects"
            return Decision(allowed=False, reason=why)
        place = (asked.resource, asked.namespace, asked.name)
        if asked.resource == "persistentvolumes":
            place = self._claim_of(asked.name)
        if place in self._reachable(node):
            return Decision(allowed=True)
        return _no(asked, node)

    def _claim_of(self, volume: str) -> _Place:
        record = self._store.get(Key(kinds.PERSISTENT_VOLUMES.key, "", volume))
        value = record.value() if record is not None else {}
        claim = (value.get("spec") or {}).get("claimRef") or {}
        return "persistentvolumeclaims", str(claim.get("namespace")), str(claim.get("name"))

    def _reachable(self, node: str) -> set[_Place]:
        records = self._store.list(kinds.PODS.key).records
        if records is not self._seen:
            before = self._parsed
            self._parsed = {each: before.get(each) or _read(each.value()) for each in records}
            self._reached = {}
            for home, places in self._parsed.values():
                self._reached.setdefault(home, set()).update(places)
            self._seen = records
        return self._reached.get(node, set())


_BY_REFERENCE: Final = frozenset(
    {"secrets", "configmaps", "persistentvolumeclaims", "persistentvolumes", "serviceaccounts"}
)


def _no(asked: Attributes, node: str) -> Decision:
    why = f"no relationship found between node {node!r} and this object"
    return Decision(allowed=False, reason=why)


def _own(node: str, asked: Attributes, verb: str) -> Decision:
    # A creation names nothing yet: `restrict` looks at the object.
    if asked.verb == "create" or asked.name == node:
        return Decision(allowed=True)
    why = f"node {node!r} is not allowed to {verb} {asked.resource} {asked.name!r:.260}"
    return Decision(allowed=False, reason=why)


def _bound_to(pod: Object) -> str:
    return str((pod.get("spec") or {}).get("nodeName") or "")


def _read(pod: Object) -> tuple[str, frozenset[_Place]]:
    """Return a pod's node and what it refers to."""
    namespace = metadata.namespace(pod)
    found = {(plural, namespace, name) for plural, name in _references(pod) if name}
    return _bound_to(pod), frozenset(found)


def _references(pod: Object) -> Iterator[tuple[str, str]]:
    spec = pod.get("spec") or {}
    yield "serviceaccounts", str(spec.get("serviceAccountName") or "")
    for reference in spec.get("imagePullSecrets") or ():
        yield "secrets", str(reference.get("name") or "")
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            for source in (*(container.get("envFrom") or ()), *_values(container)):
                yield from _configuration(source)
    for volume in spec.get("volumes") or ():
        yield from _configuration(volume)
        if volume.get("ephemeral"):
            yield "persistentvolumeclaims", f"{metadata.name(pod)}-{volume['name']}"
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _configuration(source)


def _values(container: Object) -> Iterator[Object]:
    for variable in container.get("env") or ():
        yield variable.get("valueFrom") or {}


_FIELDS: Final = (
    ("secret", "secrets", "secretName"),
    ("secret", "secrets", "name"),
    ("secretRef", "secrets", "name"),
    ("secretKeyRef", "secrets", "name"),
    ("configMap", "configmaps", "name"),
    ("configMapRef", "configmaps", "name"),
    ("configMapKeyRef", "configmaps", "name"),
    ("persistentVolumeClaim", "persistentvolumeclaims", "claimName"),
)


def _configuration(source: Object) -> Iterator[tuple[str, str]]:
    for field, plural, name in _FIELDS:
        yield plural, str((source.get(field) or {}).get(name) or "")
    # Volumes of other systems name the Secret with their credentials one level below.
    for value in source.values():
        reference = value.get("secretRef") if isinstance(value, dict) else None
        if isinstance(reference, dict):
            yield "secrets", str(reference.get("name") or "")
