"""Namespaces, accounts, volumes, ownership and scheduling through the real API."""

# ruff: noqa: ASYNC240 - looking at a folder is what these tests wait for anyway
import asyncio
from pathlib import Path
from typing import Any

import pytest

from wherry.builtin import scheduler, volume_binding
from wherry.builtin.garbage_collector import GarbageCollector
from wherry.client.client import Client
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects import requests as api_requests
from wherry.objects.requests import Transport
from wherry.objects.resources import Resource

CRON_TABS = Resource(
    group="stable.example.com", version="v1", plural="crontabs", kind="CronTab", namespaced=True
)


def claim(name: str, storage: str = "1Gi", **spec: Any) -> Any:
    requests = {"requests": {"storage": storage}}
    return {
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": requests, **spec},
    }


def volume(name: str, storage: str, **spec: Any) -> Any:
    return {
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": storage},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "manual",
            "hostPath": {"path": f"/srv/{name}"},
            **spec,
        },
    }


async def phase_of(world: Any, resource: Any, name: str) -> str:
    found = await world.find(resource, name)
    return str((found or {}).get("status", {}).get("phase", ""))


async def until_phase(world: Any, resource: Any, name: str, phase: str) -> Any:
    async def reached() -> bool:
        return await phase_of(world, resource, name) == phase

    await world.until(reached, f"{name} {phase}")
    return await world.get(resource, name)


async def pod(world: Any, make: Any, name: str, *, cpu: str = "", **spec: Any) -> None:
    body = make.template(**spec)
    if cpu:
        body["spec"]["containers"][0]["resources"] = {"requests": {"cpu": cpu}}
    await world.create(kinds.PODS, {"metadata": {"name": name}, "spec": body["spec"]})


async def test_accounts_and_certificates_come_back(world: Any) -> None:
    await world.create(kinds.NAMESPACES, {"metadata": {"name": "team"}})

    async def whole() -> bool:
        account = await world.find(kinds.SERVICE_ACCOUNTS, "default", "team")
        known = await world.find(kinds.CONFIG_MAPS, "kube-root-ca.crt", "team")
        return bool(account and known and known["data"] == {"ca.crt": "-----AUTHORITY-----"})

    await world.until(whole)
    await world.client.delete(kinds.SERVICE_ACCOUNTS, "default", "team")
    await world.client.delete(kinds.CONFIG_MAPS, "kube-root-ca.crt", "team")
    await world.until(whole)
    patch = {"data": {"ca.crt": "forged"}}
    await world.client.patch(kinds.CONFIG_MAPS, "kube-root-ca.crt", patch, "team")
    await world.until(whole)


async def test_a_namespace_is_emptied_and_goes(world: Any, make: Any) -> None:
    await world.create(
        kinds.CUSTOM_RESOURCE_DEFINITIONS,
        {
            "metadata": {"name": "crontabs.stable.example.com"},
            "spec": {
                "group": "stable.example.com",
                "scope": "Namespaced",
                "names": {"plural": "crontabs", "singular": "crontab", "kind": "CronTab"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        },
    )
    name = "crontabs.stable.example.com"
    await world.until_condition(kinds.CUSTOM_RESOURCE_DEFINITIONS, name, "Established")
    await world.create(kinds.NAMESPACES, {"metadata": {"name": "team"}})
    held = {"name": "held", "namespace": "team", "finalizers": ["example.com/held"]}
    await world.create(CRON_TABS, {"metadata": held})
    for resource, body in (
        (kinds.DEPLOYMENTS, make.workload("web")),
        (kinds.JOBS, make.job("job", "run")),
        (kinds.PERSISTENT_VOLUME_CLAIMS, claim("data")),
    ):
        body["metadata"]["namespace"] = "team"
        await world.create(resource, body)

    async def pods() -> bool:
        return len(await world.list(kinds.PODS, namespace="team")) == 4

    await world.until(pods)
    await world.client.delete(kinds.NAMESPACES, "team")

    async def held_up() -> Any:
        found = await world.get(kinds.NAMESPACES, "team")
        said = conditions.get(found, "NamespaceContentRemaining") or {}
        left = said.get("message", "")
        return "crontabs" in left and "pods" not in left

    await world.until(held_up, "only the held object is left")
    with pytest.raises(errors.ForbiddenError):
        await world.create(kinds.CONFIG_MAPS, {"metadata": {"name": "x", "namespace": "team"}})
    patch = {"metadata": {"finalizers": None}}
    await world.client.patch(CRON_TABS, "held", patch, "team")
    await world.until_gone(kinds.NAMESPACES, "team")


async def test_a_claim_gets_a_folder_and_takes_it_along(world: Any, make: Any) -> None:
    await world.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim("data"))
    found = await until_phase(world, kinds.PERSISTENT_VOLUME_CLAIMS, "data", "Bound")
    assert found["spec"]["storageClassName"] == "standard"
    assert found["status"]["capacity"] == {"storage": "1Gi"}
    made = await world.get(kinds.PERSISTENT_VOLUMES, found["spec"]["volumeName"])
    assert made["status"]["phase"] == "Bound"
    folder = Path(made["spec"]["hostPath"]["path"])
    assert folder.parent == world.volumes
    folder.mkdir()
    (folder / "file").write_text("x")
    bigger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    await world.patch(kinds.PERSISTENT_VOLUME_CLAIMS, "data", bigger)

    async def grown() -> bool:
        now = await world.get(kinds.PERSISTENT_VOLUME_CLAIMS, "data")
        return bool(now["status"]["capacity"] == {"storage": "2Gi"})

    await world.until(grown)
    source = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    await pod(world, make, "user", volumes=[source])
    await until_phase(world, kinds.PODS, "user", "Running")
    await world.delete(kinds.PERSISTENT_VOLUME_CLAIMS, "data")
    await asyncio.sleep(0.1)
    assert await world.find(kinds.PERSISTENT_VOLUME_CLAIMS, "data")
    assert (folder / "file").exists()
    await world.delete(kinds.PODS, "user")
    await world.until_gone(kinds.PERSISTENT_VOLUME_CLAIMS, "data")
    await world.until_gone(kinds.PERSISTENT_VOLUMES, metadata.name(made))
    assert not folder.exists()


async def test_the_smallest_volume_that_suits_is_kept_for_its_owner(world: Any) -> None:
    for name, storage in (("small", "1Gi"), ("middle", "5Gi"), ("large", "50Gi")):
        await world.create(kinds.PERSISTENT_VOLUMES, volume(name, storage))
        await until_phase(world, kinds.PERSISTENT_VOLUMES, name, "Available")
    body = claim("data", "2Gi", storageClassName="manual")
    await world.create(kinds.PERSISTENT_VOLUME_CLAIMS, body)
    found = await until_phase(world, kinds.PERSISTENT_VOLUME_CLAIMS, "data", "Bound")
    assert found["spec"]["volumeName"] == "middle"
    await world.client.delete(kinds.PERSISTENT_VOLUMES, "middle")
    await asyncio.sleep(0.05)
    assert await phase_of(world, kinds.PERSISTENT_VOLUME_CLAIMS, "data") == "Bound"
    await world.delete(kinds.PERSISTENT_VOLUME_CLAIMS, "data")
    await world.until_gone(kinds.PERSISTENT_VOLUMES, "middle")
    await world.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim("again", storageClassName="manual"))
    await until_phase(world, kinds.PERSISTENT_VOLUME_CLAIMS, "again", "Bound")
    await world.delete(kinds.PERSISTENT_VOLUME_CLAIMS, "again")
    await until_phase(world, kinds.PERSISTENT_VOLUMES, "small", "Released")


async def test_no_other_folder_is_ever_removed(world: Any, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    await world.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim("data"))
    found = await until_phase(world, kinds.PERSISTENT_VOLUME_CLAIMS, "data", "Bound")
    name = found["spec"]["volumeName"]
    source = {"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": "wherry.dev/local"}}}
    forged = volume("forged", "1Gi", persistentVolumeReclaimPolicy="Delete")
    forged["metadata"].update(source["metadata"])
    forged["spec"]["hostPath"]["path"] = str(precious)
    forged["spec"]["claimRef"] = {"namespace": "default", "name": "data", "uid": "no-such"}
    await world.create(kinds.PERSISTENT_VOLUMES, forged)
    await until_phase(world, kinds.PERSISTENT_VOLUMES, "forged", "Failed")
    assert precious.exists()
    assert await phase_of(world, kinds.PERSISTENT_VOLUMES, name) == "Bound"


@pytest.mark.parametrize(
    ("spec", "reason", "word"),
    [
        ({"storageClassName": "gold"}, "ProvisioningFailed", "there are: cloud, lazy, standard"),
        ({"storageClassName": ""}, "FailedBinding", "no storage class"),
        ({"storageClassName": "cloud"}, "ExternalProvisioning", "ebs"),
        ({"storageClassName": "lazy"}, "WaitForFirstConsumer", "first consumer"),
    ],
)
async def test_a_claim_that_waits_says_why(world: Any, spec: Any, reason: str, word: str) -> None:
    lazy = {"provisioner": volume_binding.PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}
    await world.create(kinds.STORAGE_CLASSES, {"metadata": {"name": "lazy"}, **lazy})
    await world.create(kinds.STORAGE_CLASSES, {"metadata": {"name": "cloud"}, "provisioner": "ebs"})
    await world.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim("data", **spec))

    async def told() -> Any:
        return (await world.events("data")).get(reason)

    assert word in await world.until(told)
    assert await phase_of(world, kinds.PERSISTENT_VOLUME_CLAIMS, "data") == "Pending"


async def test_a_lazy_claim_is_bound_once_a_pod_wants_it(world: Any, make: Any) -> None:
    lazy = {"provisioner": volume_binding.PROVISIONER, "volumeBindingMode": "WaitForFirstConsumer"}
    await world.create(kinds.STORAGE_CLASSES, {"metadata": {"name": "lazy"}, **lazy})
    await world.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim("data", storageClassName="lazy"))
    source = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    await pod(world, make, "user", volumes=[source])
    await until_phase(world, kinds.PODS, "user", "Running")


async def why_pending(world: Any, name: str) -> Any:
    found = await world.get(kinds.PODS, name)
    said = conditions.get(found, "PodScheduled") or {}
    return said.get("message") if said.get("reason") == "Unschedulable" else None


async def test_what_does_not_fit_waits_until_room_is_made(world: Any, make: Any) -> None:
    await pod(world, make, "first", cpu="3")
    await until_phase(world, kinds.PODS, "first", "Running")
    await pod(world, make, "second", cpu="2")
    why = await world.until(lambda: why_pending(world, "second"))
    assert why == "0/1 nodes are available: 1 Insufficient cpu."

    async def told() -> Any:
        return (await world.events("second")).get("FailedScheduling") == why

    await world.until(told)
    await world.kubelet.finish("first")
    await until_phase(world, kinds.PODS, "second", "Running")
    await pod(world, make, "third", cpu="4")
    await world.until(lambda: why_pending(world, "third"))
    await world.client.delete(kinds.PODS, "second", "default", grace_period_seconds=0)
    await until_phase(world, kinds.PODS, "third", "Running")


async def test_many_at_once_are_never_promised_the_same_room(world: Any, make: Any) -> None:
    await asyncio.gather(*(pod(world, make, f"pod-{n}", cpu="1500m") for n in range(12)))

    async def decided() -> bool:
        found = await world.list(kinds.PODS)
        return all(conditions.get(one, "PodScheduled") for one in found)

    await world.until(decided)
    placed = [one for one in await world.list(kinds.PODS) if one["spec"].get("nodeName")]
    assert len(placed) == 2


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"nodeSelector": {"disk": "ssd"}}, "didn't match Pod's node affinity/selector"),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "none"}}]},
            'persistentvolumeclaim "none" not found',
        ),
    ],
)
async def test_a_pod_that_waits_says_why(world: Any, make: Any, spec: Any, word: str) -> None:
    await pod(world, make, "waits", **spec)
    assert word in await world.until(lambda: why_pending(world, "waits"))
    if "nodeSelector" in spec:
        await world.client.patch(kinds.NODES, "node", {"metadata": {"labels": {"disk": "ssd"}}})
        await until_phase(world, kinds.PODS, "waits", "Running")


async def config(world: Any, name: str, *owners: Any, **fields: Any) -> Any:
    references = [metadata.owner_reference(owner, controller=False) for owner in owners]
    body = {"metadata": {"name": name, "ownerReferences": references, **fields}}
    return await world.create(kinds.CONFIG_MAPS, body)


async def test_children_go_in_the_background_and_are_left_as_orphans(world: Any) -> None:
    first = await config(world, "first")
    second = await config(world, "second")
    await config(world, "child", first)
    await config(world, "shared", first, second)
    await world.delete(kinds.CONFIG_MAPS, "first")
    await world.until_gone(kinds.CONFIG_MAPS, "child")

    async def dropped() -> bool:
        shared = await world.get(kinds.CONFIG_MAPS, "shared")
        return len(metadata.owner_references(shared)) == 1

    await world.until(dropped)
    await world.delete(kinds.CONFIG_MAPS, "second", "Orphan")
    await world.until_gone(kinds.CONFIG_MAPS, "second")
    shared = await world.get(kinds.CONFIG_MAPS, "shared")
    assert metadata.owner_references(shared) == []


async def test_the_foreground_waits_for_children_and_theirs(world: Any) -> None:
    parent = await config(world, "parent")
    child = await config(world, "child", parent)
    await config(world, "grandchild", child, finalizers=["example.com/held"])
    await world.delete(kinds.CONFIG_MAPS, "parent", "Foreground")

    async def leaving() -> bool:
        found = await world.get(kinds.CONFIG_MAPS, "grandchild")
        return metadata.is_deleting(found)

    await world.until(leaving)
    assert await world.find(kinds.CONFIG_MAPS, "child")
    assert await world.find(kinds.CONFIG_MAPS, "parent")
    await world.patch(kinds.CONFIG_MAPS, "grandchild", {"metadata": {"finalizers": None}})
    await world.until_gone(kinds.CONFIG_MAPS, "parent")
    assert await world.find(kinds.CONFIG_MAPS, "child") is None


async def test_an_owner_goes_when_the_last_child_it_waits_for_has_another(world: Any) -> None:
    going, staying = await config(world, "going"), await config(world, "staying")
    await config(world, "shared", going, staying)
    await world.delete(kinds.CONFIG_MAPS, "going", "Foreground")
    await world.until_gone(kinds.CONFIG_MAPS, "going")
    shared = await world.get(kinds.CONFIG_MAPS, "shared")
    assert metadata.owner_references(shared) == [
        metadata.owner_reference(staying, controller=False)
    ]


async def test_a_circle_of_owners_can_be_deleted(world: Any) -> None:
    first = await config(world, "first")
    second = await config(world, "second", first)
    patch = {"metadata": {"ownerReferences": [metadata.owner_reference(second, controller=False)]}}
    await world.patch(kinds.CONFIG_MAPS, "first", patch)
    await asyncio.sleep(0.1)
    assert await world.find(kinds.CONFIG_MAPS, "first")
    await world.delete(kinds.CONFIG_MAPS, "first", "Foreground")
    await world.until_gone(kinds.CONFIG_MAPS, "first")
    await world.until_gone(kinds.CONFIG_MAPS, "second")


async def test_an_owner_that_never_was_takes_its_child(world: Any) -> None:
    ghost = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "ghost", "uid": "none", "namespace": "default"},
    }
    await config(world, "child", ghost)
    await world.until_gone(kinds.CONFIG_MAPS, "child")
    stranger = {**ghost, "apiVersion": "unknown.example.com/v1", "kind": "Stranger"}
    await config(world, "kept", stranger)
    await asyncio.sleep(0.2)
    assert await world.find(kinds.CONFIG_MAPS, "kept")


async def test_what_lost_its_owner_while_nobody_looked_goes(bare: Any) -> None:
    owner = await config(bare, "owner")
    await config(bare, "child", owner)
    await bare.delete(kinds.CONFIG_MAPS, "owner")
    await bare.start()
    await bare.until_gone(kinds.CONFIG_MAPS, "child")


class Unreadable:
    """The API, of which the objects of one resource cannot be had."""

    def __init__(self, transport: Transport, resource: Resource) -> None:
        self._transport, self._resource = transport, resource

    async def send(self, request: api_requests.Request) -> Any:
        self._refuse(request)
        return await self._transport.send(request)

    def watch(self, request: api_requests.Request) -> Any:
        self._refuse(request)
        return self._transport.watch(request)

    def chunks(self, request: api_requests.Request) -> Any:
        return self._transport.chunks(request)

    async def close(self) -> None:
        await self._transport.close()

    def _refuse(self, request: api_requests.Request) -> None:
        if request.resource == self._resource:
            raise errors.ServiceUnavailableError("nobody converts them")


async def test_a_kind_that_cannot_be_read_keeps_no_other_from_being_collected(bare: Any) -> None:
    owner = await config(bare, "owner")
    await config(bare, "child", owner)
    manager = Manager(Client(Unreadable(bare.client.transport, kinds.PODS)), stop_seconds=2)
    manager.cache(kinds.PODS)
    manager.cache(kinds.CONFIG_MAPS)
    manager.beside("garbage-collector", GarbageCollector(manager).run)
    running = asyncio.ensure_future(manager.run())
    try:
        await bare.delete(kinds.CONFIG_MAPS, "owner")
        await bare.until_gone(kinds.CONFIG_MAPS, "child")
    finally:
        await manager.stop()
        await running


async def test_roles_are_aggregated(world: Any) -> None:
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    selector = {"clusterRoleSelectors": [{"matchLabels": {"part": "of-all"}}]}
    await world.create(
        kinds.CLUSTER_ROLES, {"metadata": {"name": "all"}, "aggregationRule": selector}
    )
    labels = {"name": "pods", "labels": {"part": "of-all"}}
    await world.create(kinds.CLUSTER_ROLES, {"metadata": labels, "rules": [rule]})

    async def has(*rules: Any) -> bool:
        found = await world.get(kinds.CLUSTER_ROLES, "all")
        return (found.get("rules") or []) == list(rules)

    await world.until(lambda: has(rule))
    await world.delete(kinds.CLUSTER_ROLES, "pods")
    await world.until(has)


async def test_room_given_away_is_gone_before_the_cache_shows_it(bare: Any, make: Any) -> None:
    # A manager that does not run: its caches show what the test puts there.
    manager = Manager(bare.client)
    scheduling = scheduler.SchedulerReconciler(manager, bare.settings)
    pods, nodes = manager.cache(kinds.PODS), manager.cache(kinds.NODES)
    nodes.put(("", "node"), await bare.get(kinds.NODES, "node"))
    for name in ("first", "second"):
        await pod(bare, make, name, cpu="3")
        pods.put(("default", name), await bare.get(kinds.PODS, name))
        await scheduling.reconcile(Request("", "pass"))
    placed = [
        bool((await bare.get(kinds.PODS, name))["spec"].get("nodeName"))
        for name in ("first", "second")
    ]
    assert placed == [True, False]
    # The first is shown at last, finished: its room is the second's.
    await until_phase(bare, kinds.PODS, "first", "Running")
    await bare.kubelet.finish("first")
    pods.put(("default", "first"), await bare.get(kinds.PODS, "first"))
    await scheduling.reconcile(Request("", "pass"))
    assert (await bare.get(kinds.PODS, "second"))["spec"]["nodeName"] == "node"
