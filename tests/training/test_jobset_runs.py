"""JobSets through the API: names, ends, restarts, order, suspension and what is cleaned up."""

import pytest

from wherry.objects import errors, kinds
from wherry.testing.played import PLAY, condition, held
from wherry.training.jobset.kinds import JOB_SETS

PREFIX = "jobset.sigs.k8s.io/"


def replicated(name="worker", *, play="run", pods=1, replicas=1, job=None, **fields):
    template = {
        "metadata": {"annotations": {PLAY: play}},
        "spec": {
            "containers": [{"name": "main", "image": "python:3.11"}],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
        },
    }
    spec = {
        "parallelism": pods,
        "completions": pods,
        "backoffLimit": 0,
        "template": template,
        **(job or {}),
    }
    return {"name": name, "replicas": replicas, "template": {"spec": spec}, **fields}


@pytest.fixture
def start(world):
    async def started(*jobs, **spec):
        obj = {"metadata": {"name": "s"}, "spec": {"replicatedJobs": [*jobs], **spec}}
        return await world.create(JOB_SETS, obj)

    return started


async def pods(world, name="", where=""):
    """Return the pods of a Job by completion index."""
    labels = f"job-name={name}" if name else where
    found = await world.list(kinds.PODS, labels)
    return sorted(pod["metadata"]["name"] for pod in found)


async def finish(world, job, code=0):
    """End the pods of a Job, as soon as there are any."""
    for name in await world.until(lambda: pods(world, job), f"pods of {job}"):
        await world.until(lambda name=name: _runs(world, name), f"{name} runs")
        await world.kubelet.finish(name, code=code)


async def _runs(world, name):
    pod = await world.find(kinds.PODS, name)
    return pod is None or (pod.get("status") or {}).get("phase") == "Running"


async def test_pods_have_names_labels_and_a_service(world, start):
    await start(
        replicated("driver"),
        replicated("worker", pods=2, replicas=2),
        coordinator={"replicatedJob": "driver"},
    )
    await world.until_names(kinds.JOBS, ["s-driver-0", "s-worker-0", "s-worker-1"])
    job = await world.get(kinds.JOBS, "s-worker-1")
    own = {key: text for key, text in job["metadata"]["labels"].items() if key.startswith(PREFIX)}
    obj = await world.get(JOB_SETS, "s")
    assert {key.removeprefix(PREFIX): text for key, text in own.items()} == {
        "jobset-name": "s",
        "jobset-uid": obj["metadata"]["uid"],
        "replicatedjob-name": "worker",
        "replicatedjob-replicas": "2",
        "global-replicas": "3",
        "restart-attempt": "0",
        "job-index": "1",
        "job-global-index": "2",
        "job-key": own[f"{PREFIX}job-key"],
        "group-name": "default",
        "group-replicas": "3",
        "job-group-index": "2",
        "coordinator": "s-driver-0-0.s",
    }
    assert len(own[f"{PREFIX}job-key"]) == 40
    assert own.items() <= job["metadata"]["annotations"].items()
    assert own.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert job["spec"]["completionMode"] == "Indexed"
    names = await world.until(lambda: pods(world, "s-worker-1"))
    pod = await world.get(kinds.PODS, names[0])
    assert names[0].startswith("s-worker-1-0-")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("s-worker-1-0", "s")
    service = await world.get(kinds.SERVICES, "s")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert service["spec"]["selector"] == {f"{PREFIX}jobset-name": "s"}


async def test_it_completes_when_all_jobs_have(world, events, start):
    await start(replicated("a"), replicated("b"))
    await finish(world, "s-a-0")
    await world.until_status(
        JOB_SETS,
        "s",
        replicatedJobsStatus=[
            {"name": "a", "ready": 0, "succeeded": 1, "failed": 0, "active": 0, "suspended": 0},
            {"name": "b", "ready": 1, "succeeded": 0, "failed": 0, "active": 1, "suspended": 0},
        ],
    )
    await finish(world, "s-b-0")
    obj = await world.until_condition(JOB_SETS, "s", "Completed", "AllJobsCompleted")
    assert obj["status"]["terminalState"] == "Completed"
    told = await events("s")
    assert told["SuccessfulCreate"].startswith("Created ")
    assert "AllJobsCompleted" in told


async def test_any_job_of_the_targets_is_enough(world, start):
    policy = {"operator": "Any", "targetReplicatedJobs": ["lead"]}
    await start(replicated("lead", replicas=2), replicated("other"), successPolicy=policy)
    await finish(world, "s-other-0")
    await finish(world, "s-lead-1")
    await world.until_condition(JOB_SETS, "s", "Completed")
    # What still runs has nothing left to do.
    await world.until_names(kinds.JOBS, ["s-lead-1", "s-other-0"])


async def test_without_a_policy_one_failure_ends_it(world, start):
    await start(replicated("a"), replicated("b"))
    await world.until_names(kinds.JOBS, ["s-a-0", "s-b-0"])
    await finish(world, "s-a-0", code=1)
    obj = await world.until_condition(JOB_SETS, "s", "Failed", "FailedJobs")
    message = condition(obj, "Failed")["message"]
    assert "(first failed job: s-a-0, BackoffLimitExceeded" in message
    assert obj["status"]["terminalState"] == "Failed"
    await world.until_names(kinds.JOBS, ["s-a-0"])


@pytest.mark.parametrize("strategy", ["Recreate", "BlockingRecreate"])
async def test_all_jobs_are_made_anew_until_that_was_often_enough(world, start, strategy):
    policy = {"maxRestarts": 1, "restartStrategy": strategy}
    await start(replicated("a"), replicated("b"), failurePolicy=policy)
    await world.until_names(kinds.JOBS, ["s-a-0", "s-b-0"])
    first = (await world.get(kinds.JOBS, "s-b-0"))["metadata"]["uid"]
    await finish(world, "s-a-0", code=1)
    obj = await world.until_condition(JOB_SETS, "s", "RestartingJobSet", "DefaultFailurePolicy")
    assert (obj["status"]["restarts"], obj["status"]["restartsCountTowardsMax"]) == (1, 1)

    async def anew():
        await world.advance(2)
        jobs = await world.list(kinds.JOBS)
        attempts = [job["metadata"]["labels"][f"{PREFIX}restart-attempt"] for job in jobs]
        return attempts == ["1", "1"] and first not in [job["metadata"]["uid"] for job in jobs]

    await world.until(anew, "new jobs")

    async def ready():
        return held(await world.get(JOB_SETS, "s"))["RestartingJobSet"] == "False"

    await world.until(ready, "all jobs ready again")
    await finish(world, "s-b-0", code=1)
    obj = await world.until_condition(JOB_SETS, "s", "Failed", "ReachedMaxRestarts")
    assert obj["status"]["restarts"] == 1


async def test_the_first_rule_that_fits_is_heeded(world, start):
    rules = [
        {"action": "FailJobSet", "targetReplicatedJobs": ["b"]},
        {"action": "FailJobSet", "onJobFailureReasons": ["DeadlineExceeded"]},
        {"action": "RestartJobSet", "onJobFailureMessagePatterns": ["never said"]},
        {
            "name": "again",
            "action": "RestartJobSetAndIgnoreMaxRestarts",
            "onJobFailureReasons": ["BackoffLimitExceeded"],
        },
    ]
    made = await start(
        replicated("a"), replicated("b"), failurePolicy={"maxRestarts": 0, "rules": rules}
    )
    assert made["spec"]["failurePolicy"]["rules"][0]["name"] == "failurePolicyRule0"
    await finish(world, "s-a-0", code=1)
    obj = await world.until_condition(JOB_SETS, "s", "RestartingJobSet", "FailurePolicy_again")
    assert obj["status"]["restarts"] == 1
    assert not obj["status"].get("restartsCountTowardsMax")

    async def anew():
        await world.advance(2)
        jobs = await world.list(kinds.JOBS, f"{PREFIX}restart-attempt=1")
        return len(jobs) == 2

    await world.until(anew, "new jobs")
    await finish(world, "s-b-0", code=1)
    await world.until_condition(JOB_SETS, "s", "Failed", "FailJobSetFailurePolicyAction")


async def test_replicated_jobs_start_in_order(world, start):
    await start(
        replicated("a", play="unready"),
        replicated("b"),
        startupPolicy={"startupPolicyOrder": "InOrder"},
    )
    obj = await world.until_condition(JOB_SETS, "s", "StartupPolicyInProgress")
    assert "replicated job a" in condition(obj, "StartupPolicyInProgress")["message"]
    (name,) = await world.until(lambda: pods(world, "s-a-0"))
    assert await world.find(kinds.JOBS, "s-b-0") is None
    await world.until(lambda: _runs(world, name))
    await world.kubelet.set_ready(name)
    obj = await world.until_condition(JOB_SETS, "s", "StartupPolicyCompleted")
    assert held(obj)["StartupPolicyInProgress"] == "False"
    await world.until_names(kinds.JOBS, ["s-a-0", "s-b-0"])


@pytest.mark.parametrize(("status", "code"), [("Ready", None), ("Complete", 0)])
async def test_a_replicated_job_waits_for_what_it_depends_on(world, start, status, code):
    after = [{"name": "a", "status": status}]
    await start(replicated("a", play="unready"), replicated("b", dependsOn=after))
    (name,) = await world.until(lambda: pods(world, "s-a-0"))
    await world.until(lambda: _runs(world, name))
    if code is None:
        await world.kubelet.set_ready(name)
    else:
        await world.kubelet.set_ready(name)
        await world.until_status(
            JOB_SETS, "s", replicatedJobsStatus=[_counts("a", 1), _counts("b")]
        )
        assert await world.find(kinds.JOBS, "s-b-0") is None
        await world.kubelet.finish(name)
    await world.until_names(kinds.JOBS, ["s-a-0", "s-b-0"])


def _counts(name, ready=0):
    rest = {"succeeded": 0, "failed": 0, "suspended": 0}
    return {"name": name, "ready": ready, "active": ready, **rest}


async def test_suspended_jobs_wait_and_run_where_a_queue_has_put_them(world, start):
    await start(replicated("a"), suspend=True)
    obj = await world.until_condition(JOB_SETS, "s", "Suspended", "SuspendedJobs")
    await world.until_names(kinds.JOBS, ["s-a-0"])
    assert await pods(world, "s-a-0") == []
    jobs = obj["spec"]["replicatedJobs"]
    jobs[0]["template"]["spec"]["template"]["spec"]["nodeSelector"] = {
        "kubernetes.io/hostname": "node"
    }
    await world.patch(JOB_SETS, "s", {"spec": {"suspend": False, "replicatedJobs": jobs}})
    (name,) = await world.until(lambda: pods(world, "s-a-0"))
    pod = await world.get(kinds.PODS, name)
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "node"}

    async def resumed():
        return held(await world.get(JOB_SETS, "s"))["Suspended"] == "False"

    await world.until(resumed, "the condition")
    await world.patch(JOB_SETS, "s", {"spec": {"suspend": True}})

    async def none():
        await world.advance(2)
        return not await pods(world, "s-a-0")

    await world.until(none, "its pods gone")
    await world.until_condition(JOB_SETS, "s", "Suspended")


async def test_a_finished_one_goes_when_its_time_has_come(world, start):
    await start(replicated("a"), ttlSecondsAfterFinished=60)
    await finish(world, "s-a-0")
    await world.until_condition(JOB_SETS, "s", "Completed")
    await world.advance(50)
    assert await world.find(JOB_SETS, "s") is not None

    async def gone():
        await world.advance(20)
        return await world.find(JOB_SETS, "s") is None

    await world.until(gone, "JobSet s gone")
    await world.until_gone(kinds.JOBS, "s-a-0")


async def test_jobs_share_claims(world, start):
    mounting = replicated("a")
    container = mounting["template"]["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    await start(mounting, replicated("b"), volumeClaimPolicies=[{"templates": [claim]}])
    await world.until_names(kinds.JOBS, ["s-a-0", "s-b-0"])
    made = await world.get(kinds.PERSISTENT_VOLUME_CLAIMS, "data-s")
    assert made["metadata"]["ownerReferences"][0]["kind"] == "JobSet"
    volumes = [
        (await world.get(kinds.JOBS, f"s-{name}-0"))["spec"]["template"]["spec"].get("volumes")
        for name in "ab"
    ]
    assert volumes[0] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-s"}}]
    assert not volumes[1]


async def test_others_may_run_it(world, start):
    await start(replicated("a"), managedBy="example.com/other")
    other = {"metadata": {"name": "t"}, "spec": {"replicatedJobs": [replicated("a")]}}
    await world.create(JOB_SETS, other)
    # By then the controller has had its look at the first one.
    await world.until_names(kinds.JOBS, ["t-a-0"])


async def test_controllers_may_be_killed_at_any_time(world, start):
    await start(replicated("a", replicas=3), failurePolicy={"maxRestarts": 2})
    await world.kill()
    await world.start()
    await world.until_names(kinds.JOBS, [f"s-a-{index}" for index in range(3)])
    await finish(world, "s-a-1", code=1)
    await world.until_status(JOB_SETS, "s", restarts=1)
    await world.kill()
    await world.start()

    async def anew():
        await world.advance(2)
        return len(await world.list(kinds.JOBS, f"{PREFIX}restart-attempt=1")) == 3

    await world.until(anew, "all jobs anew")
    for index in range(3):
        await finish(world, f"s-a-{index}")
    obj = await world.until_condition(JOB_SETS, "s", "Completed")
    assert obj["status"]["restarts"] == 1


async def test_what_cannot_be_is_refused(world, start):
    with pytest.raises(errors.InvalidError) as caught:
        await start(replicated("a", dependsOn=[{"name": "b", "status": "Ready"}]), replicated("b"))
    assert "spec.replicatedJobs[0].dependsOn[0].name" in caught.value.message
    await start(replicated("a"))
    with pytest.raises(errors.InvalidError) as caught:
        await world.patch(JOB_SETS, "s", {"spec": {"network": {"subdomain": "t"}}})
    assert "spec.network" in caught.value.message
