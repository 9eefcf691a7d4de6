"""The SDKs that search, unchanged: `kubeflow-katib`'s KatibClient and the OptimizerClient of `kubeflow`."""

import os

import pytest

from wherry.kubelet.environments.kinds import ENVIRONMENTS
from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.training.trainer.kinds import CLUSTER_RUNTIMES, FRAMEWORK, STEP

AT_HAND = os.environ.get("PIP_FIND_LINKS", "").split()
"""Folders of wheels: PyTorch as the index has it is several gigabytes, these may have a small one."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def address(shared_platform):
    """Where Katib's database answers, as one on this machine reaches it."""

    def service():
        found = shared_platform.call(shared_platform.client.list(kinds.SERVICES, "kubeflow"))
        return next((e for e in found if e["metadata"]["name"] == "katib-db-manager"), None)

    return f"{eventually(service, 30)['spec']['clusterIP']}:6789"


@pytest.fixture
def image(shared_platform):
    """Return what makes images of some packages."""

    def made(name, *requirements, **fields):
        spec = {"images": [f"example.org/{name}:*"], "requirements": [*requirements], **fields}
        obj = {
            "apiVersion": ENVIRONMENTS.api_version,
            "kind": ENVIRONMENTS.kind,
            "metadata": {"name": name},
            "spec": spec,
        }
        shared_platform.call(shared_platform.client.create(ENVIRONMENTS, obj))
        return f"example.org/{name}:1"

    return made


def test_katib_tunes_a_function_on_two_workers(tuning_programs, image):
    torch = image("katib-torch", "torch==2.13.0", "numpy", findLinks=AT_HAND)
    x, loss = tuning_programs.run("kubeflow_katib", "", "", torch, seconds=500)
    assert loss == pytest.approx(2 * x, abs=1e-3)


def test_a_day_with_katib(tuning_programs, image, address):
    pushing = image("katib", "kubeflow-katib==0.19.0")
    told = tuning_programs.run("kubeflow_katib", address, pushing, seconds=500)

    function = told["function"]
    assert function["conditions"][-1] == "Succeeded"
    assert (function["created"], function["succeeded"]) == (True, True)
    assert (function["running"], function["failed"]) == (False, False)
    assert function["suggestion"] == len(function["trials"]) == 4
    assert function["details"] == sorted(function["trials"])
    assert function["trial"] == "Succeeded"
    losses = {name: _loss(each) for name, each in function["trials"].items()}
    name, parameters = function["best"]
    assert name == min(losses, key=losses.__getitem__)
    assert parameters == function["trials"][name]
    assert float(function["observed"]["loss"]) == pytest.approx(losses[name], abs=1e-3)
    assert [float(each) for each in function["losses"]] == pytest.approx(
        [losses[name] + 2, losses[name] + 1, losses[name]], abs=1e-3
    )
    assert function["log"][-1] == "told green as it is"
    assert function["followed"] == function["log"]

    assert told["package"] == [{"x": "0.0"}, "7.0", "ExperimentGoalReached"]
    assert told["pushing"] == [0.0, -1.0, -2.0]
    assert told["training"] == ["PyTorchJob", "Succeeded"]
    resumed = told["resumed"]
    assert resumed["restarting"]
    assert resumed["trials"] == 5
    assert resumed["listed"] == ["function", "made", "package", "pushing", "training"]
    assert resumed["suggestions"] == 5
    assert "Failed to get Katib Experiment" in resumed["deleted"]
    assert "Failed to create Katib Experiment" in told["refused"]
    message, failed = told["failing"]
    assert "Failed" in message
    assert failed


def _loss(parameters):
    kind = parameters["kind"] != "b"
    return (float(parameters["x"]) - 0.5) ** 2 + int(parameters["layers"]) + kind


def test_a_day_with_the_optimizer(kubeflow_programs, shared_platform, namespace):
    node = {
        "name": "node",
        "template": {
            "metadata": {"labels": {STEP: "trainer"}},
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "spec": {
                        "containers": [{"name": "node", "image": builders.IMAGE}],
                        "restartPolicy": "Never",
                    }
                },
            },
        },
    }
    name = f"plain-{namespace}"
    made = {
        "apiVersion": CLUSTER_RUNTIMES.api_version,
        "kind": CLUSTER_RUNTIMES.kind,
        "metadata": {"name": name, "labels": {FRAMEWORK: "jax"}},
        "spec": {
            "mlPolicy": {"numNodes": 1, "jax": {}},
            "template": {"spec": {"replicatedJobs": [node]}},
        },
    }
    shared_platform.call(shared_platform.client.create(CLUSTER_RUNTIMES, made))
    told = kubeflow_programs.run("kubeflow_optimizer", name, seconds=500)
    assert told["status"] == "Complete"
    # It looks every second, and a quiet machine may be through within one.
    assert "Complete" in told["seen"]
    assert set(told["seen"]) <= {"Created", "Running", "Complete"}
    assert told["jobs"] == ["Complete"] * 3
    losses = {
        name: float(each["rate"]) + (each["kind"] != "b") for name, each in told["trials"].items()
    }
    assert len(losses) == 3
    best = min(losses, key=losses.__getitem__)
    assert told["best"] == told["trials"][best]
    least, most, latest = map(float, told["metrics"]["loss"])
    assert [least, most, latest] == pytest.approx(
        [losses[best], losses[best] + 2, losses[best]], abs=1e-3
    )
    assert told["metrics"]["size"][1] == "2"
    assert sum(line.startswith("loss=") for line in told["log"]) == 3
    assert {"ExperimentRunning", "TrialSucceeded"} <= set(told["events"])
    assert told["listed"]
    assert told["left"] == []
    assert told["grid"] == {"rate": "1", "kind": "b"}
