"""Metrics in lines of text. Pure.

Source: `pkg/metricscollector/v1beta1/file-metricscollector` of kubeflow/katib (what a line means). A
name before ``=`` without a number after it is no metric here; there it is one without a value.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.observations import record

DEFAULT_FORMAT: Final = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
MAX_LINE: Final = 64 * 1024
"""Characters of a line that are searched; metrics stand at its beginning."""
_MAX_FORMAT: Final = 1000


class Lines:
    """Finds metrics in lines."""

    def __init__(self, formats: Sequence[str] = ()) -> None:
        """Take the expressions.

        Args:
            formats: Regular expressions, the first group for the name, the second for the value; none:
                `DEFAULT_FORMAT`.

        Raises:
            re.error: one cannot be read.
        """
        self._patterns = [compiled(each) for each in formats or (DEFAULT_FORMAT,)]

    def metrics(self, line: str) -> Iterator[tuple[str, str]]:
        """Yield name and value of each metric of a line."""
        line = line[:MAX_LINE]
        for pattern in self._patterns:
            for match in pattern.finditer(line):
                name, value = (match.group(1) or "").strip(), (match.group(2) or "").strip()
                if name and value.strip("+-"):
                    yield name, value


def time_of(line: str) -> str:
    """Return the time that a line begins with; empty where it begins with something else."""
    first = line.split(maxsplit=1)[:1]
    return first[0] if first and record.nanoseconds(first[0]) is not None else ""


def compiled(text: str) -> re.Pattern[str]:
    """Return a pattern in which letters and digits are those of ASCII, as in Go.

    Raises:
        re.error: it cannot be read.
    """
    return re.compile(text, re.ASCII)


def formats_of(source: Object) -> tuple[str, ...]:
    """Return the expressions of a ``source``."""
    return tuple((source.get("filter") or {}).get("metricsFormat") or ())


def format_causes(spec: Object) -> list[Cause]:
    """Return what is wrong with the expressions of a ``metricsCollectorSpec``."""
    source = spec.get("source") or {}
    causes = []
    for index, text in enumerate(formats_of(source)):
        field = f"spec.metricsCollectorSpec.source.filter.metricsFormat[{index}]"
        if problem := _problem(text):
            causes.append(Cause(field, f"Invalid value: {text[:200]!r}: {problem}"))
    return causes


def _problem(text: str) -> str:
    if len(text) > _MAX_FORMAT:
        return f"may not have more than {_MAX_FORMAT} characters"
    try:
        groups = compiled(text).groups
    except re.error as error:
        return f"is no regular expression: {error}"
    if groups < 2:
        return (
            "needs two groups at least: the first for the metric's name, the second for its value"
        )
    return ""
