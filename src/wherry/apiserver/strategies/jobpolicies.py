"""Rules of what a job does about pods that fail or succeed, and of counting by index.

Source: ``validateJobSpec`` and ``validatePodFailurePolicy`` of ``pkg/apis/batch/validation``.
"""

from collections.abc import Set
from typing import Any

from wherry.apiserver.strategies import causes
from wherry.objects.errors import Cause

_ACTIONS = frozenset({"Count", "FailIndex", "FailJob", "Ignore"})
_OPERATORS = frozenset({"In", "NotIn"})
_STATUSES = frozenset({"True", "False", "Unknown"})
_REPLACEMENTS = frozenset({"Failed", "TerminatingOrFailed"})
_MAX_RULES = 20
_MAX_EXIT_CODES = 255
_MAX_INDEXED_PARALLELISM = 100_000


def check(path: str, spec: dict[str, Any]) -> list[Cause]:
    """Check the policies in a job's spec."""
    indexed = spec.get("completionMode") == "Indexed"
    found = _indexed(path, spec) if indexed else _not_indexed(path, spec)
    failure = spec.get("podFailurePolicy")
    if failure:
        found += _failure(f"{path}.podFailurePolicy", failure, spec)
    replacement = spec.get("podReplacementPolicy")
    accepted = frozenset({"Failed"}) if failure else _REPLACEMENTS
    return found + causes.choice(f"{path}.podReplacementPolicy", replacement, accepted)


def _indexed(path: str, spec: dict[str, Any]) -> list[Cause]:
    found: list[Cause] = []
    completions, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    if completions is None:
        why = "when completion mode is Indexed"
        found.append(causes.required(f"{path}.completions", why))
    parallelism = spec.get("parallelism") or 0
    if parallelism > _MAX_INDEXED_PARALLELISM:
        why = f"must be less than or equal to {_MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
        found.append(causes.invalid(f"{path}.parallelism", parallelism, why))
    if failed is not None and spec.get("backoffLimitPerIndex") is None:
        why = "when maxFailedIndexes is specified"
        found.append(causes.required(f"{path}.backoffLimitPerIndex", why))
    if failed is not None and completions is not None and failed > completions:
        why = "must be less than or equal to completions"
        found.append(causes.invalid(f"{path}.maxFailedIndexes", failed, why))
    if spec.get("successPolicy") is not None and not spec["successPolicy"].get("rules"):
        why = "at least one rules must be specified when the successPolicy is specified"
        found.append(causes.required(f"{path}.successPolicy.rules", why))
    return found


def _not_indexed(path: str, spec: dict[str, Any]) -> list[Cause]:
    why = "requires indexed completion mode"
    only_indexed = ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy")
    return [
        causes.invalid(f"{path}.{name}", spec[name], why)
        for name in only_indexed
        if spec.get(name) is not None
    ]


def _failure(path: str, policy: dict[str, Any], spec: dict[str, Any]) -> list[Cause]:
    rules = policy.get("rules") or []
    found: list[Cause] = []
    if len(rules) > _MAX_RULES:
        message = f"Too many: {len(rules)}: must have at most {_MAX_RULES} items"
        found.append(Cause(f"{path}.rules", message, "FieldValueTooMany"))
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = [*(pod.get("containers") or ()), *(pod.get("initContainers") or ())]
    known = {container.get("name") for container in containers}
    for index, rule in enumerate(rules):
        found += _rule(f"{path}.rules[{index}]", rule, spec, known)
    return found


def _rule(path: str, rule: dict[str, Any], spec: dict[str, Any], known: Set[Any]) -> list[Cause]:
    action, codes, conditions = (rule.get(n) for n in ("action", "onExitCodes", "onPodConditions"))
    found: list[Cause] = []
    if not action:
        found.append(causes.required(f"{path}.action", f"valid values: {sorted(_ACTIONS)}"))
    elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        why = "requires the backoffLimitPerIndex to be set"
        found.append(causes.invalid(f"{path}.action", action, why))
    else:
        found += causes.choice(f"{path}.action", action, _ACTIONS)
    if codes is not None and conditions:
        why = "specifying both OnExitCodes and OnPodConditions is not supported"
        found.append(Cause(path, f"Invalid value: {why}"))
    if codes is None and not conditions:
        why = "specifying one of OnExitCodes and OnPodConditions is required"
        found.append(Cause(path, f"Invalid value: {why}"))
    if codes is not None:
        found += _exit_codes(f"{path}.onExitCodes", codes, known)
    for index, pattern in enumerate(conditions or ()):
        where = f"{path}.onPodConditions[{index}].status"
        found += causes.choice(where, pattern.get("status"), _STATUSES)
    return found


def _exit_codes(path: str, codes: dict[str, Any], known: Set[Any]) -> list[Cause]:
    operator, values = codes.get("operator"), codes.get("values") or []
    found = causes.choice(f"{path}.operator", operator, _OPERATORS)
    name = codes.get("containerName")
    if name is not None and name not in known:
        why = "must be one of the container or initContainer names in the pod template"
        found.append(causes.invalid(f"{path}.containerName", name, why))
    if not values:
        found.append(causes.invalid(f"{path}.values", values, "at least one value is required"))
    elif len(values) > _MAX_EXIT_CODES:
        message = f"Too many: {len(values)}: must have at most {_MAX_EXIT_CODES} items"
        found.append(Cause(f"{path}.values", message, "FieldValueTooMany"))
    for index, value in enumerate(values):
        where = f"{path}.values[{index}]"
        if value in values[:index]:
            found.append(causes.duplicate(where, value))
        elif value == 0 and operator == "In":
            found.append(causes.invalid(where, value, "must not be 0 for the In operator"))
    if values != sorted(values):
        found.append(causes.invalid(f"{path}.values", values, "must be ordered"))
    return found
