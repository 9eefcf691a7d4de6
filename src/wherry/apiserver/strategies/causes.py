"""The sentences in which Kubernetes says that a field is wrong.

Each function returns one `Cause`; rules are functions that return lists of them.

Source: ``k8s.io/apimachinery/pkg/util/validation/field``.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any

from wherry.objects.errors import Cause

IMMUTABLE = "field is immutable"
_MAX_SHOWN = 1024


def shown(value: Any) -> str:
    """Return a value as messages show it: text in quotes, structures as JSON, cut when long."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def required(path: str, detail: str = "") -> Cause:
    """Say that the field must be there."""
    message = f"Required value: {detail}" if detail else "Required value"
    return Cause(path, message, "FieldValueRequired")


def invalid(path: str, value: Any, detail: str) -> Cause:
    """Say what is wrong with the value."""
    return Cause(path, f"Invalid value: {shown(value)}: {detail}")


def immutable(path: str, value: Any) -> Cause:
    """Say that the field may not be changed."""
    return invalid(path, value, IMMUTABLE)


def unsupported(path: str, value: Any, accepted: Collection[str]) -> Cause:
    """Say which values are accepted."""
    choices = ", ".join(f'"{one}"' for one in sorted(accepted))
    message = f"Unsupported value: {shown(value)}: supported values: {choices}"
    return Cause(path, message, "FieldValueNotSupported")


def duplicate(path: str, value: Any) -> Cause:
    """Say that the value is there already."""
    return Cause(path, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def forbidden(path: str, detail: str) -> Cause:
    """Say why the field may not be there."""
    return Cause(path, f"Forbidden: {detail}", "FieldValueForbidden")


def not_found(path: str, value: Any) -> Cause:
    """Say that what the value names does not exist."""
    return Cause(path, f"Not found: {shown(value)}", "FieldValueNotFound")


def too_long(path: str, limit: int) -> Cause:
    """Say how many bytes the value may have."""
    return Cause(path, f"Too long: may not be more than {limit} bytes", "FieldValueTooLong")


def problems(path: str, value: Any, found: Iterable[str]) -> list[Cause]:
    """Return one cause for each sentence that a rule of `objects.names` has found."""
    return [invalid(path, value, problem) for problem in found]


def choice(path: str, value: Any, accepted: Collection[str]) -> list[Cause]:
    """Check that a value, if there is one, is among those accepted."""
    return [] if value is None or value in accepted else [unsupported(path, value, accepted)]


def minimum(path: str, value: Any, least: int = 0) -> list[Cause]:
    """Check that a number, if there is one, is not less than ``least``."""
    if value is None or value >= least:
        return []
    return [invalid(path, value, f"must be greater than or equal to {least}")]


def between(path: str, value: Any, low: int, high: int) -> list[Cause]:
    """Check that a number, if there is one, is in a closed range."""
    if value is None or low <= value <= high:
        return []
    return [invalid(path, value, f"must be between {low} and {high}, inclusive")]


def unchanged(path: str, value: Any, before: Any) -> list[Cause]:
    """Check that a field is as it was."""
    return [] if value == before else [immutable(path, value)]
