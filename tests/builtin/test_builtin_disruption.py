"""Quotas' status, disruption budgets and eviction, with the controllers running."""

from typing import Any

import pytest

from wherry.objects import errors, kinds


async def test_used_follows_what_there_is(world: Any, make: Any) -> None:
    hard = {"pods": "10", "requests.cpu": "2", "count/deployments.apps": "3", "secrets": "5"}
    await world.create(kinds.RESOURCE_QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": hard}})

    async def until_used(**used: str) -> None:
        async def agrees() -> bool:
            status = (await world.get(kinds.RESOURCE_QUOTAS, "q")).get("status") or {}
            return bool(status.get("used", {}).items() >= used.items())

        await world.until(agrees, str(used))

    await until_used(pods="0", **{"requests.cpu": "0"})
    workload = make.workload("web", 3)
    container = workload["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"requests": {"cpu": "500m"}}
    await world.create(kinds.DEPLOYMENTS, workload)
    await until_used(pods="3", **{"requests.cpu": "1500m", "count/deployments.apps": "1"})
    await world.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 6}})
    await until_used(pods="4", **{"requests.cpu": "2"})
    await world.create(kinds.SECRETS, {"metadata": {"name": "s"}})
    await until_used(secrets="1")
    await world.delete(kinds.DEPLOYMENTS, "web")
    await until_used(pods="0", **{"requests.cpu": "0", "count/deployments.apps": "0"})


async def evict(world: Any, name: str) -> None:
    metadata = {"name": name, "namespace": "default"}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    await world.client.create(kinds.PODS, body, subresource="eviction", name=name)


async def budget(world: Any, **spec: Any) -> None:
    selector = {"matchLabels": {"app": "web"}}
    body = {"metadata": {"name": "b"}, "spec": {"selector": selector, **spec}}
    await world.create(kinds.POD_DISRUPTION_BUDGETS, body)


@pytest.mark.parametrize(
    ("spec", "desired"),
    [({"minAvailable": 2}, 2), ({"maxUnavailable": 1}, 2), ({"minAvailable": "50%"}, 2)],
)
async def test_an_eviction_beyond_the_budget_is_put_off(
    world: Any, make: Any, spec: Any, desired: int
) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 3, "linger"))
    await budget(world, **spec)
    wanted = {"desiredHealthy": desired, "currentHealthy": 3, "disruptionsAllowed": 1}
    await world.until_status(kinds.POD_DISRUPTION_BUDGETS, "b", expectedPods=3, **wanted)
    first, second, _ = [each["metadata"]["name"] for each in await world.list(kinds.PODS)]
    await evict(world, first)
    with pytest.raises(errors.TooManyRequestsError) as refused:
        await evict(world, second)
    assert refused.value.message == (
        "Cannot evict pod as it would violate the pod's disruption budget."
    )
    pod = await world.get(kinds.PODS, first)
    assert pod["metadata"]["deletionTimestamp"]
    reasons = [each.get("reason") for each in pod["status"]["conditions"]]
    assert "EvictionByEvictionAPI" in reasons
    world.kubelet.release()
    # The replacement makes the next one possible.
    await world.until_status(kinds.POD_DISRUPTION_BUDGETS, "b", disruptionsAllowed=1)
    await evict(world, second)


async def test_unready_pods_and_several_budgets(world: Any, make: Any) -> None:
    await world.create(kinds.DEPLOYMENTS, make.workload("web", 1, "unready"))
    await budget(world, minAvailable=1, unhealthyPodEvictionPolicy="AlwaysAllow")
    await world.until_status(
        kinds.POD_DISRUPTION_BUDGETS, "b", expectedPods=1, observedGeneration=1
    )

    async def running() -> Any:
        pods = await world.list(kinds.PODS)
        return [each for each in pods if each["status"].get("phase") == "Running"]

    (pod,) = await world.until(running)
    selector = {"matchLabels": {"app": "web"}}
    body = {"metadata": {"name": "c"}, "spec": {"selector": selector, "minAvailable": 0}}
    await world.create(kinds.POD_DISRUPTION_BUDGETS, body)
    with pytest.raises(errors.InternalError, match="more than one PodDisruptionBudget"):
        await evict(world, pod["metadata"]["name"])
    await world.delete(kinds.POD_DISRUPTION_BUDGETS, "c")
    await evict(world, pod["metadata"]["name"])
    await world.until_gone(kinds.PODS, pod["metadata"]["name"])
