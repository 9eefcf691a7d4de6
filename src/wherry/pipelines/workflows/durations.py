"""Lengths of time as workflows write them: seconds, or as Go does (``1h30m``). Pure."""

from wherry.objects.cel.library import times
from wherry.objects.cel.values import CelError


def seconds(text: str) -> float:
    """Return a length of time in seconds.

    Raises:
        ValueError: It is none; the message says what is accepted.
    """
    try:
        return float(int(text))
    except ValueError:
        pass
    try:
        found = times.parse_duration(text).total_seconds()
    except CelError:
        found = -1
    if found < 0:
        raise ValueError(f"{text[:40]!r} is no length of time; write seconds (90) or 1m30s")
    return found
