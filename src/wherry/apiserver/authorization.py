"""Role-based access control: who may do what, from Roles and their bindings.

The rules are compiled once per change of any role or binding, and decisions are remembered until
the next, because every call of every client asks. Semantics are those of
`rbac.authorization.k8s.io/v1`: rights only ever add up; nothing denies.
"""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from wherry.apiserver.identity import MASTERS, NODES, Attributes, Authorizer, Decision, User
from wherry.objects import kinds, selectors
from wherry.objects.requests import Object

_LOG = logging.getLogger(__name__)
_REMEMBERED = 20_000
# Callers choose names and paths: long ones are decided anew, so that they cannot fill the memory.
_LONGEST_REMEMBERED = 512


class RoleSource(Protocol):
    """Where roles and bindings come from."""

    def revision(self) -> int:
        """Return a number that is another one after any role or binding has changed."""
        ...

    def list(self, resource: str) -> Sequence[Object]:
        """Return all objects of a resource key such as ``roles.rbac.authorization.k8s.io``."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One `PolicyRule`, its lists as sets."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]

    @classmethod
    def compile(cls, rule: Mapping[str, Sequence[str]]) -> "Rule":
        """Read a rule as the API has it."""
        return cls(
            frozenset(rule.get("verbs") or ()),
            frozenset(rule.get("apiGroups") or ()),
            frozenset(rule.get("resources") or ()),
            frozenset(rule.get("resourceNames") or ()),
            tuple(rule.get("nonResourceURLs") or ()),
        )

    def allows(self, asked: Attributes) -> bool:
        """Return whether the rule grants what is asked."""
        if "*" not in self.verbs and asked.verb not in self.verbs:
            return False
        if asked.path:
            return any(_path_matches(path, asked.path) for path in self.paths)
        return (
            ("*" in self.groups or asked.group in self.groups)
            and self._has_resource(asked.resource, asked.subresource)
            and (not self.names or asked.name in self.names)
        )

    def _has_resource(self, resource: str, subresource: str) -> bool:
        if "*" in self.resources:
            return True
        if not subresource:
            return resource in self.resources
        return f"{resource}/{subresource}" in self.resources or f"*/{subresource}" in self.resources


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return path == pattern


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """Rules that a subject holds through one binding.

    Attributes:
        namespace: Where they hold; empty for everywhere.
        rules: What they allow.
        source: The binding and role in words, for the reason of a decision.
    """

    namespace: str
    rules: tuple[Rule, ...]
    source: str


class RoleAuthorizer:
    """Decides by roles and bindings; members of ``system:masters`` may do anything.

    Args:
        source: The roles and bindings.
        nodes: Asked first about users of the group ``system:nodes``; None leaves them to their roles.
    """

    def __init__(self, source: RoleSource, nodes: Authorizer | None = None) -> None:
        self._source = source
        self._nodes = nodes
        self._compiled_at = -1
        self._roles: dict[tuple[str, str], tuple[Rule, ...]] = {}
        self._grants: dict[str, list[Grant]] = {}
        self._decisions: dict[tuple[object, ...], Decision] = {}

    def authorize(self, attributes: Attributes) -> Decision:
        """Return whether the user may, with the reason.

        Args:
            attributes: Who asks for what. For paths outside the API's resources ``resource`` is
                empty and ``path`` set.
        """
        if MASTERS in attributes.user.groups:
            return Decision(allowed=True, reason="")
        if self._nodes is not None and NODES in attributes.user.groups:
            # What a node may hangs on its pods, and they come and go: never remembered.
            decision = self._nodes.authorize(attributes)
            if decision.allowed:
                return decision
            found = self._by_roles(attributes)
            return found if found.allowed else decision
        return self._by_roles(attributes)

    def _by_roles(self, attributes: Attributes) -> Decision:
        self._refresh()
        user = attributes.user
        key = (
            user.name,
            user.groups,
            attributes.verb,
            attributes.group,
            attributes.resource,
            attributes.subresource,
            attributes.namespace,
            attributes.name,
            attributes.path,
        )
        known = self._decisions.get(key)
        if known is None:
            known = self._decide(attributes)
            if _is_short(attributes):
                if len(self._decisions) >= _REMEMBERED:
                    self._decisions.clear()
                self._decisions[key] = known
        return known

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """Return every rule that a user holds in a namespace, cluster-wide ones included."""
        self._refresh()
        return [
            rule
            for grant in self._granted(user)
            if grant.namespace in {"", namespace}
            for rule in grant.rules
        ]

    def _decide(self, attributes: Attributes) -> Decision:
        for grant in self._granted(attributes.user):
            if grant.namespace and grant.namespace != attributes.namespace:
                continue
            if any(rule.allows(attributes) for rule in grant.rules):
                return Decision(allowed=True, reason=f"RBAC: allowed by {grant.source}")
        return Decision(allowed=False, reason="")

    def role_rules(self, kind: str, name: str, namespace: str) -> tuple[Rule, ...] | None:
        """Return the rules of a role, those it aggregates included; None where there is none.

        Args:
            kind: ``Role`` or ``ClusterRole``.
            name: Of the role.
            namespace: Of a Role; ignored for a ClusterRole.
        """
        self._refresh()
        return self._roles.get((namespace if kind == "Role" else "", name))

    def _granted(self, user: User) -> Iterator[Grant]:
        yield from self._grants.get(f"User/{user.name}", ())
        for group in user.groups:
            yield from self._grants.get(f"Group/{group}", ())

    def _refresh(self) -> None:
        revision = self._source.revision()
        if revision == self._compiled_at:
            return
        self._roles = _compile_roles(self._source)
        self._grants = _compile_grants(self._source, self._roles)
        self._decisions.clear()
        self._compiled_at = revision


def _is_short(asked: Attributes) -> bool:
    user = asked.user
    parts = (asked.verb, asked.group, asked.resource, asked.subresource, asked.namespace)
    length = sum(map(len, (*parts, asked.name, asked.path, user.name, *user.groups)))
    return length <= _LONGEST_REMEMBERED


def _compile_roles(source: RoleSource) -> dict[tuple[str, str], tuple[Rule, ...]]:
    cluster_roles = source.list(kinds.CLUSTER_ROLES.key)
    rules = {
        ("", role["metadata"]["name"]): rules_of(role, cluster_roles) for role in cluster_roles
    }
    for role in source.list(kinds.ROLES.key):
        place = (role["metadata"]["namespace"], role["metadata"]["name"])
        rules[place] = rules_of(role, ())
    return rules


def _compile_grants(
    source: RoleSource, rules: Mapping[tuple[str, str], tuple[Rule, ...]]
) -> dict[str, list[Grant]]:
    grants: dict[str, list[Grant]] = defaultdict(list)
    for binding in source.list(kinds.CLUSTER_ROLE_BINDINGS.key):
        _add_grants(grants, binding, rules, namespace="")
    for binding in source.list(kinds.ROLE_BINDINGS.key):
        _add_grants(grants, binding, rules, namespace=binding["metadata"]["namespace"])
    return dict(grants)


def rules_of(role: Object, cluster_roles: Iterable[Object]) -> tuple[Rule, ...]:
    """Return the compiled rules of a role, those it aggregates included.

    An aggregated role that is among those another one aggregates brings what it is made of, as it
    does once the controller has written its rules.

    Args:
        role: A Role or ClusterRole.
        cluster_roles: All ClusterRoles, among which an `aggregationRule` selects.
    """
    roles = list(cluster_roles)
    seen = {role["metadata"]["name"]}
    found: dict[Rule, None] = {}
    waiting = [role]
    while waiting:
        current = waiting.pop(0)
        found.update((Rule.compile(rule), None) for rule in current.get("rules") or ())
        for other in _aggregated(current, roles):
            if other["metadata"]["name"] not in seen:
                seen.add(other["metadata"]["name"])
                waiting.append(other)
    return tuple(found)


def _aggregated(role: Object, cluster_roles: Iterable[Object]) -> Iterator[Object]:
    wanted = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    try:
        compiled = [selectors.from_object(selector) for selector in wanted]
    except ValueError as error:
        # A role that was stored under laxer rules must not take all others with it.
        _LOG.warning("ClusterRole %s aggregates nothing: %s", role["metadata"]["name"], error)
        return
    if not compiled:
        return
    for other in cluster_roles:
        labels = other["metadata"].get("labels") or {}
        if any(selector.matches(labels) for selector in compiled):
            yield other


def _add_grants(
    grants: dict[str, list[Grant]],
    binding: Object,
    rules: Mapping[tuple[str, str], tuple[Rule, ...]],
    *,
    namespace: str,
) -> None:
    reference = binding.get("roleRef") or {}
    kind, role = reference.get("kind"), str(reference.get("name"))
    if kind not in {"Role", "ClusterRole"} or (kind == "Role" and not namespace):
        return
    granted = rules.get((namespace if kind == "Role" else "", role))
    if not granted:
        return
    name = binding["metadata"]["name"]
    where = f"{name}/{namespace}" if namespace else name
    binding_kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    subjects = binding.get("subjects") or ()
    for subject in subjects:
        key = _subject_key(subject, namespace)
        if key is not None:
            source = (
                f'{binding_kind} "{where}" of {kind} "{role}" to {_described(subject, namespace)}'
            )
            grants[key].append(Grant(namespace, granted, source))


def _subject_key(subject: Mapping[str, str], namespace: str) -> str | None:
    kind, name = subject.get("kind"), subject.get("name")
    if not name:
        return None
    if kind == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return f"User/system:serviceaccount:{home}:{name}" if home else None
    return f"{kind}/{name}" if kind in {"User", "Group"} else None


def _described(subject: Mapping[str, str], namespace: str) -> str:
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        name = f"{name}/{subject.get('namespace') or namespace}"
    return f'{subject["kind"]} "{name}"'
