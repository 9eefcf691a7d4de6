"""The Experiment of an old hands-on guide, as it stands there, from kubectl to its best trial.

Its image is not to be had any more: an Environment stands for it, with a script of the same name that
takes the same options, trains on real images of digits, and prints the same metrics.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from wherry.objects import conditions, kinds, metadata
from wherry.objects.resources import Resource
from wherry.testing.waiting import eventually

EXPERIMENTS = Resource("kubeflow.org", "v1alpha3", "experiments", "Experiment")
TRIALS = Resource("kubeflow.org", "v1beta1", "trials", "Trial")
ENVIRONMENTS = Resource("wherry.dev", "v1", "environments", "Environment", namespaced=False)
KUBECTL = str(Path(sys.executable).with_name("kubectl"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

MANIFEST = """\
apiVersion: "kubeflow.org/v1alpha3"
kind: Experiment
metadata:
  namespace: kubeflow
  labels:
    controller-tools.k8s.io: "1.0"
  name: handson-experiment-1
spec:
  parallelTrialCount: 5 #----------------(1)
  maxTrialCount: 30     #----------------(2)
  maxFailedTrialCount: 3 #---------------(3)
  objective: #---------------------------(4)
    type: maximize
    goal: 0.99
    objectiveMetricName: Validation-accuracy
    additionalMetricNames:
      - accuracy
      - loss
      - Validation-loss
  algorithm: #---------------------------(5)
    algorithmName: random
  trialTemplate: #-----------------------(6)
    goTemplate:
        rawTemplate: |-
          apiVersion: batch/v1
          kind: Job
          metadata:
            name: {{.Trial}}
            namespace: {{.NameSpace}}
          spec:
            template:
              spec:
                containers:
                - name: {{.Trial}}
                  image: brightfly/katib-job:handson
                  command:
                  - "python"
                  - "/app/katib_keras_mnist.py"
                  {{- with .HyperParameters}} #-----------------(7)
                  {{- range .}}
                  - "{{.Name}}={{.Value}}"
                  {{- end}}
                  {{- end}}
                restartPolicy: Never
  parameters: #-----------------------------------------(8)
    - name: --learning_rate
      parameterType: double
      feasibleSpace:
        min: "0.01"
        max: "0.03"
    - name: --dropout_rate
      parameterType: double
      feasibleSpace:
        min: "0.1"
        max: "0.9"
"""

SCRIPT = """\
import argparse
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

options = argparse.ArgumentParser()
options.add_argument("--learning_rate", type=float, required=True)
options.add_argument("--dropout_rate", type=float, required=True)
given = options.parse_args()

images, digits = load_digits(return_X_y=True)
images = images / 16
train, test = slice(0, 1200), slice(1200, None)
rng = np.random.default_rng(0)
model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=given.learning_rate, random_state=0)
for epoch in range(3):
    kept = rng.random(images[train].shape) >= given.dropout_rate
    model.partial_fit(images[train] * kept, digits[train], classes=range(10))
    for name, part in (("", train), ("Validation-", test)):
        print(f"{name}accuracy={model.score(images[part], digits[part]):.5f}")
        print(f"{name}loss={log_loss(digits[part], model.predict_proba(images[part])):.5f}", flush=True)
"""


@pytest.fixture
def kubectl(platform, tmp_path):
    """Return kubectl on a platform where the guide's image means something."""
    environment = {
        "apiVersion": "wherry.dev/v1",
        "kind": "Environment",
        "metadata": {"name": "handson"},
        "spec": {
            "images": ["brightfly/katib-job:*"],
            "requirements": ["scikit-learn"],
            "files": {"/app/katib_keras_mnist.py": SCRIPT},
            "preload": ["sklearn.linear_model", "sklearn.datasets"],
        },
    }
    platform.call(platform.client.create(ENVIRONMENTS, environment))

    def ready():
        found = platform.call(platform.client.get(ENVIRONMENTS, "handson"))
        assert conditions.is_true(found, "Ready"), conditions.get(found, "Ready")
        return True

    eventually(ready, 300)

    def run(*arguments, given=""):
        done = subprocess.run(
            [
                KUBECTL,
                "--kubeconfig",
                str(platform.kubeconfig),
                "--namespace",
                "kubeflow",
                *arguments,
            ],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_experiment_of_the_guide_finds_the_best_of_thirty_trials(platform, kubectl):
    kubectl("apply", "-f", "-", given=MANIFEST)

    def ended():
        found = json.loads(kubectl("get", "experiment", "handson-experiment-1", "-o", "json"))
        assert conditions.is_true(found, "Succeeded"), found.get("status")
        return found

    experiment = eventually(ended, 400)
    trials = platform.call(platform.client.list(TRIALS, "kubeflow")).items
    status = experiment["status"]
    assert status["trials"] == status["trialsSucceeded"] == len(trials) == 30
    assert len(status["succeededTrialList"]) == 30

    def accuracy(trial):
        told = {each["name"]: each for each in trial["status"]["observation"]["metrics"]}
        assert set(told) == {"Validation-accuracy", "accuracy", "loss", "Validation-loss"}
        return float(told["Validation-accuracy"]["max"])

    best = max(trials, key=accuracy)
    optimum = status["currentOptimalTrial"]
    told = {each["name"]: each for each in optimum["observation"]["metrics"]}
    assert float(told["Validation-accuracy"]["max"]) == accuracy(best) > 0.8
    assert {each["name"] for each in optimum["parameterAssignments"]} == {
        "--learning_rate",
        "--dropout_rate",
    }
    spread = {each["value"] for trial in trials for each in trial["spec"]["parameterAssignments"]}
    assert len(spread) == 60
    age = r"\S*\d[smh]"
    header, row = kubectl("get", "experiment").splitlines()
    assert header.split() == ["NAME", "TYPE", "STATUS", "AGE"]
    assert re.fullmatch(rf"handson-experiment-1 +Succeeded +True +{age}", row)
    header, row = kubectl("get", "suggestion").splitlines()
    assert header.split() == ["NAME", "TYPE", "STATUS", "REQUESTED", "ASSIGNED", "AGE"]
    # The old default is that a search can go on.
    assert re.fullmatch(rf"handson-experiment-1 +Running +True +30 +30 +{age}", row)
    header, *rows = kubectl("get", "trial").splitlines()
    assert header.split() == ["NAME", "TYPE", "STATUS", "AGE"]
    assert {row.split()[0] for row in rows} == {metadata.name(trial) for trial in trials}
    for row in rows:
        assert re.fullmatch(rf"handson-experiment-1-[0-9a-f]{{8}} +Succeeded +True +{age}", row)
    jobs = platform.call(platform.client.list(kinds.JOBS, "kubeflow")).items
    assert not [job for job in jobs if not metadata.is_deleting(job)], "retain is off"
