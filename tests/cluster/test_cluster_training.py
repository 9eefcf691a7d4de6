"""Training against somebody else's Kubernetes: `wherry controllers` as processes of their own.

They reach the API over HTTPS, as the account and with the rights that we ship, and so do their
webhooks; there are two, and the one that leads is killed.
"""

from collections.abc import Iterator

import pytest

from wherry.client.client import Client
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.testing import foreign
from wherry.testing.foreign import Foreign, Replica
from wherry.testing.played import condition
from wherry.testing.waiting import eventually
from wherry.training import frameworks
from wherry.training.frameworks.torch import Torch
from wherry.training.sdk.starting import attach, train
from wherry.training.trainer.kinds import RUNTIMES, STEP, TRAIN_JOBS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

JOBS = Torch.resource
CODE = """
import os, pathlib, time

def wait_for(path):
    while not pathlib.Path(path).exists():
        time.sleep(0.05)
    return os.environ["WORLD_SIZE"]
"""

TELLS = """
import json, os, pathlib, ssl, time, urllib.request

status = {"progressPercentage": 42, "lastUpdatedTime": "2026-06-12T03:00:00Z"}
body = json.dumps({"trainerStatus": status}).encode()
token = pathlib.Path(os.environ["KUBEFLOW_TRAINER_SERVER_TOKEN"]).read_text()
trusted = ssl.create_default_context(cafile=os.environ["KUBEFLOW_TRAINER_SERVER_CA_CERT"])
head = {"Authorization": "Bearer " + token}
asked = urllib.request.Request(os.environ["KUBEFLOW_TRAINER_SERVER_URL"], body, head)
urllib.request.urlopen(asked, context=trusted, timeout=30)
"""


class Cluster:
    """An API with a node, and no product in it, as the tests below ask it."""

    def __init__(self, made: Foreign) -> None:
        self.foreign = made
        self.platform = made.platform
        self.client: Client = made.platform.client

    def create(self, resource, obj: Object) -> Object:
        return self.platform.call(self.client.create(resource, obj))

    def get(self, resource, name: str, namespace: str = "default") -> Object:
        return self.platform.call(self.client.get(resource, name, namespace))

    def patch(self, resource, name: str, change: Object) -> Object:
        return self.platform.call(self.client.patch(resource, name, change, "default"))

    def pods(self, job: str) -> dict[str, str]:
        """Return the phase of each pod of a job."""
        labels = f"training.kubeflow.org/job-name={job}"
        listed = self.platform.call(self.client.list(kinds.PODS, "default", labels=labels))
        return {metadata.name(pod): pod["status"].get("phase", "") for pod in listed}

    def is_true(self, name: str, condition: str, resource=JOBS) -> bool:
        return conditions.is_true(self.get(resource, name), condition)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """A platform without products, on which the access that we ship is granted."""
    with foreign.cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield Cluster(made)


@pytest.fixture(scope="module")
def replicas(cluster) -> Iterator[list[Replica]]:
    """Two replicas, of which one leads and has registered its webhooks."""
    options = {"WHERRY_TRAINING_STATUS_ADDRESS": "127.0.0.1:0"}
    with cluster.foreign.replicas(
        "training", options, ready=lambda: refused(cluster) != ""
    ) as made:
        yield made


def refused(cluster: Cluster) -> str:
    """Return why a job without the container that trains is refused; empty if it is not."""
    wrong = job("wrong")
    replicas = wrong["spec"]["pytorchReplicaSpecs"]
    replicas["Worker"]["template"]["spec"]["containers"][0]["name"] = "other"
    try:
        call = cluster.client.create(JOBS, wrong, dry_run=True)
        cluster.platform.call(call)
    except (errors.NotFoundError, errors.InternalError):
        return ""  # not yet defined, or nobody answers at the webhook's address
    except errors.ApiError as error:
        return str(error)
    return ""


def job(name: str, python: str = "pass", framework=None, **spec) -> Object:
    """Build a job with a replica of each type that ranks have."""
    framework = framework or Torch()
    command = ["python", "-c", python]
    container = {"name": framework.container, "image": "python:3", "command": command}
    template = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    types = {
        type_.name: {"template": template}
        for type_ in framework.types
        if type_.required or type_.name in {"Master", "Scheduler", "Server", "Worker"}
    }
    return {
        "apiVersion": framework.resource.api_version,
        "kind": framework.resource.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {framework.replicas_field: types, **spec},
    }


def test_defaults_and_checks_are_made_by_webhooks(cluster, replicas):
    assert 'one has to be called "pytorch"' in refused(cluster)
    made = cluster.create(JOBS, job("defaults", runPolicy={"suspend": True}))
    assert made["spec"]["runPolicy"]["cleanPodPolicy"] == "None"
    worker = made["spec"]["pytorchReplicaSpecs"]["Worker"]
    assert (worker["replicas"], worker["restartPolicy"]) == (1, "OnFailure")
    with pytest.raises(errors.InvalidError, match="managedBy"):
        cluster.patch(JOBS, "defaults", {"spec": {"runPolicy": {"managedBy": "someone"}}})


def test_a_train_job_is_checked_against_its_runtime_by_the_webhook(cluster, replicas):
    spec = {"runtimeRef": {"name": "none"}}
    obj = {"metadata": {"name": "t", "namespace": "default"}, "spec": spec}
    with pytest.raises(errors.InvalidError, match="there is no ClusterTrainingRuntime"):
        cluster.create(TRAIN_JOBS, obj)
    trainer = {"env": [{"name": "PET_NNODES", "value": "2"}]}
    obj["spec"] = {"runtimeRef": {"name": "torch-distributed"}, "trainer": trainer}
    with pytest.raises(errors.InvalidError, match=r"spec\.trainer\.env\[0\]\.name"):
        cluster.create(TRAIN_JOBS, obj)


def test_a_train_job_tells_the_controllers_how_far_it_is(cluster, replicas):
    container = {"name": "node", "image": "python:3", "command": ["python", "-c", TELLS]}
    pod = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    step = {"metadata": {"labels": {STEP: "trainer"}}, "spec": {"template": pod}}
    template = {"spec": {"replicatedJobs": [{"name": "node", "template": step}]}}
    for resource, name, spec in (
        (RUNTIMES, "own", {"template": template}),
        (TRAIN_JOBS, "telling", {"runtimeRef": {"name": "own", "kind": RUNTIMES.kind}}),
    ):
        metadata = {"name": name, "namespace": "default"}
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        cluster.create(resource, {**head, "metadata": metadata, "spec": spec})
    eventually(lambda: cluster.is_true("telling", "Complete", TRAIN_JOBS), 60)
    told = cluster.get(TRAIN_JOBS, "telling")["status"]["trainerStatus"]
    assert (told["progressPercentage"], told["lastUpdatedTime"]) == (42, "2026-06-12T03:00:00Z")


@pytest.mark.parametrize("framework", frameworks.ALL, ids=lambda each: each.container)
def test_a_job_of_each_framework(cluster, replicas, framework):
    name = f"all-{framework.container}"
    cluster.create(framework.resource, job(name, framework=framework))
    eventually(lambda: cluster.is_true(name, "Succeeded", framework.resource), 30)


def test_exit_codes_and_what_is_cleaned_up(cluster, replicas):
    policy = {"cleanPodPolicy": "All", "backoffLimit": 1}
    failing = job("failing", "import sys; sys.exit(3)", runPolicy=policy)
    for each in failing["spec"]["pytorchReplicaSpecs"].values():
        each["restartPolicy"] = "ExitCode"
    cluster.create(JOBS, failing)
    eventually(lambda: cluster.is_true("failing", "Failed"), 30)
    eventually(lambda: cluster.pods("failing") == {}, 30)
    assert "exit code 3" in condition(cluster.get(JOBS, "failing"), "Failed")["message"]


def test_suspend_resume_and_deletion(cluster, replicas):
    cluster.create(JOBS, job("paused", "import time; time.sleep(1000)"))
    running = {"paused-master-0": "Running", "paused-worker-0": "Running"}
    eventually(lambda: cluster.pods("paused") == running, 30)
    cluster.patch(JOBS, "paused", {"spec": {"runPolicy": {"suspend": True}}})
    eventually(lambda: cluster.pods("paused") == {}, 30)
    eventually(lambda: cluster.is_true("paused", "Suspended"), 30)
    cluster.patch(JOBS, "paused", {"spec": {"runPolicy": {"suspend": False}}})
    eventually(lambda: cluster.pods("paused") == running, 30)
    cluster.platform.call(cluster.client.delete(JOBS, "paused", "default"))
    eventually(lambda: cluster.pods("paused") == {}, 30)


def test_the_leader_is_killed_in_the_middle_of_a_job(cluster, replicas, tmp_path, monkeypatch):
    (tmp_path / "killing_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    go = tmp_path / "go"
    place = {"connection": cluster.platform.kubeconfig, "namespace": "default"}
    training = train("killing_code:wait_for", args=[str(go)], workers=3, **place)
    eventually(lambda: training.status.phase == "Running", 30)
    eventually(lambda: set(cluster.pods(training.name).values()) == {"Running"}, 30)
    before = cluster.pods(training.name)
    leader = cluster.foreign.leader()
    cluster.foreign.kill_leader(replicas)
    go.touch()
    assert attach(training.name, **place).result(timeout=60) == "3"
    assert cluster.foreign.leader() != leader
    assert cluster.pods(training.name) == dict.fromkeys(before, "Succeeded")
    # The new leader has led the API to its own webhooks.
    eventually(lambda: 'one has to be called "pytorch"' in refused(cluster), 30)
