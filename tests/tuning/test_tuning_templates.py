"""Trial templates: what becomes of placeholders, wherever the template stands."""

from typing import Any

import pytest

from wherry.objects import metadata
from wherry.tuning import templates, trials, workloads
from wherry.tuning.templates import TemplateError

_PARAMETERS = [
    {"name": "rate", "reference": "lr"},
    {"name": "count", "reference": "n"},
    {"name": "me", "reference": "${trialSpec.Name}"},
]
_PROPOSAL = {
    "name": "e-1",
    "index": 4,
    "parameterAssignments": [{"name": "lr", "value": "0.1"}, {"name": "n", "value": "3"}],
    "labels": {"generation": "2"},
}


def _experiment(run: dict[str, Any] | None = None, **template: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "e", "namespace": "team", "uid": "u", "labels": {"app": "a"}},
        "spec": {
            "parameters": [{"name": "lr"}, {"name": "n"}],
            "trialTemplate": {"trialParameters": _PARAMETERS, "trialSpec": run or {}, **template},
        },
    }


def test_values_stand_in_the_place_of_placeholders_and_stay_text():
    run = {"kind": "Job", "a": ["--lr=${trialParameters.rate}", "${trialParameters.count}"]}
    made = templates.render(_experiment(run), _PROPOSAL, None)
    assert made == {
        "kind": "Job",
        "a": ["--lr=0.1", "3"],
        "metadata": {"name": "e-1", "namespace": "team"},
    }


def test_no_value_changes_the_structure_of_a_template():
    value = 'x", "evil": "y'
    proposal = {
        "name": "t",
        "parameterAssignments": [
            {"name": "lr", "value": value},
            {"name": "n", "value": "a: b\nc: d"},
        ],
    }
    made = templates.render(_experiment({"a": "${trialParameters.rate}"}), proposal, None)
    assert made["a"] == value
    text = "a: ${trialParameters.rate}\nn: ${trialParameters.count}\n"
    assert templates.render(_experiment(), proposal, text) == {
        "a": value,
        "n": "a: b\nc: d",
        "metadata": {"name": "t", "namespace": "team"},
    }


def test_in_the_text_of_a_config_map_what_has_no_quotes_has_a_type():
    text = """
replicas: ${trialParameters.count}
text: "${trialParameters.count}"
list: [${trialParameters.rate}, a-${trialParameters.me}]
"""
    made = templates.render(_experiment(), _PROPOSAL, text)
    assert (made["replicas"], made["text"], made["list"]) == (3, "3", [0.1, "a-e-1"])


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        ("${trialSpec.Name}", "e-1"),
        ("${trialSpec.Namespace}", "team"),
        ("${trialSpec.Kind}", "Job"),
        ("${trialSpec.APIVersion}", "batch/v1"),
        ("${trialSpec.Labels[tier]}", "gpu"),
        ("${trialSpec.Annotations[a.b/c]}", "d"),
    ],
)
def test_metadata_of_the_trial_can_be_had(reference, wanted):
    run = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"labels": {"tier": "gpu"}, "annotations": {"a.b/c": "d"}},
        "x": "${trialParameters.it}",
    }
    parameters = [{"name": "it", "reference": reference}]
    assert (
        templates.render(_experiment(run, trialParameters=parameters), _PROPOSAL, None)["x"]
        == wanted
    )


def test_what_was_not_proposed_cannot_be_filled_in():
    proposal = {"name": "t", "parameterAssignments": [{"name": "lr", "value": "1"}]}
    with pytest.raises(TemplateError, match=r'trialParameters\[count\].*"n" is not among .*: lr'):
        templates.render(_experiment({"a": "b"}), proposal, None)


def test_a_parameter_that_its_parent_switched_off_is_empty():
    experiment = _experiment({"a": "n=${trialParameters.count}"})
    experiment["spec"]["parameters"][1]["parent"] = {"name": "lr", "values": ["2"]}
    proposal = {"name": "t", "parameterAssignments": [{"name": "lr", "value": "1"}]}
    assert templates.render(experiment, proposal, None)["a"] == "n="


@pytest.mark.parametrize("text", ["- a", "a: [", "just words", "a: &x [*x]\nb: {<<: 3}"])
def test_text_that_is_no_object_is_told(text):
    with pytest.raises(TemplateError):
        templates.render(_experiment(), _PROPOSAL, text)


def test_a_trial_has_labels_finalizer_and_conditions_by_its_kind():
    run = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "spec": {
            "pytorchReplicaSpecs": {
                "Master": {
                    "template": {"spec": {"containers": [{"name": "pytorch", "image": "i"}]}}
                }
            }
        },
    }
    made = trials.trial(_experiment(run), _PROPOSAL, None)
    assert metadata.labels(made) == {
        "app": "a",
        "generation": "2",
        "katib.kubeflow.org/experiment": "e",
        "wherry.dev/index": "4",
    }
    assert made["metadata"]["finalizers"] == ["clean-metrics-in-db"]
    spec = made["spec"]
    assert spec["successCondition"] == 'status.conditions.#(type=="Succeeded")#|#(status=="True")#'
    assert spec["primaryPodLabels"] == {"training.kubeflow.org/job-role": "master"}
    assert spec["primaryContainerName"] == "pytorch"
    assert metadata.owner_references(made)[0]["name"] == "e"

    ready = workloads.made_ready(
        {**made, "metadata": {**made["metadata"], "uid": "t"}}, spec["runSpec"]
    )
    template = ready["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    assert template["metadata"]["labels"]["katib.kubeflow.org/trial"] == "e-1"
    assert template["spec"]["containers"][0]["env"] == [
        {"name": "KATIB_TRIAL_NAME", "value": "e-1"}
    ]
    assert spec["runSpec"]["metadata"] == {"name": "e-1", "namespace": "team"}, "not changed"


def test_how_a_kind_ends_that_is_not_known_has_to_be_told():
    with pytest.raises(TemplateError, match="how a Thing ends is not known"):
        trials.trial(_experiment({"apiVersion": "a/v1", "kind": "Thing"}), _PROPOSAL, None)


def test_names_of_trials_follow_from_their_place():
    experiment = _experiment()
    names = [templates.name(experiment, index) for index in range(2000)]
    assert len(set(names)) == 2000
    assert names[7] == templates.name(experiment, 7)
    assert all(name.startswith("e-") and len(name) == 10 for name in names)


@pytest.mark.parametrize(
    ("status", "condition", "wanted"),
    [
        (
            {"conditions": [{"type": "Complete", "status": "True", "message": "m"}]},
            "job",
            (True, "m"),
        ),
        ({"conditions": [{"type": "Complete", "status": "False"}]}, "job", None),
        ({"conditions": [{"type": "Failed", "status": "True", "reason": "r"}]}, "job", (False, "")),
        ({}, "job", None),
        ({"phase": "Succeeded"}, 'status.[@this].#(phase=="Succeeded")#', (True, "")),
        ({"ready": True}, "status.ready", (True, "")),
        ({"ready": False}, "status.ready", None),
    ],
)
def test_how_work_has_ended_is_found_by_expression(status, condition, wanted):
    job = 'status.conditions.#(type=="{}")#|#(status=="True")#'
    spec = {
        "successCondition": job.format("Complete") if condition == "job" else condition,
        "failureCondition": job.format("Failed"),
    }
    found = workloads.verdict({"spec": spec}, {"status": status})
    assert (found and (found.succeeded, found.message)) == wanted


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({}, None),
        ({"parallelTrialCount": 1}, None),
        ({"parallelTrialCount": 4}, "4"),
        ({"parallelTrialCount": 4, "maxTrialCount": 3}, "3"),
        ({"parallelTrialCount": 4, "maxTrialCount": 1}, None),
    ],
)
def test_pods_are_told_how_many_trials_run_at_once(counts, told):
    containers = [{"name": "main", "image": "i"}]
    run = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "spec": {"template": {"spec": {"containers": containers}}},
    }
    experiment = _experiment(run)
    experiment["spec"] |= counts
    trial = trials.trial(experiment, _PROPOSAL, None)
    trial["metadata"]["uid"] = "t"
    made = workloads.made_ready(trial, trial["spec"]["runSpec"])
    assert metadata.annotations(made["spec"]["template"]).get(metadata.PARALLELISM) == told


def test_a_template_may_say_itself_how_many_pods_run_at_once():
    template = {
        "metadata": {"annotations": {metadata.PARALLELISM: "7"}},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
    }
    experiment = _experiment(
        {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": template}}
    )
    experiment["spec"]["parallelTrialCount"] = 2
    trial = trials.trial(experiment, _PROPOSAL, None)
    trial["metadata"]["uid"] = "t"
    made = workloads.made_ready(trial, trial["spec"]["runSpec"])
    assert metadata.annotations(made["spec"]["template"])[metadata.PARALLELISM] == "7"
