"""ChainerJobs through the API: what is made, what it is told, and how it ends."""

import pytest

from wherry.objects import errors, kinds
from wherry.testing.played import PLAY, condition
from wherry.training.chainer.kinds import CHAINER_JOBS

MASTER = "chainerjob.kubeflow.org/role=master"
WORKERS = "chainerjob.kubeflow.org/role=workerset"


def template(**container):
    return {
        "metadata": {"annotations": {PLAY: "run"}},
        "spec": {
            "containers": [{"name": "chainer", "image": "python:3.11", **container}],
            "terminationGracePeriodSeconds": 1,
        },
    }


def job(sets=None, **master):
    """Return a job with a worker set of two where nothing else is said."""
    spec = {"master": {"template": template(command=["mpiexec", "-n", "3", "hostname"]), **master}}
    sets = {"ws0": {"replicas": 2, "template": template()}} if sets is None else sets
    return {"metadata": {"name": "j"}, "spec": {**spec, **({"workerSets": sets} if sets else {})}}


def variables(pod):
    return {one["name"]: one.get("value") for one in pod["spec"]["containers"][0].get("env", ())}


async def master(world):
    async def there():
        return await world.list(kinds.PODS, MASTER)

    (found,) = await world.until(there, "the master's pod")
    return found


async def test_what_the_operator_fills_in(world):
    gpus = {"resources": {"limits": {"nvidia.com/gpu": "4"}}}
    sets = {"a": {"template": template(**gpus)}, "b": {"mpiConfig": {"slots": 2}}}
    sets["b"]["template"] = template()
    made = await world.create(CHAINER_JOBS, job(sets))
    spec = made["spec"]
    assert spec["backend"] == "mpi"
    assert spec["master"]["template"]["spec"]["restartPolicy"] == "Never"
    assert spec["master"]["mpiConfig"] == {"slots": 1}
    assert (spec["workerSets"]["a"]["replicas"], spec["workerSets"]["b"]["replicas"]) == (1, 1)
    assert spec["workerSets"]["a"]["mpiConfig"] == {"slots": 4}
    assert spec["workerSets"]["b"]["mpiConfig"] == {"slots": 2}


async def test_master_and_workers_are_made_and_told_of_one_another(world):
    await world.create(CHAINER_JOBS, job(activeDeadlineSeconds=600, backoffLimit=3))
    await world.until_names(kinds.PODS, ["j-workerset-ws0-0", "j-workerset-ws0-1"], WORKERS)
    data = (await world.get(kinds.CONFIG_MAPS, "j-assets"))["data"]
    assert data["hostfile"].splitlines() == [
        "j-workerset-ws0-0.j-workerset-ws0.default.svc slots=1",
        "j-workerset-ws0-1.j-workerset-ws0.default.svc slots=1",
        "j-master slots=1",
    ]
    launcher = await master(world)
    assert launcher["spec"]["hostname"] == "j-master"
    assert launcher["spec"]["serviceAccountName"] == "j-launcher"
    told = variables(launcher)
    folder = "/kubeflow/chainer-operator"
    assert told["OMPI_MCA_plm_rsh_agent"] == f"{folder}/assets/kubexec.sh"
    assert told["OMPI_MCA_orte_keep_fqdn_hostnames"] == "t"
    assert told["OMPI_MCA_orte_default_hostfile"] == f"{folder}/generated/hostfile"
    assert told["OMPI_MCA_btl_tcp_if_exclude"] == "lo,docker0"
    assert told["WHERRY_MPI_CONTAINER"] == "chainer"
    made = (await world.get(kinds.JOBS, "j-master"))["spec"]
    assert (made["activeDeadlineSeconds"], made["backoffLimit"]) == (600, 3)
    worker = await world.get(kinds.PODS, "j-workerset-ws0-1")
    assert worker["metadata"]["labels"]["chainerjob.kubeflow.org/workersetname"] == "ws0"
    assert "sleep" in worker["spec"]["containers"][0]["command"][2]
    assert worker["spec"]["serviceAccountName"] == "default"
    rules = (await world.get(kinds.ROLES, "j-launcher"))["rules"]
    assert rules[1]["resourceNames"] == ["j-workerset-ws0-0", "j-workerset-ws0-1"]
    for name in ("j-master", "j-workerset-ws0"):
        assert (await world.get(kinds.SERVICES, name))["spec"]["clusterIP"] == "None"


async def test_its_status_is_the_masters_and_workers_go_at_the_end(world):
    await world.create(CHAINER_JOBS, job())
    obj = await world.until_status(CHAINER_JOBS, "j", active=1)
    assert obj["status"]["startTime"]
    pod = await master(world)
    await world.kubelet.finish(pod["metadata"]["name"])
    obj = await world.until_condition(CHAINER_JOBS, "j", "Complete")
    assert (obj["status"]["succeeded"], "active" in obj["status"]) == (1, False)
    await world.until_names(kinds.PODS, [], WORKERS)
    assert (await world.get(kinds.STATEFUL_SETS, "j-workerset-ws0"))["spec"]["replicas"] == 0
    await world.manager.flush_events()
    told = await world.events("j")
    assert told["SuccessfulCreateStatefulSet"] == "Created statefulset: j-workerset-ws0"
    assert told["ChainerJobRunning"] == "j-master has started"


async def test_a_failure_tells_what_the_master_said_last(world):
    await world.create(CHAINER_JOBS, job(backoffLimit=0))
    pod = await master(world)
    await world.kubelet.finish(pod["metadata"]["name"], code=1, message="no such file: train.py")
    obj = await world.until_condition(CHAINER_JOBS, "j", "Failed", "BackoffLimitExceeded")
    assert condition(obj, "Failed")["message"].endswith(": no such file: train.py")
    await world.until_names(kinds.PODS, [], WORKERS)


async def test_without_workers_the_master_works_alone(world):
    obj = job({})
    del obj["spec"]["master"]["template"]["spec"]["containers"][0]["name"]
    await world.create(CHAINER_JOBS, obj)
    pod = await master(world)
    assert pod["spec"]["containers"][0]["name"] == "chainer"
    assert variables(pod) == {}
    assert await world.names(kinds.STATEFUL_SETS) == []
    assert await world.find(kinds.CONFIG_MAPS, "j-assets") is None


async def test_workers_are_as_many_as_the_job_says(world):
    await world.create(CHAINER_JOBS, job())
    await world.until_names(kinds.PODS, ["j-workerset-ws0-0", "j-workerset-ws0-1"], WORKERS)
    patch = {"spec": {"workerSets": {"ws0": {"replicas": 1}}}}
    await world.patch(CHAINER_JOBS, "j", patch)
    await world.until_names(kinds.PODS, ["j-workerset-ws0-0"], WORKERS)

    async def shorter():
        data = (await world.get(kinds.CONFIG_MAPS, "j-assets"))["data"]
        return len(data["hostfile"].splitlines()) == 2

    await world.until(shorter, "a host list without the other")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "main"}, 'one has to be called "chainer"'),
        ({"restartPolicy": "Always"}, "want one of Never, OnFailure"),
    ],
)
async def test_what_cannot_be_is_refused(world, change, why):
    obj = job()
    spec = obj["spec"]["master"]["template"]["spec"]
    (spec["containers"][0] if "name" in change else spec).update(change)
    with pytest.raises(errors.InvalidError, match=why):
        await world.create(CHAINER_JOBS, obj)


async def test_names_that_would_be_too_long_are_refused(world):
    sets = {"w" * 50: {"template": template()}}
    with pytest.raises(errors.InvalidError, match="more than 63 characters"):
        await world.create(CHAINER_JOBS, job(sets))
