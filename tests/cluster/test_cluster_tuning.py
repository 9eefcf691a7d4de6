"""Searches against somebody else's Kubernetes, by a `wherry controllers` of its own, over HTTPS."""

import dataclasses
from collections.abc import Iterator

import pytest
import yaml

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.objects import conditions, errors, kinds, metadata
from wherry.testing import builders, foreign
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually
from wherry.training.trainer.kinds import CLUSTER_RUNTIMES, STEP
from wherry.tuning.kinds import EXPERIMENTS, SUGGESTIONS, TRIALS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

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
    with (
        foreign.cluster(tmp_path_factory.mktemp("cluster")) as made,
        made.replica("a", "training,tuning") as replica,
    ):

        def ready() -> bool:
            replica.check()
            return made.is_registered()

        eventually(ready, 60)
        yield made.platform


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


def bakes():
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "bakes", "singular": "bake", "kind": "Bake", "listKind": "BakeList"}
    spec = {"group": "bakery.example", "scope": "Namespaced", "names": names, "versions": [version]}
    return {"metadata": {"name": "bakes.bakery.example"}, "spec": spec}


def tuner(cluster):
    """Return a client of an account that may make experiments and nothing else."""
    meta, group = {"name": "tuner", "namespace": "default"}, "rbac.authorization.k8s.io"
    rules = [{"apiGroups": ["kubeflow.org"], "resources": ["experiments"], "verbs": ["*"]}]
    role = {"apiGroup": group, "kind": "Role", "name": "tuner"}
    subjects = [{"kind": "ServiceAccount", "name": "tuner", "namespace": "default"}]
    binding = {"metadata": meta, "roleRef": role, "subjects": subjects}
    for resource, obj in (
        (kinds.SERVICE_ACCOUNTS, {"metadata": meta}),
        (kinds.ROLES, {"metadata": meta, "rules": rules}),
        (kinds.ROLE_BINDINGS, binding),
    ):
        cluster.call(cluster.client.create(resource, obj))
    wanted = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": meta,
        "spec": {},
    }
    made = cluster.call(cluster.client.create(kinds.SERVICE_ACCOUNTS, wanted, subresource="token"))
    bare = dataclasses.replace(cluster.connection, client_certificate=None, client_key=None)
    return Client(HttpTransport(dataclasses.replace(bare, token=made["status"]["token"])))


def test_kinds_of_others_need_the_makers_own_right(cluster):
    cluster.call(cluster.client.create(kinds.CUSTOM_RESOURCE_DEFINITIONS, bakes()))
    run = {"apiVersion": "bakery.example/v1", "kind": "Bake", "spec": {"x": "${trialParameters.x}"}}
    made = experiment("bread", run)
    made["spec"]["trialTemplate"] |= {
        "successCondition": "status.ok",
        "failureCondition": "status.bad",
    }
    user = tuner(cluster)
    try:
        with pytest.raises(errors.ForbiddenError, match=r"cannot create resource.*bakes"):
            cluster.call(user.create(EXPERIMENTS, made))
        cluster.call(user.create(EXPERIMENTS, experiment("plain", job("${trialParameters.x}"))))
        found = cluster.call(cluster.client.create(EXPERIMENTS, made))
        assert "made-by" in str(metadata.annotations(found))
    finally:
        cluster.call(user.close())
    for name in ("bread", "plain"):
        cluster.call(cluster.client.delete(EXPERIMENTS, name, "default"))
