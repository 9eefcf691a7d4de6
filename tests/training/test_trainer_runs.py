"""TrainJobs through the API: what is made, what is told, and how they end."""

import functools

import pytest

from wherry.objects import conditions, errors, kinds
from wherry.testing.played import PLAY, condition
from wherry.training.jobset.kinds import JOB_SETS
from wherry.training.trainer.kinds import CLUSTER_RUNTIMES, FRAMEWORK, RUNTIMES, STEP, TRAIN_JOBS

NODE = {
    "name": "node",
    "template": {
        "metadata": {"labels": {STEP: "trainer"}},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"annotations": {PLAY: "run"}},
                "spec": {
                    "containers": [{"name": "node", "image": "python:3.11"}],
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                },
            },
        },
    },
}

ACTIVE = {"name": "node", "ready": 1, "active": 1, "succeeded": 0, "failed": 0, "suspended": 0}


@pytest.fixture
def runtime(world):
    async def made(name="own", **spec):
        template = {"spec": {"replicatedJobs": [NODE]}}
        obj = {"metadata": {"name": name}, "spec": {"template": template, **spec}}
        return await world.create(RUNTIMES, obj)

    return made


@pytest.fixture
def start(world):
    async def started(name="j", ref="own", **spec):
        reference = {"name": ref, "kind": "TrainingRuntime"}
        obj = {"metadata": {"name": name}, "spec": {"runtimeRef": reference, **spec}}
        return await world.create(TRAIN_JOBS, obj)

    return started


async def pods(world, count, job="j"):
    """Wait for so many pods that run; return their names."""
    labels = f"jobset.sigs.k8s.io/jobset-name={job}"

    async def there():
        found = await world.list(kinds.PODS, labels)
        going = [pod for pod in found if (pod.get("status") or {}).get("phase") == "Running"]
        names = sorted(pod["metadata"]["name"] for pod in going)
        return names if len(names) == count else None

    return await world.until(there, f"{count} pods that run")


async def test_runtimes_are_there_from_the_start(world):
    found = await world.list(CLUSTER_RUNTIMES)
    assert {one["metadata"]["name"]: one["metadata"]["labels"][FRAMEWORK] for one in found} == {
        "torch-distributed": "torch",
        "jax-distributed": "jax",
        "xgboost-distributed": "xgboost",
        "deepspeed-distributed": "deepspeed",
        "mlx-distributed": "mlx",
        "torchtune-llama3.2-1b": "torchtune",
        "torchtune-llama3.2-3b": "torchtune",
        "torchtune-qwen2.5-1.5b": "torchtune",
    }


async def test_a_job_runs_and_completes(world, events, runtime, start):
    await runtime(mlPolicy={"torch": {}})
    await start(trainer={"numNodes": 2, "env": [{"name": "A", "value": "b"}]})
    names = await pods(world, 2)
    assert [name.rpartition("-")[0] for name in names] == ["j-node-0-0", "j-node-0-1"]
    counts = {"name": "node", "succeeded": 0, "failed": 0, "suspended": 0}
    obj = await world.until_status(
        TRAIN_JOBS, "j", jobsStatus=[{**counts, "ready": 1, "active": 1}]
    )
    # The SDK takes a job with any condition for one that does not run.
    assert "conditions" not in obj["status"]
    for name in names:
        await world.kubelet.finish(name)
    await world.until_condition(TRAIN_JOBS, "j", "Complete", "AllJobsCompleted")
    told = await events("j")
    assert told["Created"] == "JobSet j made of runtime own: 2 pods in all"
    assert told["Running"] == "node runs: all its pods are ready"


async def test_a_failure_says_which_job_and_why(world, runtime, start):
    await runtime()
    await start()
    (name,) = await pods(world, 1)
    await world.kubelet.finish(name, code=3)
    obj = await world.until_condition(TRAIN_JOBS, "j", "Failed", "FailedJobs")
    assert "j-node-0" in condition(obj, "Failed")["message"]


async def test_a_job_without_its_runtime_is_refused(world, runtime, start):
    with pytest.raises(errors.InvalidError) as caught:
        await start()
    assert 'spec.runtimeRef.name: "own": there is no TrainingRuntime' in caught.value.message
    assert 'in namespace "default"' in caught.value.message
    await runtime()
    await start()
    await pods(world, 1)
    # Whatever becomes of the runtime, what runs can be stopped.
    await world.delete(RUNTIMES, "own")
    await world.patch(TRAIN_JOBS, "j", {"spec": {"suspend": True}})


async def test_a_job_whose_runtime_is_gone_waits_and_says_so(world, events, runtime, start):
    await runtime()
    await kill(world)
    await start()
    await world.delete(RUNTIMES, "own")
    await world.start()
    obj = await world.until(functools.partial(waits, world), "the condition")
    assert 'TrainingRuntime "own"' in condition(obj, "Created")["message"]

    async def told():
        return (await events("j")).get("RuntimeNotFound")

    assert "does not exist" in await world.until(told, "the event")
    await runtime()
    await pods(world, 1)

    async def goes_on():
        # The SDK takes a job with any condition for one that does not run.
        return "conditions" not in (await world.get(TRAIN_JOBS, "j"))["status"]

    await world.until(goes_on, "no condition")


async def kill(world):
    """End the controllers, and what leads to their webhooks: jobs are written all the same."""
    await world.kill()
    for resource in (
        kinds.MUTATING_WEBHOOK_CONFIGURATIONS,
        kinds.VALIDATING_WEBHOOK_CONFIGURATIONS,
    ):
        for each in await world.list(resource):
            await world.delete(resource, each["metadata"]["name"])


async def waits(world):
    """Return the job while it waits for its runtime."""
    obj = await world.get(TRAIN_JOBS, "j")
    found = conditions.get(obj, "Created")
    return obj if found and found["status"] == "False" else None


async def test_a_job_that_its_runtime_cannot_run_is_refused(world, runtime, start):
    await runtime("flux", mlPolicy={"flux": {}})
    with pytest.raises(errors.InvalidError) as caught:
        await start("f", "flux")
    assert "spec.runtimeRef" in caught.value.message
    await runtime("torch", mlPolicy={"torch": {}})
    with pytest.raises(errors.InvalidError) as caught:
        await start("t", "torch", trainer={"env": [{"name": "PET_NNODES", "value": "2"}]})
    assert "spec.trainer.env[0].name" in caught.value.message
    with pytest.raises(errors.InvalidError) as caught:
        await start("i", "torch", initializer={"model": {"storageUri": "hf://a/b"}})
    assert 'has no replicated job for the step "model-initializer"' in caught.value.message


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"flux": {}}, "TrainingRuntimeNotSupported"),
        ({"torch": {}}, "TrainJobFailedValidation"),
    ],
)
async def test_a_job_whose_runtime_has_changed_fails_with_the_reason(
    world, runtime, start, policy, reason
):
    await runtime()
    await kill(world)
    await start(trainer={"env": [{"name": "PET_NNODES", "value": "2"}]})
    await world.patch(RUNTIMES, "own", {"spec": {"mlPolicy": policy}})
    await world.start()
    obj = await world.until_condition(TRAIN_JOBS, "j", "Failed", reason)
    assert "spec." in condition(obj, "Failed")["message"]


async def test_patches_wait_until_the_pods_are_gone(world, runtime, start):
    await runtime()
    await start()
    await pods(world, 1)
    await world.until_status(JOB_SETS, "j", replicatedJobsStatus=[ACTIVE])
    patch = {"spec": {"suspend": True, "runtimePatches": [{"manager": "example.com/me"}]}}
    with pytest.raises(errors.InvalidError) as caught:
        await world.patch(TRAIN_JOBS, "j", patch)
    assert 'spec.runtimePatches: "node" still has pods' in caught.value.message


async def test_an_initializer_without_a_volume_shares_one_with_the_nodes(world, runtime, start):
    first = {
        "name": "dataset-initializer",
        "template": {
            "metadata": {"labels": {STEP: "dataset-initializer"}},
            "spec": {
                "template": {
                    "metadata": {"annotations": {PLAY: "succeed"}},
                    "spec": {"containers": [{"name": "dataset-initializer", "image": "i"}]},
                }
            },
        },
    }
    after = {**NODE, "dependsOn": [{"name": "dataset-initializer", "status": "Complete"}]}
    await runtime(template={"spec": {"replicatedJobs": [first, after]}})
    await start(initializer={"dataset": {"storageUri": "hf://a/b"}})

    async def made():
        return [pod["spec"] for pod in await world.list(kinds.PODS)]

    (spec,) = await world.until(made, "the initializer's pod")
    variable = {"name": "STORAGE_URI", "value": "hf://a/b"}
    assert variable in spec["containers"][0]["env"]
    mount = {"name": "initializer", "mountPath": "/workspace"}
    for template in (await world.get(JOB_SETS, "j"))["spec"]["replicatedJobs"]:
        pod = template["template"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["volumeMounts"] == [mount]
    claim = {"name": "initializer", "persistentVolumeClaim": {"claimName": "initializer-j"}}
    assert claim in spec["volumes"]
    claims = await world.names(kinds.PERSISTENT_VOLUME_CLAIMS)
    assert claims == ["initializer-j"]


async def test_suspended_and_resumed(world, runtime, start):
    await runtime()
    await start(suspend=True)
    await world.until_condition(TRAIN_JOBS, "j", "Suspended", "Suspended")
    await world.until_condition(JOB_SETS, "j", "Suspended")
    assert await world.list(kinds.PODS) == []
    await world.patch(TRAIN_JOBS, "j", {"spec": {"suspend": False}})
    await pods(world, 1)

    async def resumed():
        obj = await world.get(TRAIN_JOBS, "j")
        return condition(obj, "Suspended")["reason"] == "Resumed"

    await world.until(resumed, "the condition")
    await world.patch(TRAIN_JOBS, "j", {"spec": {"suspend": True}})

    async def none():
        await world.advance(2)
        return not await world.list(kinds.PODS)

    await world.until(none, "its pods gone")
    await world.until_condition(TRAIN_JOBS, "j", "Suspended", "Suspended")


async def test_queues_place_a_job_when_they_resume_it(world, runtime, start):
    await runtime()
    await start(suspend=True)
    await world.until_condition(JOB_SETS, "j", "Suspended")
    pod = {"nodeSelector": {"kubernetes.io/hostname": "node"}}
    patched = {"name": "node", "template": {"spec": {"template": {"spec": pod}}}}
    template = {"spec": {"replicatedJobs": [patched]}}
    patch = {"manager": "kueue.x-k8s.io/manager", "trainingRuntimeSpec": {"template": template}}
    await world.patch(TRAIN_JOBS, "j", {"spec": {"suspend": False, "runtimePatches": [patch]}})
    (name,) = await pods(world, 1)
    made = await world.get(kinds.PODS, name)
    assert made["spec"]["nodeSelector"] == pod["nodeSelector"]


async def test_a_job_has_so_much_time(world, runtime, start):
    await runtime()
    await start(activeDeadlineSeconds=60)
    await pods(world, 1)
    created = (await world.get(TRAIN_JOBS, "j"))["metadata"]["creationTimestamp"]
    assert created

    async def over():
        await world.advance(30)
        obj = await world.get(TRAIN_JOBS, "j")
        return conditions.is_true(obj, "Failed") and obj

    obj = await world.until(over, "its end")
    assert condition(obj, "Failed")["reason"] == "DeadlineExceeded"
    await world.until_gone(JOB_SETS, "j")
    await world.until_names(kinds.PODS, [])


async def test_others_may_run_it(world, runtime, start):
    await runtime()
    await start("k", managedBy="kueue.x-k8s.io/multikueue")
    await start("j")
    await pods(world, 1)
    assert await world.find(JOB_SETS, "k") is None


async def test_a_group_is_made_where_the_runtime_asks(world, runtime, start):
    await runtime(podGroupPolicy={"coscheduling": {"scheduleTimeoutSeconds": 20}})
    await start(trainer={"numNodes": 2})

    async def marked():
        jobs = await world.list(kinds.JOBS)
        return jobs and jobs[0]["spec"]["template"]["metadata"]["labels"]

    labels = await world.until(marked, "the job")
    assert labels["scheduling.x-k8s.io/pod-group"] == "j"


async def test_controllers_may_be_killed_at_any_time(world, runtime, start):
    await runtime(mlPolicy={"numNodes": 2, "torch": {}})
    await start()
    await world.kill()
    await world.start()
    names = await pods(world, 2)
    await world.kubelet.finish(names[0])
    await world.kill()
    await world.kubelet.finish(names[1])
    await world.start()
    await world.until_condition(TRAIN_JOBS, "j", "Complete")
    # Nothing was started twice.
    assert len(world.kubelet.started) == 2


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"managedBy": "me"}, "spec.managedBy"),
        ({"trainer": {"numProcPerNode": "many"}}, "spec.trainer.numProcPerNode"),
        ({"runtimeRef": {"name": "x", "kind": "Recipe"}}, "spec.runtimeRef.kind"),
        ({"runtimePatches": [{"manager": "me"}]}, "spec.runtimePatches[0].manager"),
        ({"initializer": {"dataset": {"storageUri": "nowhere"}}}, "storageUri"),
    ],
)
async def test_what_cannot_be_is_refused(world, start, spec, field):
    with pytest.raises(errors.InvalidError) as caught:
        await start(**spec)
    assert field in caught.value.message


async def test_names_and_changes_that_cannot_be_are_refused(world, runtime, start):
    await runtime()
    for name in ("1st", "j" * 64):
        with pytest.raises(errors.InvalidError) as caught:
            await start(name)
        assert "metadata.name" in caught.value.message
    await start()
    with pytest.raises(errors.InvalidError) as caught:
        await world.patch(TRAIN_JOBS, "j", {"spec": {"trainer": {"numNodes": 5}}})
    assert "spec.trainer" in caught.value.message


async def test_runtimes_that_cannot_be_are_refused(world, runtime):
    with pytest.raises(errors.InvalidError) as caught:
        await runtime(mlPolicy={"torch": {}, "jax": {}})
    assert "there are torch, jax" in caught.value.message
    two = {"spec": {"replicatedJobs": [{**NODE, "replicas": 2}]}}
    with pytest.raises(errors.InvalidError) as caught:
        await runtime(template=two)
    assert "spec.template.spec.replicatedJobs[0].replicas" in caught.value.message
