"""Searches against somebody else's Kubernetes, by a `wherry controllers` of its own, over HTTPS."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from wherry.client import kubeconfig
from wherry.embedded.settings import Settings
from wherry.objects import conditions, kinds, metadata
from wherry.testing import builders
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually
from wherry.training.trainer.kinds import CLUSTER_RUNTIMES, STEP
from wherry.tuning.kinds import EXPERIMENTS, SUGGESTIONS, TRIALS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NAMESPACE = "wherry-system"
WRITES = """
import os, time
for epoch in range(3):
    with open("/logs/metrics.log", "a") as log:
        print(f"{os.environ['KATIB_TRIAL_NAME'] and 'loss'}={3 - epoch}", file=log)
    time.sleep(0.2)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[InProcessPlatform]:
    """A platform without products, with their controllers and webhooks beside it."""
    directory = tmp_path_factory.mktemp("cluster")
    platform = InProcessPlatform(Settings(directory=directory / "p", port=0, components=()))
    platform.start()
    try:
        wherry = [sys.executable, "-P", "-m", "wherry.cli", "controllers"]
        printed = subprocess.run(
            [*wherry, "--print-access"], capture_output=True, text=True, check=True
        ).stdout
        for obj in yaml.safe_load_all(printed):
            resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
            assert resource is not None
            platform.call(platform.client.create(resource, obj))
        place = account(platform, directory / "controllers.kubeconfig")
        words = ["--kubeconfig", str(place), "--components", "training,tuning"]
        words += ["--webhook-listen", "127.0.0.1:0", "--namespace", NAMESPACE]
        log = directory / "log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*wherry, *words],
                stdout=file,
                stderr=file,
                stdin=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
            )

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            found = platform.call(platform.client.list(kinds.MUTATING_WEBHOOK_CONFIGURATIONS))
            return bool(found.items)

        try:
            eventually(ready, 60)
            yield platform
        finally:
            process.terminate()
            process.wait(60)
    finally:
        platform.stop()


def account(platform: InProcessPlatform, path: Path) -> Path:
    """Write a kubeconfig of the controllers' account, and of nothing more."""
    request = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"namespace": NAMESPACE, "name": "wherry"},
        "spec": {"audiences": [], "expirationSeconds": 3600},
    }
    call = platform.client.create(
        kinds.SERVICE_ACCOUNTS, request, subresource="token", name="wherry"
    )
    own = dataclasses.replace(
        platform.connection,
        client_certificate=None,
        client_key=None,
        token=platform.call(call)["status"]["token"],
        namespace=NAMESPACE,
    )
    kubeconfig.write(path, kubeconfig.entry("controllers", own))
    return path


def experiment(name, run, **spec):
    space = {"min": "0", "max": "1", "step": "0.1"}
    return {
        "apiVersion": EXPERIMENTS.api_version,
        "kind": EXPERIMENTS.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 2,
            "parallelTrialCount": 2,
            "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": space}],
            "trialTemplate": {
                "primaryContainerName": "node",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": run,
            },
            **spec,
        },
    }


def ended(cluster, name):
    def end() -> bool:
        found = cluster.call(cluster.client.get(EXPERIMENTS, name, "default"))
        assert not conditions.is_true(found, "Failed"), found["status"]
        return conditions.is_true(found, "Succeeded")

    eventually(end, 120)
    labels = f"katib.kubeflow.org/experiment={name}"
    return cluster.call(cluster.client.list(TRIALS, "default", labels=labels)).items


def job(python):
    made = builders.job(
        "x", template={"containers": [builders.container("node", python=python)]}, backoffLimit=0
    )
    del made["metadata"]
    return made


def test_trials_share_a_volume(cluster):
    """The account may make the claim."""
    settings = {
        "suggestion_trial_dir": "/state",
        "n_population": "5",
        "truncation_threshold": "0.4",
    }
    given = [{"name": key, "value": value} for key, value in settings.items()]
    algorithm = {"algorithmName": "pbt", "algorithmSettings": given}
    script = "open('/state/x', 'a').write('1'); print('loss=%d' % len(open('/state/x').read()), ${trialParameters.x})"
    made = experiment("pbt", job(script), algorithm=algorithm, maxTrialCount=7)
    cluster.call(cluster.client.create(EXPERIMENTS, made))
    trials = ended(cluster, "pbt")
    found = sorted(each["status"]["observation"]["metrics"][0]["latest"] for each in trials)
    assert found == ["1"] * 5 + ["2"] * 2


def test_services_of_others_are_made_and_ended(cluster):
    """The account may run them; this one never answers."""
    entry = {
        "algorithmName": "mine",
        "image": "python:3",
        "command": ["sleep", "1000"],
    }
    config = {"data": {"katib-config.yaml": yaml.safe_dump({"runtime": {"suggestions": [entry]}})}}
    cluster.call(cluster.client.patch(kinds.CONFIG_MAPS, "katib-config", config, "kubeflow"))
    algorithm = {"algorithmName": "mine"}
    made = experiment(
        "mine", job("${trialParameters.x}"), algorithm=algorithm, resumePolicy="FromVolume"
    )
    cluster.call(cluster.client.create(EXPERIMENTS, made))

    def waits() -> bool:
        listed = cluster.call(cluster.client.list(SUGGESTIONS, "default"))
        found = [each for each in listed if metadata.name(each) == "mine"]
        told = conditions.get(found[0], "DeploymentReady") if found else None
        return told is not None and "mine-mine is not available" in told["message"]

    eventually(waits, 60)
    for resource in (kinds.DEPLOYMENTS, kinds.SERVICES, kinds.PERSISTENT_VOLUME_CLAIMS):
        cluster.call(cluster.client.get(resource, "mine-mine", "default"))
    cluster.call(cluster.client.delete(EXPERIMENTS, "mine", "default"))

    def left() -> bool:
        listed = cluster.call(cluster.client.list(kinds.DEPLOYMENTS, "default"))
        return bool(listed.items)

    eventually(lambda: not left(), 60)


def test_pods_from_a_runtime_are_made_ready_by_the_webhook(cluster):
    container = builders.container("node", python=WRITES)
    pod = {"containers": [container], "restartPolicy": "Never"}
    node = {
        "name": "node",
        "template": {
            "metadata": {"labels": {STEP: "trainer"}},
            "spec": {"backoffLimit": 0, "template": {"spec": pod}},
        },
    }
    runtime = {
        "apiVersion": CLUSTER_RUNTIMES.api_version,
        "kind": CLUSTER_RUNTIMES.kind,
        "metadata": {"name": "writes"},
        "spec": {
            "mlPolicy": {"numNodes": 1},
            "template": {"spec": {"replicatedJobs": [node]}},
        },
    }
    run = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {
            "runtimeRef": {"name": "writes"},
            "trainer": {"env": [{"name": "X", "value": "${trialParameters.x}"}]},
        },
    }
    collector = {
        "collector": {"kind": "File"},
        "source": {"fileSystemPath": {"path": "/logs/metrics.log"}},
    }
    made = experiment("e", run, metricsCollectorSpec=collector)
    for resource, obj in ((CLUSTER_RUNTIMES, runtime), (EXPERIMENTS, made)):
        cluster.call(cluster.client.create(resource, obj))
    for trial in ended(cluster, "e"):
        (metric,) = trial["status"]["observation"]["metrics"]
        assert metric == {"name": "loss", "min": "1", "max": "3", "latest": "1"}
