"""Built-in kinds are read as Go reads them, then checked for what they require."""

import copy
from typing import Any

import pytest

from wherry.objects import errors, openapi
from wherry.objects.requests import Object
from wherry.objects.schemas import MAX_DEPTH


def pod(**spec: Any) -> Object:
    container = {"name": "main", "image": "python:3.11"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [container], **spec},
    }


def deployment(**spec: Any) -> Object:
    labels = {"app": "x"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod()["spec"]},
            **spec,
        },
    }


def schema_of(obj: Object):
    return openapi.schema_for(obj["apiVersion"], obj["kind"])


def causes(obj: Object) -> list[tuple[str, str, str]]:
    schema = schema_of(obj)
    schema.decode(obj)
    return [(cause.field, cause.message, cause.reason) for cause in schema.check(obj)]


@pytest.mark.parametrize("obj", [pod(), deployment(), deployment(replicas=0)])
def test_a_good_object_passes_and_stays_as_it_is(obj: Object):
    before = copy.deepcopy(obj)
    assert schema_of(obj).decode(obj) == []
    assert schema_of(obj).check(obj) == []
    assert obj == before


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        (
            deployment(replicas="3"),
            "string into DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(replicas=2**31),
            "number 2147483648 into DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(replicas=True),
            "bool into DeploymentSpec.spec.replicas of type int32",
        ),
        (
            deployment(template="x"),
            "string into DeploymentSpec.spec.template of type v1.PodTemplateSpec",
        ),
        (
            pod(containers={}),
            "object into PodSpec.spec.containers of type []v1.Container",
        ),
        (
            pod(containers=[{"name": "x", "env": [{"name": "A", "value": 1}]}]),
            "number into EnvVar.spec.containers.env.value of type string",
        ),
        (
            pod(nodeSelector={"a": 1}),
            "number into PodSpec.spec.nodeSelector.a of type string",
        ),
    ],
)
def test_wrong_types_are_refused_as_go_words_it(obj: Object, message: str):
    with pytest.raises(errors.BadRequestError) as caught:
        schema_of(obj).decode(obj)
    found, _, field = message.partition(" into ")
    assert caught.value.message == f"json: cannot unmarshal {found} into Go struct field {field}"


@pytest.mark.parametrize("quantity", ["", "x", "1.5.5", "1mm", "1 Gi", True, {}, []])
def test_bad_quantities_are_refused(quantity: Any):
    obj = pod(containers=[{"name": "x", "resources": {"limits": {"cpu": quantity}}}])
    with pytest.raises(errors.BadRequestError) as caught:
        schema_of(obj).decode(obj)
    assert "spec.containers[0].resources.limits.cpu" in caught.value.message


@pytest.mark.parametrize(("given", "kept"), [("0.5", "500m"), (2, "2"), ("1024Mi", "1Gi")])
def test_quantities_are_written_as_kubernetes_does(given: Any, kept: str):
    obj = pod(containers=[{"name": "x", "resources": {"limits": {"memory": given}}}])
    schema_of(obj).decode(obj)
    assert obj["spec"]["containers"][0]["resources"]["limits"]["memory"] == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("2024-05-01T10:00:00.5Z", "2024-05-01T10:00:00Z"),
        ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_written_as_kubernetes_does(given: str, kept: str):
    obj = pod()
    obj["metadata"]["creationTimestamp"] = given
    schema_of(obj).decode(obj)
    assert obj["metadata"]["creationTimestamp"] == kept


@pytest.mark.parametrize("time", ["yesterday", "2024-13-01T10:00:00Z", "2024-05-01", "", 5])
def test_bad_times_are_refused(time: Any):
    obj = pod()
    obj["metadata"]["creationTimestamp"] = time
    with pytest.raises(errors.BadRequestError):
        schema_of(obj).decode(obj)


def test_micro_times_keep_six_decimals():
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "x"},
        "spec": {"renewTime": "2024-05-01T12:00:00.1234567+02:00"},
    }
    schema_of(lease).decode(lease)
    assert lease["spec"] == {"renewTime": "2024-05-01T10:00:00.123456Z"}


def test_bytes_must_be_base64():
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"a": "not base64!"}}
    with pytest.raises(errors.BadRequestError, match=r"data\.a: illegal base64"):
        schema_of(secret).decode(secret)


def test_nulls_are_as_absent_in_structs_and_zero_in_maps_and_lists():
    obj = pod(hostname=None, nodeSelector={"a": None})
    obj["spec"]["containers"][0]["args"] = ["a", None]
    schema_of(obj).decode(obj)
    assert "hostname" not in obj["spec"]
    assert obj["spec"]["nodeSelector"] == {"a": ""}
    assert obj["spec"]["containers"][0]["args"] == ["a", ""]


def test_unknown_fields_are_named_and_dropped():
    obj = deployment(foo=1)
    obj["spec"]["template"]["spec"]["containers"][0]["imagee"] = "x"
    before = copy.deepcopy(obj)
    paths = ["spec.template.spec.containers[0].imagee", "spec.foo"]
    assert schema_of(obj).unknown(obj) == paths
    assert obj == before
    assert schema_of(obj).decode(obj) == paths
    assert schema_of(obj).unknown(obj) == []
    assert "foo" not in obj["spec"]


def test_required_fields():
    assert causes({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {}}) == [
        ("spec.selector", "Required value", "FieldValueRequired"),
        ("spec.template", "Required value", "FieldValueRequired"),
    ]
    assert causes(pod(containers=None)) == [
        ("spec.containers", "Required value", "FieldValueRequired")
    ]
    assert causes(pod(containers=[{"name": ""}])) == [
        ("spec.containers[0].name", "Required value", "FieldValueRequired")
    ]


def test_a_header_may_be_empty():
    header = {"name": "x-empty", "value": ""}
    probe = {"httpGet": {"port": 80, "httpHeaders": [header]}}
    assert causes(pod(containers=[{"name": "x", "livenessProbe": probe}])) == []


def test_a_status_need_not_be_complete():
    obj = pod()
    obj["status"] = {"containerStatuses": [{"name": "main"}], "conditions": [{"type": "Ready"}]}
    assert causes(obj) == []


def test_a_part_is_checked_at_its_place():
    obj = deployment()
    del obj["spec"]["template"]
    found = schema_of(obj).check(obj, path="items[0]")
    assert [cause.field for cause in found] == ["items[0].spec.template"]


def nested(levels: int) -> Object:
    value: Object = {}
    for _ in range(levels):
        value = {"properties": {"x": value}}
    return value


def test_nesting_is_bounded_in_known_and_in_free_form_fields():
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": nested(MAX_DEPTH)}}]},
    }
    with pytest.raises(errors.BadRequestError, match="levels deep"):
        schema_of(crd).decode(crd)
    revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": nested(MAX_DEPTH)}
    with pytest.raises(errors.BadRequestError, match="levels deep"):
        schema_of(revision).decode(revision)


def test_free_form_fields_stay_as_they_are():
    data = {"a": [None, {"b": None}], "c": 1.5}
    revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": copy.deepcopy(data)}
    assert schema_of(revision).decode(revision) == []
    assert revision["data"] == data


@pytest.mark.parametrize("body", [{}, {"spec": None}, {"metadata": None, "spec": {}}])
def test_any_body_is_read(body: Object):
    for kind in ("Pod", "Service", "Secret"):
        openapi.schema_for("v1", kind).decode(copy.deepcopy(body))
