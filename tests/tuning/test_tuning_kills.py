"""The control plane is killed over and over while a search runs: no trial is lost, none runs twice."""

import random
import time

import pytest

from wherry.objects import conditions, errors, metadata
from wherry.testing.waiting import eventually
from wherry.tuning.kinds import EXPERIMENTS, TRIALS

KILLS = 20
LASTING = """
echo started >>"/shared/$KATIB_TRIAL_NAME"
for epoch in 1 2 3; do echo "loss=${trialParameters.x}"; sleep 0.2; done
echo "loss=0.0001${trialParameters.x}"
"""
SHORT = """
echo started >>"/shared/$KATIB_TRIAL_NAME"
sleep 0.1
echo "loss=${trialParameters.x}"
"""


def experiment(name, script, shared, **spec):
    """Return an experiment whose trials note in a folder that they have begun."""
    container = {
        "name": "main",
        "image": "python:3",
        "command": ["sh", "-c", script],
        "volumeMounts": [{"name": "shared", "mountPath": "/shared"}],
    }
    template = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [{"name": "shared", "hostPath": {"path": str(shared)}}],
        }
    }
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "parameters": [
                {"name": "x", "parameterType": "int", "feasibleSpace": {"min": 1, "max": 999_999}}
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
            **spec,
        },
    }


class Search:
    """One experiment on a platform that is killed."""

    def __init__(self, platform, folder, name, script, **spec):
        self.platform, self.name = platform, name
        self.labels = f"katib.kubeflow.org/experiment={name}"
        self.shared = folder / name
        self.shared.mkdir()
        made = experiment(name, script, self.shared, **spec)
        platform.ask(lambda client: client.create(EXPERIMENTS, made))

    def ended(self):
        """Return the experiment once it has ended; None before, and while nobody answers."""
        try:
            call = self.platform.ask(lambda each: each.get(EXPERIMENTS, self.name, "default"))
        except (errors.ApiError, OSError):
            return None
        return call if call.get("status", {}).get("completionTime") else None

    def killed(self):
        """Have the control plane be killed again and again while this runs; then let it end."""
        chance = random.Random(11)
        for _ in range(KILLS):
            time.sleep(chance.uniform(0, 0.6))
            self.platform.restart()
        eventually(self.shortened, 120)
        return eventually(self.ended, 300)

    def shortened(self):
        """Lower the budget, which cannot be used up, to a few trials more; tell whether that was done."""
        try:
            made = self.platform.ask(lambda each: each.list(TRIALS, "default", labels=self.labels))
            change = {"spec": {"maxTrialCount": len(made.items) + 5}}
            where = EXPERIMENTS, self.name, change, "default"
            self.platform.ask(lambda each: each.patch(*where))
        except errors.InvalidError:
            return False  # there are more already
        return True

    def trials(self):
        """Return its trials in the order of their proposals, having seen that each began once."""
        made = self.platform.ask(
            lambda each: each.list(TRIALS, "default", labels=self.labels)
        ).items
        names = {metadata.name(trial) for trial in made}
        started = {path.name: path.read_text() for path in self.shared.iterdir()}
        assert started == dict.fromkeys(names, "started\n")
        return sorted(made, key=lambda each: int(metadata.labels(each)["wherry.dev/index"]))


def tried(trial):
    (value,) = (each["value"] for each in trial["spec"]["parameterAssignments"])
    return value


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_search_loses_no_trial_and_runs_none_twice_whatever_is_killed(running, tmp_path):
    random_search = {"algorithm": {"algorithmName": "random"}}
    endless = {"parallelTrialCount": 3, "maxTrialCount": 100_000}
    search = Search(running, tmp_path, "e", LASTING, **random_search, **endless)
    found = search.killed()
    assert conditions.is_true(found, "Succeeded"), found["status"]
    count = found["spec"]["maxTrialCount"]
    assert found["status"]["trialsSucceeded"] == count
    made = search.trials()
    assert [int(metadata.labels(each)["wherry.dev/index"]) for each in made] == [*range(count)]
    for trial in made:
        (metric,) = trial["status"]["observation"]["metrics"]
        assert metric["max"] == tried(trial)
        assert metric["min"] == metric["latest"] == f"0.0001{tried(trial)}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_or_not_a_seeded_search_finds_the_same(running, tmp_path):
    seeded = {
        "algorithm": {
            "algorithmName": "tpe",
            "algorithmSettings": [{"name": "random_state", "value": "7"}],
        },
        "parallelTrialCount": 1,
    }
    hard = Search(running, tmp_path, "hard", SHORT, **seeded, maxTrialCount=100_000)
    found = hard.killed()
    count = found["spec"]["maxTrialCount"]
    calm = Search(running, tmp_path, "calm", SHORT, **seeded, maxTrialCount=count)
    undisturbed = eventually(calm.ended, 300)
    assert found["status"]["trialsSucceeded"] == count
    assert undisturbed["status"]["trialsSucceeded"] == count
    assert [tried(each) for each in hard.trials()] == [tried(each) for each in calm.trials()]
    best, wanted = (each["status"]["currentOptimalTrial"] for each in (found, undisturbed))
    assert best["parameterAssignments"] == wanted["parameterAssignments"]
