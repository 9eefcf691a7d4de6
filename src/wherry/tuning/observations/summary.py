"""Smallest, largest and latest value of each metric, kept up to date value by value. Pure.

Source: `pkg/controller.v1beta1/trial` of kubeflow/katib (what a Trial's observation is). Values stay
the text that was reported. What is no number (a genotype) has only a latest value.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wherry.objects.requests import Object
from wherry.tuning.observations.record import Record

UNAVAILABLE = "unavailable"
"""What stands where there is no value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a trial has reported of one metric.

    Attributes:
        name: Of the metric.
        min: Smallest number, as it was reported; `UNAVAILABLE`: none was a number.
        max: Largest number; likewise.
        latest: The value of the latest time; of several, the one that came last.
    """

    name: str
    min: str = UNAVAILABLE
    max: str = UNAVAILABLE
    latest: str = UNAVAILABLE

    def value(self, strategy: str) -> str:
        """Return the value that a strategy takes: ``min``, ``max`` or ``latest``.

        Where nothing was a number, it is the latest for each of them.
        """
        chosen = {"min": self.min, "max": self.max}.get(strategy, self.latest)
        return self.latest if chosen == UNAVAILABLE else chosen

    def as_object(self) -> Object:
        """Return it as an entry of ``status.observation.metrics``."""
        return {"name": self.name, "min": self.min, "max": self.max, "latest": self.latest}


def number(value: str) -> float | None:
    """Return what a reported value is as a number; None where it is none, or not a number (nan)."""
    try:
        read = float(value)
    except ValueError:
        return None
    return None if math.isnan(read) else read


class _Running:
    """One metric's summary, as values come."""

    __slots__ = ("_latest_at", "_max", "_min", "summary")

    def __init__(self, name: str) -> None:
        self.summary = Summary(name=name)
        self._latest_at = 0
        self._min, self._max = math.inf, -math.inf

    def add(self, value: str, at: int) -> None:
        before = self.summary
        smallest, largest, latest = before.min, before.max, before.latest
        read = number(value)
        if read is not None and (read < self._min or smallest == UNAVAILABLE):
            self._min, smallest = read, value
        if read is not None and (read > self._max or largest == UNAVAILABLE):
            self._max, largest = read, value
        if at >= self._latest_at or latest == UNAVAILABLE:
            self._latest_at, latest = at, value
        self.summary = Summary(name=before.name, min=smallest, max=largest, latest=latest)


class Tally:
    """The summaries of a trial's metrics, and the course of the first of them."""

    def __init__(self, names: Sequence[str]) -> None:
        """Start with nothing.

        Args:
            names: The metrics that count, that of the objective first.
        """
        self._running = {name: _Running(name) for name in names}
        self._objective = names[0] if names else ""
        self._curve: list[float] = []

    def add(self, records: Iterable[Record]) -> None:
        """Count values; those of other metrics are left out."""
        for record in records:
            running = self._running.get(record.metric)
            if running is None:
                continue
            running.add(record.value, record.nanoseconds)
            read = number(record.value)
            if record.metric == self._objective and read is not None:
                self._curve.append(read)

    @property
    def summaries(self) -> tuple[Summary, ...]:
        """Those of the metrics that have a value, in the order of their names as given."""
        made = (running.summary for running in self._running.values())
        return tuple(summary for summary in made if summary.latest != UNAVAILABLE)

    @property
    def curve(self) -> Sequence[float]:
        """The objective's numbers in the order in which they came."""
        return self._curve
