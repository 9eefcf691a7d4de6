"""Searches of many trials, and many searches at once: each trial runs once, objects stay small."""

import asyncio
import collections
import contextlib
import json

import pytest

from wherry.objects import conditions, kinds, metadata
from wherry.testing.played import PLAY, condition
from wherry.testing.played_logs import SAYS
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, INDEX_LABEL, SUGGESTIONS, TRIALS

TRIALS_OF_ONE = 400
SEARCHES, TRIALS_OF_EACH = 50, 4


def experiment(name: str, *, trials: int, parallel: int):
    template = {
        "metadata": {"annotations": {PLAY: "succeed", SAYS: "loss=${trialParameters.x}"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "python:3.11", "args": ["--x"]}],
        },
    }
    return {
        "metadata": {"name": name},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": parallel,
            "maxTrialCount": trials,
            "maxFailedTrialCount": 1,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": 0, "max": 1}}
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


async def ended(world, name: str, seconds: float = 540):
    """Wait for an experiment's good end."""

    async def found():
        told = await world.get(EXPERIMENTS, name)
        assert not conditions.is_true(told, "Failed"), told["status"]
        return told if conditions.is_true(told, "Succeeded") else None

    return await world.until(found, f"{name} has succeeded", seconds)


async def changes(world, resource, revision: str, until: int):
    """Return how often each object of a kind was written since a revision; ends with so many deletions."""
    found, gone = collections.Counter[str](), 0
    events = world.client.watch(resource, "default", resource_version=revision, bookmarks=False)
    async with asyncio.timeout(90), contextlib.aclosing(events):
        async for event in events:
            found[metadata.name(event.object)] += event.type != "DELETED"
            gone += event.type == "DELETED"
            if gone == until:
                break
    return found


async def test_a_trial_costs_few_writes(world):
    began = (await world.client.list(EXPERIMENTS, "default")).resource_version
    await world.create(EXPERIMENTS, experiment("few", trials=6, parallel=2))
    await ended(world, "few")
    await world.until_names(kinds.JOBS, [])
    jobs = await changes(world, kinds.JOBS, began, 6)
    assert len(jobs) == 6
    assert max(jobs.values()) <= 5, "made, one active, one ready, complete, on its way out"
    await world.delete(EXPERIMENTS, "few")
    trials = await changes(world, TRIALS, began, 6)
    assert len(trials) == 6
    # Its deletion takes two: the time, and the finalizer.
    assert max(trials.values()) <= 3 + 2, "made, running, ended"


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_search_of_many_trials_runs_each_once_and_its_objects_stay_small(world):
    await world.create(EXPERIMENTS, experiment("long", trials=TRIALS_OF_ONE, parallel=20))
    found = await ended(world, "long")
    made = await world.list(TRIALS, f"{EXPERIMENT_LABEL}=long")
    indexes = sorted(int(metadata.labels(one)[INDEX_LABEL]) for one in made)
    assert indexes == list(range(TRIALS_OF_ONE))
    values = {
        metadata.name(one): float(one["spec"]["parameterAssignments"][0]["value"]) for one in made
    }
    assert len(set(values.values())) == TRIALS_OF_ONE
    best = min(values, key=values.__getitem__)
    assert found["status"]["currentOptimalTrial"]["bestTrialName"] == best
    assert found["status"]["trialsSucceeded"] == TRIALS_OF_ONE
    assert condition(found, "Succeeded")["reason"] == "ExperimentMaxTrialsReached"
    suggestion = await world.get(SUGGESTIONS, "long")
    assert suggestion["status"]["suggestionCount"] == TRIALS_OF_ONE
    assert len(json.dumps(suggestion)) < 20_000
    assert len(json.dumps(found["status"])) < 2_000 + TRIALS_OF_ONE * 20
    await world.until_names(kinds.JOBS, [])


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_fifty_searches_at_once_all_come_to_their_end(world):
    names = [f"s{number}" for number in range(SEARCHES)]
    await asyncio.gather(
        *(
            world.create(EXPERIMENTS, experiment(name, trials=TRIALS_OF_EACH, parallel=2))
            for name in names
        )
    )
    for name in names:
        found = await ended(world, name)
        assert found["status"]["trialsSucceeded"] == TRIALS_OF_EACH
    made = await world.list(TRIALS)
    assert len({metadata.name(one) for one in made}) == SEARCHES * TRIALS_OF_EACH
