"""How much of a request the audit log keeps: the first rule of the policy that matches says it.

Source: ``pkg/audit/policy`` of ``k8s.io/apiserver`` and the type `audit.k8s.io/v1` Policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import yaml

from wherry.apiserver.identity import User
from wherry.objects.requests import Object

STAGES: Final = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
_LEVELS: Final = ("None", "Metadata", "Request", "RequestResponse")
_SECRET: Final = frozenset(
    {
        ("", "secrets"),
        ("", "serviceaccounts/token"),
        ("authentication.k8s.io", "tokenreviews"),
    }
)
"""Resources whose bodies are never written, whatever the policy says."""
_MAX_BYTES: Final = 1024 * 1024


class PolicyError(Exception):
    """The policy file cannot be used; the message says where it is wrong."""


class Level(IntEnum):
    """How much is kept, each level with all of the one before."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    @property
    def title(self) -> str:
        """As the API writes it."""
        return _LEVELS[self]


@dataclass(frozen=True, slots=True)
class Subject:
    """What rules are matched against.

    Attributes:
        user: Who asks.
        verb: ``get``, ``list`` …; the HTTP method in lower case for a path.
        path: The URL's path.
        group: API group.
        resource: Plural name with its subresource; empty where the request is for none.
        namespace: Empty for none.
        name: Empty for none.
    """

    user: User
    verb: str
    path: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is kept of one request.

    Attributes:
        level: How much.
        omit_stages: Stages that are not told.
        omit_managed_fields: Whether bodies go without ``metadata.managedFields``.
    """

    level: Level
    omit_stages: frozenset[str] = frozenset()
    omit_managed_fields: bool = False


class Policy:
    """A policy, ready to be asked.

    Args:
        obj: An `audit.k8s.io/v1` Policy.

    Raises:
        PolicyError: It is none, or a field has a value that it may not have.
    """

    def __init__(self, obj: Object) -> None:
        if obj.get("kind") != "Policy" or obj.get("apiVersion") != "audit.k8s.io/v1":
            raise PolicyError("an audit policy has apiVersion audit.k8s.io/v1 and kind Policy")
        rules = obj.get("rules")
        if not isinstance(rules, list) or not rules:
            raise PolicyError("rules: at least one rule is required")
        self._rules: Sequence[Mapping[str, Any]] = rules
        everywhere = _stages("omitStages", obj.get("omitStages"))
        without_fields = bool(obj.get("omitManagedFields"))
        self._decisions = [
            _decision(f"rules[{number}]", rule, everywhere, omit_managed_fields=without_fields)
            for number, rule in enumerate(rules)
        ]

    @classmethod
    def load(cls, path: Path) -> "Policy":
        """Read a policy from a YAML or JSON file.

        Raises:
            PolicyError: The file cannot be read or is no policy.
        """
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise PolicyError(f"{path} is larger than {_MAX_BYTES} bytes")
            obj = yaml.safe_load(path.read_text())
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise PolicyError(f"the audit policy {path} cannot be read: {error}") from error
        if not isinstance(obj, dict):
            raise PolicyError(f"the audit policy {path} is no object")
        try:
            return cls(obj)
        except PolicyError as error:
            raise PolicyError(f"the audit policy {path}: {error}") from error

    def decide(self, subject: Subject) -> Decision:
        """Return what is kept of a request; nothing where no rule matches."""
        for rule, decision in zip(self._rules, self._decisions, strict=True):
            if _matches(rule, subject):
                return _guarded(decision, subject)
        return Decision(Level.NONE)


def _guarded(decision: Decision, subject: Subject) -> Decision:
    if (subject.group, subject.resource) not in _SECRET or decision.level <= Level.METADATA:
        return decision
    return Decision(Level.METADATA, decision.omit_stages)


def _decision(
    path: str, rule: object, everywhere: frozenset[str], *, omit_managed_fields: bool
) -> Decision:
    if not isinstance(rule, dict):
        raise PolicyError(f"{path}: must be an object")
    level = rule.get("level")
    if level not in _LEVELS:
        raise PolicyError(f'{path}.level: "{level}" is none of {", ".join(_LEVELS)}')
    if rule.get("nonResourceURLs") and (rule.get("resources") or rule.get("namespaces")):
        raise PolicyError(f"{path}.nonResourceURLs: must not stand beside resources or namespaces")
    for field in ("users", "userGroups", "verbs", "namespaces", "nonResourceURLs", "resources"):
        if not isinstance(rule.get(field) or [], list):
            raise PolicyError(f"{path}.{field}: must be a list")
    own = rule.get("omitManagedFields")
    return Decision(
        Level(_LEVELS.index(level)),
        everywhere | _stages(f"{path}.omitStages", rule.get("omitStages")),
        omit_managed_fields if own is None else bool(own),
    )


def _stages(path: str, value: object) -> frozenset[str]:
    stages = value or []
    if not isinstance(stages, list) or not set(stages) <= set(STAGES):
        raise PolicyError(f"{path}: a list of {', '.join(STAGES)} is accepted, not {value!r:.80}")
    return frozenset(stages)


def _matches(rule: Mapping[str, Any], subject: Subject) -> bool:
    if not _listed(rule.get("users"), subject.user.name) or not _listed(
        rule.get("verbs"), subject.verb
    ):
        return False
    groups = rule.get("userGroups")
    if groups and not set(groups) & set(subject.user.groups):
        return False
    if paths := rule.get("nonResourceURLs"):
        return not subject.resource and any(_path_matches(path, subject.path) for path in paths)
    if not rule.get("resources") and not rule.get("namespaces"):
        return True
    if not subject.resource or not _listed(rule.get("namespaces"), subject.namespace):
        return False
    return not rule.get("resources") or any(_covers(each, subject) for each in rule["resources"])


def _listed(values: Sequence[str] | None, value: str) -> bool:
    return not values or value in values


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return path == pattern


def _covers(rule: Mapping[str, Any], subject: Subject) -> bool:
    if (rule.get("group") or "") != subject.group:
        return False
    if (names := rule.get("resourceNames")) and subject.name not in names:
        return False
    wanted = rule.get("resources")
    if not wanted:
        return True
    plural, _, below = subject.resource.partition("/")
    alike = {subject.resource, "*", f"*/{below}" if below else "", f"{plural}/*" if below else ""}
    return any(each in alike for each in wanted if each)


METADATA_ONLY: Final = Policy(
    {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version"]},
            {"level": "Metadata"},
        ],
    }
)
"""What holds where no policy is named."""
