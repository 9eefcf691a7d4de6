"""The table of Katib's test of its file collector, read out of the Go that it is written in.

It is read from the checkout that WHERRY_KATIB names. Compared are names, values and times; not the times
of JSON lines that are numbers, whose fraction Katib misreads, and of lines without one, which have that of
their arrival. What Katib stores as ``unavailable`` is nothing here.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.tuning import collectors, expressions
from wherry.tuning.collector import Wanted
from wherry.tuning.collectors import file, text

HERE = Path(__file__).parent
CHECKOUT = os.environ.get("WHERRY_KATIB", "")
FILE = "pkg/metricscollector/v1beta1/file-metricscollector/file-metricscollector_test.go"
CASE = f"{FILE}::TestCollectObservationLog/"
METRIC = re.compile(
    r'TimeStamp:\s*(.+?),\s*Metric:.*?Name:\s*"(.*?)",\s*Value:\s*(.+?),', re.DOTALL
)


def _cases() -> Iterator[Any]:
    rows = json.loads((HERE / "names" / "katib.json").read_text(encoding="utf-8"))
    for row in rows:
        if row.get("notApplicable") or not row["name"].startswith(CASE):
            continue
        mark = pytest.mark.conformance("tuning", group="katib", name=row["name"])
        missing = pytest.mark.skipif(not CHECKOUT, reason="WHERRY_KATIB names no checkout")
        name = row["name"].removeprefix(CASE)
        yield pytest.param(name, marks=[mark, missing], id=row["name"])


def table() -> dict[str, str]:
    """Return the Go text of each case, by its name."""
    source = Path(CHECKOUT, FILE).read_text(encoding="utf-8")
    _, *parts = re.split(r'^\t\t"([^"]+)": \{$', source, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def texts(case: str, field: str) -> list[str]:
    """Return the strings of a list that a case gives."""
    found = re.search(rf"{field}:\s*\[\]string\{{(.*)\}},$", case, re.MULTILINE)
    return json.loads(f"[{found[1]}]") if found else []


def read(case: str) -> list[tuple[str, str, str]]:
    """Return time, name and value of what is found in the data of a case."""
    (data,) = re.findall(r"testData: `(.*?)`", case, re.DOTALL)
    formats, found = texts(case, "filters"), []
    patterns = [expressions.compiled(each) for each in formats]
    wanted = Wanted(trial={}, metrics=tuple(texts(case, "metrics")), source={})
    for line in data.splitlines():
        if "JsonFormat" in case:
            metrics = list(file._of_json(line, wanted))
            found += [(each.time, each.name, each.value) for each in metrics]
            continue
        pairs = expressions.given(patterns, line) if formats else expressions.usual(line)
        found += [(text.time_of(line), *pair) for pair in pairs if pair[0] in wanted.metrics]
    return found


@pytest.mark.parametrize("name", list(_cases()))
def test_the_same_is_found(name):
    case = table()[name]
    if "wantError" in case:
        place = {"kind": "File", "path": "/logs/metrics.log", "format": "invalid"}
        collector = collectors.get("File")
        assert collector is not None
        assert collector.validate({"source": {"fileSystemPath": place}})
        return
    expected = METRIC.findall(case.partition("expected:")[2])
    found = read(case)
    if any("Unavailable" in value for *_, value in expected):
        assert expected[0][1] not in {metric for _, metric, _ in found}
        return
    assert [(metric, value) for _, metric, value in found] == [
        (metric, json.loads(value)) for _, metric, value in expected
    ]
    numbers = re.findall(r'"timestamp": [\d.]+', case)
    for (time, *_), (told, *_) in zip(found, expected, strict=True):
        assert numbers or time == (json.loads(told) if told.startswith('"') else "")


@pytest.mark.skipif(not CHECKOUT, reason="WHERRY_KATIB names no checkout")
def test_no_case_is_left_out():
    rows = json.loads((HERE / "names" / "katib.json").read_text(encoding="utf-8"))
    listed = {row["name"].removeprefix(CASE) for row in rows if row["name"].startswith(CASE)}
    assert table().keys() == listed
