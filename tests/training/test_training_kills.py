"""The control plane is killed over and over while a job runs: it runs once, and ends as it should."""

import random
import time

import pytest

from wherry.objects import conditions, errors, kinds
from wherry.testing.waiting import eventually
from wherry.training.frameworks.torch import Torch

KILLS = 50
ENDS_AT = 40
"""From which kill on the ranks may end: the last kills hit a job that is ending, or has ended."""

SCRIPT = 'echo started >>"/shared/$HOSTNAME"; while [ ! -e /shared/go ]; do sleep 0.1; done'


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_job_of_four_ranks_finishes_once_whatever_is_killed(running, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    container = {
        "name": "pytorch",
        "image": "python:3",
        "command": ["sh", "-c", SCRIPT],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    volume = {"name": "shared", "hostPath": {"path": str(shared)}}
    template = {"spec": {"containers": [container], "volumes": [volume]}}
    replica = {"restartPolicy": "ExitCode", "template": template}
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "j", "namespace": "default"},
        "spec": {"pytorchReplicaSpecs": {"Master": replica, "Worker": {**replica, "replicas": 3}}},
    }
    running.ask(lambda client: client.create(Torch.resource, job))
    chance = random.Random(5)
    for kill in range(KILLS):
        time.sleep(chance.uniform(0, 0.4))
        running.restart()
        if kill == ENDS_AT:
            (shared / "go").touch()

    def ended():
        try:
            found = running.ask(lambda client: client.get(Torch.resource, "j", "default"))
        except (errors.ApiError, OSError):
            return None
        return found if found.get("status", {}).get("completionTime") else None

    obj = eventually(ended, 120)
    assert conditions.is_true(obj, "Succeeded"), obj["status"]
    ranks = ["j-master-0", "j-worker-0", "j-worker-1", "j-worker-2"]
    started = {path.name: path.read_text() for path in shared.iterdir() if path.name != "go"}
    assert started == dict.fromkeys(ranks, "started\n")
    pods = running.ask(lambda client: client.list(kinds.PODS, "default")).items
    assert sorted(pod["metadata"]["name"] for pod in pods) == ranks
