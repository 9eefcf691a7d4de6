"""The control plane is killed over and over while a search runs: no trial is lost, none runs twice."""

import asyncio
import random
import time

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.objects import conditions, errors, metadata
from wherry.testing.waiting import eventually
from wherry.tuning.kinds import EXPERIMENTS, TRIALS

KILLS = 20
TRIALS_IN_ALL = 25

SCRIPT = """
echo started >>"/shared/$KATIB_TRIAL_NAME"
for epoch in 1 2 3; do echo "loss=${trialParameters.x}"; sleep 0.2; done
echo "loss=0.0001${trialParameters.x}"
"""


def ask(platform, call):
    """Return what a call to the API gives, over HTTPS, from an event loop of its own."""

    async def asked():
        transport = HttpTransport(platform.connection)
        try:
            return await call(Client(transport))
        finally:
            await transport.close()

    return asyncio.run(asked())


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_search_loses_no_trial_and_runs_none_twice_whatever_is_killed(running, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    container = {
        "name": "main",
        "image": "python:3",
        "command": ["sh", "-c", SCRIPT],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    template = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "shared", "hostPath": {"path": str(shared)}}],
        }
    }
    experiment = {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "e", "namespace": "default"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 3,
            "maxTrialCount": TRIALS_IN_ALL,
            "parameters": [
                {"name": "x", "parameterType": "int", "feasibleSpace": {"min": 1, "max": 999_999}}
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "spec": {"backoffLimit": 0, "template": template},
                },
            },
        },
    }
    ask(running, lambda client: client.create(EXPERIMENTS, experiment))
    chance = random.Random(11)
    for _ in range(KILLS):
        time.sleep(chance.uniform(0, 0.6))
        running.restart()

    def ended():
        try:
            found = ask(running, lambda client: client.get(EXPERIMENTS, "e", "default"))
        except (errors.ApiError, OSError):
            return None
        return found if found.get("status", {}).get("completionTime") else None

    obj = eventually(ended, 200)
    assert conditions.is_true(obj, "Succeeded"), obj["status"]
    assert obj["status"]["trialsSucceeded"] == TRIALS_IN_ALL
    made = ask(running, lambda client: client.list(TRIALS, "default")).items
    names = {metadata.name(trial) for trial in made}
    started = {path.name: path.read_text() for path in shared.iterdir()}
    assert started == dict.fromkeys(names, "started\n")
    assert len(names) == TRIALS_IN_ALL
    for trial in made:
        (metric,) = trial["status"]["observation"]["metrics"]
        (value,) = (each["value"] for each in trial["spec"]["parameterAssignments"])
        assert metric["max"] == value
        assert metric["min"] == metric["latest"] == f"0.0001{value}"
