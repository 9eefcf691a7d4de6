"""Jobs through the API: conditions, restarts, ends and what is cleaned up."""

import asyncio

import pytest

from wherry.objects import conditions, errors, kinds
from wherry.testing.played import condition, held
from wherry.training.frameworks.tensorflow import TensorFlow
from wherry.training.frameworks.torch import Torch
from wherry.training.policies import gangs, restarts

JOBS = Torch.resource
TFJOBS = TensorFlow.resource
LABELS = "training.kubeflow.org/job-name=j"
PAIR = ("j-master-0", "j-worker-0")


@pytest.fixture
def start(world, make):
    """Create a PyTorchJob of one master and one worker and wait until it runs."""

    async def started(replicas=None, framework=None, **spec):
        framework = framework or Torch()
        await world.create(
            framework.resource, make(framework, replicas or {"Master": 1, "Worker": 1}, **spec)
        )
        return await world.until_condition(framework.resource, "j", "Running")

    return started


async def uid(world, name):
    pod = await world.find(kinds.PODS, name)
    return pod and pod["metadata"]["uid"]


async def replaced(world, name, before, *, step=0):
    """Wait until a pod has a successor that runs; let time pass in steps of so many seconds."""

    async def new():
        await world.advance(step)
        pod = await world.find(kinds.PODS, name)
        if pod is None or pod["metadata"]["uid"] == before:
            return None
        return pod if pod["status"]["phase"] == "Running" else None

    return await world.until(new, f"a new {name}")


async def start_with(world, patch):
    """Patch the job, and start the controllers.

    Where they are processes nobody answers for the kind until they run.
    """
    patching = asyncio.ensure_future(world.patch(JOBS, "j", patch))
    await asyncio.wait({patching}, timeout=1)
    await world.start()
    await patching


async def test_a_job_runs_and_succeeds(world, events, start):
    obj = await start()
    assert held(obj) == {"Created": "True", "Running": "True"}
    await world.until_names(kinds.PODS, PAIR)
    await world.until_names(kinds.SERVICES, PAIR)
    await world.until_status(
        JOBS,
        "j",
        replicaStatuses={
            type_: {
                "active": 1,
                "selector": (
                    "training.kubeflow.org/job-name=j,"
                    "training.kubeflow.org/operator-name=pytorchjob-controller,"
                    f"training.kubeflow.org/replica-type={type_.lower()}"
                ),
            }
            for type_ in ("Master", "Worker")
        },
    )
    await world.kubelet.finish("j-master-0")
    obj = await world.until_condition(JOBS, "j", "Succeeded", "PyTorchJobSucceeded")
    assert held(obj) == {"Created": "True", "Running": "False", "Succeeded": "True"}
    assert obj["status"]["completionTime"]
    # What still runs when the master is done counts as done.
    assert obj["status"]["replicaStatuses"]["Worker"]["succeeded"] == 1
    assert not obj["status"]["replicaStatuses"]["Worker"].get("active")
    told = await events("j")
    assert told.keys() >= {"SuccessfulCreatePod", "SuccessfulCreateService", "PyTorchJobSucceeded"}


async def test_the_pods_are_labelled_as_scripts_expect(world, start):
    await start()
    pod = await world.get(kinds.PODS, "j-master-0")
    prefix = "training.kubeflow.org/"
    assert pod["metadata"]["labels"] == {
        f"{prefix}operator-name": "pytorchjob-controller",
        f"{prefix}job-name": "j",
        f"{prefix}replica-type": "master",
        f"{prefix}replica-index": "0",
        f"{prefix}job-role": "master",
    }
    service = await world.get(kinds.SERVICES, "j-worker-0")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"][f"{prefix}replica-index"] == "0"
    assert [port["port"] for port in service["spec"]["ports"]] == [23456]


@pytest.mark.parametrize(
    ("policy", "pods", "services"),
    [("None", PAIR, PAIR), ("Running", PAIR[:1], PAIR[:1]), ("All", (), ())],
)
async def test_what_is_removed_at_the_end(world, start, policy, pods, services):
    await start(runPolicy={"cleanPodPolicy": policy})
    await world.kubelet.finish("j-master-0")
    await world.until_condition(JOBS, "j", "Succeeded")
    await world.until_names(kinds.PODS, pods)
    await world.until_names(kinds.SERVICES, services)


async def test_running_includes_pending(world, start):
    await start(
        {"Master": 1, "Worker": {"replicas": 1, "template": pending()}},
        runPolicy={"cleanPodPolicy": "Running"},
    )
    await world.until_names(kinds.PODS, PAIR)
    await world.kubelet.finish("j-master-0")
    await world.until_names(kinds.PODS, PAIR[:1])


def pending():
    container = {"name": "pytorch", "image": "python:3.11"}
    return {
        "metadata": {"annotations": {"test/play": "pending"}},
        "spec": {"containers": [container]},
    }


async def test_a_finished_job_goes_after_its_time(world, start):
    await start(runPolicy={"ttlSecondsAfterFinished": 3600})
    await world.kubelet.finish("j-master-0")
    await world.until_condition(JOBS, "j", "Succeeded")
    await world.advance(3500)
    assert await world.find(JOBS, "j")
    await world.advance(200)
    await world.until_gone(JOBS, "j")


async def test_a_job_that_runs_too_long_fails(world, start):
    await start(runPolicy={"activeDeadlineSeconds": 600, "cleanPodPolicy": "All"})
    await world.advance(590)
    assert not conditions.is_true(await world.get(JOBS, "j"), "Failed")
    await world.advance(20)
    obj = await world.until_condition(JOBS, "j", "Failed", "DeadlineExceeded")
    assert held(obj)["Running"] == "False"
    assert "activeDeadlineSeconds, 600" in condition(obj, "Failed")["message"]
    await world.until_names(kinds.PODS, ())


async def test_a_code_below_128_is_final_and_its_last_words_are_told(world, start):
    await start({"Master": {"restartPolicy": "ExitCode"}, "Worker": {"restartPolicy": "ExitCode"}})
    await world.kubelet.finish("j-worker-0", code=3, message="ValueError: no such file: x.csv")
    obj = await world.until_condition(JOBS, "j", "Failed", "PyTorchJobFailed")
    told = condition(obj, "Failed")["message"]
    assert "j-worker-0 failed with exit code 3" in told
    assert "no such file: x.csv" in told
    assert obj["status"]["replicaStatuses"]["Worker"]["failed"] == 1
    pod = await world.get(kinds.PODS, "j-worker-0")
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"


async def test_after_failed_nothing_changes(world, start):
    await start({"Master": {"restartPolicy": "Never"}})
    await world.kubelet.finish("j-master-0", code=1)
    before = (await world.until_condition(JOBS, "j", "Failed"))["status"]
    await world.patch(JOBS, "j", {"spec": {"runPolicy": {"suspend": True}}})
    await world.advance(60)
    assert (await world.get(JOBS, "j"))["status"] == before


async def test_a_code_from_128_is_tried_again_by_all_that_meet(world, events, start):
    policy = {"restartPolicy": "ExitCode"}
    await start({"Master": policy, "Worker": policy})
    master, worker = await uid(world, "j-master-0"), await uid(world, "j-worker-0")
    await world.kubelet.finish("j-worker-0", code=137)
    # A master that has lost a worker would wait for it for ever: both start anew.
    await replaced(world, "j-worker-0", worker)
    await replaced(world, "j-master-0", master)
    obj = await world.until_condition(JOBS, "j", "Running")
    assert "Restarting" not in held(obj)
    assert "PyTorchJobRestarting" in await events("j")
    status = await world.until_condition(JOBS, "j", "Running")
    assert status["status"]["replicaStatuses"]["Worker"]["failed"] == 1
    assert restarts.remembered(status)["j-worker-0"].count == 1


async def test_what_fails_for_having_lost_a_peer_starts_anew_with_it(world, start):
    policy = {"restartPolicy": "ExitCode"}
    await start({"Master": policy, "Worker": policy})
    before = await uid(world, "j-master-0")
    await world.kill()
    await world.kubelet.finish("j-worker-0", code=137)
    await world.kubelet.finish("j-master-0", code=1, message="connection closed by peer")
    await world.start()
    await replaced(world, "j-master-0", before)
    assert not conditions.is_true(await world.get(JOBS, "j"), "Failed")


@pytest.mark.parametrize("lost", ["j-worker-0", None])
async def test_which_rank_ends_first_is_chance(world, start, lost):
    policy = {"restartPolicy": "ExitCode"}
    await start({"Master": policy, "Worker": policy}, runPolicy={"cleanPodPolicy": "Running"})
    before = await uid(world, "j-master-0")
    await world.kubelet.finish("j-master-0", code=1, message="connection closed by peer")
    if lost is None:
        await world.until_condition(JOBS, "j", "Failed")
        return
    await world.until_status(JOBS, "j", completionTime=0)
    await world.kubelet.finish(lost, code=137)
    await replaced(world, "j-master-0", before)
    assert not conditions.is_true(await world.get(JOBS, "j"), "Failed")


async def test_restarting_and_running_take_turns(world, start):
    await start({"Master": {"restartPolicy": "ExitCode"}})
    world.kubelet.playing.clear()
    await world.kubelet.finish("j-master-0", code=130)
    obj = await world.until_condition(JOBS, "j", "Restarting", "PyTorchJobRestarting")
    assert "Running" not in held(obj)
    world.kubelet.playing.set()
    obj = await world.until_condition(JOBS, "j", "Running")
    assert "Restarting" not in held(obj)


async def test_restarts_are_counted_over_successors(world, start):
    await start({"Master": {"restartPolicy": "ExitCode"}}, runPolicy={"backoffLimit": 2})
    for _ in range(2):
        before = await uid(world, "j-master-0")
        await world.kubelet.finish("j-master-0", code=137)
        await replaced(world, "j-master-0", before)
    await world.kubelet.finish("j-master-0", code=137)
    obj = await world.until_condition(JOBS, "j", "Failed", "BackoffLimitExceeded")
    assert "3 restarts" in condition(obj, "Failed")["message"]


async def test_restarts_within_pods_count_too(world, start):
    await start(runPolicy={"backoffLimit": 2})
    await world.kubelet.restart("j-worker-0", times=2)
    await world.until_condition(JOBS, "j", "Running")
    await world.kubelet.restart("j-worker-0", times=3)
    await world.until_condition(JOBS, "j", "Failed", "BackoffLimitExceeded")


async def test_what_fails_over_and_over_waits_longer_each_time(world, start):
    await start({"Master": {"restartPolicy": "ExitCode"}})
    for _ in range(4):
        before = await uid(world, "j-master-0")
        await world.kubelet.finish("j-master-0", code=137)
        await replaced(world, "j-master-0", before, step=1)
    before = await uid(world, "j-master-0")
    await world.kubelet.finish("j-master-0", code=137)
    await world.until_condition(JOBS, "j", "Restarting")
    await world.advance(6)
    assert await uid(world, "j-master-0") == before
    await world.advance(3)
    await replaced(world, "j-master-0", before)


async def test_an_evicted_pod_gets_a_successor_whatever_it_was_doing(world, start):
    await start({"Master": {"restartPolicy": "ExitCode"}})
    before = await uid(world, "j-master-0")
    await world.kubelet.evict("j-master-0")
    await replaced(world, "j-master-0", before)


async def test_an_evicted_pod_that_is_never_restarted_says_what_happened(world, start):
    await start({"Master": {"restartPolicy": "Never"}})
    await world.kubelet.evict("j-master-0")
    obj = await world.until_condition(JOBS, "j", "Failed")
    told = condition(obj, "Failed")["message"]
    assert "(Evicted)" in told
    assert "low on resource" in told


async def test_a_deleted_pod_comes_back_and_the_job_goes_on(world, start):
    await start({"Master": {"restartPolicy": "Never"}})
    before = await uid(world, "j-master-0")
    # It ends with 143 on its way out, which is not the job's failure.
    await world.delete(kinds.PODS, "j-master-0")
    await replaced(world, "j-master-0", before)
    assert not conditions.is_true(await world.get(JOBS, "j"), "Failed")


async def test_suspend_and_resume(world, start):
    obj = await start({"Master": {"restartPolicy": "Never"}, "Worker": 1})
    began = obj["status"]["startTime"]
    await world.patch(JOBS, "j", {"spec": {"runPolicy": {"suspend": True}}})
    obj = await world.until_condition(JOBS, "j", "Suspended", "PyTorchJobSuspended")
    assert held(obj) == {"Created": "True", "Running": "False", "Suspended": "True"}
    assert "startTime" not in obj["status"]
    await world.until_names(kinds.PODS, ())
    await world.until_names(kinds.SERVICES, ())
    await world.advance(100)
    await world.patch(JOBS, "j", {"spec": {"runPolicy": {"suspend": False}}})
    await world.until_names(kinds.PODS, PAIR)

    async def resumed():
        obj = await world.get(JOBS, "j")
        return obj if held(obj).get("Running") == "True" else None

    obj = await world.until(resumed, "running again")
    assert held(obj) == {"Created": "True", "Suspended": "False", "Running": "True"}
    assert condition(obj, "Suspended")["reason"] == "PyTorchJobResumed"
    assert obj["status"]["startTime"] > began


async def test_a_suspension_that_was_cut_off_leaves_no_services(world, start):
    await start({"Master": 1, "Worker": 1})
    await world.kill()
    for name in PAIR:
        await world.delete(kinds.PODS, name)
    await world.until_names(kinds.PODS, ())
    await start_with(world, {"spec": {"runPolicy": {"suspend": True}}})
    await world.until_condition(JOBS, "j", "Suspended")
    await world.until_names(kinds.SERVICES, ())


async def test_a_job_may_be_created_suspended(world, make):
    await world.create(JOBS, make(Torch(), {"Master": 1}, runPolicy={"suspend": True}))
    obj = await world.until_condition(JOBS, "j", "Suspended")
    assert held(obj) == {"Created": "True", "Suspended": "True"}
    assert await world.names(kinds.PODS) == []


async def test_jobs_of_another_manager_are_left_alone(world, make):
    policy = {"managedBy": "kueue.x-k8s.io/multikueue"}
    await world.create(JOBS, make(Torch(), {"Master": 1}, runPolicy=policy))
    await world.create(JOBS, make(Torch(), {"Master": 1}, name="other"))
    await world.until_condition(JOBS, "other", "Running")
    assert await world.names(kinds.PODS) == ["other-master-0"]
    with pytest.raises(errors.InvalidError, match="managedBy"):
        await world.patch(JOBS, "j", {"spec": {"runPolicy": {"managedBy": None}}})


async def test_a_deleted_job_takes_its_pods_with_it(world, start):
    await start()
    await world.delete(JOBS, "j")
    await world.until_names(kinds.PODS, ())
    await world.until_names(kinds.SERVICES, ())


async def test_a_name_that_is_taken_is_told(world, events, make):
    mine = {
        "metadata": {"name": "j-master-0"},
        "spec": {"containers": [{"name": "c", "image": "python:3.11"}]},
    }
    await world.create(kinds.PODS, mine)
    await world.create(JOBS, make(Torch(), {"Master": 1}))

    async def told():
        return "NameTaken" in await events("j")

    await world.until(told, "the event")
    await world.delete(kinds.PODS, "j-master-0")
    await world.until_gone(kinds.PODS, "j-master-0")
    await world.advance(10)
    await world.until_condition(JOBS, "j", "Running")


async def test_controllers_that_die_go_on_where_the_objects_say(world, start):
    await start({"Master": {"restartPolicy": "ExitCode"}, "Worker": {"restartPolicy": "ExitCode"}})
    worker = await uid(world, "j-worker-0")
    await world.kill()
    await world.kubelet.finish("j-worker-0", code=137)
    await world.start()
    await replaced(world, "j-worker-0", worker)
    obj = await world.until_condition(JOBS, "j", "Running")
    assert restarts.remembered(obj)["j-worker-0"].count == 1


async def test_a_restart_that_was_cut_off_is_told_by_who_comes_after(world, start):
    obj = await start({"Master": {"restartPolicy": "ExitCode"}})
    await world.kill()
    world.kubelet.playing.clear()
    # As far as it came: the restart is counted, and the pod on its way out.
    await world.kubelet.finish("j-master-0", code=128)
    counted = {"j-master-0": restarts.Remembered(await uid(world, "j-master-0"), 1)}
    annotations = {restarts.ANNOTATION: restarts.written(counted)}
    await world.delete(kinds.PODS, "j-master-0")
    await start_with(world, {"metadata": {"annotations": annotations}})
    obj = await world.until_condition(JOBS, "j", "Restarting", "PyTorchJobRestarting")
    assert "Running" not in held(obj)
    world.kubelet.playing.set()
    obj = await world.until_condition(JOBS, "j", "Running", "PyTorchJobRunning")
    assert "Restarting" not in held(obj)


# Scale


ELASTIC = {"minReplicas": 1, "maxReplicas": 4}


async def test_elastic_workers_come_and_go_by_index(world, start):
    await start({"Worker": 2}, elasticPolicy=ELASTIC)
    first = await uid(world, "j-worker-0")
    await world.client.patch(JOBS, "j", {"spec": {"replicas": 4}}, "default", subresource="scale")
    await world.until_names(kinds.PODS, [f"j-worker-{index}" for index in range(4)])

    async def scaled():
        scale = await world.client.get(JOBS, "j", "default", subresource="scale")
        return scale["status"]["replicas"] == 4 and scale

    scale = await world.until(scaled, "the scale's status")
    assert "replica-type=worker" in scale["status"]["selector"]
    await world.client.patch(JOBS, "j", {"spec": {"replicas": 1}}, "default", subresource="scale")
    await world.until_names(kinds.PODS, ["j-worker-0"])
    await world.until_names(kinds.SERVICES, ["j-worker-0"])
    # Those that stay are not disturbed.
    assert await uid(world, "j-worker-0") == first
    assert held(await world.get(JOBS, "j"))["Running"] == "True"


def rendezvous(pod):
    env = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    return env["PET_RDZV_ID"]


async def test_an_elastic_job_goes_on_without_a_worker_until_it_is_back(world, start):
    await start({"Worker": {"replicas": 2, "restartPolicy": "OnFailure"}}, elasticPolicy=ELASTIC)
    first, second = await uid(world, "j-worker-0"), await uid(world, "j-worker-1")
    await world.kubelet.finish("j-worker-1", code=137)
    pod = await replaced(world, "j-worker-1", second)
    assert rendezvous(pod) == "j"
    assert await uid(world, "j-worker-0") == first


# Where codes decide, a torchrun that gives up on a lost peer, with 1, would end the job.
@pytest.mark.parametrize(
    ("policy", "lost"),
    [("OnFailure", "j-worker-0"), ("ExitCode", "j-worker-0"), ("ExitCode", "j-worker-1")],
)
async def test_workers_that_lose_their_meeting_meet_anew_under_another_name(
    world, start, policy, lost
):
    await start({"Worker": {"replicas": 2, "restartPolicy": policy}}, elasticPolicy=ELASTIC)
    first, second = await uid(world, "j-worker-0"), await uid(world, "j-worker-1")
    await world.kubelet.finish(lost, code=137)
    for name, before in (("j-worker-0", first), ("j-worker-1", second)):
        assert rendezvous(await replaced(world, name, before)) == "j-1"


async def test_metrics_make_an_autoscaler_that_goes_with_the_end(world, start):
    target = {"type": "Utilization", "averageUtilization": 80}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    await start({"Worker": 2}, elasticPolicy={**ELASTIC, "metrics": metrics})
    found = await world.get(kinds.HORIZONTAL_POD_AUTOSCALERS, "j")
    assert found["spec"]["scaleTargetRef"] == {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "name": "j",
    }
    assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (1, 4)
    assert found["spec"]["metrics"] == metrics
    await world.patch(JOBS, "j", {"spec": {"elasticPolicy": {"maxReplicas": 3}}})

    async def follows():
        found = await world.get(kinds.HORIZONTAL_POD_AUTOSCALERS, "j")
        return found["spec"]["maxReplicas"] == 3

    await world.until(follows, "the autoscaler")
    await world.kubelet.finish("j-worker-0")
    await world.until_condition(JOBS, "j", "Succeeded")
    await world.until_gone(kinds.HORIZONTAL_POD_AUTOSCALERS, "j")


# Gangs


@pytest.mark.parametrize("scheduler", ["", "volcano"])
async def test_a_gang_has_a_pod_group(world, make, scheduler):
    resource = gangs.VOLCANO_GROUPS if scheduler else gangs.GROUPS
    policy = {"minResources": {"cpu": "2"}, "queue": "q", "scheduleTimeoutSeconds": 9}
    obj = make(Torch(), {"Master": 1, "Worker": 2}, runPolicy={"schedulingPolicy": policy})
    for replica in obj["spec"]["pytorchReplicaSpecs"].values():
        if scheduler:
            replica["template"]["spec"]["schedulerName"] = scheduler
    await world.create(JOBS, obj)
    await world.until_names(kinds.PODS, ["j-master-0", "j-worker-0", "j-worker-1"])
    spec = (await world.get(resource, "j"))["spec"]
    pod = await world.get(kinds.PODS, "j-worker-0")
    if scheduler:
        assert spec == {"minMember": 3, "minResources": {"cpu": "2"}, "queue": "q"}
        assert pod["metadata"]["annotations"]["scheduling.k8s.io/group-name"] == "j"
    else:
        assert spec == {
            "minMember": 3,
            "minResources": {"cpu": "2"},
            "scheduleTimeoutSeconds": 9,
        }
        assert pod["metadata"]["labels"]["scheduling.x-k8s.io/pod-group"] == "j"
    await world.patch(JOBS, "j", {"spec": {"runPolicy": {"suspend": True}}})
    await world.until_gone(resource, "j")


async def test_a_cluster_without_pod_groups_says_so(world, events, make):
    await world.delete(kinds.CUSTOM_RESOURCE_DEFINITIONS, gangs.GROUPS.key)
    await world.until_gone(kinds.CUSTOM_RESOURCE_DEFINITIONS, gangs.GROUPS.key)
    await world.create(JOBS, make(Torch(), {"Master": 1}, runPolicy={"schedulingPolicy": {}}))

    async def told():
        return (await events("j")).get("NoPodGroup")

    assert "does not serve" in await world.until(told, "the event")


# What differs between frameworks


async def test_tensorflow_without_chief_follows_its_first_worker(world, start):
    await start({"Worker": 2, "PS": 1}, TensorFlow())
    await world.kubelet.finish("j-worker-1")
    await world.advance(1)
    assert not conditions.is_true(await world.get(TFJOBS, "j"), "Succeeded")
    await world.kubelet.finish("j-worker-0")
    await world.until_condition(TFJOBS, "j", "Succeeded", "TFJobSucceeded")


async def test_tensorflow_may_wait_for_all_workers(world, start):
    await start({"Worker": 2}, TensorFlow(), successPolicy="AllWorkers")
    await world.kubelet.finish("j-worker-0")
    await world.until_status(TFJOBS, "j", completionTime=0)
    await world.kubelet.finish("j-worker-1")
    await world.until_condition(TFJOBS, "j", "Succeeded")


async def test_dynamic_workers_may_fail(world, start):
    await start({"Worker": 3, "PS": 1}, TensorFlow(), enableDynamicWorker=True)
    await world.kubelet.finish("j-worker-2", code=1)
    await world.until_status(TFJOBS, "j", completionTime=0)
    assert held(await world.get(TFJOBS, "j"))["Running"] == "True"
    await world.kubelet.finish("j-worker-0")
    await world.until_condition(TFJOBS, "j", "Succeeded")
