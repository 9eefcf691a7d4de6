"""Metrics that templates and workflows say of themselves."""

import re
from typing import Final

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows.checking.findings import REQUIRED, Findings
from wherry.pipelines.workflows.surroundings import Metrics, Prometheus

_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def check(found: Findings, where: str, metrics: Metrics | None) -> None:
    """Check metrics."""
    for place, metric in enumerate(metrics.prometheus if metrics else ()):
        _metric(found, f"{where}.metrics.prometheus[{place}]", metric)


def _metric(found: Findings, where: str, metric: Prometheus) -> None:
    names = [("name", metric.name), *(("labels", label.key) for label in metric.labels)]
    for field, name in names:
        if not _NAME.fullmatch(name):
            message = f"{shown(name)}: use letters, digits and '_', not beginning with a digit"
            found.add(f"{where}.{field}", message)
    if not metric.help:
        found.add(f"{where}.help", "a sentence that says what it measures is missing", REQUIRED)
    for field, measured in (
        ("gauge", metric.gauge),
        ("counter", metric.counter),
        ("histogram", metric.histogram),
    ):
        if measured is not None and not measured.value:
            found.add(f"{where}.{field}.value", "a value is missing", REQUIRED)
    if metric.gauge and metric.gauge.realtime and "resourcesDuration." in metric.gauge.value:
        found.add(f"{where}.gauge.value", "resourcesDuration is known at the end, not in real time")
