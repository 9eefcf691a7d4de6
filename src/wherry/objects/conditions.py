"""Reading and writing `status.conditions`, the way every kind reports how it is.

Source: `metav1.Condition` and `k8s.io/apimachinery/pkg/api/meta` (when the transition time moves).
"""

import datetime
from typing import Any

from wherry.objects import metadata
from wherry.objects.requests import Object

Condition = dict[str, Any]

STATUSES = ("True", "False", "Unknown")
MAX_MESSAGE_LENGTH = 32768
"""Kubernetes' own bound on a condition's message; longer ones are cut."""


def get(obj: Object, type: str) -> Condition | None:  # noqa: A002 (the field's name)
    """Return the object's condition of this type, if it has one. Not to be changed."""
    return _find((obj.get("status") or {}).get("conditions") or [], type)


def is_true(obj: Object, type: str) -> bool:  # noqa: A002 (the field's name)
    """Return whether the object has this condition with status ``True``."""
    condition = get(obj, type)
    return condition is not None and condition.get("status") == "True"


def set(  # noqa: A001 (read as conditions.set)
    conditions: list[Condition],
    type: str,  # noqa: A002 (the field's name)
    status: str,
    *,
    reason: str,
    message: str,
    now: datetime.datetime,
    generation: int | None = None,
) -> bool:
    """Set one condition in the list, in place.

    Args:
        conditions: The list of an object the caller owns.
        type: Which condition; there is at most one of a type.
        status: ``True``, ``False`` or ``Unknown``.
        reason: One CamelCase word for programs.
        message: A sentence for people; cut at `MAX_MESSAGE_LENGTH`.
        now: Aware time; becomes ``lastTransitionTime`` only if the status differs from before.
        generation: What ``observedGeneration`` is to be; None leaves it as it is.

    Returns:
        Whether anything changed, that is whether the object is worth writing.

    Raises:
        ValueError: the status is none of the three.
    """
    if status not in STATUSES:
        raise ValueError(
            f"status of condition {type} must be True, False or Unknown, not {status!r}"
        )
    condition = _find(conditions, type)
    if condition is None:
        condition = {"type": type}
        conditions.append(condition)
    wanted = {"status": status, "reason": reason, "message": message[:MAX_MESSAGE_LENGTH]}
    if generation is not None:
        wanted["observedGeneration"] = generation  # type: ignore[assignment]  # a number among strings
    if condition.get("status") != status or not condition.get("lastTransitionTime"):
        wanted["lastTransitionTime"] = metadata.format_time(now)
    changed = any(condition.get(key) != value for key, value in wanted.items())
    condition.update(wanted)
    return changed


def _find(conditions: list[Condition], type_: str) -> Condition | None:
    for condition in conditions:
        if condition.get("type") == type_:
            return condition
    return None
