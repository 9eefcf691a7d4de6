"""Numbers that workflows tell of themselves: what names and sizes they may have, and how they are written."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from wherry.controller.clock import SystemClock
from wherry.pipelines.workflows.controller import measures
from wherry.pipelines.workflows.controller.measures import MeasureError, Measures
from wherry.pipelines.workflows.surroundings import Counter, Histogram, MetricLabel, Prometheus


def _sizes(*buckets: float, labels: tuple[MetricLabel, ...] = ()) -> Prometheus:
    told = Histogram("", buckets)
    return Prometheus(name="sizes", help="Sizes.", histogram=told, labels=labels)


def _samples(kept: Measures) -> dict[tuple[str, str], float]:
    text = "\n".join(kept.lines()) + "\n"
    return {
        (sample.name.removeprefix(measures.PREFIX), "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_users_write_cannot_break_what_is_told() -> None:
    kept = Measures(SystemClock())
    words = 'a "quoted"\n# TYPE \\ text'
    label = (MetricLabel("about", words),)
    kept.add(Prometheus(name="steps", help=words, counter=Counter(), labels=label), "2")
    assert f'# HELP {measures.PREFIX}steps a "quoted"\\n# TYPE \\\\ text' in [*kept.lines()]
    kept.add(_sizes(1, 1, 2), "1")
    assert _samples(kept) == {
        ("steps_total", words): 2,
        ("sizes_bucket", "1"): 1,
        ("sizes_bucket", "2"): 1,
        ("sizes_bucket", "+Inf"): 1,
        ("sizes_sum", ""): 1,
        ("sizes_count", ""): 1,
    }


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (_sizes(1, labels=(MetricLabel("le", "1"),)), "'le' is Prometheus' own"),
        (_sizes(1, labels=(MetricLabel("__name__", "x"),)), "'__name__' is Prometheus' own"),
        (_sizes(1, labels=(MetricLabel("a b", "x"),)), "'a b' is no name"),
        (_sizes(*range(101)), "more than 100 buckets"),
        (Prometheus(name="a\nb 1", counter=Counter()), "use letters"),
    ],
)
def test_what_cannot_be_told_is_refused(metric: Prometheus, message: str) -> None:
    kept = Measures(SystemClock())
    with pytest.raises(MeasureError, match=message):
        kept.add(metric, "1")
    assert [*kept.lines()] == []


def test_of_too_many_series_the_oldest_go(monkeypatch: Any) -> None:
    monkeypatch.setattr(measures, "MOST_SERIES", 3)
    kept = Measures(SystemClock())
    for number in ("0", "1", "2", "0", "3", "4"):
        label = (MetricLabel("number", number),)
        kept.add(Prometheus(name="steps", help="Steps.", counter=Counter(), labels=label), "1")
    assert _samples(kept) == {
        ("steps_total", "0"): 2,
        ("steps_total", "3"): 1,
        ("steps_total", "4"): 1,
    }
