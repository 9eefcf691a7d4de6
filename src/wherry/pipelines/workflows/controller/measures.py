"""The numbers that workflows tell of themselves, as `/metrics` shows them: kept in memory, as upstream does.

Source: argoproj/argo-workflows v4, ``workflow/metrics/metrics_custom.go``.
"""

import bisect
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from wherry.controller.clock import Clock
from wherry.pipelines.workflows.surroundings import Prometheus

PREFIX: Final = "argo_workflows_"
MOST_SERIES: Final = 10_000
"""Of all workflows; beyond that, what has not changed for the longest time goes."""
_MOST_LABELS: Final = 30
_MOST_BUCKETS: Final = 100
_LONGEST: Final = 1024
"""Characters of a label's value, and of a help."""
_SIGNS: Final = {"Add": 1, "Sub": -1}
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,199}")
_RESERVED: Final = "__"
"""Names of labels that begin so are Prometheus' own."""
_BOUND: Final = "le"
_ESCAPED_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})
_ESCAPED: Final = {**_ESCAPED_HELP, ord('"'): r"\""}

Labels = tuple[tuple[str, str], ...]
Key = tuple[str, Labels]


class MeasureError(ValueError):
    """A metric cannot be told; the message says why."""


@dataclass(slots=True)
class _Family:
    kind: str
    help: str
    buckets: tuple[float, ...]
    count: int = 0


@dataclass(slots=True)
class _Series:
    value: float = 0.0
    since: float | None = None
    """Of what goes on: when it began, in seconds since the epoch."""
    owner: str = ""
    sizes: list[int] = field(default_factory=list)


class Measures:
    """All metrics of workflows that one control plane has seen."""

    def __init__(self, clock: Clock) -> None:
        """Take what tells how long something has gone on.

        Args:
            clock: The time.
        """
        self._clock = clock
        self._families: dict[str, _Family] = {}
        self._series: dict[Key, _Series] = {}

    def add(self, metric: Prometheus, value: str) -> None:
        """Take in a value.

        Args:
            metric: Its variables are filled in.
            value: What is measured.

        Raises:
            MeasureError: it is no number, or the metric another than that of the same name.
        """
        number = _number(metric.name, value)
        if metric.counter is not None and number < 0:
            raise MeasureError(
                f"metric {metric.name}: {value} is less than 0, and a counter goes up"
            )
        series = self._found(metric)
        if metric.histogram is not None:
            buckets = self._families[metric.name].buckets
            series.sizes = series.sizes or [0] * (len(buckets) + 1)
            series.sizes[bisect.bisect_left(buckets, number)] += 1
            series.value += number
            return
        operation = "Add" if metric.gauge is None else metric.gauge.operation
        if operation in _SIGNS:
            series.value += _SIGNS[operation] * number
        else:
            series.value = number

    def follow(
        self, metric: Prometheus, owner: str, since: float, seconds: float | None = None
    ) -> None:
        """Tell how long something takes, until its workflow has ended.

        Args:
            metric: Its variables are filled in.
            owner: Uid of the workflow.
            since: When it began, in seconds since the epoch.
            seconds: How long it took; None: it goes on.

        Raises:
            MeasureError: the metric is another than that of the same name.
        """
        series = self._found(metric)
        series.owner = owner
        series.since, series.value = (since, 0.0) if seconds is None else (None, seconds)

    def forget(self, owner: str) -> None:
        """Tell nothing more of what goes on in a workflow."""
        for key in [key for key, each in self._series.items() if each.owner == owner]:
            self._drop(key)

    def lines(self) -> Iterator[str]:
        """Yield lines in Prometheus' text format."""
        found: dict[str, list[tuple[Labels, _Series]]] = {}
        for (name, labels), series in self._series.items():
            found.setdefault(name, []).append((labels, series))
        for name, family in sorted(self._families.items()):
            yield f"# HELP {PREFIX}{name} {family.help.translate(_ESCAPED_HELP)}"
            yield f"# TYPE {PREFIX}{name} {family.kind}"
            for labels, series in found[name]:
                if family.kind == "histogram":
                    yield from _histogram(name, labels, family, series)
                else:
                    yield f"{PREFIX}{name}{_written(labels)} {_text(self._value(series))}"

    def _value(self, series: _Series) -> float:
        if series.since is None:
            return series.value
        return max(0.0, self._clock.now().timestamp() - series.since)

    def _found(self, metric: Prometheus) -> _Series:
        """Return the series of a metric, as the one that has changed last."""
        family = self._family(metric)
        if len(metric.labels) > _MOST_LABELS:
            raise MeasureError(f"metric {metric.name}: more than {_MOST_LABELS} labels")
        for each in metric.labels:
            if not _NAME.fullmatch(each.key):
                raise MeasureError(f"metric {metric.name}: label {each.key[:100]!r} is no name")
            if each.key.startswith(_RESERVED) or (metric.histogram and each.key == _BOUND):
                raise MeasureError(f"metric {metric.name}: label {each.key!r} is Prometheus' own")
        labels = {each.key: each.value[:_LONGEST] for each in metric.labels}
        key = (metric.name, tuple(sorted(labels.items())))
        series = self._series.pop(key, None)
        if series is None:
            family.count += 1
            self._families[metric.name] = family
            if len(self._series) >= MOST_SERIES:
                self._drop(next(iter(self._series)))
        self._series[key] = series = series or _Series()
        return series

    def _family(self, metric: Prometheus) -> _Family:
        if not _NAME.fullmatch(metric.name):
            raise MeasureError(f"metric {metric.name!r}: use letters, digits and '_' for its name")
        told = {"gauge": metric.gauge, "counter": metric.counter, "histogram": metric.histogram}
        kinds = [kind for kind, each in told.items() if each is not None]
        if len(kinds) != 1:
            raise MeasureError(f"metric {metric.name}: want one of gauge, counter and histogram")
        buckets = tuple(sorted({*metric.histogram.buckets})) if metric.histogram else ()
        if len(buckets) > _MOST_BUCKETS:
            raise MeasureError(f"metric {metric.name}: more than {_MOST_BUCKETS} buckets")
        known = self._families.get(metric.name)
        if known is None:
            return _Family(kinds[0], metric.help[:_LONGEST], buckets)
        if (known.kind, known.help) != (kinds[0], metric.help[:_LONGEST]):
            raise MeasureError(
                f"metric {metric.name}: it is a {known.kind} with help {known.help!r} already"
            )
        return known

    def _drop(self, key: Key) -> None:
        del self._series[key]
        family = self._families[key[0]]
        family.count -= 1
        if not family.count:
            del self._families[key[0]]


def _number(name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise MeasureError(f"metric {name}: {text[:100]!r} is no number")
    return found


def _histogram(name: str, labels: Labels, family: _Family, series: _Series) -> Iterator[str]:
    total = 0
    for bound, size in zip((*family.buckets, math.inf), series.sizes, strict=True):
        total += size
        place = _written((*labels, (_BOUND, _text(bound))))
        yield f"{PREFIX}{name}_bucket{place} {total}"
    yield f"{PREFIX}{name}_sum{_written(labels)} {_text(series.value)}"
    yield f"{PREFIX}{name}_count{_written(labels)} {total}"


def _written(labels: Labels) -> str:
    told = ",".join(f'{key}="{value.translate(_ESCAPED)}"' for key, value in labels)
    return f"{{{told}}}" if told else ""


def _text(value: float) -> str:
    if math.isinf(value):
        return "+Inf"
    return f"{value:.15g}"
