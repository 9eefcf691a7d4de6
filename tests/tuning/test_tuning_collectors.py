"""Each collector by itself: what it makes of what it is given, and what it does to a pod."""

import struct
from typing import ClassVar

import pytest
from hypothesis import given, strategies

from wherry.testing import builders
from wherry.testing.contracts import CollectorContract
from wherry.tuning import collectors, expressions
from wherry.tuning.collector import Collector, Wanted
from wherry.tuning.collectors import (
    file,
    prometheus,
    sidecar,
    sidecar_program,
    tensorflow_event,
    text,
)


def the_collector(kind: str) -> Collector:
    found = collectors.get(kind)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("accuracy=0.97", [("accuracy", "0.97")]),
        (
            "Validation-accuracy = 9.7e-1, loss=-.5",
            [("Validation-accuracy", "9.7e-1"), ("loss", "-.5")],
        ),
        ("2024-07-05T14:42:33Z INFO {a=1}", [("a", "1")]),
        ("name=", []),
        ("name=abc", []),
        ("a=+", []),
        ("no metric", []),
        ("a|b=1", [("a|b", "1")]),
    ],
)
def test_default_format(line, found):
    assert expressions.usual(line) == found


@given(strategies.text(alphabet="ab|- =.5e+\té\x1f", max_size=40))
def test_the_default_format_finds_what_its_expression_finds(line):
    assert expressions.usual(line) == expressions.given(
        [expressions.compiled(expressions.DEFAULT)], line
    )


@pytest.mark.timeout(20)
@pytest.mark.parametrize("line", ["a" * 65536, "a = " * 16384, " " * 65535 + "=", "=" * 65536])
def test_the_default_format_takes_its_time_by_the_length_of_a_line(line):
    assert expressions.usual(line) == []


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2024-07-05T14:42:33.123456789Z loss=1", "2024-07-05T14:42:33.123456789Z"),
        ("2024-07-05T14:42:33+02:00 loss=1", "2024-07-05T14:42:33+02:00"),
        ("2024-07-05 14:42:33 loss=1", ""),
        ("loss=1", ""),
        ("", ""),
    ],
)
def test_time_of_a_line(line, time):
    assert text.time_of(line) == time


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"loss": "0.5", "other": 1}', [("loss", "0.5", "", None)]),
        (
            '{"loss": 0.5, "timestamp": 1.5, "global_step": 3}',
            [("loss", "0.5", "1970-01-01T00:00:01.5Z", 3)],
        ),
        (
            '{"loss": 1, "timestamp": "2024-07-05T14:42:33Z"}',
            [("loss", "1", "2024-07-05T14:42:33Z", None)],
        ),
        ('{"loss": true}', []),
        ('{"loss": null}', []),
        ("[1]", []),
        ("no JSON", []),
    ],
)
def test_json_lines(line, found):
    made = file._of_json(line, _wanted({}))
    assert [(each.name, each.value, each.time, each.step) for each in made] == found


@pytest.mark.parametrize(
    ("kind", "source", "field"),
    [
        ("StdOut", {"filter": {"metricsFormat": ["("]}}, "filter.metricsFormat[0]"),
        ("StdOut", {"filter": {"metricsFormat": ["(a)"]}}, "filter.metricsFormat[0]"),
        ("File", {"fileSystemPath": {"path": "here"}}, "fileSystemPath.path"),
        ("File", {"fileSystemPath": {"path": "/here"}}, "fileSystemPath.path"),
        ("File", {"fileSystemPath": {"kind": "Directory"}}, "fileSystemPath.kind"),
        ("File", {"fileSystemPath": {"format": "XML"}}, "fileSystemPath.format"),
        (
            "File",
            {"fileSystemPath": {"format": "JSON"}, "filter": {"metricsFormat": ["(a)(b)"]}},
            "filter",
        ),
        ("TensorFlowEvent", {"fileSystemPath": {"format": "TEXT"}}, "fileSystemPath.format"),
        ("TensorFlowEvent", {"fileSystemPath": {"kind": "File"}}, "fileSystemPath.kind"),
        ("PrometheusMetric", {"httpGet": {"port": 70000}}, "httpGet.port"),
        ("PrometheusMetric", {"httpGet": {"path": "metrics"}}, "httpGet.path"),
    ],
)
def test_what_is_refused(kind, source, field):
    collector, spec = the_collector(kind), {"collector": {"kind": kind}, "source": source}
    collector.default(spec)
    causes = collector.validate(spec)
    assert [each.field for each in causes] == [f"spec.metricsCollectorSpec.source.{field}"]


def test_a_custom_collector_needs_its_container():
    causes = the_collector("Custom").validate({"collector": {"kind": "Custom"}})
    assert [each.field for each in causes] == [
        "spec.metricsCollectorSpec.collector.customCollector"
    ]


def test_the_sidecar_shares_a_folder_with_the_primary_container():
    source = {"fileSystemPath": {"path": "/logs/m.log", "kind": "File", "format": "TEXT"}}
    pod = builders.pod("p")
    the_collector("File").prepare(_wanted(source), pod)
    the_collector("File").prepare(_wanted(source), pod)
    (helper,) = pod["spec"]["initContainers"]
    assert helper["name"] == sidecar.NAME
    assert helper["restartPolicy"] == "Always"
    mount = {"name": sidecar.VOLUME, "mountPath": "/logs"}
    shared, own = helper["volumeMounts"]
    assert shared == mount
    assert pod["spec"]["containers"][0]["volumeMounts"] == [mount]
    assert pod["spec"]["volumes"] == [
        {"name": sidecar.VOLUME, "emptyDir": {}},
        {"name": own["name"], "emptyDir": {}},
    ]
    # The trial's containers begin when the sidecar has said that it is ready.
    ready = helper["command"][-1]
    assert ready.startswith(own["mountPath"])
    assert ready in helper["lifecycle"]["postStart"]["exec"]["command"][-1]


def test_the_sidecar_sees_the_volume_that_is_there():
    source = {"fileSystemPath": {"path": "/data/logs/", "kind": "Directory"}}
    pod = builders.pod("p")
    mount = {"name": "mine", "mountPath": "/data", "subPath": "a"}
    pod["spec"]["containers"][0]["volumeMounts"] = [mount]
    the_collector("TensorFlowEvent").prepare(_wanted(source), pod)
    seen, own = pod["spec"]["initContainers"][0]["volumeMounts"]
    assert seen == mount
    assert pod["spec"]["volumes"] == [{"name": own["name"], "emptyDir": {}}]


def test_a_custom_collector_joins_the_pod():
    container = {"name": "mine", "image": "i"}
    source = {"fileSystemPath": {"path": "/logs/m.log"}}
    wanted = _wanted(source, {"collector": {"kind": "Custom", "customCollector": container}})
    pod = builders.pod("p", script="exit 0")
    the_collector("Custom").prepare(wanted, pod)
    primary, added = pod["spec"]["containers"]
    assert added["name"] == "mine"
    assert added["volumeMounts"] == primary["volumeMounts"]
    assert pod["spec"]["shareProcessNamespace"]
    assert primary["command"][-3:] == ["sh", "-c", "exit 0"]
    assert container == {"name": "mine", "image": "i"}


def test_a_file_is_read_as_it_grows(tmp_path):
    path = tmp_path / "log"
    reader = sidecar_program.TextFile(str(path))
    assert list(reader.read(last=False)) == []
    path.write_text("a=1\nb=")
    assert [each["line"] for each in reader.read(last=False)] == ["a=1"]
    path.write_text("a=1\nb=2\nc=3")
    assert [each["line"] for each in reader.read(last=False)] == ["b=2"]
    assert [each["line"] for each in reader.read(last=True)] == ["c=3"]
    path.write_text("new\n")
    assert [each["line"] for each in reader.read(last=False)] == ["new"]


def test_marks_are_the_same_when_a_file_is_read_again(tmp_path):
    path = tmp_path / "log"
    path.write_text("a=1\nb=2\n")
    first, second = (list(sidecar_program.TextFile(str(path)).read(last=True)) for _ in range(2))
    assert first == second
    assert len({each["at"] for each in first}) == 2


def test_event_files_of_torch_and_tensorflow(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    path = folder / "events.out.tfevents.1"
    whole = _event(1.5, 1, "loss", simple=0.1) + _event(2.5, 2, "loss", tensor=0.25)
    path.write_bytes(whole + b"\x10\x00")
    told = list(sidecar_program.EventFolder(str(tmp_path)).read(last=True))
    assert [(each["time"], each["step"], each["tag"], each["value"]) for each in told] == [
        (1.5, 1, "loss", "0.1"),
        (2.5, 2, "loss", "0.25"),
    ]
    assert told[0]["folder"] == str(folder)


@pytest.mark.parametrize(
    ("metric", "folder", "tag", "is_it"),
    [
        ("loss", "/logs", "loss", True),
        ("train/loss", "/logs/train", "loss", True),
        ("train/loss", "/logs/test", "loss", False),
        ("train/loss", "/logs", "train/loss", True),
        ("accuracy", "/logs", "accuracy_1", True),
        ("accuracy", "/logs", "loss", False),
    ],
)
def test_which_scalar_is_meant(metric, folder, tag, is_it):
    assert tensorflow_event.is_meant(metric, folder, tag) is is_it


def test_a_page_for_prometheus():
    page = '# TYPE accuracy gauge\naccuracy 0.5\nloss{set="train"} 2\nbroken {\n'
    assert prometheus.samples(page)[0] == ("accuracy", "[]", "0.5")


def _wanted(source, collector=None):
    spec = {"objective": {"objectiveMetricName": "loss"}, "metricsCollector": collector or {}}
    return Wanted(trial={"spec": spec}, metrics=("loss",), source=source)


def _event(when, step, tag, *, simple=None, tensor=None):
    """Return a record of an event file, written down after the formats of its two messages."""
    if simple is not None:
        value = b"\x15" + struct.pack("<f", simple)
    else:
        value = _part(8, b"\x08\x01" + _part(4, struct.pack("<f", tensor)))
    event = b"\x09" + struct.pack("<d", when) + b"\x10" + bytes([step])
    event += _part(5, _part(1, _part(1, tag.encode()) + value))
    return struct.pack("<Q", len(event)) + b"\0" * 4 + event + b"\0" * 4


def _part(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


class TestStdOut(CollectorContract):
    collector = the_collector("StdOut")
    spec: ClassVar = {"source": {"filter": {"metricsFormat": [r"(\w+): (\d+)"]}}}


class TestFile(CollectorContract):
    collector = the_collector("File")


class TestTensorFlowEvent(CollectorContract):
    collector = the_collector("TensorFlowEvent")


class TestPrometheus(CollectorContract):
    collector = the_collector("PrometheusMetric")


class TestCustom(CollectorContract):
    collector = the_collector("Custom")
    spec: ClassVar = {
        "collector": {"kind": "Custom", "customCollector": {"name": "mine", "image": "i"}},
        "source": {"fileSystemPath": {"path": "/logs/metrics.log"}},
    }


class TestPush(CollectorContract):
    collector = the_collector("Push")


class TestNothing(CollectorContract):
    collector = the_collector("None")
