"""The garbage collector: what is deleted with its owner, what before it, what never."""

import functools

import pytest

from wherry.objects import kinds
from wherry.testing import builders
from wherry.testing.waiting import eventually

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

COLLECTOR = "Garbage collector should"


def _policy(name: str):
    return {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": name}


def _controller(api, namespace, name: str, replicas: int = 2):
    """Create a ReplicationController whose pods stay pending, and wait for its pods."""
    labels = {"app": name}
    template = builders.deployment(name)["spec"]["template"]
    template["spec"]["nodeSelector"] = {"no": "where"}
    spec = {"replicas": replicas, "selector": labels, "template": template}
    api.create(kinds.REPLICATION_CONTROLLERS, {"metadata": {"name": name}, "spec": spec}, namespace)
    eventually(lambda: len(_pods(api, namespace)) == replicas)
    return api.get(kinds.REPLICATION_CONTROLLERS, name, namespace)


def _pods(api, namespace):
    return [
        pod
        for pod in api.items(kinds.PODS, namespace)
        if "deletionTimestamp" not in pod["metadata"]
    ]


def _reference(owner, kind: str, api_version: str = "v1", **fields):
    at = owner["metadata"]
    return {"apiVersion": api_version, "kind": kind, "name": at["name"], "uid": at["uid"], **fields}


def _deployment(api, namespace):
    made = builders.deployment("web", namespace=namespace)
    made["spec"]["template"]["spec"]["nodeSelector"] = {"no": "where"}
    api.create(kinds.DEPLOYMENTS, made)
    eventually(lambda: api.names(kinds.REPLICA_SETS, namespace))


@case(name=f"{COLLECTOR} delete RS created by deployment when not orphaning")
def test_replica_sets_go_with_the_deployment(api, namespace):
    _deployment(api, namespace)
    api.delete(kinds.DEPLOYMENTS, "web", namespace, _policy("Background"))
    eventually(lambda: api.names(kinds.REPLICA_SETS, namespace) == [])
    eventually(lambda: api.names(kinds.PODS, namespace) == [])


@case(
    name=f"{COLLECTOR} orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan"
)
def test_replica_sets_are_orphaned(api, namespace):
    _deployment(api, namespace)
    api.delete(kinds.DEPLOYMENTS, "web", namespace, _policy("Orphan"))
    api.wait_gone(kinds.DEPLOYMENTS, "web", namespace)
    (left,) = api.items(kinds.REPLICA_SETS, namespace)
    assert "ownerReferences" not in left["metadata"]


@case(name=f"{COLLECTOR} delete pods created by rc when not orphaning")
def test_pods_go_with_the_controller(api, namespace):
    _controller(api, namespace, "rc")
    api.delete(kinds.REPLICATION_CONTROLLERS, "rc", namespace, _policy("Background"))
    eventually(lambda: api.names(kinds.PODS, namespace) == [])
    api.wait_gone(kinds.REPLICATION_CONTROLLERS, "rc", namespace)


@case(name=f"{COLLECTOR} orphan pods created by rc if delete options say so")
def test_pods_are_orphaned(api, namespace):
    _controller(api, namespace, "rc", 10)
    api.delete(kinds.REPLICATION_CONTROLLERS, "rc", namespace, _policy("Orphan"))
    api.wait_gone(kinds.REPLICATION_CONTROLLERS, "rc", namespace)
    left = _pods(api, namespace)
    assert len(left) == 10
    assert [pod for pod in left if "ownerReferences" in pod["metadata"]] == []


@case(
    name=f"{COLLECTOR} keep the rc around until all its pods are deleted if the deleteOptions says so"
)
def test_the_owner_goes_last(api, namespace):
    _controller(api, namespace, "rc", 10)
    pods = _pods(api, namespace)
    held = pods[0]["metadata"]["name"]
    holding = {"metadata": {"finalizers": ["example.com/hold"]}}
    api.patch(kinds.PODS, held, holding, namespace)
    api.delete(kinds.REPLICATION_CONTROLLERS, "rc", namespace, _policy("Foreground"))
    eventually(lambda: api.names(kinds.PODS, namespace) == [held])
    owner = api.get(kinds.REPLICATION_CONTROLLERS, "rc", namespace)
    assert owner["metadata"]["deletionTimestamp"]
    assert owner["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.patch(kinds.PODS, held, {"metadata": {"finalizers": None}}, namespace)
    api.wait_gone(kinds.REPLICATION_CONTROLLERS, "rc", namespace)
    assert api.names(kinds.PODS, namespace) == []


@case(
    name=(
        f"{COLLECTOR} not delete dependents that have both valid owner and owner that's "
        "waiting for dependents to be deleted"
    )
)
def test_one_owner_is_enough_to_stay(api, namespace):
    _controller(api, namespace, "going", 6)
    stays = _controller_without_pods(api, namespace)
    reference = _reference(stays, "ReplicationController")
    shared = [pod["metadata"]["name"] for pod in _pods(api, namespace)[:3]]
    for name in shared:
        owners = api.get(kinds.PODS, name, namespace)["metadata"]["ownerReferences"]
        change = {"metadata": {"ownerReferences": [*owners, reference]}}
        api.patch(kinds.PODS, name, change, namespace)
    api.delete(kinds.REPLICATION_CONTROLLERS, "going", namespace, _policy("Foreground"))
    api.wait_gone(kinds.REPLICATION_CONTROLLERS, "going", namespace)
    left = _pods(api, namespace)
    assert sorted(pod["metadata"]["name"] for pod in left) == sorted(shared)
    owners = [pod["metadata"]["ownerReferences"] for pod in left]
    assert owners == [[reference]] * 3


def _controller_without_pods(api, namespace):
    template = builders.deployment("staying")["spec"]["template"]
    spec = {"replicas": 0, "selector": {"app": "staying"}, "template": template}
    made = {"metadata": {"name": "staying"}, "spec": spec}
    return api.create(kinds.REPLICATION_CONTROLLERS, made, namespace)


@case(name=f"{COLLECTOR} not be blocked by dependency circle")
def test_a_circle_goes_as_a_whole(api, namespace):
    names = ["pod1", "pod2", "pod3"]
    made = [builders.pod(name, nodeSelector={"no": "where"}) for name in names]
    pods = [api.create(kinds.PODS, pod, namespace) for pod in made]
    for name, owner in zip(names, pods[-1:] + pods[:-1], strict=True):
        reference = _reference(owner, "Pod", controller=True, blockOwnerDeletion=True)
        change = {"metadata": {"ownerReferences": [reference]}}
        api.patch(kinds.PODS, name, change, namespace)
    api.delete(kinds.PODS, "pod1", namespace, _policy("Foreground"))
    eventually(lambda: api.names(kinds.PODS, namespace) == [])
