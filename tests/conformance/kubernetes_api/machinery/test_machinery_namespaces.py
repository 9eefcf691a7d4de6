"""Namespaces: their changes, and what goes with them."""

import functools

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

NAMESPACES = "Namespaces [Serial] should"


@case(name=f"{NAMESPACES} patch a Namespace")
def test_a_namespace_is_patched(api, namespace):
    api.patch(kinds.NAMESPACES, namespace, {"metadata": {"labels": {"testLabel": "v"}}})
    assert api.get(kinds.NAMESPACES, namespace)["metadata"]["labels"]["testLabel"] == "v"


@case(name=f"{NAMESPACES} apply an update to a Namespace")
def test_a_namespace_is_updated(api, namespace):
    def label(obj):
        obj["metadata"]["labels"][namespace] = "updated"

    updated = api.change(kinds.NAMESPACES, namespace, label)
    assert updated["metadata"]["labels"][namespace] == "updated"


@case(name=f"{NAMESPACES} apply a finalizer to a Namespace")
def test_a_namespace_has_finalizers(api, namespace):
    fake = "e2e.example.com/fakeFinalizer"
    read = api.get(kinds.NAMESPACES, namespace)
    read["spec"]["finalizers"].append(fake)
    added = api.update(kinds.NAMESPACES, read, "finalize")
    assert fake in added["spec"]["finalizers"]
    added["spec"]["finalizers"].remove(fake)
    removed = api.update(kinds.NAMESPACES, added, "finalize")
    assert removed["spec"]["finalizers"] == ["kubernetes"]


@case(name=f"{NAMESPACES} apply changes to a namespace status")
def test_a_namespace_has_a_status(api, namespace):
    assert api.get(kinds.NAMESPACES, namespace, subresource="status")["status"]["phase"] == "Active"
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "patched"}
    change = {"status": {"conditions": [condition]}}
    patched = api.patch(kinds.NAMESPACES, namespace, change, subresource="status")
    assert patched["status"]["conditions"][0]["reason"] == "E2E"

    def update(obj):
        obj["status"]["conditions"].append({**condition, "type": "StatusUpdate"})

    updated = api.change(kinds.NAMESPACES, namespace, update, subresource="status")
    types = [one["type"] for one in updated["status"]["conditions"]]
    assert types == ["StatusPatch", "StatusUpdate"]


@case(name=f"{NAMESPACES} ensure that all pods are removed when a namespace is deleted")
def test_pods_go_with_their_namespace(api, new_namespace):
    namespace = new_namespace()
    api.create(kinds.PODS, builders.pod("p"), namespace)
    eventually(lambda: api.get(kinds.PODS, "p", namespace)["status"]["phase"] == "Running")
    _delete_and_make_again(api, namespace)
    assert api.names(kinds.PODS, namespace) == []


@case(name=f"{NAMESPACES} ensure that all services are removed when a namespace is deleted")
def test_services_go_with_their_namespace(api, new_namespace):
    namespace = new_namespace()
    api.create(kinds.SERVICES, builders.service("s"), namespace)
    _delete_and_make_again(api, namespace)
    assert api.names(kinds.SERVICES, namespace) == []


def _delete_and_make_again(api, namespace):
    api.delete(kinds.NAMESPACES, namespace)
    api.wait_gone(kinds.NAMESPACES, namespace)
    api.create(kinds.NAMESPACES, builders.namespace(namespace))
