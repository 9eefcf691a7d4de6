"""Controllers that die anywhere: the next ones go on, and nothing is lost, doubled or counted twice."""

import asyncio
import collections
import random
from typing import Any

import pytest

from wherry.builtin import job_counting
from wherry.objects import conditions, kinds, metadata


async def churn(world: Any, rng: random.Random, rounds: int, longest: float = 0.06) -> None:
    for _ in range(rounds):
        await world.start()
        await asyncio.sleep(rng.uniform(0, longest))
        await world.kill()


@pytest.mark.parametrize("seed", range(3))
async def test_jobs_survive(bare: Any, make: Any, seed: int) -> None:
    rng = random.Random(seed)
    spec = {"completions": 40, "parallelism": 8}
    await bare.create(kinds.JOBS, make.job("indexed", **spec, completionMode="Indexed"))
    await bare.create(kinds.JOBS, make.job("plain", **spec))
    await bare.create(kinds.JOBS, make.job("broken", "fail", backoffLimit=5, parallelism=2))
    await churn(bare, rng, 25)
    await bare.start()
    for name, end in (("indexed", "Complete"), ("plain", "Complete"), ("broken", "Failed")):
        await bare.until_condition(kinds.JOBS, name, end)
    runs: Any = collections.Counter()
    for pod in bare.kubelet.started:
        name = metadata.labels(pod)["batch.kubernetes.io/job-name"]
        runs[name, job_counting.index_of(pod)] += 1
    assert {key: count for key, count in runs.items() if key[0] == "indexed"} == {
        ("indexed", index): 1 for index in range(40)
    }
    assert runs["plain", -1] == 40
    for name in ("indexed", "plain"):
        job = await bare.get(kinds.JOBS, name)
        assert job["status"]["succeeded"] == 40
        assert not job["status"].get("failed")
    broken = await bare.get(kinds.JOBS, "broken")
    assert broken["status"]["failed"] == runs["broken", -1]

    await _let_go(bare)


async def test_whoever_ended_a_job_may_die_before_its_pods_are_let_go(bare: Any, make: Any) -> None:
    await bare.create(kinds.JOBS, make.job("done", completions=3, parallelism=3))
    await bare.start()
    await bare.until_condition(kinds.JOBS, "done", "Complete")
    await _let_go(bare)
    await bare.kill()
    # All is again as it was between the write that ended the Job and the first that let a pod go.
    held = {"metadata": {"finalizers": [job_counting.TRACKING]}}
    for pod in await bare.list(kinds.PODS):
        await bare.patch(kinds.PODS, metadata.name(pod), held)
    assert all(map(job_counting.is_tracked, await bare.list(kinds.PODS)))
    await bare.start()
    await _let_go(bare)
    job = await bare.get(kinds.JOBS, "done")
    assert job["status"]["succeeded"] == 3
    assert job["status"]["uncountedTerminatedPods"] == {}


async def _let_go(world: Any) -> None:
    """Wait until nobody holds a finished pod for the sake of counting it."""

    async def released() -> bool:
        return not any(map(job_counting.is_tracked, await world.list(kinds.PODS)))

    await world.until(released, "pods are let go")


@pytest.mark.parametrize("seed", range(2))
async def test_sets_survive(bare: Any, make: Any, seed: int) -> None:
    rng = random.Random(seed)
    await bare.create(kinds.DEPLOYMENTS, make.workload("web", 5))
    await bare.create(kinds.STATEFUL_SETS, make.workload("db", 3))
    for number in range(4):
        await churn(bare, rng, 6)
        container = {
            "name": "main",
            "image": "python:3.11",
            "env": [{"name": "V", "value": str(number)}],
        }
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        await bare.patch(kinds.DEPLOYMENTS, "web", patch)
        await bare.patch(kinds.STATEFUL_SETS, "db", patch)
    await churn(bare, rng, 4)
    await bare.start()
    for app, resource, count in (("web", kinds.DEPLOYMENTS, 5), ("db", kinds.STATEFUL_SETS, 3)):

        async def converged(app: str = app, resource: Any = resource, count: int = count) -> bool:
            pods = await bare.list(kinds.PODS, f"app={app}")
            values = {pod["spec"]["containers"][0].get("env", [{}])[0].get("value") for pod in pods}
            found = await bare.get(resource, app)
            status = found.get("status") or {}
            return (
                len(pods) == count
                and values == {"3"}
                and all(conditions.is_true(pod, "Ready") for pod in pods)
                and status.get("updatedReplicas") == count == status.get("readyReplicas")
            )

        await bare.until(converged, app)
    sets = await bare.list(kinds.REPLICA_SETS, "app=web")
    assert sorted(one["spec"]["replicas"] for one in sets)[-2:] in ([0, 5], [5])
    revisions = [metadata.annotations(one)["deployment.kubernetes.io/revision"] for one in sets]
    assert len(revisions) == len(set(revisions))


async def test_a_job_of_five_hundred_pods_costs_the_same_for_each(world: Any, make: Any) -> None:
    spec = {"completions": 500, "parallelism": 500}
    await world.create(kinds.JOBS, make.job("large", **spec))
    job = await world.until_condition(kinds.JOBS, "large", "Complete")
    assert job["status"]["succeeded"] == 500
    assert len(world.kubelet.started) == 500
