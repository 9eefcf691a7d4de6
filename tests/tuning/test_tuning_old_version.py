"""Objects of v1alpha3: what becomes of them in v1beta1, and how they look to old clients."""

import pytest

from wherry.objects import conditions, errors, metadata
from wherry.objects.resources import Resource
from wherry.testing.played import PLAY
from wherry.testing.played_logs import SAYS
from wherry.tuning import v1alpha3
from wherry.tuning.kinds import API_VERSION, EXPERIMENTS, OLD_API_VERSION, SUGGESTIONS, TRIALS

OLD_EXPERIMENTS = Resource("kubeflow.org", "v1alpha3", "experiments", "Experiment")
OLD_TRIALS = Resource("kubeflow.org", "v1alpha3", "trials", "Trial")
OLD_SUGGESTIONS = Resource("kubeflow.org", "v1alpha3", "suggestions", "Suggestion")

TEMPLATE = f"""\
apiVersion: batch/v1
kind: Job
metadata:
  name: {{{{.Trial}}}}
  namespace: {{{{.NameSpace}}}}
spec:
  template:
    metadata:
      annotations:
        {PLAY}: succeed
        {SAYS}: |
          {{{{- with .HyperParameters}}}}
          {{{{- range .}}}}
          loss={{{{.Value}}}}
          {{{{- end}}}}
          {{{{- end}}}}
    spec:
      restartPolicy: Never
      containers:
      - name: {{{{.Trial}}}}
        image: python:3.11
"""


def old(**spec):
    return {
        "apiVersion": OLD_API_VERSION,
        "kind": "Experiment",
        "metadata": {"name": "e", "namespace": "default"},
        "spec": {
            "maxTrialCount": 3,
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parameters": [
                {
                    "name": "--lr",
                    "parameterType": "double",
                    "feasibleSpace": {"min": "0.1", "max": "1"},
                }
            ],
            "trialTemplate": {"goTemplate": {"rawTemplate": TEMPLATE}},
            **spec,
        },
    }


async def test_an_old_experiment_runs_and_looks_old_to_old_clients(world):
    await world.create(OLD_EXPERIMENTS, old())
    await world.until_condition(EXPERIMENTS, "e", "Succeeded")
    found = await world.get(OLD_EXPERIMENTS, "e")
    assert found["spec"]["resumePolicy"] == "LongRunning"
    assert found["spec"]["parallelTrialCount"] == 3
    best = found["status"]["currentOptimalTrial"]
    (metric,) = best["observation"]["metrics"]
    assert metric["value"] == pytest.approx(float(best["parameterAssignments"][0]["value"]))
    trial = await world.get(OLD_TRIALS, best["bestTrialName"])
    assert trial["spec"]["runSpec"].startswith("apiVersion: batch/v1\nkind: Job\n")
    assert (await world.get(TRIALS, best["bestTrialName"]))["spec"]["runSpec"]["kind"] == "Job"
    suggestion = await world.get(OLD_SUGGESTIONS, "e")
    assert suggestion["spec"]["algorithmName"] == "random"
    assert conditions.is_true(suggestion, "Running"), "LongRunning is the old default"


async def test_an_experiment_without_template_takes_that_of_the_config_map(world):
    made = old()
    del made["spec"]["trialTemplate"]
    stored = await world.create(OLD_EXPERIMENTS, made)
    assert stored["spec"]["trialTemplate"]["retain"] is True
    trials = await world.until_status(EXPERIMENTS, "e", trials=3)
    name = (trials["status"].get("runningTrialList") or trials["status"]["pendingTrialList"])[0]
    trial = await world.get(TRIALS, name)
    (container,) = trial["spec"]["runSpec"]["spec"]["template"]["spec"]["containers"]
    assert container["command"][-1].startswith("--lr=0.")


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (
            TEMPLATE.replace("{{.Trial}}", "mine", 1),
            'metadata.name is "mine"; it must be {{.Trial}}',
        ),
        (TEMPLATE.replace("{{- end}}", "", 1), "has no {{end}}"),
        (TEMPLATE.replace("kind: Job", "kind: Pod"), "want one of batch/v1 Job"),
        (TEMPLATE.replace(".HyperParameters", ".Hyper"), "no field .Hyper; there are Experiment"),
    ],
)
async def test_a_template_that_will_not_do_is_refused(world, template, told):
    with pytest.raises(errors.InvalidError) as error:
        await world.create(
            OLD_EXPERIMENTS, old(trialTemplate={"goTemplate": {"rawTemplate": template}})
        )
    assert told in str(error.value)


def test_nothing_gets_lost_on_the_way_there_and_back():
    trial = {
        "apiVersion": API_VERSION,
        "kind": "Trial",
        "metadata": {"name": "t", "labels": {"a": "b"}},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "m"},
            "runSpec": {"kind": "Job", "spec": {"text": "a: b\n- c", "number": 3, "no": "no"}},
            "earlyStoppingRules": [{"name": "m", "value": "1", "comparison": "less"}],
        },
        "status": {
            "observation": {"metrics": [{"name": "m", "min": "1", "max": "2.50", "latest": "x"}]}
        },
    }
    there = v1alpha3.convert(trial, OLD_API_VERSION)
    assert isinstance(there["spec"]["runSpec"], str)
    assert there["status"]["observation"]["metrics"][0]["value"] == 2.5
    assert v1alpha3.convert(there, API_VERSION) == trial
    suggestion = {
        "apiVersion": API_VERSION,
        "kind": "Suggestion",
        "metadata": {"name": "s"},
        "spec": {"algorithm": {"algorithmName": "tpe", "algorithmSettings": []}, "requests": 3},
    }
    assert metadata.name(suggestion) == "s"
    there = v1alpha3.convert(suggestion, OLD_API_VERSION)
    assert there["spec"]["algorithmName"] == "tpe"
    assert v1alpha3.convert(there, API_VERSION) == suggestion


def test_text_that_is_no_object_stays_text():
    trial = {"apiVersion": OLD_API_VERSION, "kind": "Trial", "spec": {"runSpec": "- {"}}
    assert v1alpha3.convert(trial, API_VERSION)["spec"]["runSpec"] == "- {"


def test_the_one_value_of_an_old_metric_is_all_three():
    status = {"observation": {"metrics": [{"name": "m", "value": 0.25}]}}
    trial = {"apiVersion": OLD_API_VERSION, "kind": "Trial", "spec": {}, "status": status}
    (metric,) = v1alpha3.convert(trial, API_VERSION)["status"]["observation"]["metrics"]
    assert metric == {"name": "m", "min": "0.25", "max": "0.25", "latest": "0.25"}


async def test_kinds_have_both_versions(world):
    assert {EXPERIMENTS.key, SUGGESTIONS.key, TRIALS.key} == {
        "experiments.kubeflow.org",
        "suggestions.kubeflow.org",
        "trials.kubeflow.org",
    }
    assert (await world.client.list(OLD_EXPERIMENTS)).items == []
