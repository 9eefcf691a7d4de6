"""Server-side apply: who owns what, and what happens when two want the same."""

import functools
import json
from typing import Any

import pytest

from wherry.objects import kinds
from wherry.testing import builders

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

APPLY = "ServerSideApply should"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def _deployment(namespace, *, replicas=3, ports=False, **template):
    container: dict[str, Any] = {"name": "web", "image": builders.IMAGE}
    if ports:
        container["ports"] = [{"containerPort": 80, "protocol": "TCP"}]
    labels = {"app": "web"}
    pod = {"containers": [container], "nodeSelector": {"no": "where"}, **template}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {"metadata": {"name": "web", "namespace": namespace, "labels": labels}, "spec": spec}


def _fields(obj, manager):
    (found,) = [
        entry
        for entry in obj["metadata"]["managedFields"]
        if (entry["manager"], entry["operation"]) == (manager, "Apply")
    ]
    return found["fieldsV1"]


@case(name=f"{APPLY} create an applied object if it does not already exist")
def test_what_is_not_there_is_created(api, namespace):
    at = {"name": "test", "namespace": namespace}
    pod = {"metadata": at, "spec": {"containers": [{"name": "c", "image": builders.IMAGE}]}}
    service = {"metadata": at, "spec": {"ports": [{"port": 8080, "protocol": "UDP"}]}}
    container = json.dumps({"name": "c"}, separators=(",", ":"))
    port = json.dumps({"port": 8080, "protocol": "UDP"}, separators=(",", ":"))
    cases: Any = (
        (
            kinds.PODS,
            pod,
            {"f:containers": {f"k:{container}": {".": {}, "f:image": {}, "f:name": {}}}},
        ),
        (
            kinds.SERVICES,
            service,
            {"f:ports": {f"k:{port}": {".": {}, "f:port": {}, "f:protocol": {}}}},
        ),
    )
    for resource, obj, spec in cases:
        owned = {"f:spec": spec}
        api.apply(resource, obj, manager="first")
        assert api.get(resource, "test", namespace)["metadata"]["uid"]
        both = api.apply(resource, obj, manager="second")
        assert [_fields(both, name) for name in ("first", "second")] == [owned, owned]


@case(name=f"{APPLY} work for subresources")
def test_a_status_is_applied_as_such(api, namespace):
    at = {"name": "test", "namespace": namespace}
    container = {"name": "c", "image": builders.IMAGE}
    spec = {"containers": [container], "nodeSelector": {"no": "where"}}
    api.apply(kinds.PODS, {"metadata": at, "spec": spec}, manager="first")
    status = {"conditions": [{"type": "MyStatus", "status": "True"}]}

    def conditions():
        pod = api.get(kinds.PODS, "test", namespace)
        return [one["type"] for one in pod["status"].get("conditions", [])]

    api.apply(kinds.PODS, {"metadata": at, "status": status}, manager="second")
    assert "MyStatus" not in conditions()
    body = {"metadata": at, "status": status}
    api.apply(kinds.PODS, body, manager="second", subresource="status")
    assert "MyStatus" in conditions()


@case(name=f"{APPLY} remove a field if it is owned but removed in the apply request")
def test_what_is_no_longer_applied_goes(api, namespace):
    api.apply(kinds.DEPLOYMENTS, _deployment(namespace, ports=True))
    api.apply(kinds.DEPLOYMENTS, _deployment(namespace))
    found = api.get(kinds.DEPLOYMENTS, "web", namespace)
    assert "ports" not in found["spec"]["template"]["spec"]["containers"][0]


@case(
    name=f"{APPLY} not remove a field if an owner unsets the field but other managers still have ownership of the field"
)
def test_what_another_applies_stays(api, namespace):
    whole = _deployment(namespace, hostname="test-hostname")
    for manager in ("first", "second"):
        api.apply(kinds.DEPLOYMENTS, whole, manager=manager)
    less = api.apply(kinds.DEPLOYMENTS, _deployment(namespace, replicas=None), manager="first")
    assert less["spec"]["replicas"] == 3
    assert less["spec"]["template"]["spec"]["hostname"] == "test-hostname"


@case(name=f"{APPLY} ignore conflict errors if force apply is used")
def test_force_wins(api, namespace, refused):
    made = _deployment(namespace)
    api.apply(kinds.DEPLOYMENTS, made)
    api.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 5}}, namespace)
    with refused(409, "Conflict", ".spec.replicas"):
        api.apply(kinds.DEPLOYMENTS, made)
    forced = api.apply(kinds.DEPLOYMENTS, made, force=True)
    assert forced["spec"]["replicas"] == 3


@case(name=f"{APPLY} give up ownership of a field if forced applied by a controller")
def test_an_update_takes_ownership(api, namespace):
    api.apply(kinds.DEPLOYMENTS, _deployment(namespace))

    def scale(obj):
        obj["spec"]["replicas"] = 4

    api.change(kinds.DEPLOYMENTS, "web", scale, namespace)
    applied = api.apply(kinds.DEPLOYMENTS, _deployment(namespace, replicas=None))
    assert applied["spec"]["replicas"] == 4


PORT = {
    "type": "object",
    "required": ["containerPort", "protocol"],
    "properties": {
        "containerPort": {"type": "integer", "format": "int32"},
        "name": {"type": "string"},
        "protocol": {"type": "string"},
    },
}
PORTS = {
    "type": "array",
    "items": PORT,
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
}
WORK = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"cronSpec": {"type": "string"}, "ports": PORTS},
        }
    },
}


def _port(number, name):
    return {"name": name, "containerPort": number, "protocol": "TCP"}


def _causes(caught):
    return len(caught.value.status["details"]["causes"])


@case(name=f"{APPLY} work for CRDs")
def test_custom_resources_are_applied(api, definition, serve, version, refused):
    served = [version("v1", WORK), version("v1beta1", WORK, storage=False)]
    resource, beta = serve(definition(served, "Cluster"))
    spec = {"cronSpec": "* * * * */5", "replicas": 1, "ports": [_port(80, "x")]}
    held = {"name": "one", "finalizers": ["example.com/test"]}
    obj = {"metadata": held, "spec": spec}
    assert api.apply(resource, obj)["metadata"]["finalizers"] == ["example.com/test"]
    same = api.apply(beta, {"metadata": {"name": "one"}, "spec": spec})
    assert same["spec"] == spec
    both = {"metadata": {"finalizers": ["example.com/test", "example.com/more"]}}
    api.patch(resource, "one", both)
    assert len(api.apply(resource, obj)["metadata"]["finalizers"]) == 2
    api.patch(resource, "one", {"spec": {"replicas": 5}})
    with pytest.raises(Exception, match="replicas") as caught:
        api.apply(resource, obj)
    assert _causes(caught) == 1
    assert api.apply(resource, obj, force=True)["spec"]["replicas"] == 1
    bare = {"name": "one"}
    with pytest.raises(Exception, match="name") as caught:
        api.apply(resource, {"metadata": bare, "spec": {"ports": [_port(80, "y")]}}, manager="b")
    assert _causes(caught) == 1
    more = {"metadata": bare, "spec": {"ports": [_port(8080, "y")]}}
    assert len(api.apply(resource, more, manager="b")["spec"]["ports"]) == 2
    api.patch(resource, "one", {"metadata": {"finalizers": []}})
    missing = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": "no"},
    }
    with refused(404, "NotFound"):
        api.update(resource, missing)


@case(name=f"{APPLY} work for CRDs")
def test_atomic_lists_are_replaced(api, serve_schema):
    texts = {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"}
    spec = {**ANYTHING, "properties": {"atomicList": texts}}
    resource = serve_schema({"type": "object", "properties": {"spec": spec}}, scope="Cluster")
    for manager, item in (("first", "item1"), ("second", "item2")):
        obj = {"metadata": {"name": "one"}, "spec": {"atomicList": [item]}}
        applied = api.apply(resource, obj, manager=manager, force=True)
        assert applied["spec"]["atomicList"] == [item]
