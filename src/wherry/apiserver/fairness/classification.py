"""Which flow schema a request falls under: subjects and rules, tried by precedence.

Source: ``pkg/util/flowcontrol/rule.go`` of ``k8s.io/apiserver``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from wherry.apiserver.identity import User
from wherry.objects.requests import Object

_ACCOUNT = "system:serviceaccount:"
_ANY = "*"


class Asked(NamedTuple):
    """What is asked for, as far as flow schemas look at it.

    Attributes:
        verb: ``get``, ``list`` …; the HTTP method in lower case for a path.
        group: API group.
        resource: Plural name with its subresource, ``nodes/status``; empty for a path.
        namespace: Empty for cluster scope and all namespaces.
        path: Of a request that is for no resource.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """One FlowSchema, ready to be matched.

    Attributes:
        name: Of the object.
        uid: Of the object; empty for one that stands in for a missing mandatory object.
        level: Name of its priority level.
        precedence: Lower ones are tried first.
        method: ``ByUser``, ``ByNamespace`` or empty.
        rules: As the API has them.
    """

    name: str
    uid: str
    level: str
    precedence: int
    method: str
    rules: Sequence[Object]

    @classmethod
    def of(cls, obj: Object) -> "Schema":
        """Read a FlowSchema as the API has it."""
        spec = obj.get("spec") or {}
        return cls(
            name=obj["metadata"]["name"],
            uid=obj["metadata"].get("uid", ""),
            level=(spec.get("priorityLevelConfiguration") or {}).get("name", ""),
            precedence=spec.get("matchingPrecedence") or 1000,
            method=(spec.get("distinguisherMethod") or {}).get("type", ""),
            rules=spec.get("rules") or (),
        )

    def matches(self, user: User, asked: Asked) -> bool:
        """Return whether a request falls under this schema."""
        return any(
            any(_is_subject(each, user) for each in rule.get("subjects") or ())
            and _covers(rule, asked)
            for rule in self.rules
        )

    def distinguisher(self, user: User, asked: Asked) -> str:
        """Return what tells the flows of this schema apart."""
        if self.method == "ByUser":
            return user.name
        return asked.namespace if self.method == "ByNamespace" else ""


def _is_subject(subject: Mapping[str, Any], user: User) -> bool:
    kind = subject.get("kind")
    if kind == "User":
        name = (subject.get("user") or {}).get("name")
        return name in {_ANY, user.name}
    if kind == "Group":
        name = (subject.get("group") or {}).get("name")
        return name == _ANY or name in user.groups
    account = subject.get("serviceAccount") or {}
    namespace, name = account.get("namespace", ""), account.get("name", "")
    if name == _ANY:
        return user.name.startswith(f"{_ACCOUNT}{namespace}:")
    return user.name == f"{_ACCOUNT}{namespace}:{name}"


def _covers(rule: Mapping[str, Any], asked: Asked) -> bool:
    if asked.path:
        return any(
            _has(each.get("verbs"), asked.verb)
            and any(_path_matches(path, asked.path) for path in each.get("nonResourceURLs") or ())
            for each in rule.get("nonResourceRules") or ()
        )
    return any(_covers_resource(each, asked) for each in rule.get("resourceRules") or ())


def _covers_resource(rule: Mapping[str, Any], asked: Asked) -> bool:
    if not (
        _has(rule.get("verbs"), asked.verb)
        and _has(rule.get("apiGroups"), asked.group)
        and _has(rule.get("resources"), asked.resource)
    ):
        return False
    if not asked.namespace:
        return bool(rule.get("clusterScope"))
    return _has(rule.get("namespaces"), asked.namespace)


def _has(values: Sequence[str] | None, value: str) -> bool:
    return values is not None and (value in values or _ANY in values)


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path
