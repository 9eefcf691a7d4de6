"""Sets of completion indexes in the compressed form of Job status: ``0-3,5,7-9``.

Source: `JobStatus.completedIndexes` of batch/v1.
"""

from collections.abc import Iterable


def parse(text: str) -> set[int]:
    """Read the compressed form; parts that are no numbers are passed over, as upstream does."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (not last or last.isdecimal()):
            found.update(range(int(first), int(last or first) + 1))
    return found


def format(numbers: Iterable[int]) -> str:  # noqa: A001 - read as indexes.format
    """Return the compressed form, in rising order."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    # Two neighbours are written as two numbers, three or more as a range.
    parts = []
    for first, last in runs:
        if last - first > 1:
            parts.append(f"{first}-{last}")
        else:
            parts += [str(number) for number in range(first, last + 1)]
    return ",".join(parts)
