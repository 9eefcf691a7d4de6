"""How fast something went at a time, from how much had ended when."""

from collections.abc import Sequence


def between(marks: Sequence[tuple[float, int]], lower: int, upper: int) -> float:
    """Return how many ended a second, from one number of ended ones to another.

    Args:
        marks: Seconds, and how many had ended then, as it was seen; both rise.
        lower: Of these numbers.
        upper: Likewise, larger.

    Raises:
        LookupError: so many were never seen to have ended.
    """
    return (upper - lower) / (_when(marks, upper) - _when(marks, lower))


def _when(marks: Sequence[tuple[float, int]], count: int) -> float:
    (before, known), *later = marks
    for seconds, ended in later:
        if ended >= count:
            return before + (seconds - before) * (count - known) / (ended - known)
        before, known = seconds, ended
    raise LookupError(f"{count} were never seen to have ended")
