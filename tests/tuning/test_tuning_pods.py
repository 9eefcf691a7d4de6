"""Pods that others make for trials: they are made ready when they are made, here and by a webhook."""

import base64
import json

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer

from wherry.cluster import registration, webhooks
from wherry.cluster.registration import Endpoint
from wherry.objects import conditions, kinds, metadata
from wherry.objects.resources import Resource
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.training.trainer.kinds import CLUSTER_RUNTIMES, STEP
from wherry.tuning import component, pods
from wherry.tuning.kinds import EXPERIMENTS, TRIAL_LABEL, TRIALS

_FILE = {
    "collector": {"kind": "File"},
    "source": {"fileSystemPath": {"path": "/logs/m.log", "kind": "File", "format": "TEXT"}},
}
_TEXT = """
import os, time
for epoch in range(3):
    with open("/logs/m.log", "a") as log:
        print(f"{os.environ['KATIB_TRIAL_NAME'] and 'loss'}={3 - epoch}", file=log)
    time.sleep(0.2)
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


def trial(name="t", **spec):
    """Return a trial of a kind whose pods are called after it."""
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"team": "a"}},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "runSpec": {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob"},
            "primaryContainerName": "node",
            "primaryPodLabels": {"role": "node"},
            "metricsCollector": _FILE,
            **spec,
        },
    }


def pod(name="p", **labels):
    made = builders.pod(name, containers=[builders.container("node")])
    made["metadata"] |= {"namespace": "default", "labels": labels}
    return made


def _of(name="t", **labels):
    return pod(**{"jobset.sigs.k8s.io/jobset-name": name, **labels})


async def test_the_primary_pod_has_all_that_it_needs(world):
    await world.create(TRIALS, trial())
    made = await world.create(kinds.PODS, _of(role="node"))
    labels = metadata.labels(made)
    assert (labels[TRIAL_LABEL], labels["team"]) == ("t", "a")
    (container,) = made["spec"]["containers"]
    assert {"name": "KATIB_TRIAL_NAME", "value": "t"} in container["env"]
    assert "/logs" in {each["mountPath"] for each in container["volumeMounts"]}
    (sidecar,) = made["spec"]["initContainers"]
    assert sidecar["name"] == "metrics-logger-and-collector"
    assert sidecar["terminationMessagePath"], "it has its defaults"


async def test_other_pods_of_a_trial_are_labelled(world):
    told = trial()
    told["metadata"]["annotations"] = {metadata.PARALLELISM: "5"}
    await world.create(TRIALS, told)
    made = await world.create(kinds.PODS, _of(role="launcher"))
    assert metadata.annotations(made)[metadata.PARALLELISM] == "5"
    assert metadata.labels(made)[TRIAL_LABEL] == "t"
    assert "initContainers" not in made["spec"]


async def test_a_pod_may_be_owned_by_what_the_trial_runs(world):
    await world.create(TRIALS, trial())
    owned = pod(role="node")
    owner = {"apiVersion": "example.org/v1", "kind": "Study", "name": "t", "uid": "u"}
    owned["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
    made = await world.create(kinds.PODS, owned)
    assert metadata.labels(made)[TRIAL_LABEL] == "t"


@pytest.mark.parametrize(
    "other",
    [pod(role="node"), _of("another", role="node"), _of(**{TRIAL_LABEL: "t"})],
    ids=["unnamed", "of-another", "made-ready-before"],
)
async def test_pods_of_nobody_stay_as_they_are(world, other):
    await world.create(TRIALS, trial())
    made = await world.create(kinds.PODS, other)
    assert metadata.labels(made) == metadata.labels(other)
    assert "initContainers" not in made["spec"]


async def test_a_trial_with_nothing_in_it_keeps_nobody_from_making_pods(world):
    await world.create(TRIALS, {"metadata": {"name": "t"}})
    made = await world.create(kinds.PODS, _of(role="node"))
    assert TRIAL_LABEL not in metadata.labels(made)


async def test_on_a_cluster_a_webhook_does_it(world):
    await world.create(TRIALS, trial())
    given = _of(role="node")
    del given["metadata"]["namespace"]
    asked = {"request": {"uid": "1", "namespace": "default", "object": given}}
    app = webhooks.application([component.COMPONENT], world.client)
    async with TestClient(TestServer(app)) as http:
        told = (await (await http.post("/pods/tuning", json=asked)).json())["response"]
        none = {**asked["request"], "object": pod()}
        other = await (await http.post("/pods/tuning", json={"request": none})).json()
        assert (await http.post("/pods/nobody", json=asked)).status == 404
    assert other["response"] == {"uid": "1", "allowed": True}
    added = {each["path"] for each in orjson.loads(base64.b64decode(told["patch"]))}
    assert "/spec/initContainers" in added


def test_a_cluster_is_told_which_pods_are_meant():
    endpoint = Endpoint("https://wherry", "", b"pem")
    mutating, _ = registration.webhooks([component.COMPONENT], endpoint)
    hooks = [each for each in mutating["webhooks"] if ".pods." in each["name"]]
    undone = {"key": TRIAL_LABEL, "operator": "DoesNotExist"}
    keys = [each["objectSelector"]["matchExpressions"][0]["key"] for each in hooks[:-1]]
    assert keys == [*pods.RUN_LABELS]
    assert all(undone in each["objectSelector"]["matchExpressions"] for each in hooks)
    chosen = {"katib.kubeflow.org/metrics-collector-injection": "enabled"}
    assert hooks[-1]["namespaceSelector"] == {"matchLabels": chosen}
    assert {each["failurePolicy"] for each in hooks} == {"Ignore"}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "path", "program"),
    [("File", "/logs/m.log", _TEXT), ("TensorFlowEvent", "/logs", _EVENTS)],
)
def test_what_train_jobs_write_is_read(shared_platform, kind, path, program):
    client, call = shared_platform.client, shared_platform.call
    name = f"train-{kind.lower()}"
    template = {"containers": [builders.container("node", python=program)]}
    node = builders.job("x", template=template, backoffLimit=0)["spec"]
    job = {"metadata": {"labels": {STEP: "trainer"}}, "spec": node}
    runtime = {
        "mlPolicy": {"numNodes": 1},
        "template": {"spec": {"replicatedJobs": [{"name": "node", "template": job}]}},
    }
    call(client.create(CLUSTER_RUNTIMES, _object(CLUSTER_RUNTIMES, name, runtime)))
    trainer = {"env": [{"name": "X", "value": "${trialParameters.x}"}]}
    space = {"min": "0", "max": "1"}
    spec = {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": "random"},
        "maxTrialCount": 1,
        "parallelTrialCount": 1,
        "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": space}],
        "metricsCollectorSpec": {
            "collector": {"kind": kind},
            "source": {"fileSystemPath": {"path": path}},
        },
        "trialTemplate": {
            "primaryContainerName": "node",
            "trialParameters": [{"name": "x", "reference": "x"}],
            "trialSpec": {
                "apiVersion": "trainer.kubeflow.org/v1alpha1",
                "kind": "TrainJob",
                "spec": {"runtimeRef": {"name": name}, "trainer": trainer},
            },
        },
    }
    call(client.create(EXPERIMENTS, _object(EXPERIMENTS, name, spec, namespace="default")))

    def ended():
        found = call(client.get(EXPERIMENTS, name, "default"))
        return found if found.get("status", {}).get("completionTime") else None

    found = eventually(ended, 120)
    assert conditions.is_true(found, "Succeeded"), json.dumps(found["status"])
    (metric,) = found["status"]["currentOptimalTrial"]["observation"]["metrics"]
    assert [float(metric[each]) for each in ("min", "max", "latest")] == [1, 3, 1]


def _object(resource: Resource, name, spec, **meta):
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, **meta},
        "spec": spec,
    }
