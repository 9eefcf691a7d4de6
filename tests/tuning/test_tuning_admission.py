"""What is filled into an Experiment, and what is found wrong with it, in which words."""

import copy
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.objects.declared.kind import Reference
from wherry.tuning import admission, defaults, related
from wherry.tuning.kinds import NAMESPACE


def _manifest() -> dict[str, Any]:
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "e", "namespace": "default"},
        "spec": {
            "objective": {
                "type": "minimize",
                "objectiveMetricName": "loss",
                "additionalMetricNames": ["accuracy"],
            },
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 10,
            "maxFailedTrialCount": 3,
            "parameters": [
                {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": 0.01, "max": 1}},
                {
                    "name": "opt",
                    "parameterType": "categorical",
                    "feasibleSpace": {"list": ["a", 2]},
                },
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [
                    {"name": "rate", "reference": "lr"},
                    {"name": "optimizer", "reference": "opt"},
                ],
                "trialSpec": {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "spec": {
                        "template": {
                            "spec": {
                                "containers": [
                                    {
                                        "name": "main",
                                        "image": "python:3.11",
                                        "args": [
                                            "--lr=${trialParameters.rate}",
                                            "${trialParameters.optimizer}",
                                        ],
                                    }
                                ]
                            }
                        }
                    },
                },
            },
        },
    }


def _with(**changes: Any) -> dict[str, Any]:
    """Return the manifest with fields changed, named by their path; None takes a field away."""
    made = _manifest()
    for path, value in changes.items():
        *parents, last = path.split("__")
        place: Any = made
        for part in parents:
            place = place[int(part)] if part.isdecimal() else place[part]
        if value is None:
            del place[last]
        else:
            place[int(last) if last.isdecimal() else last] = value
    return made


_NO_OTHERS = {Reference(kinds.CONFIG_MAPS, "katib-config", NAMESPACE): None}
"""There is no configuration that names services of others."""


def _causes(obj: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, str]:
    filled = None if old is None else defaults.default(old)
    made = defaults.default(obj)
    found = admission.validate(made, filled) or related.validate(made, filled, _NO_OTHERS)
    return {c.field: c.message for c in found}


def test_a_good_experiment_has_nothing_wrong():
    assert _causes(_manifest()) == {}


def test_defaults_are_filled_in_once():
    filled = defaults.default(_manifest())
    spec = filled["spec"]
    assert (spec["parallelTrialCount"], spec["resumePolicy"]) == (3, "Never")
    assert spec["objective"]["metricStrategies"] == [
        {"name": "loss", "value": "min"},
        {"name": "accuracy", "value": "min"},
    ]
    assert spec["parameters"][0]["feasibleSpace"] == {
        "min": "0.01",
        "max": "1",
        "distribution": "uniform",
    }
    assert spec["parameters"][1]["feasibleSpace"] == {"list": ["a", "2"]}
    condition = 'status.conditions.#(type=="Complete")#|#(status=="True")#'
    assert spec["trialTemplate"]["successCondition"] == condition
    assert spec["metricsCollectorSpec"]["collector"] == {"kind": "StdOut"}
    assert defaults.default(filled) == filled


def test_a_list_may_stand_where_katibs_sdk_puts_it():
    given = _with(spec__parameters__1__feasibleSpace={"distribution": ["a", 2]})
    made = defaults.default(given)["spec"]["parameters"][1]
    assert made["feasibleSpace"] == {"list": ["a", "2"]}


@pytest.mark.parametrize(
    ("kind", "success", "labels"),
    [
        ("kubeflow.org/v1 PyTorchJob", "Succeeded", {"training.kubeflow.org/job-role": "master"}),
        ("kubeflow.org/v1 MPIJob", "Succeeded", {"training.kubeflow.org/job-role": "master"}),
        (
            "trainer.kubeflow.org/v1alpha1 TrainJob",
            "Complete",
            {
                "jobset.sigs.k8s.io/replicatedjob-name": "node",
                "batch.kubernetes.io/job-completion-index": "0",
            },
        ),
    ],
)
def test_kinds_that_are_known_need_no_conditions(kind, success, labels):
    api_version, name = kind.split()
    obj = _with(
        spec__trialTemplate__trialSpec__apiVersion=api_version,
        spec__trialTemplate__trialSpec__kind=name,
    )
    template = defaults.default(obj)["spec"]["trialTemplate"]
    assert (
        template["successCondition"]
        == f'status.conditions.#(type=="{success}")#|#(status=="True")#'
    )
    assert template["primaryPodLabels"] == labels


_TEMPLATE = "spec.trialTemplate"
_WRONG = [
    ({"metadata__name": "E"}, "metadata.name", "lowercase letter"),
    ({"metadata__name": "e" * 41}, "metadata.name", "at most 40"),
    ({"metadata__name": "e-"}, "metadata.name", 'not end in "-"'),
    ({"spec__maxTrialCount": 0}, "spec.maxTrialCount", "0: want at least 1"),
    ({"spec__parallelTrialCount": 11}, "spec.parallelTrialCount", "maxTrialCount, which is 10"),
    ({"spec__maxFailedTrialCount": 11}, "spec.maxFailedTrialCount", "maxTrialCount, which is 10"),
    ({"spec__maxFailedTrialCount": -1}, "spec.maxFailedTrialCount", "-1: want at least 0"),
    ({"spec__objective": None}, "spec.objective", "must say what"),
    ({"spec__objective__type": "smaller"}, "spec.objective.type", '"smaller": want minimize'),
    (
        {"spec__objective__objectiveMetricName": None},
        "spec.objective.objectiveMetricName",
        "must be given",
    ),
    (
        {"spec__objective__additionalMetricNames": ["loss"]},
        "spec.objective.additionalMetricNames[0]",
        "the objective itself",
    ),
    (
        {"spec__objective__metricStrategies": [{"name": "los", "value": "min"}]},
        "spec.objective.metricStrategies[0].name",
        '"los" is not among the metrics: loss, accuracy',
    ),
    (
        {"spec__objective__metricStrategies": [{"name": "loss", "value": "best"}]},
        "spec.objective.metricStrategies[0].value",
        "want one of min, max, latest",
    ),
    (
        {"spec__algorithm__algorithmName": "guess"},
        "spec.algorithm.algorithmName",
        '"guess": want one of',
    ),
    ({"spec__algorithm": None}, "spec.algorithm.algorithmName", "must be given"),
    (
        {"spec__algorithm__algorithmName": "enas"},
        "spec.algorithm.algorithmName",
        "enas searches nasConfig",
    ),
    (
        {"spec__algorithm__algorithmSettings": [{"name": "random_state", "value": "x"}]},
        "spec.algorithm.algorithmSettings[random_state]",
        "'x'",
    ),
    (
        {"spec__earlyStopping": {"algorithmName": "soon"}},
        "spec.earlyStopping.algorithmName",
        "medianstop",
    ),
    ({"spec__parameters": []}, "spec.parameters", "want parameters, or nasConfig"),
    (
        {"spec__parameters__0__feasibleSpace__min": "a"},
        "spec.parameters[0].feasibleSpace.min",
        "'a'",
    ),
    (
        {"spec__parameters__0__feasibleSpace__max": 0},
        "spec.parameters[0].feasibleSpace.max",
        "less",
    ),
    (
        {"spec__parameters__1__feasibleSpace": {"list": []}},
        "spec.parameters[1].feasibleSpace.list",
        "at least one",
    ),
    ({"spec__parameters__0__feasibleSpace": None}, "spec.parameters[0].feasibleSpace", "empty"),
    ({"spec__resumePolicy": "Sometimes"}, "spec.resumePolicy", "want one of Never"),
    ({"spec__trialTemplate": None}, _TEMPLATE, "want one of trialSpec, configMap, goTemplate"),
    (
        {"spec__trialTemplate__primaryContainerName": None},
        f"{_TEMPLATE}.primaryContainerName",
        "must be given",
    ),
    (
        {"spec__trialTemplate__primaryContainerName": "training"},
        f"{_TEMPLATE}.primaryContainerName",
        '"training" is no container of the template; there are main',
    ),
    (
        {"spec__trialTemplate__trialSpec__kind": "Thing"},
        f"{_TEMPLATE}.successCondition",
        "how a Thing ends is not known",
    ),
    (
        {"spec__trialTemplate__successCondition": 'status.#(type=="a'},
        f"{_TEMPLATE}.successCondition",
        "no GJSON expression",
    ),
    (
        {"spec__trialTemplate__successCondition": 'status.#(type%"*a*a*a*a*a*a*a*b")'},
        f"{_TEMPLATE}.successCondition",
        "it may have 2 wildcards (*), not more",
    ),
    (
        {"spec__trialTemplate__trialSpec__metadata": {"name": "x"}},
        f"{_TEMPLATE}.trialSpec.metadata.name",
        "must be left out",
    ),
    (
        {"spec__trialTemplate__trialParameters__0__reference": "rl"},
        f"{_TEMPLATE}.trialParameters[0].reference",
        '"rl" is no parameter of the search (lr, opt)',
    ),
    (
        {"spec__trialTemplate__trialParameters__0__name": "r{e"},
        f"{_TEMPLATE}.trialParameters[0].name",
        "braces",
    ),
    (
        {"spec__trialTemplate__trialParameters__1__name": "rate"},
        f"{_TEMPLATE}.trialParameters[1].name",
        "there twice",
    ),
    (
        {"spec__metricsCollectorSpec": {"collector": {"kind": "Stdout"}}},
        "spec.metricsCollectorSpec.collector.kind",
        '"Stdout": want one of StdOut',
    ),
    (
        {
            "spec__metricsCollectorSpec": {
                "collector": {"kind": "StdOut"},
                "source": {"filter": {"metricsFormat": ["(a"]}},
            }
        },
        "spec.metricsCollectorSpec.source.filter.metricsFormat[0]",
        "(a",
    ),
]


@pytest.mark.parametrize(("changes", "field", "told"), _WRONG)
def test_what_is_wrong_is_told_with_field_and_what_would_do(changes, field, told):
    found = _causes(_with(**changes))
    assert told in found[field]


def test_placeholders_and_parameters_must_agree():
    missing = _with(spec__trialTemplate__trialParameters__0__name="speed")
    found = admission.validate(defaults.default(missing), None)
    told = " ".join(one.message for one in found)
    assert "${trialParameters.rate} is not among trialParameters: optimizer, speed" in told
    assert "trialParameters has speed, but there is no ${trialParameters.speed}" in told


@pytest.mark.parametrize(
    "reference", ["${trialSpec.Name}", "${trialSpec.Labels[app]}", "${trialSpec.APIVersion}"]
)
def test_a_placeholder_may_stand_for_metadata(reference):
    assert _causes(_with(spec__trialTemplate__trialParameters__0__reference=reference)) == {}


def _status(**status: Any) -> dict[str, Any]:
    conditions = [{"type": "Succeeded", "status": "True", "reason": "ExperimentMaxTrialsReached"}]
    return {"conditions": conditions, "trials": 10, **status}


def test_only_budgets_change():
    assert _causes(_with(spec__maxTrialCount=20, spec__parallelTrialCount=5), _manifest()) == {}
    found = _causes(_with(spec__objective__goal=1), _manifest())
    assert (
        "only parallelTrialCount, maxTrialCount, maxFailedTrialCount can" in found["spec.objective"]
    )


def test_parallelism_alone_may_change_when_all_trials_exist():
    old = {**_manifest(), "status": {"trials": 10}}
    assert _causes(_with(spec__parallelTrialCount=2), old) == {}


def test_a_budget_cannot_go_below_what_is_done():
    old = {**_manifest(), "status": {"trials": 8}}
    assert "8 trials already" in _causes(_with(spec__maxTrialCount=7), old)["spec.maxTrialCount"]


@pytest.mark.parametrize(
    ("most", "policy", "told"),
    [
        (12, "LongRunning", None),
        (12, "FromVolume", None),
        (12, "Never", "resumePolicy is Never"),
        (9, "LongRunning", "must be above 10"),
    ],
)
def test_a_finished_search_goes_on_only_with_more_to_do(most, policy, told):
    old = {**_with(spec__resumePolicy=policy), "status": _status()}
    found = _causes(_with(spec__resumePolicy=policy, spec__maxTrialCount=most), old)
    assert (told in found["spec"]) if told else found == {}


def test_early_stopping_needs_a_collector_that_tells_in_time():
    obj = _with(
        spec__earlyStopping={"algorithmName": "medianstop"},
        spec__metricsCollectorSpec={"collector": {"kind": "None"}},
    )
    assert "want one of the collectors StdOut" in _causes(obj)["spec.earlyStopping"]


def test_several_objectives_need_an_algorithm_that_can():
    further = [{"type": "maximize", "objectiveMetricName": "speed"}]
    found = _causes(_with(spec__objective__additionalObjectives=further))
    assert "random searches with one objective" in found["spec.objective.additionalObjectives"]


def _in_config_map(**data: str) -> tuple[dict[str, Any], Any]:
    obj = _manifest()
    template = obj["spec"]["trialTemplate"]
    del template["trialSpec"]
    place = {"configMapName": "t", "configMapNamespace": NAMESPACE, "templatePath": "job.yaml"}
    template["configMap"] = place
    (reference,) = related.references(obj, None)
    return obj, {reference: {"metadata": {"name": "t"}, "data": data}}


def test_a_template_in_a_config_map_is_looked_at():
    good = "apiVersion: batch/v1\nkind: Job\nspec: {a: [${trialParameters.rate}, ${trialParameters.optimizer}]}"
    obj, seen = _in_config_map(**{"job.yaml": good})
    assert related.validate(obj, None, seen) == []
    assert related.validate(obj, None, {}) == [], "what could not be looked up is looked at later"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, '"job.yaml" is not in ConfigMap t, which holds nothing'),
        ({"job.yaml": "a: ["}, "not YAML"),
        (
            {"job.yaml": "kind: Job\nb: ${trialParameters.rate}${trialParameters.optimizer}"},
            "must be given",
        ),
        ({"job.yaml": "apiVersion: v1\nkind: Job"}, "trialParameters has optimizer"),
    ],
)
def test_a_template_in_a_config_map_that_will_not_do_is_told(data, told):
    obj, seen = _in_config_map(**data)
    assert told in " ".join(c.message for c in related.validate(obj, None, seen))


def test_a_config_map_that_is_not_there_is_told():
    obj, seen = _in_config_map()
    missing = dict.fromkeys(seen)
    (cause,) = related.validate(obj, None, missing)
    assert cause.field == "spec.trialTemplate.configMap.configMapName"
    assert 'no ConfigMap "t" in namespace "kubeflow"' in cause.message


def test_nothing_is_changed_in_what_came_in():
    obj = _manifest()
    before = copy.deepcopy(obj)
    defaults.default(obj)
    admission.validate(obj | {"spec": defaults.default(obj)["spec"]}, None)
    assert obj == before
