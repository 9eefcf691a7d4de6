"""What is wrong with a Trial, in its own words: one that no experiment has made may hold anything. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning import collectors, workloads

_COLLECTOR = "spec.metricsCollector"
_OF_EXPERIMENT = "spec.metricsCollectorSpec"
_MOST_SECONDS = 86400

_Part = Mapping[str, Any]


def validate(obj: Object, old: Object | None) -> list[Cause]:
    """Return what is wrong with a Trial.

    Args:
        obj: In v1beta1.
        old: As it was before; None: it is new.
    """
    spec: _Part = obj.get("spec") or {}
    if old is not None and old.get("spec") == spec:
        # One that came in otherwise must still be told how it ends, and be deleted.
        return []
    return [*_collector(spec), *_conditions(spec)]


def _collector(spec: _Part) -> Iterator[Cause]:
    chosen: _Part = spec.get("metricsCollector") or {}
    kind = str((chosen.get("collector") or {}).get("kind") or collectors.USUAL)
    seconds = chosen.get("deadlineSeconds")
    if seconds is not None and not (_is_number(seconds) and 1 <= seconds <= _MOST_SECONDS):
        message = f'"{seconds}": want a number of seconds from 1 to {_MOST_SECONDS}'
        yield Cause(f"{_COLLECTOR}.deadlineSeconds", message)
    collector = collectors.get(kind)
    if collector is None:
        accepted = ", ".join(each.kind for each in collectors.ALL)
        message = f'"{kind}": want one of {accepted}'
        yield Cause(f"{_COLLECTOR}.collector.kind", message, "FieldValueNotSupported")
        return
    for cause in collector.validate(dict(chosen)):
        # An experiment has it under another name.
        field = cause.field.replace(_OF_EXPERIMENT, _COLLECTOR, 1)
        yield Cause(field, cause.message, cause.reason)


def _conditions(spec: _Part) -> Iterator[Cause]:
    for field in ("successCondition", "failureCondition"):
        expression = str(spec.get(field) or "")
        problem = workloads.syntax_problem(expression) if expression else ""
        if problem:
            yield Cause(f"spec.{field}", f'"{expression}" is no GJSON expression: {problem}')


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
