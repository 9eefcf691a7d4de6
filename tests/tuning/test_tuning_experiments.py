"""Experiments: which trials are made, how they are counted, when a search ends and goes on."""

import asyncio
import json
from typing import Any

import pytest

from wherry.objects import conditions, errors, kinds, metadata
from wherry.testing.played import PLAY, World, condition, held
from wherry.testing.played_logs import SAYS
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, SUGGESTIONS, TRIALS


def experiment(
    name: str = "e",
    *,
    play: str = "succeed",
    says: str = "loss=${trialParameters.x}",
    template: dict[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return an experiment whose trials print the value that they try."""
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": {PLAY: play, SAYS: says}},
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [
                        {
                            "name": "main",
                            "image": "python:3.11",
                            "args": ["--x=${trialParameters.x}"],
                        }
                    ],
                },
            },
        },
    }
    return {
        "metadata": {"name": name},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 2,
            "maxTrialCount": 4,
            "maxFailedTrialCount": 2,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": 0, "max": 1}}
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": job,
                **(template or {}),
            },
            **spec,
        },
    }


async def ended(world: World, name: str = "e", type_: str = "Succeeded") -> Any:
    """Wait until an experiment has ended, and its counts are final."""
    return await world.until_condition(EXPERIMENTS, name, type_)


async def trials(world: World, name: str = "e") -> Any:
    return await world.list(TRIALS, f"{EXPERIMENT_LABEL}={name}")


async def test_a_search_runs_its_trials_and_knows_the_best(world):
    await world.create(EXPERIMENTS, experiment())
    found = await ended(world)

    made = await trials(world)
    values = {
        metadata.name(one): float(one["spec"]["parameterAssignments"][0]["value"]) for one in made
    }
    best = min(values, key=values.__getitem__)
    status = found["status"]
    assert len(made) == status["trials"] == status["trialsSucceeded"] == 4
    assert sorted(status["succeededTrialList"]) == sorted(values)
    assert status["currentOptimalTrial"]["bestTrialName"] == best
    (metric,) = status["currentOptimalTrial"]["observation"]["metrics"]
    assert float(metric["min"]) == pytest.approx(values[best])
    assert held(found) == {"Created": "True", "Running": "False", "Succeeded": "True"}
    assert condition(found, "Succeeded")["reason"] == "ExperimentMaxTrialsReached"
    assert status["conditions"][-1]["type"] == "Succeeded"


async def test_what_trials_have_run_is_removed_unless_it_is_retained(world):
    await world.create(EXPERIMENTS, experiment())
    await world.create(EXPERIMENTS, experiment("kept", template={"retain": True}))
    await ended(world)
    await ended(world, "kept")
    wanted = [metadata.name(one) for one in await trials(world, "kept")]
    await world.until_names(kinds.JOBS, wanted)


async def test_no_more_trials_run_at_once_than_may(world):
    await world.create(EXPERIMENTS, experiment(play="run", maxTrialCount=9))
    await world.until_status(EXPERIMENTS, "e", trialsRunning=2)
    await world.advance(5)
    assert len(await trials(world)) == 2
    await world.patch(EXPERIMENTS, "e", {"spec": {"parallelTrialCount": 4}})
    await world.until_status(EXPERIMENTS, "e", trialsRunning=4)
    made = {metadata.name(one) for one in await trials(world)}
    await world.patch(EXPERIMENTS, "e", {"spec": {"parallelTrialCount": 1}})
    await world.until_status(EXPERIMENTS, "e", trialsRunning=1, trials=1)
    (left,) = await trials(world)
    assert metadata.labels(left)["wherry.dev/index"] == "0", "the newest have gone"
    suggestion = await world.get(SUGGESTIONS, "e")
    proposed = [one["name"] for one in suggestion["status"]["suggestions"]]
    assert made & {*proposed} == {metadata.name(left)}, "and are not made again"
    assert suggestion["spec"]["requests"] == len(proposed) == 9 - 3


async def test_the_goal_ends_a_search(world):
    goal = {"type": "minimize", "objectiveMetricName": "loss", "goal": 2}
    await world.create(EXPERIMENTS, experiment(objective=goal, maxTrialCount=50))
    found = await ended(world)
    assert condition(found, "Succeeded")["reason"] == "ExperimentGoalReached"
    assert found["status"]["trials"] < 50


@pytest.mark.parametrize("most", [0, 2])
async def test_failures_fail_a_search_when_there_are_too_many(world, most):
    await world.create(EXPERIMENTS, experiment(play="fail=3", maxFailedTrialCount=most))
    found = await ended(world, type_="Failed")
    assert "max failed" in condition(found, "Failed")["message"]
    failed = [one for one in await trials(world) if conditions.is_true(one, "Failed")]
    assert len(failed) >= max(most, 1)
    assert "exit code 3" in condition(failed[0], "Failed")["message"]


async def test_a_small_space_ends_with_its_last_point(world):
    values = [{"name": "x", "parameterType": "categorical", "feasibleSpace": {"list": [3, 1, 2]}}]
    spec: dict[str, Any] = {
        "algorithm": {"algorithmName": "grid"},
        "parameters": values,
        "maxTrialCount": None,
    }
    await world.create(EXPERIMENTS, experiment(**spec))
    found = await ended(world)
    assert condition(found, "Succeeded")["reason"] == "ExperimentSuggestionEndReached"
    assert found["status"]["trials"] == 3
    best = found["status"]["currentOptimalTrial"]
    assert best["parameterAssignments"] == [{"name": "x", "value": "1"}]


async def test_a_trial_without_metrics_ends_and_says_what_it_printed(world):
    await world.create(
        EXPERIMENTS,
        experiment(
            says="nothing to see", maxTrialCount=1, parallelTrialCount=1, maxFailedTrialCount=1
        ),
    )
    found = await ended(world, type_="Failed")
    assert found["status"]["trialMetricsUnavailable"] == 1
    (trial,) = await trials(world)
    told = condition(trial, "MetricsUnavailable")["message"]
    assert "loss" in told
    assert "nothing to see" in told


async def test_a_larger_budget_lets_a_finished_search_go_on(world):
    await world.create(EXPERIMENTS, experiment(resumePolicy="LongRunning"))
    await ended(world)
    before = {metadata.name(one) for one in await trials(world)}
    with pytest.raises(errors.InvalidError, match="must be above 4"):
        await world.patch(EXPERIMENTS, "e", {"spec": {"parallelTrialCount": 1}})
    await world.patch(EXPERIMENTS, "e", {"spec": {"maxTrialCount": 7}})
    await world.until_status(EXPERIMENTS, "e", trialsSucceeded=7)
    found = await ended(world)
    assert conditions.is_true(found, "Restarting")
    assert before < {metadata.name(one) for one in await trials(world)}


@pytest.mark.parametrize(
    ("policy", "runs"), [("Never", False), ("LongRunning", True), ("FromVolume", False)]
)
async def test_the_resume_policy_says_what_becomes_of_the_suggestion(world, policy, runs):
    await world.create(EXPERIMENTS, experiment(resumePolicy=policy))
    await ended(world)
    if not runs:
        await world.until_condition(SUGGESTIONS, "e", "Succeeded")
    suggestion = await world.get(SUGGESTIONS, "e")
    assert conditions.is_true(suggestion, "Running") is runs
    if policy == "Never":
        with pytest.raises(errors.InvalidError, match="resumePolicy is Never"):
            await world.patch(EXPERIMENTS, "e", {"spec": {"maxTrialCount": 7}})


async def test_a_trial_whose_work_is_taken_away_is_killed(world):
    await world.create(EXPERIMENTS, experiment(play="run", maxTrialCount=2))
    await world.until_status(EXPERIMENTS, "e", trialsRunning=2)
    first = metadata.name((await trials(world))[0])
    await world.delete(kinds.JOBS, first)
    found = await world.until_status(EXPERIMENTS, "e", trialsKilled=1)
    assert found["status"]["killedTrialList"] == [first]


async def test_what_keeps_a_pod_from_running_stands_in_the_trial(world):
    made = experiment(play="pending")
    container = made["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    container[0]["resources"] = {"requests": {"cpu": "400"}}
    await world.create(EXPERIMENTS, made)

    async def told() -> Any:
        found = [conditions.get(one, "Running") for one in await trials(world)]
        return next((one for one in found if one and one["reason"] == "Unschedulable"), None)

    assert "cpu" in (await world.until(told))["message"]


async def test_killed_at_any_moment_each_trial_is_made_once(world):
    await world.create(EXPERIMENTS, experiment(maxTrialCount=20, parallelTrialCount=3))
    for pause in range(20):
        await asyncio.sleep(0.003 * (pause % 7))
        await world.kill()
        await world.start()
    found = await ended(world)
    made = await trials(world)
    assert found["status"]["trialsSucceeded"] == len(made) == 20
    indexes = sorted(int(metadata.labels(one)["wherry.dev/index"]) for one in made)
    assert indexes == list(range(20)), "none left out, none twice"
    pods = [metadata.labels(pod)["katib.kubeflow.org/trial"] for pod in world.kubelet.started]
    assert len(pods) == len(set(pods)) == 20


async def test_killed_or_not_a_seeded_search_finds_the_same(world):
    seeded: dict[str, Any] = {
        "algorithm": {
            "algorithmName": "tpe",
            "algorithmSettings": [{"name": "random_state", "value": "7"}],
        },
        "parallelTrialCount": 1,
        "maxTrialCount": 12,
    }
    await world.create(EXPERIMENTS, experiment("calm", **seeded))
    await ended(world, "calm")
    await world.create(EXPERIMENTS, experiment("hard", **seeded))
    for pause in range(8):
        await asyncio.sleep(0.02 * (pause % 5))
        await world.kill()
        await world.start()
    await ended(world, "hard")

    async def tried(name: str) -> list[str]:
        made = sorted(
            await trials(world, name), key=lambda one: int(metadata.labels(one)["wherry.dev/index"])
        )
        return [one["spec"]["parameterAssignments"][0]["value"] for one in made]

    assert await tried("calm") == await tried("hard")


async def test_several_objectives_have_a_front(world):
    objective = {
        "type": "minimize",
        "objectiveMetricName": "loss",
        "additionalObjectives": [{"type": "maximize", "objectiveMetricName": "size"}],
    }
    made = experiment(
        says="loss=${trialParameters.x}\nsize=${trialParameters.x}",
        objective=objective,
        algorithm={"algorithmName": "nsga2"},
        maxTrialCount=6,
    )
    await world.create(EXPERIMENTS, made)
    found = await ended(world)
    assert len(found["status"]["optimalTrials"]) == 6, (
        "each is better in one and worse in the other"
    )


async def test_architectures_are_searched_as_katib_hands_them_out(world):
    made = experiment(says="Validation-Accuracy=0.5", maxTrialCount=2)
    spec = made["spec"]
    del spec["parameters"]
    spec["objective"] = {"type": "maximize", "objectiveMetricName": "Validation-Accuracy"}
    spec["algorithm"] = {"algorithmName": "enas"}
    spec["nasConfig"] = {
        "graphConfig": {"numLayers": 2, "inputSizes": [8, 8, 1], "outputSizes": [10]},
        "operations": [
            {
                "operationType": "convolution",
                "parameters": [
                    {
                        "name": "filter_size",
                        "parameterType": "categorical",
                        "feasibleSpace": {"list": ["3", "5"]},
                    }
                ],
            }
        ],
    }
    template = spec["trialTemplate"]
    template["trialParameters"] = [
        {"name": "architecture", "reference": "architecture"},
        {"name": "config", "reference": "nn_config"},
    ]
    (container,) = template["trialSpec"]["spec"]["template"]["spec"]["containers"]
    container["args"] = ["--a=${trialParameters.architecture}", "--c=${trialParameters.config}"]
    await world.create(EXPERIMENTS, made)
    found = await ended(world)
    assert found["status"]["trialsSucceeded"] == 2
    architecture, config = world.kubelet.started[0]["spec"]["containers"][0]["args"]
    assert architecture.startswith("--a=[[")
    assert "'num_layers': 2" in config


async def test_a_template_that_goes_is_waited_for(world):
    given = experiment()
    template = given["spec"]["trialTemplate"]
    job = template.pop("trialSpec")
    held_in = {"configMapName": "t", "configMapNamespace": "default", "templatePath": "job.yaml"}
    template["configMap"] = held_in
    config = {"metadata": {"name": "t"}, "data": {"job.yaml": json.dumps(job)}}
    job["spec"]["template"]["metadata"]["annotations"][PLAY] = "run"
    await world.create(kinds.CONFIG_MAPS, config | {"data": {"job.yaml": json.dumps(job)}})
    await world.create(EXPERIMENTS, given)
    await world.until_status(EXPERIMENTS, "e", trialsRunning=2)
    await world.delete(kinds.CONFIG_MAPS, "t")
    for pod in await world.list(kinds.PODS):
        await world.kubelet.finish(metadata.name(pod))

    async def told() -> Any:
        found = condition(await world.get(EXPERIMENTS, "e"), "Running")
        return found if found["reason"] == "TrialTemplateMissing" else None

    assert "there is no ConfigMap default/t" in (await world.until(told))["message"]
    await world.advance(60)
    found = await world.get(EXPERIMENTS, "e")
    assert not conditions.is_true(found, "Failed")
    assert "TrialTemplateMissing" in await world.events("e")
    await world.create(kinds.CONFIG_MAPS, config)
    found = await ended(world)
    assert found["status"]["trialsSucceeded"] == 4


async def test_a_suggestion_of_before_a_crash_is_gone_on_with(world):
    await world.kill()
    await world.create(EXPERIMENTS, experiment())
    stored = await world.get(EXPERIMENTS, "e")
    suggestion = {
        "metadata": {"name": "e", "ownerReferences": [metadata.owner_reference(stored)]},
        "spec": {"requests": 2, "algorithm": {"algorithmName": "random"}},
    }
    await world.create(SUGGESTIONS, suggestion)
    await world.start()
    found = await ended(world)
    assert found["status"]["trialsSucceeded"] == 4


@pytest.mark.parametrize(
    ("algorithm", "spec", "ahead"),
    [
        ("random", {}, True),
        ("grid", {}, True),
        ("tpe", {}, False),
        ("random", {"earlyStopping": {"algorithmName": "medianstop"}}, False),
    ],
)
async def test_what_does_not_depend_on_results_is_asked_for_ahead(world, algorithm, spec, ahead):
    space = {"min": 0, "max": 1, "step": 0.01}
    wanted = experiment(
        play="run",
        maxTrialCount=12,
        algorithm={"algorithmName": algorithm},
        parameters=[{"name": "x", "parameterType": "double", "feasibleSpace": space}],
        **spec,
    )
    await world.create(EXPERIMENTS, wanted)
    await world.until_status(EXPERIMENTS, "e", trialsRunning=2)
    suggestion = await world.get(SUGGESTIONS, "e")
    assert suggestion["spec"]["requests"] == (12 if ahead else 2), "never more than the budget"
    assert len(await trials(world)) == 2
