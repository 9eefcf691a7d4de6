"""Which writes a webhook or policy wants to be asked about: rules, selectors, conditions.

Source: `pkg/admission/plugin/webhook/{rules,predicates,matchconditions}` of apiserver.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.apiserver.admission.attributes import Attributes
from wherry.apiserver.resources import ResourceMap, Served
from wherry.objects import kinds, selectors
from wherry.objects.selectors import LabelSelector
from wherry.store import Key, Store

VARIABLES: Final = ("object", "oldObject", "request")
_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Match:
    """What a webhook or policy is about.

    Attributes:
        rules: Entries of `rules` or `resourceRules`.
        excluded: Entries of `excludeResourceRules`.
        namespaces: On the labels of the object's namespace.
        objects: On the labels of the object.
        equivalent: Whether the rules also mean other versions of the resources they name.
    """

    rules: Sequence[Mapping[str, Any]]
    excluded: Sequence[Mapping[str, Any]]
    namespaces: LabelSelector
    objects: LabelSelector
    equivalent: bool

    @classmethod
    def of(cls, spec: Mapping[str, Any], rules: str = "rules") -> "Match":
        """Return what the fields of a webhook or of `matchConstraints` say."""
        return cls(
            rules=spec.get(rules) or (),
            excluded=spec.get("excludeResourceRules") or (),
            namespaces=selectors.from_object(spec.get("namespaceSelector") or {}),
            objects=selectors.from_object(spec.get("objectSelector") or {}),
            equivalent=spec.get("matchPolicy") != "Exact",
        )

    def applies(self, asked: Attributes, store: Store, resources: ResourceMap) -> Attributes | None:
        """Return the write in the version that the rules name; None where they do not mean it."""
        if any(_rule_fits(rule, asked, asked.served) for rule in self.excluded):
            return None
        version = self._version(asked, resources)
        if version is None or not self._selected(asked, store):
            return None
        return asked if version is asked.served else asked.in_version(version)

    def _version(self, asked: Attributes, resources: ResourceMap) -> Served | None:
        if any(_rule_fits(rule, asked, asked.served) for rule in self.rules):
            return asked.served
        if not self.equivalent:
            return None
        key = asked.served.resource.key
        for other in resources.all():
            if other.resource.key == key and any(
                _rule_fits(rule, asked, other) for rule in self.rules
            ):
                return other
        return None

    def _selected(self, asked: Attributes, store: Store) -> bool:
        if not self.objects.empty and not any(map(self.objects.matches, asked.labels())):
            return False
        if self.namespaces.empty:
            return True
        if asked.served.resource.key == kinds.NAMESPACES.key:
            return any(map(self.namespaces.matches, asked.labels()))
        if not asked.namespace:
            return True
        record = store.head(Key(kinds.NAMESPACES.key, "", asked.namespace))
        return record is not None and self.namespaces.matches(record.labels)


def _rule_fits(rule: Mapping[str, Any], asked: Attributes, served: Served) -> bool:
    resource = served.resource
    scope = rule.get("scope") or _ANY
    if scope != _ANY and (scope == "Namespaced") != bool(asked.namespace):
        return False
    names = rule.get("resourceNames")
    if names and asked.name not in names:
        return False
    return (
        _listed(rule.get("operations"), asked.operation)
        and _listed(rule.get("apiGroups"), resource.group)
        and _listed(rule.get("apiVersions"), resource.version)
        and any(_names(each, asked) for each in rule.get("resources") or ())
    )


def _listed(values: Iterable[str] | None, value: str) -> bool:
    return any(each in {_ANY, value} for each in values or ())


def _names(pattern: str, asked: Attributes) -> bool:
    plural, _, subresource = pattern.partition("/")
    if plural not in {_ANY, asked.served.resource.plural}:
        return False
    # `*` alone means every resource but no subresource, `*/*` both.
    return subresource in {asked.subresource, _ANY} if subresource else not asked.subresource


class ConditionError(Exception):
    """A condition cannot be evaluated for a write."""


class Conditions:
    """`matchConditions`: all must be true.

    Args:
        listed: The entries.
        extra: Names of further variables.
    """

    def __init__(self, listed: Iterable[Mapping[str, Any]], extra: Sequence[str] = ()) -> None:
        self._expressions = [str(each.get("expression") or "") for each in listed]
        self._variables = (*VARIABLES, *extra)

    def hold(self, values: Mapping[str, Any]) -> bool:
        """Return whether the write fulfils them.

        Raises:
            ConditionError: One cannot be evaluated, and none is false.
        """
        if not self._expressions:
            return True
        # Few webhooks have conditions, and their language is a few megabytes.
        from wherry.apiserver.admission import conditions  # noqa: PLC0415 - CEL is loaded when used

        try:
            return conditions.hold(self._expressions, self._variables, values)
        except conditions.CelError as error:
            raise ConditionError(str(error)) from error
