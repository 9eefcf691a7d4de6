"""ValidatingAdmissionPolicies and their bindings.

Source: `pkg/admission/plugin/policy/validating` of apiserver.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.apiserver.admission import bound_policies
from wherry.apiserver.admission.attributes import Attributes
from wherry.apiserver.admission.bound_policies import (
    NAMES,
    Binding,
    Bound,
    NoParamsError,
    Policy,
    Variables,
)
from wherry.apiserver.admission.matching import ConditionError
from wherry.objects import errors
from wherry.objects.cel.program import Program
from wherry.objects.cel.values import CelError
from wherry.store import Record

_MAX_MESSAGE: Final = 5 * 1024
_ERRORS: Final[Mapping[str, type[errors.ApiError]]] = {
    "Unauthorized": errors.UnauthorizedError,
    "Forbidden": errors.ForbiddenError,
    "RequestEntityTooLarge": errors.RequestEntityTooLargeError,
}


@dataclass(frozen=True, slots=True)
class _Validation:
    rule: Program
    spec: Mapping[str, Any]
    message: Program | None


class _Policy(Policy):
    """A policy that judges."""

    def compile(self) -> None:
        """Compile the validations."""
        listed = self.spec.get("validations") or ()
        self.validations = [_validation(each) for each in listed]


def _validation(spec: Mapping[str, Any]) -> _Validation:
    message = spec.get("messageExpression")
    return _Validation(
        Program(spec["expression"], NAMES), spec, Program(message, NAMES) if message else None
    )


@functools.lru_cache(maxsize=256)
def _compiled(record: Record) -> _Policy:
    return _Policy(record.value())


_EXPRESSIONS: Final = {
    "matchConditions": ("expression",),
    "variables": ("expression",),
    "validations": ("expression", "messageExpression"),
}


def problems(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield path, expression and problem of each expression of a policy that is none."""
    listed = bound_policies.expressions(spec, _EXPRESSIONS)
    return bound_policies.problems(listed, lambda text: Program(text, NAMES))


class Policies(Bound[_Policy]):
    """All validating policies that have a binding."""

    def compiled(self, record: Record) -> _Policy:
        """Return the policy that is stored."""
        return _compiled(record)

    def check(self, asked: Attributes, warnings: list[str]) -> None:
        """Hold a write to the policies.

        Raises:
            ApiError: One refuses it.
        """
        for policy, binding in self.pairs():
            matched = self.matched(policy, binding, asked)
            if matched is None:
                continue
            for message, reason in self._broken(policy, binding, matched):
                self._act(binding, asked, (message, reason), warnings)

    def _act(
        self, binding: Binding, asked: Attributes, broken: tuple[str, str], warnings: list[str]
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
        self, policy: _Policy, binding: Binding, asked: Attributes
    ) -> Iterator[tuple[str, str]]:
        """Yield message and reason of each validation that does not hold."""
        if policy.broken:
            if policy.fails_closed:
                yield policy.broken, ""
            return
        values = self.values(asked)
        try:
            parameters = list(self.params(policy, binding, asked))
        except NoParamsError as error:
            if policy.fails_closed:
                yield str(error), ""
            return
        for params in parameters:
            yield from _judged(policy, values | {"params": params})


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
