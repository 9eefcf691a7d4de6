"""Deployments through the real API: roll out, roll back, pause, scale, recreate."""

from typing import Any

from wherry.objects import conditions, errors, kinds, metadata


async def sets_of(world: Any, name: str) -> Any:
    return await world.list(kinds.REPLICA_SETS, f"app={name}")


async def settled(world: Any, name: str, replicas: int) -> Any:
    async def done() -> Any:
        found = await world.get(kinds.DEPLOYMENTS, name)
        status = found.get("status") or {}
        same = status.get("observedGeneration") == found["metadata"]["generation"]
        fields = ("replicas", "updatedReplicas", "availableReplicas")
        return found if same and all(status.get(one, 0) == replicas for one in fields) else None

    return await world.until(done, f"{name} settled")


async def retouch(world: Any, name: str, value: str, **annotations: str) -> None:
    env = [{"name": "V", "value": value}]
    spec = {"containers": [{"name": "main", "image": "python:3.11", "env": env}]}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}, "spec": spec}}}
    await world.patch(kinds.DEPLOYMENTS, name, patch)


async def test_rollout_and_undo(world: Any, make: Any) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web"))
    first = await settled(world, "web", 3)
    assert conditions.is_true(first, "Available")
    assert (conditions.get(first, "Progressing") or {})["reason"] == "NewReplicaSetAvailable"
    await retouch(world, "web", "2")
    await settled(world, "web", 3)
    sets = await sets_of(world, "web")
    assert sorted(one["spec"]["replicas"] for one in sets) == [0, 3]
    pods = await world.list(kinds.PODS, "app=web")
    assert {pod["spec"]["containers"][0]["env"][0]["value"] for pod in pods} == {"2"}
    before = next(one for one in sets if not one["spec"]["replicas"])
    template = before["spec"]["template"]
    template["metadata"]["labels"].pop("pod-template-hash")
    deployment = await world.get(kinds.DEPLOYMENTS, "web")
    deployment["spec"]["template"] = template
    await world.client.update(kinds.DEPLOYMENTS, deployment)
    last = await settled(world, "web", 3)
    assert len(await sets_of(world, "web")) == 2
    assert metadata.annotations(last)["deployment.kubernetes.io/revision"] == "3"
    (new,) = [one for one in await sets_of(world, "web") if one["spec"]["replicas"]]
    assert metadata.annotations(new)["deployment.kubernetes.io/revision-history"] == "1"


async def test_scaling_up_and_down(world: Any, make: Any) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 1))
    await settled(world, "web", 1)
    for count in (5, 2, 0, 1):
        await world.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": count}})
        await settled(world, "web", count)
    assert len(await sets_of(world, "web")) == 1


async def test_a_broken_template_leaves_the_old_pods_serving(world: Any, make: Any) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 4, progressDeadlineSeconds=1))
    await settled(world, "web", 4)
    await retouch(world, "web", "bad", **{"test/play": "unready"})

    async def late() -> Any:
        found = await world.get(kinds.DEPLOYMENTS, "web")
        said = conditions.get(found, "Progressing") or {}
        return found if said["reason"] == "ProgressDeadlineExceeded" else None

    found = await world.until(late)
    assert found["status"]["availableReplicas"] >= 3
    assert found["status"]["replicas"] <= 5


async def test_a_paused_deployment_scales_in_proportion_and_does_not_roll(
    world: Any, make: Any
) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 2))
    await settled(world, "web", 2)
    await world.patch(kinds.DEPLOYMENTS, "web", {"spec": {"paused": True}})
    await retouch(world, "web", "2")
    await world.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 4}})
    await world.until_status(kinds.DEPLOYMENTS, "web", replicas=4, availableReplicas=4)
    found = await world.get(kinds.DEPLOYMENTS, "web")
    assert not found["status"].get("updatedReplicas")
    assert (conditions.get(found, "Progressing") or {})["reason"] == "DeploymentPaused"
    assert len(await sets_of(world, "web")) == 1
    await world.patch(kinds.DEPLOYMENTS, "web", {"spec": {"paused": False}})
    await settled(world, "web", 4)


async def test_recreate_waits_for_the_last_old_pod(world: Any, make: Any) -> None:
    body = make.workload("web", 2, "linger", strategy={"type": "Recreate"})
    await world.create(kinds.DEPLOYMENTS, body)
    await settled(world, "web", 2)
    await retouch(world, "web", "2")

    async def leaving() -> bool:
        pods = await world.list(kinds.PODS, "app=web")
        return len(pods) == 2 and all(map(metadata.is_deleting, pods))

    await world.until(leaving)
    assert len(await sets_of(world, "web")) == 1
    world.kubelet.release()
    await settled(world, "web", 2)
    assert len(await sets_of(world, "web")) == 2


async def test_history_is_bounded(world: Any, make: Any) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 1, revisionHistoryLimit=1))
    for number in range(4):
        await settled(world, "web", 1)
        await retouch(world, "web", str(number))
    await settled(world, "web", 1)

    async def pruned() -> bool:
        return len(await sets_of(world, "web")) == 2

    await world.until(pruned)


async def test_an_orphaned_set_is_adopted_with_its_pods(world: Any, make: Any) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 2))
    await settled(world, "web", 2)
    pods = {metadata.uid(pod) for pod in await world.list(kinds.PODS, "app=web")}
    await world.delete(kinds.DEPLOYMENTS, "web", "Orphan")
    await world.until_gone(kinds.DEPLOYMENTS, "web")
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 2))
    await settled(world, "web", 2)
    assert len(await sets_of(world, "web")) == 1
    assert {metadata.uid(pod) for pod in await world.list(kinds.PODS, "app=web")} == pods


async def test_a_relabelled_pod_is_released_and_replaced(world: Any, make: Any) -> None:
    await world.create(kinds.REPLICA_SETS, make.workload("set", 2))
    await world.until_status(kinds.REPLICA_SETS, "set", readyReplicas=2)
    pod = (await world.list(kinds.PODS, "app=set"))[0]
    await world.patch(kinds.PODS, metadata.name(pod), {"metadata": {"labels": {"app": "none"}}})

    async def replaced() -> bool:
        pods = await world.list(kinds.PODS, "app=set")
        return len(pods) == 2 and metadata.uid(pod) not in {metadata.uid(one) for one in pods}

    await world.until(replaced)
    released = await world.get(kinds.PODS, metadata.name(pod))
    assert metadata.controller_of(released) is None


async def test_a_pod_that_matches_is_adopted_and_a_surplus_deleted(world: Any, make: Any) -> None:
    await world.create(kinds.REPLICA_SETS, make.workload("set", 1))
    await world.until_status(kinds.REPLICA_SETS, "set", readyReplicas=1)
    stray = {"metadata": {"name": "stray", "labels": {"app": "set"}}}
    await world.create(kinds.PODS, {**stray, "spec": make.template()["spec"]})
    await world.until_gone(kinds.PODS, "stray")
    await world.until_status(kinds.REPLICA_SETS, "set", replicas=1)


async def test_a_replication_controller_keeps_its_number(world: Any, make: Any) -> None:
    body = make.workload("old", 2)
    body["spec"]["selector"] = {"app": "old"}
    await world.create(kinds.REPLICATION_CONTROLLERS, body)
    await world.until_status(kinds.REPLICATION_CONTROLLERS, "old", readyReplicas=2)


async def test_a_refused_pod_is_told(world: Any, make: Any) -> None:
    body = make.workload("web", 1)
    body["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    await world.create(kinds.DEPLOYMENTS, body)
    found = await world.until_condition(kinds.DEPLOYMENTS, "web", "ReplicaFailure")
    assert "nobody" in (conditions.get(found, "ReplicaFailure") or {})["message"]
    assert isinstance(errors.ForbiddenError("x"), errors.ApiError)


async def test_the_foreground_takes_sets_and_pods_first(world: Any, make: Any) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 2, "linger"))
    await settled(world, "web", 2)
    await world.delete(kinds.DEPLOYMENTS, "web", "Foreground")

    async def leaving() -> bool:
        pods = await world.list(kinds.PODS, "app=web")
        return len(pods) == 2 and all(map(metadata.is_deleting, pods))

    await world.until(leaving)
    assert await world.find(kinds.DEPLOYMENTS, "web")
    world.kubelet.release()
    await world.until_gone(kinds.DEPLOYMENTS, "web")
    assert not await world.list(kinds.PODS, "app=web")
