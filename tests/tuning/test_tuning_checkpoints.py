"""Trials that go on from others' checkpoints: what their pods get, and a population that really does."""

import pytest

from wherry.objects import conditions, kinds, metadata
from wherry.objects.requests import Object
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.tuning import admission, checkpoints, defaults, trials
from wherry.tuning.kinds import EXPERIMENTS, TRIALS

_SCRIPT = """
import pathlib
state = pathlib.Path("/state/epochs")
start = int(state.read_text()) if state.exists() else 0
state.write_text(str(start + 1))
print(f"start={start}")
print(f"end={start + 1}")
print(f"score={(start + 1) * ${trialParameters.rate}}")
"""


def experiment(name, algorithm, *, settings, most, parameters=()):
    job = builders.job(
        "x", template={"containers": [builders.container("main", python=_SCRIPT)]}, backoffLimit=0
    )
    del job["metadata"]
    given = [{"name": key, "value": value} for key, value in settings.items()]
    rate = {"min": "0.1", "max": "1", "step": "0.1"}
    return {
        "apiVersion": EXPERIMENTS.api_version,
        "kind": EXPERIMENTS.kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {
                "type": "maximize",
                "objectiveMetricName": "score",
                "additionalMetricNames": ["start", "end"],
            },
            "algorithm": {"algorithmName": algorithm, "algorithmSettings": given},
            "maxTrialCount": most,
            "parallelTrialCount": 5,
            "parameters": [
                {"name": "rate", "parameterType": "double", "feasibleSpace": rate},
                *parameters,
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "rate", "reference": "rate"}],
                "trialSpec": job,
            },
        },
    }


POPULATION = {
    "suggestion_trial_dir": "/state",
    "n_population": "5",
    "truncation_threshold": "0.4",
    "random_state": "1",
}


def run(platform, made):
    platform.call(platform.client.create(EXPERIMENTS, made))
    name = made["metadata"]["name"]

    def ended():
        found = platform.call(platform.client.get(EXPERIMENTS, name, "default"))
        return found if found.get("status", {}).get("completionTime") else None

    found = eventually(ended, 200)
    assert conditions.is_true(found, "Succeeded"), found["status"]
    labels = f"katib.kubeflow.org/experiment={name}"
    listed = platform.call(platform.client.list(TRIALS, "default", labels=labels))
    return {metadata.name(each): each for each in listed}


def value(trial, metric):
    found = {each["name"]: each for each in trial["status"]["observation"]["metrics"]}
    return int(found[metric]["latest"])


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_population_goes_on_from_its_parents_checkpoints(shared_platform):
    made = run(shared_platform, experiment("pbt", "pbt", settings=POPULATION, most=15))
    prefix = "pbt.suggestion.katib.kubeflow.org"
    children = 0
    for trial in made.values():
        labels = metadata.labels(trial)
        assert value(trial, "end") == int(labels[f"{prefix}/generation"]) + 1
        parent = labels.get(f"{prefix}/parent")
        if parent is None:
            assert value(trial, "start") == 0
            continue
        children += 1
        assert metadata.annotations(trial)["wherry.dev/resumes"] == parent
        assert value(trial, "start") == value(made[parent], "end")
    assert children == 10
    claim = shared_platform.call(
        shared_platform.client.get(kinds.PERSISTENT_VOLUME_CLAIMS, "pbt-pbt", "default")
    )
    assert claim["status"]["phase"] == "Bound"
    shared_platform.call(shared_platform.client.delete(EXPERIMENTS, "pbt", "default"))

    def left():
        client = shared_platform.client
        listed = shared_platform.call(client.list(kinds.PERSISTENT_VOLUME_CLAIMS, "default"))
        return [each for each in listed if metadata.name(each) == "pbt-pbt"]

    eventually(lambda: not left(), 120)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_hyperband_raises_goes_on_from_where_it_was(shared_platform):
    settings = {"r_l": "4", "resource_name": "epochs", "eta": "2", "suggestion_trial_dir": "/state"}
    epochs = {"min": "1", "max": "4"}
    parameter = {"name": "epochs", "parameterType": "int", "feasibleSpace": epochs}
    given = experiment("raised", "hyperband", settings=settings, most=10, parameters=[parameter])
    template = given["spec"]["trialTemplate"]
    template["trialParameters"].append({"name": "epochs", "reference": "epochs"})
    labels = {"epochs": "${trialParameters.epochs}"}
    template["trialSpec"]["spec"]["template"]["metadata"] = {"labels": labels}
    made = run(shared_platform, given)
    raised = [each for each in made.values() if "wherry.dev/resumes" in metadata.annotations(each)]
    assert raised
    for trial in raised:
        parent = made[metadata.annotations(trial)["wherry.dev/resumes"]]
        assert value(trial, "start") == value(parent, "end")


def test_pods_are_as_katibs():
    given = defaults.default(experiment("e", "pbt", settings=POPULATION, most=5))
    given["metadata"]["uid"] = "u"
    proposal = {
        "name": "e-2",
        "parameterAssignments": [{"name": "rate", "value": "0.5"}],
        "resumes": "e-1",
    }
    trial = trials.trial(given, proposal, None)
    pod: Object = {"spec": {"containers": [{"name": "other"}, {"name": "main"}]}}
    checkpoints.prepare(trial, pod)
    (volume,) = pod["spec"]["volumes"]
    assert volume == {
        "name": "suggestion-volume",
        "persistentVolumeClaim": {"claimName": "e-pbt"},
    }
    (mount,) = pod["spec"]["containers"][1]["volumeMounts"]
    assert (mount["mountPath"], mount["subPath"]) == ("/state", "e/e-2")
    (copier,) = pod["spec"]["initContainers"]
    assert copier["command"][-2:] == ["/run/checkpoints/e/e-1", "/run/checkpoints/e/e-2"]
    before = str(pod)
    checkpoints.prepare(trial, pod)
    assert str(pod) == before


def test_searches_without_a_directory_stay_as_they_are():
    given = experiment("e", "random", settings={}, most=5)
    assert checkpoints.annotations(given) == {}


@pytest.mark.parametrize("directory", ["state", "/", "/.."])
def test_directories_that_cannot_be(directory):
    settings = {**POPULATION, "suggestion_trial_dir": directory}
    given = defaults.default(experiment("e", "pbt", settings=settings, most=5))
    (cause,) = admission.validate(given, None)
    assert "must be an absolute path" in cause.message
