"""What validating and mutating policies have in common: matching, variables, bindings, parameters.

Source: `pkg/admission/plugin/policy/generic` of apiserver.
"""

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from wherry.apiserver.admission.attributes import Attributes
from wherry.apiserver.admission.matching import VARIABLES, Conditions, Match
from wherry.apiserver.resources import ResourceMap
from wherry.objects import kinds, selectors
from wherry.objects.cel.program import Program
from wherry.objects.cel.syntax import CelSyntaxError
from wherry.objects.cel.values import CelError
from wherry.objects.requests import Object
from wherry.store import Key, Record, Store

NAMES: Final = (*VARIABLES, "params", "namespaceObject", "variables")
"""What the expressions of policies may use."""


class Variables:
    """The policy's own variables, each computed when it is first asked for."""

    def __init__(self, programs: Mapping[str, Program], values: Mapping[str, Any]) -> None:
        self._found: dict[str, Any] = {}
        self._programs = programs
        self._values = {**values, "variables": self}

    def cel_field(self, name: str) -> Any:
        """Return a variable.

        Raises:
            CelError: There is none, or it has no value.
        """
        if name not in self._found:
            program = self._programs.get(name)
            if program is None:
                raise CelError(f"no such key: {name}")
            self._found[name] = program.evaluate(self._values)[0]
        return self._found[name]

    def cel_has(self, name: str) -> bool:
        """Return whether there is a variable of the name."""
        return name in self._programs


class Policy(abc.ABC):
    """A policy that is ready to be asked.

    Attributes:
        name: Its name.
        spec: Its spec.
        match: Which writes it is about.
        conditions: Its `matchConditions`.
        broken: Why it cannot be asked; empty where it can.
        variables: Its variables.
    """

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        self.name = obj["metadata"]["name"]
        self.spec = spec
        self.match = Match.of(spec.get("matchConstraints") or {}, "resourceRules")
        self.conditions = Conditions(spec.get("matchConditions") or (), ("params",))
        self.broken = ""
        self.variables: dict[str, Program] = {}
        try:
            for each in spec.get("variables") or ():
                self.variables[each["name"]] = Program(each["expression"], NAMES)
            self.compile()
        except CelSyntaxError as error:
            self.broken = f"compilation failed: {error}"

    @abc.abstractmethod
    def compile(self) -> None:
        """Compile what such a policy has besides.

        Raises:
            CelSyntaxError: An expression is none.
        """

    @property
    def fails_closed(self) -> bool:
        """Whether a write is refused when the policy cannot be asked."""
        return self.spec.get("failurePolicy") != "Ignore"


@dataclass(frozen=True, slots=True)
class Binding:
    """Where a policy holds."""

    name: str
    policy: str
    spec: Mapping[str, Any]
    match: Match | None


class NoParamsError(Exception):
    """A policy cannot be applied for want of parameters."""


P = TypeVar("P", bound=Policy)


class Bound(abc.ABC, Generic[P]):
    """All policies of a sort that have a binding.

    Args:
        store: Namespaces and parameters.
        resources: What is served.
        policies: As they are stored.
        bindings: As they are stored.
    """

    def __init__(
        self,
        store: Store,
        resources: ResourceMap,
        policies: Sequence[Record],
        bindings: Sequence[Record],
    ) -> None:
        self._store = store
        self._resources = resources
        self._policies: dict[str, P] = {each.key.name: self.compiled(each) for each in policies}
        found = [_binding(record.value()) for record in bindings]
        self._bindings = [each for each in found if each.policy in self._policies]

    @abc.abstractmethod
    def compiled(self, record: Record) -> P:
        """Return the policy that is stored."""

    @property
    def bound(self) -> bool:
        """Whether any policy has a binding; without one it holds nowhere."""
        return bool(self._bindings)

    def pairs(self) -> Iterator[tuple[P, Binding]]:
        """Yield the policies with each of their bindings."""
        for binding in self._bindings:
            yield self._policies[binding.policy], binding

    def matched(self, policy: P, binding: Binding, asked: Attributes) -> Attributes | None:
        """Return the write in the version that a policy wants; None where it is not concerned."""
        found = policy.match.applies(asked, self._store, self._resources)
        if found is None:
            return None
        if binding.match and not binding.match.applies(asked, self._store, self._resources):
            return None
        return found

    def values(self, asked: Attributes) -> dict[str, Any]:
        """Return the variables of expressions, but for the parameters."""
        return asked.values(asked.request()) | {"namespaceObject": self._namespace(asked)}

    def _namespace(self, asked: Attributes) -> Object | None:
        if not asked.namespace:
            return None
        record = self._store.head(Key(kinds.NAMESPACES.key, "", asked.namespace))
        return record.value() if record else None

    def params(self, policy: P, binding: Binding, asked: Attributes) -> Iterable[Object | None]:
        """Return the objects that the binding takes as parameters; one None where it takes none.

        Raises:
            NoParamsError: There is none of them, and that is refused.
        """
        kind, ref = policy.spec.get("paramKind"), binding.spec.get("paramRef")
        if not kind or not ref:
            return [None]
        served = self._resources.by_kind(kind.get("apiVersion", ""), kind.get("kind", ""))
        if served is None:
            raise NoParamsError("failed to find resource referenced by paramKind")
        namespace = ref.get("namespace") or asked.namespace
        records = self._store.list(
            served.storage.key, namespace if served.resource.namespaced else None
        ).records
        if ref.get("name"):
            records = [each for each in records if each.key.name == ref["name"]]
        else:
            wanted = selectors.from_object(ref.get("selector") or {})
            records = [each for each in records if wanted.matches(each.labels)]
        if records:
            return [served.from_storage(each.value()) for each in records]
        if ref.get("parameterNotFoundAction") == "Allow":
            return []
        raise NoParamsError(
            "no params found for policy binding with `Deny` parameterNotFoundAction"
        )


def _binding(obj: Object) -> Binding:
    spec = obj.get("spec") or {}
    given = spec.get("matchResources")
    match = None
    if given is not None:
        every = [{name: ["*"] for name in ("operations", "apiGroups", "apiVersions")}]
        every[0]["resources"] = ["*", "*/*"]
        match = Match.of({"resourceRules": every, **given}, "resourceRules")
    return Binding(obj["metadata"]["name"], spec.get("policyName", ""), spec, match)


def expressions(
    spec: Mapping[str, Any], parts: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """Yield path and text of the expressions in lists of a policy's spec.

    Args:
        spec: Of the policy.
        parts: The lists, with the fields of their items that are expressions.
    """
    for part, fields in parts.items():
        for index, each in enumerate(spec.get(part) or ()):
            for field in fields:
                if text := each.get(field):
                    yield f"spec.{part}[{index}].{field}", text


def problems(
    listed: Iterable[tuple[str, str]], compile_: Callable[[str], object]
) -> Iterator[tuple[str, str, str]]:
    """Yield path, text and problem of each expression that is none."""
    for path, text in listed:
        try:
            compile_(text)
        except CelSyntaxError as error:
            yield path, text, f"compilation failed: {error}"
