"""What clears itself away: its end is seen and its metrics are read first, and nothing is held for ever."""

from typing import Any

import pytest

from wherry.objects import kinds, metadata
from wherry.objects.resources import Resource
from wherry.testing.played import PLAY, World, condition
from wherry.testing.played_logs import SAYS
from wherry.tuning import holding
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, TRIAL_LABEL, TRIALS

TRIALS_WANTED = 12
TFJOBS = Resource("kubeflow.org", "v1", "tfjobs", "TFJob")


def experiment(run: dict[str, Any], *, container: str = "main", **template: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "e"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 4,
            "maxTrialCount": TRIALS_WANTED,
            "maxFailedTrialCount": 1,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": 0, "max": 1}}
            ],
            "trialTemplate": {
                "primaryContainerName": container,
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": run,
                **template,
            },
        },
    }


def pod(container: str = "main", play: str = "succeed") -> dict[str, Any]:
    says = "loss=${trialParameters.x}"
    return {
        "metadata": {"annotations": {PLAY: play, SAYS: says}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": container, "image": "python:3.11"}],
            "terminationGracePeriodSeconds": 1,
        },
    }


def job(play: str = "succeed") -> dict[str, Any]:
    spec = {"ttlSecondsAfterFinished": 0, "backoffLimit": 0, "template": pod(play=play)}
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": spec}


def tf_job(policy: dict[str, Any]) -> dict[str, Any]:
    roles = {"Worker": {"replicas": 2, "template": pod("tensorflow")}}
    spec = {"runPolicy": policy, "tfReplicaSpecs": roles}
    return {"apiVersion": "kubeflow.org/v1", "kind": "TFJob", "spec": spec}


async def until_all_succeed(world: World) -> None:
    found = await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    assert found["status"]["trialsSucceeded"] == TRIALS_WANTED
    for trial in await world.list(TRIALS, f"{EXPERIMENT_LABEL}=e"):
        (tried,) = trial["spec"]["parameterAssignments"]
        (metric,) = trial["status"]["observation"]["metrics"]
        assert float(metric["latest"]) == pytest.approx(float(tried["value"]))


async def until_nothing_is_left(world: World, resource: Resource) -> None:
    async def none() -> bool:
        return not [*await world.list(resource), *await world.list(kinds.PODS)]

    await world.until(none, "what trials have run is gone, and its pods")


@pytest.mark.parametrize("retain", [False, True])
async def test_jobs_that_live_no_longer_than_they_run_are_seen_to_end(world, retain):
    await world.create(EXPERIMENTS, experiment(job(), retain=retain))
    await until_all_succeed(world)
    await until_nothing_is_left(world, kinds.JOBS)


@pytest.mark.parametrize("policy", [{"cleanPodPolicy": "All"}, {"ttlSecondsAfterFinished": 0}])
async def test_pods_that_are_cleared_away_at_the_end_are_read(training_world, policy):
    world = training_world
    made = experiment(tf_job(policy), container="tensorflow", retain=True)
    await world.create(EXPERIMENTS, made)
    await until_all_succeed(world)

    async def none() -> bool:
        return not await world.list(kinds.PODS)

    if "cleanPodPolicy" in policy:
        await world.until(none, "pods are gone")
    else:
        await until_nothing_is_left(world, TFJOBS)


async def test_a_job_that_is_deleted_while_it_runs_ends_its_trial_at_once(world):
    await world.create(EXPERIMENTS, experiment(job(play="run")))
    await world.until_status(EXPERIMENTS, "e", trialsRunning=4)
    first = metadata.name((await world.list(kinds.JOBS))[0])
    await world.delete(kinds.JOBS, first)
    ended = await world.until_condition(TRIALS, first, "Killed")
    assert (
        condition(ended, "Killed")["message"] == "Trial is killed: its Job was deleted while it ran"
    )
    await world.until_gone(kinds.JOBS, first)


async def test_nothing_is_held_of_a_trial_that_is_deleted(world):
    await world.create(EXPERIMENTS, experiment(job(play="run")))
    await world.until_status(EXPERIMENTS, "e", trialsRunning=4)
    assert all(
        holding.FINALIZER in each["metadata"]["finalizers"]
        for each in [*await world.list(kinds.JOBS), *await world.list(kinds.PODS)]
    )
    await world.delete(EXPERIMENTS, "e")
    await until_nothing_is_left(world, kinds.JOBS)


async def test_pods_that_are_replaced_while_a_trial_runs_are_let_go(training_world):
    world = training_world
    run = tf_job({})
    role = run["spec"]["tfReplicaSpecs"]["Worker"]
    role |= {"restartPolicy": "ExitCode", "template": pod("tensorflow", play="run")}
    await world.create(EXPERIMENTS, experiment(run, container="tensorflow"))
    await world.until_status(EXPERIMENTS, "e", trialsRunning=4)
    old = world.kubelet.started[0]
    await world.kubelet.finish(metadata.name(old), code=137)

    async def replaced() -> bool:
        found = await world.find(kinds.PODS, metadata.name(old))
        return found is not None and metadata.uid(found) != metadata.uid(old)

    await world.until(replaced, "the pod's successor is there")


async def test_what_ended_before_it_was_seen_to_run_is_not_made_twice(world):
    run = job(play="pending")
    del run["spec"]["ttlSecondsAfterFinished"]
    await world.create(EXPERIMENTS, experiment(run, retain=True))
    await world.until_status(EXPERIMENTS, "e", trials=4)

    async def bound() -> Any:
        return [one for one in await world.list(kinds.PODS) if one["spec"].get("nodeName")]

    (first, *_) = await world.until(bound)
    # It has printed something and ended, and its log is still on its way.
    world.kubelet.logs.say(metadata.name(first), "no metric")

    def end(pod: dict[str, Any]) -> None:
        state = {"terminated": {"exitCode": 0}}
        pod["status"]["phase"] = "Succeeded"
        pod["status"]["containerStatuses"] = [
            {
                "name": "main",
                "image": "i",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": state,
            }
        ]

    await world.kubelet.write(metadata.name(first), "default", end)
    name = metadata.labels(first)[TRIAL_LABEL]
    await world.until_condition(TRIALS, name, "Running")
    made = metadata.uid(await world.get(kinds.JOBS, name))
    await world.delete(kinds.JOBS, name)
    await world.until_condition(TRIALS, name, "Killed")
    assert made not in {metadata.uid(one) for one in await world.list(kinds.JOBS)}
    assert name not in await world.names(kinds.JOBS)
