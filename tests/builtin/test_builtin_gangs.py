"""Gangs, queues and preemption through the real API, with pods that a kubelet plays."""

import asyncio
import datetime
from typing import Any

import pytest

from wherry.builtin import scheduler
from wherry.builtin.gangs import kinds as gang_kinds
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.objects import conditions, errors, kinds, metadata
from wherry.testing.clock import FakeClock

Object = dict[str, Any]
LABEL = "scheduling.x-k8s.io/pod-group"


def member(name: str, cpu: str, group: str = "", *, play: str = "run", **spec: Any) -> Object:
    labels = {LABEL: group} if group else {}
    container = {"name": "main", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    return {
        "metadata": {"name": name, "labels": labels, "annotations": {"test/play": play}},
        "spec": {"containers": [container], "restartPolicy": "Never", **spec},
    }


async def gang(world: Any, name: str, size: int, cpu: str, **spec: Any) -> None:
    group = {"metadata": {"name": name}, "spec": {"minMember": size}}
    await world.create(gang_kinds.POD_GROUPS, group)
    for number in range(size):
        await world.create(kinds.PODS, member(f"{name}-{number}", cpu, name, **spec))


async def with_node(world: Any) -> set[str]:
    pods = await world.list(kinds.PODS)
    return {metadata.name(pod) for pod in pods if pod["spec"].get("nodeName")}


async def until_reason(world: Any, name: str, text: str) -> Object:
    async def says() -> Object | None:
        found: Object = await world.get(kinds.PODS, name)
        condition = conditions.get(found, "PodScheduled") or {}
        return found if text in condition.get("message", "") else None

    found: Object = await world.until(says, f"{name}: {text}")
    return found


async def until_event(world: Any, name: str, reason: str, text: str) -> None:
    async def said() -> bool:
        found = (await world.client.list(kinds.EVENTS)).items
        return any(
            text in one["message"]
            for one in found
            if one["involvedObject"]["name"] == name and one["reason"] == reason
        )

    await world.until(said, f"{name}: {reason}")


async def test_one_gang_runs_whole_and_then_the_other(world: Any) -> None:
    # Three of 0.8 on four CPUs: one gang leaves room for two of the other, which do not start.
    await gang(world, "first", 3, "800m")
    await world.until_status(gang_kinds.POD_GROUPS, "first", phase="Running", running=3)
    await gang(world, "second", 3, "800m")
    await until_reason(
        world, "second-2", "needs 2.4 cpu in all, 1.6 are free, 2.4 are held by default/first"
    )
    assert await with_node(world) == {"first-0", "first-1", "first-2"}
    group = await world.until_status(gang_kinds.POD_GROUPS, "second", phase="Scheduling")
    assert group["status"]["scheduled"] == 0
    await until_event(world, "second", "Unschedulable", "needs 2.4 cpu in all, 1.6 are free")
    await world.kubelet.finish("first-0")
    await world.until_status(gang_kinds.POD_GROUPS, "second", phase="Running", running=3)
    for number in (1, 2):
        await world.kubelet.finish(f"first-{number}")
    await world.until_status(gang_kinds.POD_GROUPS, "first", phase="Finished", succeeded=3)


async def test_members_that_come_late_are_waited_for(world: Any) -> None:
    group = {"metadata": {"name": "g"}, "spec": {"minMember": 2}}
    await world.create(kinds.PODS, member("g-0", "1", "g", schedulerName="volcano"))
    await until_reason(world, "g-0", "pod group default/g (scheduling.x-k8s.io) not found")
    await world.create(gang_kinds.POD_GROUPS, group)
    await until_reason(world, "g-0", "waiting for 1 more of 2 members")
    await world.create(
        kinds.PODS, member("g-1", "1", "g", schedulerName="scheduler-plugins-scheduler")
    )
    await world.until_status(gang_kinds.POD_GROUPS, "g", phase="Running")
    stranger = member("stranger", "1", schedulerName="somebody-else")
    await world.create(kinds.PODS, stranger)
    await world.create(kinds.PODS, member("last", "1"))
    await world.until_status(kinds.PODS, "last", phase="Running")
    assert "stranger" not in await with_node(world)


async def test_volcano_groups_queues_and_their_status(world: Any) -> None:
    await world.create(
        gang_kinds.QUEUES, {"metadata": {"name": "q"}, "spec": {"capability": {"cpu": "2"}}}
    )
    for name in ("one", "two"):
        group = {"metadata": {"name": name}, "spec": {"minMember": 2, "queue": "q"}}
        await world.create(gang_kinds.VOLCANO_POD_GROUPS, group)
        for number in range(2):
            pod = member(f"{name}-{number}", "1", schedulerName="volcano")
            pod["metadata"]["annotations"]["scheduling.k8s.io/group-name"] = name
            await world.create(kinds.PODS, pod)
        if name == "one":
            await world.until_status(gang_kinds.VOLCANO_POD_GROUPS, name, phase="Running")

    async def waits() -> Any:
        found = await world.get(gang_kinds.VOLCANO_POD_GROUPS, "two")
        condition = conditions.get(found, "Unschedulable") or {}
        return condition.get("message") == "queue q may have 2 cpu and has 2" and found

    group = await world.until(waits)
    assert group["status"]["phase"] == "Inqueue"
    queue = await world.until_status(gang_kinds.QUEUES, "q", running=1, inqueue=1, state="Open")
    assert queue["status"]["allocated"] == {"cpu": "2", "pods": "2"}
    await world.patch(gang_kinds.QUEUES, "q", {"spec": {"capability": {"cpu": "4"}}})
    await world.until_status(gang_kinds.VOLCANO_POD_GROUPS, "two", phase="Running")
    assert conditions.is_true(await world.get(gang_kinds.VOLCANO_POD_GROUPS, "two"), "Scheduled")


async def important(world: Any, **more: Any) -> None:
    await world.create(
        kinds.PRIORITY_CLASSES, {"metadata": {"name": "important"}, "value": 1000, **more}
    )


async def test_something_important_makes_others_go(world: Any) -> None:
    await important(world)
    await gang(world, "g", 2, "1500m", play="linger")
    await world.create(kinds.PODS, member("apart", "1"))
    await world.until_status(gang_kinds.POD_GROUPS, "g", running=2)
    await world.until_status(kinds.PODS, "apart", phase="Running")
    await world.create(kinds.PODS, member("vip", "2", priorityClassName="important"))
    vip = await until_reason(world, "vip", "waiting until default/g-0, default/g-1 have stopped")
    assert vip["status"]["nominatedNodeName"] == "node"
    for name in ("g-0", "g-1"):
        await until_event(world, name, "Preempted", "Preempted by default/vip on node node")
        gone = await world.get(kinds.PODS, name)
        assert metadata.is_deleting(gone)
        why = conditions.get(gone, "DisruptionTarget") or {}
        assert why["reason"] == "PreemptionByScheduler"
    # What comes meanwhile does not take the room that is being made.
    await world.create(kinds.PODS, member("quick", "1500m"))
    await until_reason(world, "quick", "Insufficient cpu")
    world.kubelet.release()
    await world.until_status(kinds.PODS, "vip", phase="Running")
    assert "apart" in await with_node(world)


async def test_who_may_not_preempt_waits(world: Any) -> None:
    await important(world, preemptionPolicy="Never")
    await world.create(kinds.PODS, member("low", "3"))
    await world.until_status(kinds.PODS, "low", phase="Running")
    await world.create(kinds.PODS, member("polite", "2", priorityClassName="important"))
    await until_reason(world, "polite", "Insufficient cpu")
    await world.kubelet.finish("low")
    await world.until_status(kinds.PODS, "polite", phase="Running")


async def test_a_gang_cut_off_between_its_bindings_is_completed(bare: Any) -> None:
    await gang(bare, "g", 3, "1")
    await gang(bare, "other", 3, "1")
    binding = {"metadata": {"name": "g-1", "namespace": "default"}, "apiVersion": "v1"}
    binding |= {"kind": "Binding", "target": {"kind": "Node", "name": "node"}}
    await bare.client.create(kinds.PODS, binding, subresource="binding", name="g-1")
    await bare.start()
    await bare.until_status(gang_kinds.POD_GROUPS, "g", phase="Running", running=3)
    assert await with_node(bare) == {"g-0", "g-1", "g-2"}


async def test_killed_again_and_again_no_gang_is_left_in_part(bare: Any) -> None:
    for name in ("a", "b", "c"):
        await gang(bare, name, 3, "1", play="succeed")
    for round_ in range(6):
        await bare.start()
        await asyncio.sleep(0.004 * round_)
        await bare.kill()
    await bare.start()
    for name in ("a", "b", "c"):
        await bare.until_status(gang_kinds.POD_GROUPS, name, phase="Finished", succeeded=3)
    assert len(bare.kubelet.started) == 9


async def test_part_of_a_gang_that_cannot_be_completed_is_given_up(bare: Any) -> None:
    clock = FakeClock(datetime.datetime.now(datetime.UTC))
    await bare.create(kinds.PODS, member("wide", "3", nodeName="node"))
    group = {"metadata": {"name": "g"}, "spec": {"minMember": 2, "scheduleTimeoutSeconds": 90}}
    await bare.create(gang_kinds.POD_GROUPS, group)
    await bare.create(kinds.PODS, member("g-0", "1", "g", nodeName="node"))
    await bare.create(kinds.PODS, member("g-1", "1", "g"))
    await bare.start(clock)
    await until_reason(
        bare, "g-1", "needs 1 more cpu in all, 0 are free, 3 are held by default/wide"
    )
    assert await with_node(bare) == {"wide", "g-0"}
    await clock.advance(100)

    async def given_up() -> bool:
        await clock.advance(60)
        found = await bare.find(kinds.PODS, "g-0")
        return (
            found is None or found["status"]["phase"] == "Succeeded" or metadata.is_deleting(found)
        )

    await bare.until(given_up)


async def test_a_refused_binding_leaves_the_rest_of_the_gang_to_the_next_pass(bare: Any) -> None:
    await gang(bare, "g", 2, "1")
    manager = Manager(bare.client)
    scheduling = scheduler.SchedulerReconciler(manager, bare.settings)
    nodes, pods = manager.cache(kinds.NODES), manager.cache(kinds.PODS)
    groups = manager.cache(gang_kinds.POD_GROUPS)
    nodes.put(("", "node"), await bare.get(kinds.NODES, "node"))
    groups.put(("default", "g"), await bare.get(gang_kinds.POD_GROUPS, "g"))
    for name in ("g-0", "g-1"):
        pods.put(("default", name), await bare.get(kinds.PODS, name))
    await bare.client.delete(kinds.PODS, "g-1", "default", grace_period_seconds=0)
    await scheduling.reconcile(Request("", "pass"))
    assert await with_node(bare) == {"g-0"}
    # Its replacement is all that is missing, though the cache still shows the first as waiting.
    again = await bare.create(kinds.PODS, member("g-1", "1", "g"))
    pods.put(("default", "g-1"), again)
    await scheduling.reconcile(Request("", "pass"))
    assert await with_node(bare) == {"g-0", "g-1"}


async def test_a_group_names_what_is_wrong_with_it(world: Any) -> None:
    nobody = {"metadata": {"name": "g"}, "spec": {"minMember": 0}}
    with pytest.raises(errors.InvalidError, match=r"spec\.minMember"):
        await world.create(gang_kinds.POD_GROUPS, nobody)
