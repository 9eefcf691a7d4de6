"""Jobs through the real API: every variant, and nothing lost or counted twice."""

from typing import Any

from wherry.builtin import job_counting
from wherry.objects import conditions, kinds, metadata


async def pods_of(world: Any, name: str) -> Any:
    return await world.list(kinds.PODS, f"batch.kubernetes.io/job-name={name}")


async def test_a_job_runs_to_its_end(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("plain", completions=5, parallelism=2))
    job = await world.until_condition(kinds.JOBS, "plain", "Complete", "CompletionsReached")
    assert job["status"]["succeeded"] == 5
    assert job["status"]["completionTime"]
    assert job["status"]["uncountedTerminatedPods"] == {}
    pods = await pods_of(world, "plain")
    assert len(pods) == 5

    async def released() -> bool:
        return not any(map(job_counting.is_tracked, await pods_of(world, "plain")))

    # They are counted for good now, so nothing waits for it.
    await world.until(released, "pods are let go")


async def test_a_job_says_when_it_began_whenever_that_is_written(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("began", "run", completions=2, parallelism=2))
    job = await world.until_status(kinds.JOBS, "began", active=2, ready=2)
    made = min(pod["metadata"]["creationTimestamp"] for pod in await pods_of(world, "began"))
    # All of them in whole seconds, RFC 3339.
    assert job["metadata"]["creationTimestamp"] <= job["status"]["startTime"] <= made


async def test_indexes_run_once_each(world: Any, make: Any) -> None:
    spec = {"completions": 7, "parallelism": 3, "completionMode": "Indexed"}
    await world.create(kinds.JOBS, make.job("indexed", **spec))
    job = await world.until_condition(kinds.JOBS, "indexed", "Complete")
    assert job["status"]["completedIndexes"] == "0-6"
    pods = await pods_of(world, "indexed")
    assert sorted(map(job_counting.index_of, pods)) == list(range(7))
    env = pods[0]["spec"]["containers"][0]["env"][0]
    assert env["name"] == "JOB_COMPLETION_INDEX"
    assert pods[0]["spec"]["hostname"].startswith("indexed-")


async def test_a_job_that_fails_too_often_fails(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("broken", "fail", backoffLimit=2))
    job = await world.until_condition(kinds.JOBS, "broken", "Failed", "BackoffLimitExceeded")
    assert job["status"]["failed"] == 3
    assert len(await pods_of(world, "broken")) == 3


async def test_a_deadline_ends_a_job(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("late", "run", activeDeadlineSeconds=1))
    job = await world.until_condition(kinds.JOBS, "late", "Failed", "DeadlineExceeded")
    assert not job["status"].get("active")


async def test_a_failure_policy_fails_the_job(world: Any, make: Any) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}
    policy = {"podFailurePolicy": {"rules": [rule]}, "backoffLimit": 6}
    await world.create(kinds.JOBS, make.job("policy", "fail=42", **policy))
    job = await world.until_condition(kinds.JOBS, "policy", "Failed", "PodFailurePolicy")
    assert "exit code 42" in (conditions.get(job, "Failed") or {})["message"]
    assert job["status"]["failed"] == 1


async def test_ignored_failures_do_not_count(world: Any, make: Any) -> None:
    rule = {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [42]}}
    spec = {"completionMode": "Indexed", "completions": 1, "backoffLimit": 0}
    policy = {"podFailurePolicy": {"rules": [rule]}}
    await world.create(kinds.JOBS, make.job("ignored", "fail=42", **spec, **policy))

    async def three() -> bool:
        return len(await pods_of(world, "ignored")) >= 3

    await world.until(three)
    job = await world.get(kinds.JOBS, "ignored")
    assert not job["status"].get("failed")
    assert not job_counting.is_indexed({"spec": {}})


async def test_each_index_has_its_own_limit(world: Any, make: Any) -> None:
    spec = {"completions": 3, "parallelism": 3, "completionMode": "Indexed"}
    await world.create(kinds.JOBS, make.job("per", "run", **spec, backoffLimitPerIndex=1))

    async def running(index: int) -> Any:
        found = await pods_of(world, "per")
        return [
            pod
            for pod in found
            if job_counting.index_of(pod) == index and pod["status"]["phase"] == "Running"
        ]

    for index, code in ((0, 0), (1, 1), (2, 0), (1, 1)):
        pod = (await world.until(lambda index=index: running(index)))[0]
        await world.kubelet.finish(metadata.name(pod), code=code)
    job = await world.until_condition(kinds.JOBS, "per", "Failed", "FailedIndexes")
    assert job["status"]["completedIndexes"] == "0,2"
    assert job["status"]["failedIndexes"] == "1"


async def test_a_success_policy_ends_early(world: Any, make: Any) -> None:
    spec = {"completions": 3, "parallelism": 3, "completionMode": "Indexed"}
    policy = {"successPolicy": {"rules": [{"succeededIndexes": "0", "succeededCount": 1}]}}
    await world.create(kinds.JOBS, make.job("leader", "run", **spec, **policy))
    await world.until_status(kinds.JOBS, "leader", active=3, ready=3)
    pods = await pods_of(world, "leader")
    leader = next(pod for pod in pods if job_counting.index_of(pod) == 0)
    await world.kubelet.finish(metadata.name(leader))
    job = await world.until_condition(kinds.JOBS, "leader", "Complete", "SuccessPolicy")
    assert job["status"]["succeeded"] == 1


async def test_suspend_stops_without_counting_and_resume_goes_on(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("paused", "run", completions=2, parallelism=2))
    await world.until_status(kinds.JOBS, "paused", active=2, ready=2)
    await world.patch(kinds.JOBS, "paused", {"spec": {"suspend": True}})
    job = await world.until_condition(kinds.JOBS, "paused", "Suspended")

    async def empty() -> bool:
        return not await pods_of(world, "paused")

    await world.until(empty, "pods gone")
    job = await world.until_status(kinds.JOBS, "paused", active=0)
    assert not job["status"].get("failed")
    assert "startTime" not in job["status"]
    await world.patch(kinds.JOBS, "paused", {"spec": {"suspend": False}})
    job = await world.until_status(kinds.JOBS, "paused", active=2, ready=2)
    assert (conditions.get(job, "Suspended") or {})["reason"] == "JobResumed"


async def test_fewer_at_once_is_no_failure(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("fewer", "run", completions=4, parallelism=4))
    await world.until_status(kinds.JOBS, "fewer", active=4, ready=4)
    await world.patch(kinds.JOBS, "fewer", {"spec": {"parallelism": 1}})
    job = await world.until_status(kinds.JOBS, "fewer", active=1, terminating=0)
    assert not job["status"].get("failed")


async def test_a_deleted_pod_counts_as_failed_and_is_replaced(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("shot", "run"))
    await world.until_status(kinds.JOBS, "shot", ready=1)
    pod = (await pods_of(world, "shot"))[0]
    await world.delete(kinds.PODS, metadata.name(pod))
    job = await world.until_status(kinds.JOBS, "shot", failed=1, ready=1)
    assert job["status"]["active"] == 1


async def test_a_pod_deleted_before_it_had_a_node_is_not_held(world: Any, make: Any) -> None:
    policy = {"podReplacementPolicy": "Failed"}
    body = make.job("nowhere", "run", **policy)
    body["spec"]["template"]["spec"]["nodeSelector"] = {"no": "where"}
    await world.create(kinds.JOBS, body)
    pod = (await world.until(lambda: pods_of(world, "nowhere")))[0]
    await world.delete(kinds.PODS, metadata.name(pod))
    await world.until_gone(kinds.PODS, metadata.name(pod))
    await world.until_status(kinds.JOBS, "nowhere", failed=1, active=1)


async def test_a_finished_job_goes_after_its_time(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("short", ttlSecondsAfterFinished=0))
    await world.until_gone(kinds.JOBS, "short")
    assert not await pods_of(world, "short")


async def test_pods_go_with_their_job(world: Any, make: Any) -> None:
    for policy in ("Background", "Foreground"):
        name = f"doomed-{policy.lower()}"
        await world.create(kinds.JOBS, make.job(name, "run", parallelism=2, completions=2))
        await world.until_status(kinds.JOBS, name, ready=2)
        await world.delete(kinds.JOBS, name, policy)
        await world.until_gone(kinds.JOBS, name)

        async def empty(name: str = name) -> bool:
            return not await pods_of(world, name)

        await world.until(empty, f"pods gone with {policy}")


async def test_orphaned_pods_are_not_held(world: Any, make: Any) -> None:
    await world.create(kinds.JOBS, make.job("parent", "run"))
    await world.until_status(kinds.JOBS, "parent", ready=1)
    await world.delete(kinds.JOBS, "parent", "Orphan")
    await world.until_gone(kinds.JOBS, "parent")

    async def free() -> bool:
        pods = await pods_of(world, "parent")
        return len(pods) == 1 and not job_counting.is_tracked(pods[0])

    await world.until(free)
    pod = (await pods_of(world, "parent"))[0]
    assert metadata.controller_of(pod) is None


async def test_a_work_queue_ends_with_its_last_worker(world: Any, make: Any) -> None:
    body = make.job("queue", "run", parallelism=2)
    await world.create(kinds.JOBS, body)
    await world.until_status(kinds.JOBS, "queue", ready=2)
    first, second = await pods_of(world, "queue")
    await world.kubelet.finish(metadata.name(first))
    job = await world.until_status(kinds.JOBS, "queue", succeeded=1, active=1)
    assert not conditions.is_true(job, "Complete")
    await world.kubelet.finish(metadata.name(second))
    await world.until_condition(kinds.JOBS, "queue", "Complete")
    assert len(await pods_of(world, "queue")) == 2
