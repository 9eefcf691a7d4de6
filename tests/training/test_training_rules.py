"""What holds for jobs of every kind: the tables of names, and the rules by which they end."""

import pytest

from wherry.objects import conditions, errors, kinds, metadata
from wherry.testing.played import condition, held
from wherry.training import frameworks
from wherry.training.frameworks.jax import JAX
from wherry.training.frameworks.mpi import MPI
from wherry.training.frameworks.mxnet import MXNet
from wherry.training.frameworks.paddle import Paddle
from wherry.training.frameworks.tensorflow import TensorFlow
from wherry.training.frameworks.torch import Torch
from wherry.training.frameworks.xgboost import XGBoost
from wherry.training.policies import gangs

JOBS = Torch.resource

# Of kubeflow/training-operator 1.9, MXJob of 1.7: plural, replica types, container, port, restarts.
TABLE = {
    "TFJob": (
        "tfjobs",
        {"Chief", "Master", "Worker", "PS", "Evaluator"},
        "tensorflow",
        ("tfjob-port", 2222),
        "Never",
    ),
    "PyTorchJob": (
        "pytorchjobs",
        {"Master", "Worker"},
        "pytorch",
        ("pytorchjob-port", 23456),
        "OnFailure",
    ),
    "XGBoostJob": (
        "xgboostjobs",
        {"Master", "Worker"},
        "xgboost",
        ("xgboostjob-port", 9999),
        "Never",
    ),
    "PaddleJob": ("paddlejobs", {"Master", "Worker"}, "paddle", ("master", 36543), "OnFailure"),
    "JAXJob": ("jaxjobs", {"Worker"}, "jax", ("jaxjob-port", 6666), "Never"),
    "MPIJob": ("mpijobs", {"Launcher", "Worker"}, "mpi", ("mpi-port", 9999), "Never"),
    "MXJob": (
        "mxjobs",
        {"Scheduler", "Server", "Worker", "TunerTracker", "TunerServer", "Tuner"},
        "mxnet",
        ("mxjob-port", 9091),
        "Never",
    ),
}


def test_every_kind_has_its_names():
    assert {
        each.resource.kind: (
            each.resource.plural,
            {type_.name for type_ in each.types},
            each.container,
            (each.port_name, each.port),
            each.restart_policy,
        )
        for each in frameworks.ALL
    } == TABLE


SUCCESS = {
    "chief": (TensorFlow(), {"Chief": 1, "Worker": 1, "PS": 1}, ["worker-0"], ["chief-0"]),
    "tensorflow-master": (TensorFlow(), {"Master": 1, "Worker": 1}, ["worker-0"], ["master-0"]),
    "pytorch-master": (Torch(), {"Master": 1, "Worker": 1}, ["worker-0"], ["master-0"]),
    "pytorch-workers": (Torch(), {"Worker": 2}, ["worker-0"], ["worker-1"]),
    "xgboost-master": (XGBoost(), {"Master": 1, "Worker": 1}, ["worker-0"], ["master-0"]),
    "paddle-master": (Paddle(), {"Master": 1, "Worker": 1}, ["worker-0"], ["master-0"]),
    "paddle-workers": (Paddle(), {"Worker": 2}, ["worker-0"], ["worker-1"]),
    "jax-workers": (JAX(), {"Worker": 2}, ["worker-0"], ["worker-1"]),
    "mpi-launcher": (MPI(), {"Launcher": 1, "Worker": 1}, ["worker-0"], ["launcher-0"]),
    "mxnet-scheduler": (
        MXNet(),
        {"Scheduler": 1, "Server": 1, "Worker": 1},
        ["worker-0", "server-0"],
        ["scheduler-0"],
    ),
}


@pytest.mark.parametrize("case", SUCCESS)
async def test_each_kind_succeeds_by_its_rule_and_tells_in_its_own_words(world, make, case):
    framework, replicas, early, last = SUCCESS[case]
    resource, kind = framework.resource, framework.resource.kind
    await world.create(resource, make(framework, replicas))
    obj = await world.until_condition(resource, "j", "Running", f"{kind}Running")
    assert condition(obj, "Created")["reason"] == f"{kind}Created"
    assert obj["status"]["startTime"]
    assert obj["status"]["lastReconcileTime"]
    for name in early:
        await world.kubelet.finish(f"j-{name}")
    for type_ in {name.partition("-")[0] for name in early}:
        spelt = next(each for each in replicas if each.lower() == type_)

        async def noticed(spelt=spelt):
            found = await world.get(resource, "j")
            return found["status"]["replicaStatuses"][spelt].get("succeeded")

        await world.until(noticed, f"{type_} is counted")
    assert not conditions.is_true(await world.get(resource, "j"), "Succeeded")
    for name in last:
        await world.kubelet.finish(f"j-{name}")
    obj = await world.until_condition(resource, "j", "Succeeded", f"{kind}Succeeded")
    assert condition(obj, "Running")["reason"] == f"{kind}Succeeded"
    assert obj["status"]["completionTime"]


async def test_after_succeeded_nothing_changes(world, make):
    await world.create(JOBS, make(Torch(), {"Master": 1, "Worker": 1}))
    await world.until_condition(JOBS, "j", "Running")
    await world.kubelet.finish("j-master-0")
    before = (await world.until_condition(JOBS, "j", "Succeeded"))["status"]
    await world.kubelet.finish("j-worker-0", code=1)
    await world.patch(JOBS, "j", {"spec": {"runPolicy": {"suspend": True}}})
    await world.advance(60)
    assert (await world.get(JOBS, "j"))["status"] == before


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
async def test_a_failed_pod_has_a_successor(world, make, policy):
    await world.create(JOBS, make(Torch(), {"Master": {"restartPolicy": policy}}))
    await world.until_condition(JOBS, "j", "Running")
    pod = await world.get(kinds.PODS, "j-master-0")
    assert pod["spec"]["restartPolicy"] == policy
    # The kubelet restarts what ends; the pod as a whole fails where the node gives it up.
    await world.kubelet.evict("j-master-0")

    async def new():
        found = await world.find(kinds.PODS, "j-master-0")
        return found and metadata.uid(found) != metadata.uid(pod)

    await world.until(new, "the successor")
    obj = await world.until_condition(JOBS, "j", "Running")
    assert "Failed" not in held(obj)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1, "Failed"), (127, "Failed"), (128, "Restarting"), (143, "Restarting"), (255, "Restarting")],
)
async def test_exit_codes_decide_from_128_on(world, make, code, reason):
    await world.create(JOBS, make(Torch(), {"Master": {"restartPolicy": "ExitCode"}}))
    await world.until_condition(JOBS, "j", "Running")
    world.kubelet.playing.clear()
    await world.kubelet.finish("j-master-0", code=code)
    await world.until_condition(JOBS, "j", reason, f"PyTorchJob{reason}")
    world.kubelet.playing.set()


async def test_never_means_that_any_failure_ends_it(world, make):
    await world.create(JOBS, make(Torch(), {"Master": {"restartPolicy": "Never"}}))
    await world.until_condition(JOBS, "j", "Running")
    await world.kubelet.finish("j-master-0", code=137)
    await world.until_condition(JOBS, "j", "Failed", "PyTorchJobFailed")


@pytest.mark.parametrize("code", [0, 1])
async def test_a_job_may_go_as_soon_as_it_has_ended(world, make, code):
    replicas = {"Master": {"restartPolicy": "Never"}}
    obj = make(Torch(), replicas, runPolicy={"ttlSecondsAfterFinished": 0})
    await world.create(JOBS, obj)
    await world.until_condition(JOBS, "j", "Running")
    await world.kubelet.finish("j-master-0", code=code)
    await world.until_gone(JOBS, "j")
    await world.until_names(kinds.PODS, ())


@pytest.mark.parametrize("policy", ["None", "Running", "All"])
async def test_a_failed_job_is_cleaned_up_as_one_that_succeeded(world, make, policy):
    never = {"restartPolicy": "Never"}
    obj = make(Torch(), {"Master": never, "Worker": never}, runPolicy={"cleanPodPolicy": policy})
    await world.create(JOBS, obj)
    await world.until_names(kinds.PODS, ["j-master-0", "j-worker-0"])
    await world.until_condition(JOBS, "j", "Running")
    await world.kubelet.finish("j-worker-0", code=1)
    await world.until_condition(JOBS, "j", "Failed")
    left = {"None": ["j-master-0", "j-worker-0"], "Running": ["j-worker-0"], "All": []}[policy]
    await world.until_names(kinds.PODS, left)
    await world.until_names(kinds.SERVICES, left)


async def test_the_deadline_counts_anew_after_a_resumption(world, make):
    obj = make(Torch(), {"Master": 1}, runPolicy={"activeDeadlineSeconds": 600})
    await world.create(JOBS, obj)
    await world.until_condition(JOBS, "j", "Running")
    await world.advance(500)
    await world.patch(JOBS, "j", {"spec": {"runPolicy": {"suspend": True}}})
    await world.until_condition(JOBS, "j", "Suspended")
    await world.until_names(kinds.PODS, ())
    # While it is suspended no time passes for it.
    await world.advance(5000)
    await world.patch(JOBS, "j", {"spec": {"runPolicy": {"suspend": False}}})
    await world.until_names(kinds.PODS, ["j-master-0"])
    await world.until_condition(JOBS, "j", "Running", "PyTorchJobRunning")
    await world.advance(500)
    assert not conditions.is_true(await world.get(JOBS, "j"), "Failed")
    await world.advance(200)
    await world.until_condition(JOBS, "j", "Failed", "DeadlineExceeded")


async def test_a_volcano_group_says_how_many_and_how_urgent(world, make):
    policy = {"minAvailable": 2, "priorityClass": "high", "queue": "q"}
    obj = make(Torch(), {"Master": 1, "Worker": 3}, runPolicy={"schedulingPolicy": policy})
    for replica in obj["spec"]["pytorchReplicaSpecs"].values():
        replica["template"]["spec"]["schedulerName"] = "volcano"
    await world.create(JOBS, obj)

    async def there():
        return await world.find(gangs.VOLCANO_GROUPS, "j")

    group = await world.until(there, "the group")
    assert group["spec"] == {"minMember": 2, "queue": "q", "priorityClassName": "high"}


@pytest.mark.parametrize(
    ("framework", "replicas", "type_"),
    [
        (Torch(), {"Master": 0, "Worker": 1}, "Master"),
        (XGBoost(), {"Master": 0, "Worker": 1}, "Master"),
        (MPI(), {"Launcher": 0, "Worker": 1}, "Launcher"),
    ],
)
async def test_a_role_that_is_one_is_not_none(world, make, framework, replicas, type_):
    with pytest.raises(errors.InvalidError) as caught:
        await world.create(framework.resource, make(framework, replicas))
    field = f"spec.{framework.replicas_field}[{type_}].replicas"
    assert f"{field}: 0: want at least 1" in caught.value.message


@pytest.mark.parametrize("framework", frameworks.ALL, ids=lambda each: each.resource.kind)
async def test_who_manages_a_job_is_one_of_those_known(world, make, framework):
    types = [type_ for type_ in framework.types if type_.name in {"Worker", "Master", "Launcher"}]
    obj = make(framework, {type_.name: 1 for type_ in types}, runPolicy={"managedBy": "me"})
    with pytest.raises(errors.InvalidError, match=r"spec\.runPolicy\.managedBy"):
        await world.create(framework.resource, obj)
