"""Metrics in lines of text, by regular expressions. Pure.

Source: `pkg/metricscollector/v1beta1/file-metricscollector` of kubeflow/katib (what a line means). A
name before ``=`` without a number after it is no metric here; there it is one without a value.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

DEFAULT: Final = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
"""What holds where users give no expression."""
MAX_LINE: Final = 64 * 1024
"""Characters of a line that are searched; metrics stand at its beginning."""
_MAX_LENGTH: Final = 1000
_SPACE: Final = " \t\n\r\f\v"
_NAME: Final = re.compile(r"[\w|-]+", re.ASCII)
_NUMBER: Final = re.compile(r"\s*([+-]?\d*(?:\.\d+)?(?:[Ee][+-]?\d+)?)", re.ASCII)

Pairs = list[tuple[str, str]]


def usual(line: str) -> Pairs:
    """Return names and values that `DEFAULT` finds in a line.

    Searched for from each ``=``: an expression that tries a name from every letter takes a minute for
    a line of one long word.
    """
    line, at, found = line[:MAX_LINE], 0, []
    while (sign := line.find("=", at)) >= 0:
        number = _NUMBER.match(line, sign + 1)
        assert number is not None, "it matches nothing too"
        name = _NAME.match(line[at:sign].rstrip(_SPACE)[::-1])
        if name is not None and number[1].strip("+-"):
            found.append((name[0][::-1], number[1]))
        at = sign + 1 if name is None else number.end()
    return found


def given(patterns: Sequence[re.Pattern[str]], line: str) -> Pairs:
    """Return names and values that users' expressions find in a line."""
    return [pair for pattern in patterns for pair in _found(pattern, line[:MAX_LINE])]


def _found(pattern: re.Pattern[str], line: str) -> Iterator[tuple[str, str]]:
    for match in pattern.finditer(line):
        name, value = (match[1] or "").strip(), (match[2] or "").strip()
        if name and value.strip("+-"):
            yield name, value


def compiled(text: str) -> re.Pattern[str]:
    """Return a pattern in which letters and digits are those of ASCII, as in Go.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        return re.compile(text, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from None


def problem(text: str) -> str:
    """Return what is wrong with an expression of a user's; empty: nothing."""
    if len(text) > _MAX_LENGTH:
        return f"may not have more than {_MAX_LENGTH} characters"
    try:
        groups = compiled(text).groups
    except ValueError as error:
        return f"is no regular expression: {error}"
    if groups < 2:
        return (
            "needs two groups at least: the first for the metric's name, the second for its value"
        )
    return ""
