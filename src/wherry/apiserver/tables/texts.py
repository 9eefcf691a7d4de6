"""How single cells of a table are written: ages, selectors, lists that are cut.

Source: ``pkg/printers/internalversion`` and ``k8s.io/apimachinery/pkg/util/duration``.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from wherry.objects import metadata
from wherry.objects.requests import Object

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY_HOURS = 24
_YEAR_DAYS = 365


def human_duration(seconds: float) -> str:
    """Return a length of time as people read it: at most two units, fewer the longer it is.

    Args:
        seconds: The length; one that is below zero by more than clocks differ is ``<invalid>``.
    """
    if seconds <= -2:
        return "<invalid>"
    whole = max(int(seconds), 0)
    if whole < 2 * _MINUTE:
        return f"{whole}s"
    if whole < 3 * _HOUR:
        minutes, rest = divmod(whole, _MINUTE)
        return _two(minutes, "m", rest if minutes < 10 else 0, "s")
    return _long_duration(whole // _HOUR, whole // _MINUTE % 60)


def _long_duration(hours: int, minutes: int) -> str:
    days, rest = divmod(hours, _DAY_HOURS)
    if hours < 48:
        return _two(hours, "h", minutes if hours < 8 else 0, "m")
    if days < 2 * _YEAR_DAYS:
        return _two(days, "d", rest if days < 8 else 0, "h")
    years, rest = divmod(days, _YEAR_DAYS)
    return _two(years, "y", rest if years < 8 else 0, "d")


def _two(first: int, unit: str, second: int, second_unit: str) -> str:
    return f"{first}{unit}{second}{second_unit}" if second else f"{first}{unit}"


def since(timestamp: str | None, now: datetime.datetime) -> str:
    """Return how long ago an RFC 3339 time was; ``<unknown>`` where there is none."""
    if not timestamp:
        return UNKNOWN
    return human_duration((now - metadata.parse_time(timestamp)).total_seconds())


def age(obj: Object, now: datetime.datetime) -> str:
    """Return how long ago the object was created."""
    return since(obj["metadata"].get("creationTimestamp"), now)


def joined_labels(labels: Mapping[str, str] | None) -> str:
    """Return ``a=b,c=d`` sorted by key, or ``<none>``."""
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels)) if labels else NONE


_OPERATORS = {"Exists": "{0}", "DoesNotExist": "!{0}", "In": "{0} in ({1})"}


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Return a label selector in the language of ``-l``, requirements sorted by key."""
    if not selector:
        return ""
    labels = selector.get("matchLabels") or {}
    found = [(key, f"{key}={value}") for key, value in labels.items()]
    for rule in selector.get("matchExpressions") or ():
        values = ",".join(sorted(rule.get("values") or ()))
        form = _OPERATORS.get(rule["operator"], "{0} notin ({1})")
        found.append((rule["key"], form.format(rule["key"], values)))
    return ",".join(text for _, text in sorted(found, key=lambda pair: pair[0]))


def selector_or_none(selector: Mapping[str, Any] | None) -> str:
    """Return the selector's text, or ``<none>`` where it is empty."""
    return selector_text(selector) or NONE


def containers(spec: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names and the images of a pod spec's containers, each joined by commas."""
    found = spec.get("containers") or ()
    return (
        ",".join(container.get("name", "") for container in found),
        ",".join(container.get("image", "") for container in found),
    )


def cut(items: Sequence[str], *, limit: int, total: int, separator: str = ",") -> str:
    """Return the first ``limit`` items and how many of ``total`` are left out."""
    text = separator.join(items[:limit])
    return f"{text} + {total - limit} more..." if total > limit else text


def condition_status(conditions: Iterable[Mapping[str, Any]] | None, kind: str) -> str:
    """Return the status of the condition of that type, empty where there is none."""
    for condition in conditions or ():
        if condition.get("type") == kind:
            return str(condition.get("status", ""))
    return ""


_ACCESS_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def access_modes(modes: Iterable[str] | None) -> str:
    """Return ``RWO,ROX,RWX,RWOP`` as far as they are among ``modes``, in that order."""
    have = set(modes or ())
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in have)


def load_balancer(status: Mapping[str, Any]) -> str:
    """Return the addresses in ``status.loadBalancer``, sorted and joined by commas."""
    points = (status.get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(sorted({point.get("ip") or point.get("hostname") or "" for point in points}))


def truth(value: bool | None) -> str:  # noqa: FBT001 - the value to be written, not a switch
    """Return ``True``, ``False`` or ``<unset>``."""
    return UNSET if value is None else str(value)
