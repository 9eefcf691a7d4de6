"""Lines of text, as collectors read them: their time, and the expressions for what is in them. Pure."""

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning import expressions
from wherry.tuning.observations import record


def time_of(line: str) -> str:
    """Return the time that a line begins with; empty where it begins with something else."""
    first = line.split(maxsplit=1)[:1]
    return first[0] if first and record.nanoseconds(first[0]) is not None else ""


def formats_of(source: Object) -> tuple[str, ...]:
    """Return the expressions of a ``source``."""
    return tuple((source.get("filter") or {}).get("metricsFormat") or ())


def format_causes(spec: Object) -> list[Cause]:
    """Return what is wrong with the expressions of a ``metricsCollectorSpec``."""
    source = spec.get("source") or {}
    causes = []
    for index, text in enumerate(formats_of(source)):
        field = f"spec.metricsCollectorSpec.source.filter.metricsFormat[{index}]"
        if problem := expressions.problem(text):
            causes.append(Cause(field, f"Invalid value: {text[:200]!r}: {problem}"))
    return causes
