"""ValidatingAdmissionPolicies and their bindings.

Source: `pkg/admission/plugin/policy/validating` of apiserver.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.apiserver.admission.attributes import Attributes
from wherry.apiserver.admission.matching import VARIABLES, ConditionError, Conditions, Match
from wherry.apiserver.cel.program import Program
from wherry.apiserver.cel.syntax import CelSyntaxError
from wherry.apiserver.cel.values import CelError
from wherry.apiserver.resources import ResourceMap
from wherry.objects import errors, kinds, selectors
from wherry.objects.requests import Object
from wherry.store import Key, Record, Store

_NAMES: Final = (*VARIABLES, "params", "namespaceObject", "variables")
_MAX_MESSAGE: Final = 5 * 1024
_ERRORS: Final[Mapping[str, type[errors.ApiError]]] = {
    "Unauthorized": errors.UnauthorizedError,
    "Forbidden": errors.ForbiddenError,
    "RequestEntityTooLarge": errors.RequestEntityTooLargeError,
}


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


@dataclass(frozen=True, slots=True)
class _Validation:
    rule: Program
    spec: Mapping[str, Any]
    message: Program | None


class _Policy:
    """A policy that is ready to be asked."""

    def __init__(self, obj: Object) -> None:
        spec = obj.get("spec") or {}
        self.name = obj["metadata"]["name"]
        self.spec = spec
        self.match = Match.of(spec.get("matchConstraints") or {}, "resourceRules")
        self.conditions = Conditions(spec.get("matchConditions") or (), ("params",))
        self.broken = ""
        self.variables: dict[str, Program] = {}
        self.validations: list[_Validation] = []
        try:
            for each in spec.get("variables") or ():
                self.variables[each["name"]] = Program(each["expression"], _NAMES)
            self.validations = [_validation(each) for each in spec.get("validations") or ()]
        except CelSyntaxError as error:
            self.broken = f"compilation failed: {error}"

    @property
    def fails_closed(self) -> bool:
        return self.spec.get("failurePolicy") != "Ignore"


def _validation(spec: Mapping[str, Any]) -> _Validation:
    message = spec.get("messageExpression")
    return _Validation(
        Program(spec["expression"], _NAMES), spec, Program(message, _NAMES) if message else None
    )


@functools.lru_cache(maxsize=256)
def _compiled(record: Record) -> _Policy:
    return _Policy(record.value())


def problems(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield path, expression and problem of each expression of a policy that is none."""
    listed = [
        (f"spec.{part}[{index}].{field}", each.get(field))
        for part, fields in (
            ("matchConditions", ("expression",)),
            ("variables", ("expression",)),
            ("validations", ("expression", "messageExpression")),
        )
        for index, each in enumerate(spec.get(part) or ())
        for field in fields
    ]
    for path, expression in listed:
        if not expression:
            continue
        try:
            Program(expression, _NAMES)
        except CelSyntaxError as error:
            yield path, expression, f"compilation failed: {error}"


@dataclass(frozen=True, slots=True)
class _Binding:
    name: str
    policy: str
    spec: Mapping[str, Any]
    match: Match | None


class Policies:
    """All policies that have a binding.

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
        self._policies = {record.key.name: _compiled(record) for record in policies}
        found = [_binding(record.value()) for record in bindings]
        self._bindings = [each for each in found if each.policy in self._policies]

    @property
    def bound(self) -> bool:
        """Whether any policy has a binding; without one it holds nowhere."""
        return bool(self._bindings)

    def check(self, asked: Attributes, warnings: list[str]) -> None:
        """Hold a write to the policies.

        Raises:
            ApiError: One refuses it.
        """
        for binding in self._bindings:
            policy = self._policies[binding.policy]
            matched = policy.match.applies(asked, self._store, self._resources)
            if matched is None:
                continue
            if binding.match and not binding.match.applies(asked, self._store, self._resources):
                continue
            for message, reason in self._broken(policy, binding, matched):
                self._act(binding, asked, (message, reason), warnings)

    def _act(
        self, binding: _Binding, asked: Attributes, broken: tuple[str, str], warnings: list[str]
    ) -> None:
        message, reason = broken
        actions = binding.spec.get("validationActions") or ["Deny"]
        who = f"ValidatingAdmissionPolicy '{binding.policy}' with binding '{binding.name}'"
        if "Warn" in actions:
            warnings.append(f"Validation failed for {who}: {message}")
        if "Deny" in actions:
            resource = asked.served.resource
            why = f"{who} denied request: {message}"
            error = errors.forbidden(resource.plural, asked.name, why, resource.group)
            details = {**error.details, "causes": [{"message": why}]}
            raise _ERRORS.get(reason, errors.InvalidError)(error.message, details)

    def _broken(
        self, policy: _Policy, binding: _Binding, asked: Attributes
    ) -> Iterator[tuple[str, str]]:
        """Yield message and reason of each validation that does not hold."""
        if policy.broken:
            if policy.fails_closed:
                yield policy.broken, ""
            return
        request = asked.request()
        values = asked.values(request) | {"namespaceObject": self._namespace(asked)}
        try:
            parameters = list(self._params(policy, binding, asked))
        except _NoParamsError as error:
            if policy.fails_closed:
                yield str(error), ""
            return
        for params in parameters:
            yield from _judged(policy, values | {"params": params})

    def _namespace(self, asked: Attributes) -> Object | None:
        if not asked.namespace:
            return None
        record = self._store.head(Key(kinds.NAMESPACES.key, "", asked.namespace))
        return record.value() if record else None

    def _params(
        self, policy: _Policy, binding: _Binding, asked: Attributes
    ) -> Iterable[Object | None]:
        """Return the objects that the binding takes as parameters; one None where it takes none.

        Raises:
            _NoParamsError: There is none of them, and that is refused.
        """
        kind, ref = policy.spec.get("paramKind"), binding.spec.get("paramRef")
        if not kind or not ref:
            return [None]
        served = self._resources.by_kind(kind.get("apiVersion", ""), kind.get("kind", ""))
        if served is None:
            raise _NoParamsError("failed to find resource referenced by paramKind")
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
        raise _NoParamsError(
            "no params found for policy binding with `Deny` parameterNotFoundAction"
        )


class _NoParamsError(Exception):
    """A policy cannot be applied for want of parameters."""


def _binding(obj: Object) -> _Binding:
    spec = obj.get("spec") or {}
    given = spec.get("matchResources")
    match = None
    if given is not None:
        every = [{name: ["*"] for name in ("operations", "apiGroups", "apiVersions")}]
        every[0]["resources"] = ["*", "*/*"]
        match = Match.of({"resourceRules": every, **given}, "resourceRules")
    return _Binding(obj["metadata"]["name"], spec.get("policyName", ""), spec, match)


def _judged(policy: _Policy, values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        if not policy.conditions.hold(values):
            return
    except ConditionError as error:
        if policy.fails_closed:
            yield f"match conditions: {error}", ""
        return
    values["variables"] = Variables(policy.variables, values)
    for validation in policy.validations:
        try:
            result, _ = validation.rule.evaluate(values)
        except CelError as error:
            if policy.fails_closed:
                text = validation.spec["expression"]
                yield f"expression '{text}' resulted in error: {error}", ""
            continue
        if result is not True:
            yield _message(validation, values), str(validation.spec.get("reason") or "")


def _message(validation: _Validation, values: Mapping[str, Any]) -> str:
    if validation.message is not None:
        try:
            text, _ = validation.message.evaluate(values)
        except CelError:
            text = ""
        if isinstance(text, str) and text.strip() and "\n" not in text and len(text) < _MAX_MESSAGE:
            return text.strip()
    given = validation.spec.get("message")
    return str(given or f"failed expression: {validation.spec['expression'].strip()}")
