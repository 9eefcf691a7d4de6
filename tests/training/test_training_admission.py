"""Defaults and checks of jobs, all frameworks alike."""

import copy

import pytest

from wherry.training import admission, frameworks
from wherry.training.frameworks.tensorflow import TensorFlow
from wherry.training.frameworks.torch import Torch


def torch(**spec):
    template = {"spec": {"containers": [{"name": "pytorch", "image": "i"}]}}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {"pytorchReplicaSpecs": {"Master": {"template": template}}, **spec},
    }


def problems(obj, old=None, framework=None):
    framework = framework or Torch()
    made = admission.default(framework, obj)
    before = admission.default(framework, old) if old is not None else None
    return {cause.field: cause.message for cause in admission.validate(framework, made, before)}


def test_what_the_user_leaves_out_is_filled_in():
    made = admission.default(Torch(), torch())
    assert made["spec"]["runPolicy"] == {"cleanPodPolicy": "None", "suspend": False}
    assert made["spec"]["nprocPerNode"] == "auto"
    master = made["spec"]["pytorchReplicaSpecs"]["Master"]
    assert (master["replicas"], master["restartPolicy"]) == (1, "OnFailure")
    assert master["template"]["spec"]["containers"][0]["ports"] == [
        {"name": "pytorchjob-port", "containerPort": 23456, "protocol": "TCP"}
    ]


def test_defaults_are_idempotent_and_leave_the_user_s_object_alone():
    written = torch(cleanPodPolicy="All", elasticPolicy={"nProcPerNode": 2})
    before = copy.deepcopy(written)
    once = admission.default(Torch(), written)
    assert admission.default(Torch(), once) == once
    assert written == before


def test_types_are_spelt_as_anyone_likes():
    written = torch()
    written["spec"]["pytorchReplicaSpecs"] = {
        "mASTER": written["spec"]["pytorchReplicaSpecs"]["Master"]
    }
    assert list(admission.default(Torch(), written)["spec"]["pytorchReplicaSpecs"]) == ["Master"]


def test_old_placements_count_where_the_new_one_is_silent_and_are_told_of():
    written = torch(cleanPodPolicy="All", backoffLimit=3, runPolicy={"backoffLimit": 5})
    made = admission.default(Torch(), written)
    assert made["spec"]["runPolicy"]["cleanPodPolicy"] == "All"
    assert made["spec"]["runPolicy"]["backoffLimit"] == 5
    assert [each.partition(" ")[0] for each in admission.warnings(made)] == [
        "spec.cleanPodPolicy",
        "spec.backoffLimit",
    ]


def test_a_right_job_is_taken():
    assert problems(torch()) == {}


def test_unknown_types_and_missing_ones_are_named():
    written = torch()
    written["spec"]["pytorchReplicaSpecs"]["Boss"] = {}
    found = problems(written)
    assert found == {"spec.pytorchReplicaSpecs[Boss]": "want one of Master, Worker"}
    written["spec"]["pytorchReplicaSpecs"] = {}
    assert "at least one of Master, Worker" in problems(written)["spec.pytorchReplicaSpecs"]


def test_there_is_one_master():
    written = torch()
    written["spec"]["pytorchReplicaSpecs"]["Master"]["replicas"] = 2
    assert problems(written) == {"spec.pytorchReplicaSpecs[Master].replicas": "2: want at most 1"}


def test_the_training_container_has_its_name_and_an_image():
    written = torch()
    container = written["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"]
    container[0] = {"name": "main"}
    found = problems(written)
    field = "spec.pytorchReplicaSpecs[Master].template.spec.containers"
    assert found[f"{field}[0].image"] == "must be given"
    assert 'called "pytorch"' in found[field]


def test_names_have_to_fit_pods_and_services():
    written = torch()
    written["metadata"]["name"] = "1st"
    assert "metadata.name" in problems(written)
    written["metadata"]["name"] = "j" * 60
    assert "more than 63" in problems(written)["metadata.name"]


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"managedBy": "kueue.x-k8s.io/multikueue"}, "spec.runPolicy.managedBy"),
        ({"schedulingPolicy": {"queue": "b"}}, "spec.runPolicy.schedulingPolicy.queue"),
    ],
)
def test_some_fields_cannot_be_changed(policy, field):
    assert "cannot be changed" in problems(torch(runPolicy=policy), torch())[field]


def test_elastic_bounds_and_process_counts():
    policy = {"minReplicas": 3, "maxReplicas": 2}
    assert "spec.elasticPolicy.minReplicas" in problems(torch(elasticPolicy=policy))
    assert "spec.nprocPerNode" in problems(torch(nprocPerNode="many"))
    assert problems(torch(nprocPerNode="gpu")) == {}


def test_tensorflow_has_one_leader():
    template = {"spec": {"containers": [{"name": "tensorflow", "image": "i"}]}}
    specs = {name: {"template": template} for name in ("Chief", "Master")}
    written = {**torch(), "kind": "TFJob", "spec": {"tfReplicaSpecs": specs}}
    assert "same role" in problems(written, framework=TensorFlow())["spec.tfReplicaSpecs"]


@pytest.mark.parametrize("framework", frameworks.ALL, ids=lambda each: each.resource.kind)
def test_every_framework_speaks_of_what_it_lacks(framework):
    written = {**torch(), "kind": framework.resource.kind, "spec": {}}
    assert f"spec.{framework.replicas_field}" in problems(written, framework=framework)
