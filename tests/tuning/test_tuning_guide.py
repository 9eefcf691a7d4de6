"""The manifests of the guide are run as they stand, by real processes."""

import re
from pathlib import Path

import pytest
import yaml

from wherry.objects import conditions, kinds, metadata
from wherry.testing.played import condition
from wherry.testing.waiting import eventually
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, TRIALS

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "tuning.md"
MANIFESTS = [
    obj
    for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for obj in yaml.safe_load_all(block)
]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def run(shared_platform):
    """Return what runs an experiment of the page to its end, and gives it and its trials."""
    client, call = shared_platform.client, shared_platform.call

    def find(name):
        return call(client.get(EXPERIMENTS, name, "default"))

    def ended(name):
        status = find(name).get("status")
        assert conditions.is_true({"status": status}, "Succeeded"), status
        return True

    def run(name):
        for obj in MANIFESTS:
            placed = {**obj, "metadata": {**obj["metadata"], "namespace": "default"}}
            if obj["kind"] == "ConfigMap" and name == "squares":
                call(client.create(kinds.CONFIG_MAPS, placed))
            elif metadata.name(obj) == name:
                call(client.create(EXPERIMENTS, placed))
        eventually(lambda: ended(name), 200)
        trials = call(client.list(TRIALS, "default", labels=f"{EXPERIMENT_LABEL}={name}"))
        return find(name), trials.items

    return run


def _value(optimum, metric):
    told = {each["name"]: each for each in optimum["observation"]["metrics"]}
    return float(told[metric]["latest"])


def test_the_first_example_finds_the_best_of_its_trials(run):
    experiment, trials = run("hello")
    assert experiment["status"]["trialsSucceeded"] == len(trials) == 6
    values = [_value(trial["status"], "loss") for trial in trials]
    assert _value(experiment["status"]["currentOptimalTrial"], "loss") == min(values)


def test_the_template_of_a_config_map_is_tried_with_every_side(run):
    experiment, trials = run("squares")
    assert len(trials) == 4
    reason = condition(experiment, "Succeeded")["reason"]
    assert reason == "ExperimentSuggestionEndReached"
    assert _value(experiment["status"]["currentOptimalTrial"], "score") == 16


def test_slow_trials_are_stopped_early(run):
    experiment, trials = run("patient")
    status = experiment["status"]
    stopped = set(status.get("earlyStoppedTrialList", ()))
    slopes = {
        metadata.name(one): float(one["spec"]["parameterAssignments"][0]["value"]) for one in trials
    }
    best = status["currentOptimalTrial"]["bestTrialName"]
    assert best == max(slopes, key=slopes.__getitem__)
    assert best not in stopped
    assert status["trials"] == len(trials) == 5


def test_a_population_goes_on_from_checkpoints(run):
    experiment, trials = run("population")
    assert experiment["status"]["trialsSucceeded"] == len(trials) == 10
    scores = {metadata.name(one): _value(one["status"], "score") for one in trials}
    parents = {metadata.name(one): metadata.annotations(one) for one in trials}
    told = {name: each.get("wherry.dev/resumes") for name, each in parents.items()}
    assert sum(each is not None for each in told.values()) == 5
    for name, parent in told.items():
        assert 0.5 <= scores[name] - (scores[parent] if parent else 0) <= 1


def test_pipelines_are_judged_by_their_outputs(run):
    experiment, trials = run("pipeline")
    assert experiment["status"]["trialsSucceeded"] == len(trials) == 3
    for trial in trials:
        (tried,) = trial["spec"]["parameterAssignments"]
        wanted = (float(tried["value"]) - 0.1) ** 2
        assert _value(trial["status"], "loss") == pytest.approx(wanted)
