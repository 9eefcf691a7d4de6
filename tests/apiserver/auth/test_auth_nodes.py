"""A node reads what its pods refer to and writes of itself; nothing of other nodes."""

from typing import Any

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import Object

NODE, OTHER = "n1", "n2"


async def make(cluster: Any, name: str, node: str, **spec: Any) -> None:
    container = {"name": "c", "image": "python", **spec.pop("container", {})}
    pod = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [container], **spec},
    }
    await cluster.client.create(kinds.PODS, pod)


@pytest.fixture
def node(cluster: Any) -> Any:
    return cluster.as_user(f"system:node:{NODE}", "system:nodes")


async def readable(node: Any, resource: Any, name: str) -> bool:
    try:
        await node.get(resource, name, "default")
    except errors.ForbiddenError as error:
        return "no relationship found" not in error.message
    return True


async def test_a_node_reads_what_its_own_pods_refer_to(cluster: Any, node: Any) -> None:
    for name in ("mounted", "projected", "variable", "pull", "elsewhere", "nobody"):
        secret = {"metadata": {"name": name, "namespace": "default"}}
        await cluster.client.create(kinds.SECRETS, secret)
    source = {"secretKeyRef": {"name": "variable", "key": "k"}}
    await make(
        cluster,
        "mine",
        NODE,
        container={"env": [{"name": "X", "valueFrom": source}]},
        imagePullSecrets=[{"name": "pull"}],
        volumes=[
            {"name": "a", "secret": {"secretName": "mounted"}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "projected"}}]}},
        ],
    )
    volumes = [{"name": "a", "secret": {"secretName": "elsewhere"}}]
    await make(cluster, "theirs", OTHER, volumes=volumes)
    for name in ("mounted", "projected", "variable", "pull"):
        assert await readable(node, kinds.SECRETS, name), name
    for name in ("elsewhere", "nobody", "missing"):
        assert not await readable(node, kinds.SECRETS, name), name
    with pytest.raises(errors.ForbiddenError):
        await node.list(kinds.SECRETS, "default")
    await cluster.client.delete(kinds.PODS, "mine", "default", grace_period_seconds=0)
    assert not await readable(node, kinds.SECRETS, "mounted")


async def test_roles_may_allow_a_node_more(cluster: Any, node: Any) -> None:
    await cluster.client.create(
        kinds.CONFIG_MAPS, {"metadata": {"name": "m", "namespace": "default"}}
    )
    assert not await readable(node, kinds.CONFIG_MAPS, "m")
    binding = {
        "metadata": {"name": "nodes-view"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:nodes"}
        ],
    }
    await cluster.client.create(kinds.CLUSTER_ROLE_BINDINGS, binding)
    assert await readable(node, kinds.CONFIG_MAPS, "m")


async def test_a_node_writes_of_itself_only(cluster: Any, node: Any) -> None:
    await node.create(kinds.NODES, {"metadata": {"name": NODE}})
    with pytest.raises(errors.ForbiddenError, match="not allowed to modify node"):
        await node.create(kinds.NODES, {"metadata": {"name": OTHER}})
    await cluster.client.create(kinds.NODES, {"metadata": {"name": OTHER}})
    with pytest.raises(errors.ForbiddenError, match="not allowed to modify nodes"):
        await node.patch(kinds.NODES, OTHER, {"metadata": {"labels": {"a": "b"}}})
    for name in (NODE, OTHER):
        with pytest.raises(errors.ForbiddenError):
            await node.delete(kinds.NODES, name)
    await node.patch(kinds.NODES, NODE, {"metadata": {"labels": {"a": "b"}}})
    for label in ("node-restriction.kubernetes.io/x", "foo.k8s.io/x"):
        with pytest.raises(errors.ForbiddenError, match="modify labels"):
            await node.patch(kinds.NODES, NODE, {"metadata": {"labels": {label: "b"}}})
    taint = {"key": "k", "effect": "NoSchedule"}
    with pytest.raises(errors.ForbiddenError, match="modify taints"):
        await node.patch(kinds.NODES, NODE, {"spec": {"taints": [taint]}})


async def test_a_node_writes_the_status_of_its_own_pods(cluster: Any, node: Any) -> None:
    await make(cluster, "mine", NODE)
    await make(cluster, "theirs", OTHER)
    status = {"status": {"message": "seen"}}
    await node.patch(kinds.PODS, "mine", status, "default", subresource="status")
    with pytest.raises(errors.ForbiddenError, match="does not run this pod"):
        await node.patch(kinds.PODS, "theirs", status, "default", subresource="status")
    with pytest.raises(errors.ForbiddenError, match="does not run this pod"):
        await node.delete(kinds.PODS, "theirs", "default")
    pod: Object = {"metadata": {"name": "new", "namespace": "default"}}
    pod["spec"] = {"nodeName": NODE, "containers": [{"name": "c", "image": "python"}]}
    with pytest.raises(errors.ForbiddenError, match="mirror pods"):
        await node.create(kinds.PODS, pod)


async def test_a_node_keeps_its_own_lease(cluster: Any, node: Any) -> None:
    lease = {"metadata": {"name": NODE, "namespace": "kube-node-lease"}, "spec": {}}
    await node.create(kinds.LEASES, lease)
    with pytest.raises(errors.ForbiddenError):
        await node.get(kinds.LEASES, OTHER, "kube-node-lease")
    lease["metadata"]["name"] = OTHER
    with pytest.raises(errors.ForbiddenError, match="can only access leases"):
        await node.create(kinds.LEASES, lease)
