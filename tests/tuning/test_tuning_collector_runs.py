"""Every collector with real trials: pods that write files, serve ports and send values."""

from pathlib import Path

import grpc
import pytest

import wherry
from wherry.objects import conditions
from wherry.objects import kinds as core
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.tuning import kinds

pytestmark = pytest.mark.timeout(300)

_TEXT = """
import time
for epoch in range(3):
    with open("/logs/metrics.log", "a") as log:
        print(f"epoch {epoch} loss={3 - epoch}", file=log)
    time.sleep(0.2)
"""
_JSON = """
import json
with open("/logs/metrics.log", "w") as log:
    for epoch in range(3):
        print(json.dumps({"loss": 3 - epoch, "timestamp": 1.7e9 + epoch}), file=log)
"""
_EVENTS = """
import os, struct
def part(number, data):
    return bytes([number << 3 | 2, len(data)]) + data
os.makedirs("/logs/train", exist_ok=True)
with open("/logs/train/events.out.tfevents.1", "wb") as log:
    for step in range(3):
        value = part(1, b"loss") + b"\\x15" + struct.pack("<f", 3 - step)
        event = b"\\x09" + struct.pack("<d", 1.7e9 + step) + part(5, part(1, value))
        log.write(struct.pack("<Q", len(event)) + bytes(4) + event + bytes(4))
"""
_PAGE = """
import http.server, os, threading, time
class Page(http.server.BaseHTTPRequestHandler):
    seen = 0
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"# TYPE loss gauge\\nloss %d\\n" % max(1, 3 - Page.seen))
        Page.seen += 1
        if Page.seen == 4:
            threading.Timer(0.1, os._exit, [0]).start()
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 9100), Page).serve_forever()
"""
_SEND = """
import os, grpc
from wherry.tuning.api import messages
with grpc.insecure_channel("katib-db-manager.kubeflow:6789") as channel:
    call = channel.unary_unary("/api.v1.beta1.DBManager/ReportObservationLog",
        request_serializer=lambda message: message.SerializeToString())
    for value in (3, 2, 1):
        log = messages.new("ObservationLog")
        log.metric_logs.add().metric.MergeFrom(
            messages.new("Metric", name="loss", value=str(value)))
        call(messages.new("ReportObservationLogRequest", observation_log=log,
            trial_name=os.environ["KATIB_TRIAL_NAME"]), timeout=120, wait_for_ready=True)
"""


@pytest.mark.parametrize(
    ("kind", "source", "program"),
    [
        ("File", {"fileSystemPath": {"path": "/logs/metrics.log"}}, _TEXT),
        (
            "File",
            {"fileSystemPath": {"path": "/logs/metrics.log", "format": "JSON"}},
            _JSON,
        ),
        ("TensorFlowEvent", {"fileSystemPath": {"path": "/logs"}}, _EVENTS),
        ("PrometheusMetric", {"httpGet": {"port": 9100}}, _PAGE),
        ("Push", None, _SEND),
    ],
    ids=["text", "json", "events", "prometheus", "push"],
)
def test_metrics_of_a_trial(shared_platform, kind, source, program, request):
    name = f"by-{request.node.callspec.id}"
    trial = _run(shared_platform, name, {"collector": {"kind": kind}, "source": source}, program)
    assert conditions.is_true(trial, "Succeeded"), trial["status"]
    (found,) = trial["status"]["observation"]["metrics"]
    assert found.pop("name") == "loss"
    assert {key: float(each) for key, each in found.items()} == {"min": 1, "max": 3, "latest": 1}


def test_a_custom_container_sends_what_it_finds(shared_platform):
    wait = "import glob, time\nwhile not glob.glob('/logs/*.pid'):\n    time.sleep(0.1)\n"
    container = _container("mine", wait + _SEND)
    collector = {
        "collector": {"kind": "Custom", "customCollector": container},
        "source": {"fileSystemPath": {"path": "/logs/metrics.log"}},
    }
    trial = _run(shared_platform, "by-custom", collector, "print('nothing to be seen')")
    assert conditions.is_true(trial, "Succeeded"), trial["status"]
    assert trial["status"]["observation"]["metrics"][0]["latest"] == "1"


def test_a_trial_without_metrics_says_so(shared_platform):
    trial = _run(shared_platform, "by-nobody", {"collector": {"kind": "StdOut"}}, "print('hello')")
    assert conditions.is_true(trial, "MetricsUnavailable")
    assert "hello" in trial["status"]["conditions"][-1]["message"]


def test_an_expression_without_end_harms_nobody_but_its_trial(shared_platform):
    source = {"filter": {"metricsFormat": [r"((\w+)+)=(\d+)$"]}}
    program = "print('a' * 60)"
    trial = _run(
        shared_platform,
        "by-catastrophe",
        {"collector": {"kind": "StdOut"}, "source": source},
        program,
    )
    assert conditions.is_true(trial, "MetricsUnavailable")
    assert "takes too long" in trial["status"]["conditions"][-1]["message"]


def _container(name, program):
    # Pods have the packages of this test rather than an environment that has to be built.
    paths = ":".join(str(Path(str(each.__file__)).parents[1]) for each in (grpc, wherry))
    address = {"fieldRef": {"fieldPath": "status.podIP"}}
    trial = {"fieldRef": {"fieldPath": "metadata.labels['katib.kubeflow.org/trial']"}}
    env = [
        {"name": "PYTHONPATH", "value": paths},
        {"name": "POD_IP", "valueFrom": address},
        {"name": "KATIB_TRIAL_NAME", "valueFrom": trial},
    ]
    return builders.container(name, python=program, env=env)


def _run(platform, name, collector, program, **template):
    """Run an experiment of one trial; return the trial as it has ended."""
    job = builders.job("x", template={"containers": [_container("main", program)]}, backoffLimit=0)
    del job["metadata"]
    experiment = {
        "apiVersion": kinds.API_VERSION,
        "kind": "Experiment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 1,
            "parallelTrialCount": 1,
            "parameters": [
                {
                    "name": "x",
                    "parameterType": "double",
                    "feasibleSpace": {"min": "0", "max": "1"},
                }
            ],
            "metricsCollectorSpec": {key: each for key, each in collector.items() if each},
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": job,
                **template,
            },
        },
    }
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["env"].append({"name": "X", "value": "${trialParameters.x}"})
    client = platform.client
    platform.call(client.create(kinds.EXPERIMENTS, experiment))

    def ended():
        found = platform.call(client.list(kinds.TRIALS, "default"))
        trials = [each for each in found if each["metadata"]["name"].startswith(f"{name}-")]
        return next((e for e in trials if e.get("status", {}).get("completionTime")), None)

    return eventually(ended, 120)


def test_the_log_has_the_name_that_clients_of_katib_ask_for(shared_platform):
    collector = {"collector": {"kind": "StdOut"}}
    trial = _run(shared_platform, "by-name", collector, "print('loss=1')", retain=True)
    client, labels = shared_platform.client, f"{kinds.TRIAL_LABEL}={trial['metadata']['name']}"
    (pod,) = shared_platform.call(client.list(core.PODS, "default", labels=labels))

    async def log():
        name, container = pod["metadata"]["name"], "metrics-logger-and-collector"
        return b"".join([each async for each in client.log(name, "default", container=container)])

    assert shared_platform.call(log()) == b"loss=1\n"
