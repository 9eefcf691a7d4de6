"""What bounds pods, ranks them, and says where they may run."""

import functools

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-scheduling")

PREDICATES = "SchedulerPredicates [Serial] validates"


def _limits(name, **labels):
    amounts = {"cpu": "300m", "memory": "200Mi"}
    limit = {
        "type": "Container",
        "min": {"cpu": "50m", "memory": "100Mi"},
        "max": {"cpu": "500m", "memory": "500Mi"},
        "default": {"cpu": "500m", "memory": "500Mi"},
        "defaultRequest": amounts,
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": {"limits": [limit]}}


def _pod(name, requests=None, limits=None):
    resources = {key: value for key, value in (("requests", requests), ("limits", limits)) if value}
    container = builders.container(resources=resources)
    return builders.pod(name, containers=[container], nodeSelector={"no": "where"})


@case(
    name="LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied."
)
def test_limits_are_applied(api, namespace, refused):
    api.create(kinds.LIMIT_RANGES, _limits("limits"), namespace)

    def created(name, **amounts):
        pod = api.create(kinds.PODS, _pod(name, **amounts), namespace)
        return pod["spec"]["containers"][0]["resources"]

    limits = {"cpu": "500m", "memory": "500Mi"}
    requests = {"cpu": "300m", "memory": "200Mi"}
    assert created("none") == {"limits": limits, "requests": requests}
    given = created("some", requests={"cpu": "100m"}, limits={"memory": "300Mi"})
    assert given["limits"] == {"cpu": "500m", "memory": "300Mi"}
    assert given["requests"]["cpu"] == "100m"
    with refused(403, "Forbidden", "minimum cpu usage per Container is 50m"):
        created("small", requests={"cpu": "10m", "memory": "100Mi"})
    with refused(403, "Forbidden", "maximum"):
        created("big", requests={"cpu": "600m"}, limits={"cpu": "600m"})

    def lower(found):
        found["spec"]["limits"][0]["min"] = {"cpu": "9m", "memory": "49Mi"}

    api.change(kinds.LIMIT_RANGES, "limits", lower, namespace)
    assert created("small", requests={"cpu": "10m", "memory": "50Mi"})["requests"]["cpu"] == "10m"
    api.delete(kinds.LIMIT_RANGES, "limits", namespace)
    api.wait_gone(kinds.LIMIT_RANGES, "limits", namespace)
    assert created("big", requests={"cpu": "600m"}, limits={"cpu": "600m"})


@case(name="LimitRange should list, patch and delete a LimitRange by collection")
def test_limit_ranges_of_several_namespaces(api, namespace, new_namespace, unique):
    other = new_namespace()
    for space in (namespace, other):
        api.create(kinds.LIMIT_RANGES, _limits("limits", case=unique), space)
    selector = {"labelSelector": f"case={unique}"}
    found = api.items(kinds.LIMIT_RANGES, **selector)
    assert sorted(one["metadata"]["namespace"] for one in found) == sorted([namespace, other])
    limit = {"type": "Container", "min": {"cpu": "10m"}}
    change = {"metadata": {"labels": {"patched": "yes"}}, "spec": {"limits": [limit]}}
    patched = api.patch(kinds.LIMIT_RANGES, "limits", change, namespace)
    assert patched["spec"]["limits"][0]["min"] == {"cpu": "10m"}
    api.delete_collection(kinds.LIMIT_RANGES, namespace, labelSelector="patched=yes")
    eventually(lambda: api.names(kinds.LIMIT_RANGES, namespace) == [])
    (left,) = api.items(kinds.LIMIT_RANGES, **selector)
    assert left["metadata"]["namespace"] == other


@case(
    name=(
        "SchedulerPreemption [Serial] PriorityClass endpoints verify PriorityClass "
        "endpoints can be operated with different HTTP methods"
    )
)
def test_priority_classes(api, unique, cleanup, refused):
    for number in (1, 2):
        api.create(
            kinds.PRIORITY_CLASSES, {"metadata": {"name": f"{unique}-{number}"}, "value": number}
        )
        cleanup.callback(api.delete, kinds.PRIORITY_CLASSES, f"{unique}-{number}")
    assert {f"{unique}-1", f"{unique}-2"} <= set(api.names(kinds.PRIORITY_CLASSES))
    one = f"{unique}-1"
    assert api.patch(kinds.PRIORITY_CLASSES, one, {"description": "d"})["description"] == "d"
    with refused(422, "Invalid", "value"):
        api.patch(kinds.PRIORITY_CLASSES, one, {"value": 7})

    def describe(found):
        found["description"] = "updated"

    assert api.change(kinds.PRIORITY_CLASSES, one, describe)["description"] == "updated"

    def raise_(found):
        found["value"] = 9

    with refused(422, "Invalid", "value"):
        api.change(kinds.PRIORITY_CLASSES, one, raise_)


def _unschedulable(api, namespace, name, words):
    def told():
        conditions = api.get(kinds.PODS, name, namespace)["status"].get("conditions", [])
        found = [one for one in conditions if one["type"] == "PodScheduled"]
        return found and (found[0]["reason"], words in found[0]["message"]) == (
            "Unschedulable",
            True,
        )

    eventually(told)


@case(name=f"{PREDICATES} resource limits of pods that are allowed to run")
def test_what_is_too_large_waits(api, namespace):
    container = builders.container(resources={"requests": {"cpu": "100k"}})
    api.create(kinds.PODS, builders.pod("big", containers=[container]), namespace)
    _unschedulable(api, namespace, "big", "Insufficient cpu")


@case(name=f"{PREDICATES} that NodeSelector is respected if not matching")
def test_what_fits_no_node_waits(api, namespace):
    api.create(kinds.PODS, builders.pod("p", nodeSelector={"label": "nonempty"}), namespace)
    _unschedulable(api, namespace, "p", "node affinity/selector")


@case(name=f"{PREDICATES} that NodeSelector is respected if matching")
def test_what_fits_a_node_runs_there(api, namespace, unique):
    (node,) = api.names(kinds.NODES)
    api.patch(kinds.NODES, node, {"metadata": {"labels": {unique: "42"}}})
    api.create(kinds.PODS, builders.pod("p", nodeSelector={unique: "42"}), namespace)
    eventually(lambda: api.get(kinds.PODS, "p", namespace)["spec"].get("nodeName") == node)
    api.patch(kinds.NODES, node, {"metadata": {"labels": {unique: None}}})
