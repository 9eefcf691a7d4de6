"""StatefulSets and DaemonSets through the real API."""

from typing import Any

from wherry.objects import kinds, metadata


async def pods_of(world: Any, name: str) -> Any:
    return {metadata.name(pod): pod for pod in await world.list(kinds.PODS, f"app={name}")}


def env(value: str, **annotations: str) -> Any:
    container = {"name": "main", "image": "python:3.11", "env": [{"name": "V", "value": value}]}
    fields = {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}}
    return {"spec": {"template": fields}}


def value_of(pod: Any) -> str:
    return str((pod["spec"]["containers"][0].get("env") or [{"value": "1"}])[0]["value"])


async def rolled(world: Any, name: str, replicas: int) -> Any:
    async def done() -> Any:
        found = await world.get(kinds.STATEFUL_SETS, name)
        status = found.get("status") or {}
        same = status.get("observedGeneration") == found["metadata"]["generation"]
        fields = ("replicas", "readyReplicas", "updatedReplicas", "currentReplicas")
        full = all(status.get(one, 0) == replicas for one in fields)
        return found if same and full and len(await pods_of(world, name)) == replicas else None

    return await world.until(done, f"{name} rolled")


async def test_pods_come_and_go_in_order(world: Any, make: Any) -> None:
    body = make.workload("db", 3, "unready", serviceName="db")
    await world.create(kinds.STATEFUL_SETS, body)
    for number in range(3):

        async def started(number: int = number) -> Any:
            pod = (await pods_of(world, "db")).get(f"db-{number}")
            return pod if pod and pod["status"]["phase"] == "Running" else None

        pod = await world.until(started)
        assert len(await pods_of(world, "db")) == number + 1
        assert pod["spec"]["hostname"] == f"db-{number}"
        assert pod["spec"]["subdomain"] == "db"
        assert metadata.labels(pod)["apps.kubernetes.io/pod-index"] == str(number)
        assert metadata.labels(pod)["statefulset.kubernetes.io/pod-name"] == f"db-{number}"
        await world.kubelet.set_ready(f"db-{number}", "default")
    await rolled(world, "db", 3)
    await world.patch(kinds.STATEFUL_SETS, "db", {"spec": {"replicas": 1}})
    await rolled(world, "db", 1)
    assert list(await pods_of(world, "db")) == ["db-0"]


async def test_update_from_the_top_down_to_the_partition(world: Any, make: Any) -> None:
    body = make.workload("db", 3, updateStrategy={"rollingUpdate": {"partition": 1}})
    await world.create(kinds.STATEFUL_SETS, body)
    first = await rolled(world, "db", 3)
    world.kubelet.started.clear()
    await world.patch(kinds.STATEFUL_SETS, "db", env("2"))

    async def updated() -> Any:
        found = await world.get(kinds.STATEFUL_SETS, "db")
        status = found["status"]
        return found if status.get("updatedReplicas") == 2 == status["readyReplicas"] - 1 else None

    found = await world.until(updated)
    assert found["status"]["currentRevision"] == first["status"]["currentRevision"]
    values = {name: value_of(pod) for name, pod in (await pods_of(world, "db")).items()}
    assert values == {"db-0": "1", "db-1": "2", "db-2": "2"}
    assert [metadata.name(pod) for pod in world.kubelet.started] == ["db-2", "db-1"]
    # A pod below the partition that goes comes back as it was.
    await world.delete(kinds.PODS, "db-0")

    async def back() -> bool:
        pod = (await pods_of(world, "db")).get("db-0")
        return bool(pod and not metadata.is_deleting(pod) and pod["status"]["phase"] == "Running")

    await world.until(back)
    assert value_of((await pods_of(world, "db"))["db-0"]) == "1"
    patch = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}
    await world.patch(kinds.STATEFUL_SETS, "db", patch)
    last = await rolled(world, "db", 3)
    assert last["status"]["currentRevision"] == last["status"]["updateRevision"]


async def test_a_broken_update_is_mended_by_a_better_one(world: Any, make: Any) -> None:
    await world.create(kinds.STATEFUL_SETS, make.workload("db", 2))
    await rolled(world, "db", 2)
    await world.patch(kinds.STATEFUL_SETS, "db", env("bad", **{"test/play": "unready"}))

    async def stuck() -> bool:
        pod = (await pods_of(world, "db")).get("db-1")
        return bool(pod and value_of(pod) == "bad" and pod["status"]["phase"] == "Running")

    await world.until(stuck)
    await world.patch(kinds.STATEFUL_SETS, "db", env("good", **{"test/play": "run"}))
    await rolled(world, "db", 2)
    revisions = await world.list(kinds.CONTROLLER_REVISIONS, "app=db")
    assert sorted(one["revision"] for one in revisions) == [1, 2, 3]


async def test_on_delete_waits_for_somebody(world: Any, make: Any) -> None:
    body = make.workload(
        "db", 2, updateStrategy={"type": "OnDelete"}, podManagementPolicy="Parallel"
    )
    await world.create(kinds.STATEFUL_SETS, body)
    await world.until_status(kinds.STATEFUL_SETS, "db", readyReplicas=2)
    await world.patch(kinds.STATEFUL_SETS, "db", env("2"))
    await world.until_status(kinds.STATEFUL_SETS, "db", observedGeneration=2, updatedReplicas=0)
    await world.delete(kinds.PODS, "db-0")
    await world.until_status(kinds.STATEFUL_SETS, "db", readyReplicas=2, updatedReplicas=1)


async def test_claims_stay_or_go_by_policy(world: Any, make: Any) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    for name, policy in (("keep", "Retain"), ("drop", "Delete")):
        retention = {"whenScaled": policy, "whenDeleted": policy}
        body = make.workload(
            name,
            2,
            volumeClaimTemplates=[claim],
            persistentVolumeClaimRetentionPolicy=retention,
            ordinals={"start": 5},
        )
        await world.create(kinds.STATEFUL_SETS, body)
        await rolled(world, name, 2)
        assert sorted(await pods_of(world, name)) == [f"{name}-5", f"{name}-6"]
        await world.patch(kinds.STATEFUL_SETS, name, {"spec": {"replicas": 1}})
        await rolled(world, name, 1)
    await world.until_gone(kinds.PERSISTENT_VOLUME_CLAIMS, "data-drop-6")
    assert await world.find(kinds.PERSISTENT_VOLUME_CLAIMS, "data-keep-6")
    for name in ("keep", "drop"):
        await world.delete(kinds.STATEFUL_SETS, name)
    await world.until_gone(kinds.PERSISTENT_VOLUME_CLAIMS, "data-drop-5")
    assert await world.find(kinds.PERSISTENT_VOLUME_CLAIMS, "data-keep-5")


async def test_a_daemon_on_every_node_that_suits(world: Any, make: Any) -> None:
    allocatable = {"cpu": "1", "memory": "1Gi", "pods": "10"}
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    for name, spec in (("second", {}), ("tainted", {"taints": [taint]})):
        node = {"metadata": {"name": name}, "spec": spec, "status": {"allocatable": allocatable}}
        await world.create(kinds.NODES, node)
    body = make.workload("agent")
    del body["spec"]["replicas"]
    await world.create(kinds.DAEMON_SETS, body)
    await world.until_status(
        kinds.DAEMON_SETS, "agent", desiredNumberScheduled=2, numberAvailable=2
    )
    nodes = {pod["spec"]["nodeName"] for pod in (await pods_of(world, "agent")).values()}
    assert nodes == {"node", "second"}
    await world.patch(kinds.DAEMON_SETS, "agent", env("2"))
    await world.until_status(
        kinds.DAEMON_SETS,
        "agent",
        observedGeneration=2,
        updatedNumberScheduled=2,
        numberAvailable=2,
    )
    found = (await pods_of(world, "agent")).values()
    assert {value_of(pod) for pod in found if not metadata.is_deleting(pod)} == {"2"}
    await world.client.patch(kinds.NODES, "tainted", {"spec": {"taints": None}})
    await world.until_status(kinds.DAEMON_SETS, "agent", numberAvailable=3)


async def test_a_pod_comes_back_with_a_new_claim_after_its_claim_was_dropped(
    world: Any, make: Any
) -> None:
    requests = {"requests": {"storage": "1Gi"}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": requests},
    }
    body = make.workload(
        "db",
        2,
        volumeClaimTemplates=[claim],
        persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete"},
    )
    await world.create(kinds.STATEFUL_SETS, body)
    await rolled(world, "db", 2)
    first = await world.get(kinds.PERSISTENT_VOLUME_CLAIMS, "data-db-1")
    await world.patch(kinds.STATEFUL_SETS, "db", {"spec": {"replicas": 1}})
    await rolled(world, "db", 1)
    await world.patch(kinds.STATEFUL_SETS, "db", {"spec": {"replicas": 2}})
    await rolled(world, "db", 2)
    second = await world.get(kinds.PERSISTENT_VOLUME_CLAIMS, "data-db-1")
    assert metadata.uid(first) != metadata.uid(second)
    assert not metadata.owner_references(second)
