"""Role-based access control: who may do what, from Roles and their bindings.

The rules are compiled once per change of any role or binding, and decisions are remembered until
the next, because every call of every client asks. Semantics are those of
`rbac.authorization.k8s.io/v1`: rights only ever add up; nothing denies.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from wherry.apiserver.identity import MASTERS, Attributes, Decision, User
from wherry.objects import kinds, selectors
from wherry.objects.requests import Object

_REMEMBERED = 20_000


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
        if not asked.resource:
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
    """Decides by roles and bindings; members of ``system:masters`` may do anything."""

    def __init__(self, source: RoleSource) -> None:
        self._source = source
        self._compiled_at = -1
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
            if len(self._decisions) >= _REMEMBERED:
                self._decisions.clear()
            known = self._decisions[key] = self._decide(attributes)
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

    def _granted(self, user: User) -> Iterator[Grant]:
        yield from self._grants.get(f"User/{user.name}", ())
        for group in user.groups:
            yield from self._grants.get(f"Group/{group}", ())

    def _refresh(self) -> None:
        revision = self._source.revision()
        if revision == self._compiled_at:
            return
        self._grants = _compile(self._source)
        self._decisions.clear()
        self._compiled_at = revision


def _compile(source: RoleSource) -> dict[str, list[Grant]]:
    cluster_roles = source.list(kinds.CLUSTER_ROLES.key)
    rules = {
        ("", role["metadata"]["name"]): rules_of(role, cluster_roles) for role in cluster_roles
    }
    for role in source.list(kinds.ROLES.key):
        place = (role["metadata"]["namespace"], role["metadata"]["name"])
        rules[place] = rules_of(role, ())
    grants: dict[str, list[Grant]] = defaultdict(list)
    for binding in source.list(kinds.CLUSTER_ROLE_BINDINGS.key):
        _add_grants(grants, binding, rules, namespace="")
    for binding in source.list(kinds.ROLE_BINDINGS.key):
        _add_grants(grants, binding, rules, namespace=binding["metadata"]["namespace"])
    return dict(grants)


def rules_of(role: Object, cluster_roles: Iterable[Object]) -> tuple[Rule, ...]:
    """Return the compiled rules of a role, those it aggregates included.

    Args:
        role: A Role or ClusterRole.
        cluster_roles: All ClusterRoles, among which an `aggregationRule` selects.
    """
    own = [Rule.compile(rule) for rule in role.get("rules") or ()]
    wanted = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or ()
    compiled = [selectors.from_object(selector) for selector in wanted]
    for other in cluster_roles:
        labels = other["metadata"].get("labels") or {}
        if other is not role and any(selector.matches(labels) for selector in compiled):
            own.extend(Rule.compile(rule) for rule in other.get("rules") or ())
    return tuple(own)


def _add_grants(
    grants: dict[str, list[Grant]],
    binding: Object,
    rules: Mapping[tuple[str, str], tuple[Rule, ...]],
    *,
    namespace: str,
) -> None:
    reference = binding["roleRef"]
    role_namespace = namespace if reference["kind"] == "Role" else ""
    granted = rules.get((role_namespace, reference["name"]))
    if not granted:
        return
    name = binding["metadata"]["name"]
    where = f"{namespace}/{name}" if namespace else name
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    source = f'{kind} "{where}" of {reference["kind"]} "{reference["name"]}"'
    grant = Grant(namespace, granted, source)
    for subject in binding.get("subjects") or ():
        grants[_subject_key(subject, namespace)].append(grant)


def _subject_key(subject: Mapping[str, str], namespace: str) -> str:
    if subject["kind"] == "ServiceAccount":
        home = subject.get("namespace") or namespace
        return f"User/system:serviceaccount:{home}:{subject['name']}"
    return f"{subject['kind']}/{subject['name']}"
