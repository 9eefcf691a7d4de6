"""The searches of ``examples/05-architectures``: real networks are trained on digits in real pods."""

import copy
import json
import re
from pathlib import Path

import pytest
import yaml

from wherry.objects import conditions, kinds
from wherry.objects.resources import Resource
from wherry.testing.waiting import eventually
from wherry.tuning.kinds import EXPERIMENT_LABEL, EXPERIMENTS, TRIALS

EXAMPLE = Path(__file__).parents[2] / "examples" / "05-architectures"
ENVIRONMENTS = Resource("wherry.dev", "v1", "environments", "Environment", namespaced=False)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def run(shared_platform):
    """Return what runs an experiment of the example with changes, and gives it and its trials."""
    client, call = shared_platform.client, shared_platform.call
    call(client.create(ENVIRONMENTS, manifest("environment.yaml")))
    code = {path.name: path.read_text(encoding="utf-8") for path in EXAMPLE.glob("*.py")}
    metadata = {"name": "architectures-code", "namespace": "default"}
    call(client.create(kinds.CONFIG_MAPS, {"metadata": metadata, "data": code}))

    def run(experiment):
        name = experiment["metadata"]["name"]
        experiment["metadata"]["namespace"] = "default"
        call(client.create(EXPERIMENTS, experiment))

        def ended():
            found = call(client.get(EXPERIMENTS, name, "default"))
            assert conditions.is_true(found, "Succeeded"), found.get("status")
            return found

        # Its environment is built first.
        found = eventually(ended, 600)
        trials = call(client.list(TRIALS, "default", labels=f"{EXPERIMENT_LABEL}={name}"))
        return found, trials.items

    return run


def manifest(name):
    return yaml.safe_load((EXAMPLE / name).read_text(encoding="utf-8"))


def with_command(experiment, **changes):
    """Return an experiment with options of its trials changed."""
    changed = copy.deepcopy(experiment)
    pod = changed["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    command = pod["containers"][0]["command"]
    for name, value in changes.items():
        (at,) = [at for at, word in enumerate(command) if word.startswith(f"--{name}=")]
        command[at] = f"--{name}={value}"
    return changed


def assigned(trial):
    return {one["name"]: one["value"] for one in trial["spec"]["parameterAssignments"]}


def test_enas_trains_the_networks_that_it_writes(run):
    experiment = with_command(manifest("enas.yaml"), num_epochs=2)
    experiment["spec"]["maxTrialCount"] = 4
    found, trials = run(experiment)
    assert found["status"]["trialsSucceeded"] == len(trials) == 4
    layers = [json.loads(assigned(one)["architecture"].replace("'", '"')) for one in trials]
    assert all([len(layer) for layer in each] == [1, 2, 3, 4] for each in layers)
    (metric,) = found["status"]["currentOptimalTrial"]["observation"]["metrics"]
    # A guess is right one time in ten.
    assert float(metric["max"]) > 0.15


def test_darts_says_which_cells_are_best(run):
    experiment = manifest("darts.yaml")
    settings = experiment["spec"]["algorithm"]["algorithmSettings"]
    next(one for one in settings if one["name"] == "num_epochs")["value"] = "2"
    found, trials = run(experiment)
    assert len(trials) == 1
    (metric,) = found["status"]["currentOptimalTrial"]["observation"]["metrics"]
    kept = re.fullmatch(r"Genotype\(normal=(.+), normal_concat=.+, reduce=.+\)", metric["latest"])
    assert kept is not None, metric
    operations = set(re.findall(r"'(\w+)'", kept[1]))
    names = r"(separable_convolution|convolution|max_pooling|avg_pooling)_3x3|skip_connection"
    assert all(re.fullmatch(names, one) for one in operations), operations
