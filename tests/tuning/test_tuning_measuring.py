"""What is told of experiments and trials to Prometheus, and what Katib's finalizers hold."""

import copy
import subprocess

from prometheus_client.parser import text_string_to_metric_families

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.testing.played import PLAY
from wherry.testing.played_logs import SAYS
from wherry.testing.waiting import eventually
from wherry.tuning.kinds import EXPERIMENTS, TRIALS

JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {
        "backoffLimit": 0,
        "template": {
            "metadata": {"annotations": {PLAY: "succeed", SAYS: "loss=${trialParameters.x}"}},
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "python:3.11"}],
            },
        },
    },
}
MANIFEST = {
    "metadata": {"name": "e"},
    "spec": {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "algorithm": {"algorithmName": "random"},
        "maxTrialCount": 3,
        "maxFailedTrialCount": 1,
        "parallelTrialCount": 1,
        "parameters": [
            {"name": "x", "parameterType": "double", "feasibleSpace": {"min": 0, "max": 1}}
        ],
        "trialTemplate": {
            "primaryContainerName": "main",
            "trialParameters": [{"name": "x", "reference": "x"}],
            "trialSpec": JOB,
        },
    },
}


def told(world):
    """Return what `/metrics` tells, by name and labels."""
    text = "".join(f"{line}\n" for line in world.manager.metrics())
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("katib_")
    }


async def test_experiments_and_trials_are_counted(world):
    await world.create(EXPERIMENTS, MANIFEST)
    failing: Object = copy.deepcopy(MANIFEST)
    failing["metadata"]["name"] = "failing"
    template = failing["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]
    template["metadata"]["annotations"][SAYS] = "nothing ${trialParameters.x}"
    await world.create(EXPERIMENTS, failing)
    await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    await world.until_condition(EXPERIMENTS, "failing", "Failed")
    names = [metadata.name(each) for each in (await world.client.list(TRIALS, "default")).items]

    async def counted():
        seen = told(world)
        return seen if seen.get(("katib_experiment_failed_total", "default")) else None

    seen = await world.until(counted)
    assert seen["katib_experiment_created_total", "default"] == 2
    assert seen["katib_experiment_succeeded_total", "default"] == 1
    assert seen["katib_experiments_current", "Failed", "default"] == 1
    assert seen["katib_experiments_current", "Succeeded", "default"] == 1
    assert seen["katib_trial_created_total", "default"] == len(names) == 4
    assert seen["katib_trial_succeeded_total", "default"] == 3
    assert seen["katib_trial_metrics_unavailable_total", "default"] == 1
    await world.delete(EXPERIMENTS, "e")

    async def deleted():
        return told(world).get(("katib_trial_deleted_total", "default")) == 3

    await world.until(deleted)
    assert told(world)["katib_experiment_deleted_total", "default"] == 1


async def test_what_came_from_a_katib_can_go(world):
    held: Object = copy.deepcopy(MANIFEST)
    held["metadata"]["finalizers"] = ["update-prometheus-metrics"]
    await world.create(EXPERIMENTS, held)
    await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    await world.delete(EXPERIMENTS, "e")
    await world.until_names(EXPERIMENTS, [])
    await world.until_names(TRIALS, [])


def test_metrics_are_told_where_prometheus_asks(shared_platform):
    def page():
        done = subprocess.run(
            [
                "kubectl",
                "--kubeconfig",
                str(shared_platform.kubeconfig),
                "get",
                "--raw",
                "/metrics",
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return "# TYPE katib_experiments_current gauge" in done.stdout

    eventually(page)
