"""Runs of pipelines as trials, by real steps: what they print, what they fail with, and their form."""

from typing import Any

import pytest

from wherry.objects import conditions, metadata
from wherry.objects.requests import Object
from wherry.testing.played import condition
from wherry.testing.waiting import eventually
from wherry.tuning import defaults, pipeline_runs, workloads
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, TRIALS

ENDS = ("Succeeded", "Failed")


def inputs() -> Object:
    return {"parameters": {"x": {"parameterType": "NUMBER_INTEGER"}}}


def run(**scripts: str) -> Object:
    """Return a run whose steps are scripts of the shell that see the number x."""
    components = {
        f"comp-{name}": {"executorLabel": f"exec-{name}", "inputDefinitions": inputs()}
        for name in scripts
    }
    argument = "{{$.inputs.parameters['x']}}"
    executors = {
        f"exec-{name}": {
            "container": {"image": "python:3.11", "command": ["sh", "-ec", script, "sh", argument]}
        }
        for name, script in scripts.items()
    }
    tasks = {
        name: {
            "taskInfo": {"name": name},
            "componentRef": {"name": f"comp-{name}"},
            "inputs": {"parameters": {"x": {"componentInputParameter": "x"}}},
        }
        for name in scripts
    }
    pipeline = {
        "pipelineInfo": {"name": "p"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": components,
        "deploymentSpec": {"executors": executors},
        "root": {"inputDefinitions": inputs(), "dag": {"tasks": tasks}},
    }
    config = {"parameters": {"x": "${trialParameters.x}"}}
    spec = {"pipelineSpec": pipeline, "runtimeConfig": config, "ttlSecondsAfterFinished": 0}
    return {"apiVersion": "wherry.dev/v1", "kind": "PipelineRun", "spec": spec}


def experiment(name: str, made: Object, **template: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "score"},
            "algorithm": {"algorithmName": "grid"},
            "maxFailedTrialCount": 1,
            "parallelTrialCount": 2,
            "parameters": [
                {"name": "x", "parameterType": "int", "feasibleSpace": {"min": 1, "max": 2}}
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": made,
                **template,
            },
        },
    }


def test_texts_become_what_the_pipeline_declares():
    made = run(a="true")
    parameters = made["spec"]["runtimeConfig"]["parameters"]
    declared = made["spec"]["pipelineSpec"]["root"]["inputDefinitions"]["parameters"]
    for name, type_ in (("rate", "NUMBER_DOUBLE"), ("on", "BOOLEAN"), ("text", "STRING")):
        declared[name] = {"parameterType": type_}
    deep = "[" * 100_000
    declared["deep"] = {"parameterType": "LIST"}
    parameters |= {
        "x": "3",
        "rate": "1e-3",
        "on": "true",
        "text": "7",
        "unknown": "5",
        "deep": deep,
    }
    pipeline_runs.type_parameters(made)
    wanted = {"x": 3, "rate": 0.001, "on": True, "text": "7", "unknown": "5", "deep": deep}
    assert parameters == wanted


def test_only_numbers_are_metrics():
    outputs = {"a": 1, "b": "0.5", "c": "text", "d": True, "e": [1], "f": "nan"}
    made = {**run(a="true"), "status": {"outputs": outputs}}
    assert pipeline_runs.outputs(made) == {"a": "1", "b": "0.5"}
    assert pipeline_runs.outputs({**made, "kind": "Other"}) == {}


@pytest.mark.parametrize(
    ("state", "succeeded"), [("RUNNING", None), ("FAILED", False), ("CANCELED", False)]
)
def test_how_a_run_ends_is_known(state, succeeded):
    made = run(a="true")
    trial = {"spec": defaults.by_kind({}, made)}
    status = {"state": state, "message": "why", "conditions": []}
    verdict = workloads.verdict(trial, {**made, "status": status})
    assert (verdict.succeeded if verdict else None) is succeeded
    assert verdict is None or verdict.message == "why"


@pytest.mark.slow
@pytest.mark.timeout(600)
class TestOnAPlatform:
    """Runs of real steps."""

    @pytest.fixture
    def ended(self, shared_platform):
        client, call = shared_platform.client, shared_platform.call

        def ended(made: Object, type_: str = "Succeeded") -> list[Object]:
            name = metadata.name(made)
            call(client.create(EXPERIMENTS, made))

            def end() -> str:
                found = call(client.get(EXPERIMENTS, name, "default"))
                return next((each for each in ENDS if conditions.is_true(found, each)), "")

            found = eventually(end, 120)
            labels = f"{EXPERIMENT_LABEL}={name}"
            trials: list[Object] = call(client.list(TRIALS, "default", labels=labels)).items
            assert found == type_, [
                condition(each, found)["message"]
                for each in trials
                if conditions.is_true(each, found)
            ]
            return trials

        return ended

    def test_what_one_of_its_steps_prints_counts(self, ended):
        made = run(loud="echo score=100", quiet="echo score=$1")
        labels = {"wherry.dev/pipeline-task": "quiet"}
        for trial in ended(experiment("printed", made, primaryPodLabels=labels)):
            (tried,) = trial["spec"]["parameterAssignments"]
            (metric,) = trial["status"]["observation"]["metrics"]
            assert metric["latest"] == tried["value"]

    def test_a_step_that_fails_fails_the_trial_with_its_words(self, ended):
        made = run(bad="echo no such thing as $1 >&2; exit 3")
        trials = ended(experiment("failing", made), "Failed")
        told = [
            condition(each, "Failed")["message"]
            for each in trials
            if conditions.is_true(each, "Failed")
        ]
        assert "no such thing as" in told[0]
