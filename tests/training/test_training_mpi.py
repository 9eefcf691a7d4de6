"""MPI jobs of both versions: host lists, rights, who starts when, and how they end."""

import dataclasses

import pytest

from wherry.objects import conditions, errors, kinds
from wherry.testing.played import condition
from wherry.training.frameworks.mpi import MPI, WRITTEN_AS

V1 = MPI.resource
V2 = dataclasses.replace(MPI.resource, version="v2beta1")
EXEC = {"apiGroups": [""], "resourceNames": ["j-worker-0", "j-worker-1"]}


def variables(pod):
    return {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}


def v2(**spec):
    """Return a job as people write them for mpi-operator: sshd in the workers."""
    launcher = {"name": "l", "image": "python:3.11", "command": ["mpirun", "hostname"]}
    worker = {"name": "w", "image": "python:3.11", "command": ["/usr/sbin/sshd"], "args": ["-De"]}
    return {
        "metadata": {"name": "j"},
        "spec": {
            "mpiReplicaSpecs": {
                "Launcher": {"replicas": 1, "template": {"spec": {"containers": [launcher]}}},
                "Worker": {"replicas": 2, "template": {"spec": {"containers": [worker]}}},
            },
            **spec,
        },
    }


async def test_v1_launcher_knows_its_workers_and_may_reach_them_alone(world, make):
    await world.create(V1, make(MPI(), {"Launcher": 1, "Worker": 2}, slotsPerWorker=3))
    await world.until_names(kinds.PODS, ["j-launcher-0", "j-worker-0", "j-worker-1"])
    data = (await world.get(kinds.CONFIG_MAPS, "j-config"))["data"]
    assert data["hostfile"] == "j-worker-0 slots=3\nj-worker-1 slots=3\n"
    assert data["hostfile.hydra"] == "j-worker-0:3\nj-worker-1:3\n"
    assert data["discover_hosts.sh"] == "#!/bin/sh\necho j-worker-0:3\necho j-worker-1:3\n"
    assert data.keys() >= {"kubexec.sh", "rsh_agent.py"}
    rules = (await world.get(kinds.ROLES, "j-launcher"))["rules"]
    assert rules == [
        {**EXEC, "resources": ["pods"], "verbs": ["get"]},
        {**EXEC, "resources": ["pods/exec"], "verbs": ["create", "get"]},
    ]
    binding = await world.get(kinds.ROLE_BINDINGS, "j-launcher")
    assert [one["name"] for one in binding["subjects"]] == ["j-launcher"]
    launcher = await world.get(kinds.PODS, "j-launcher-0")
    assert launcher["spec"]["serviceAccountName"] == "j-launcher"
    assert launcher["metadata"]["labels"]["training.kubeflow.org/job-role"] == "master"
    assert launcher["metadata"]["labels"]["mpi-job-role"] == "launcher", "experiments look for it"
    env = variables(launcher)
    assert env["OMPI_MCA_plm_rsh_agent"] == "/etc/mpi/kubexec.sh"
    assert env["PRTE_MCA_plm_ssh_agent"] == "/etc/mpi/kubexec.sh"
    assert env["OMPI_MCA_orte_default_hostfile"] == "/etc/mpi/hostfile"
    assert env["HYDRA_LAUNCHER_EXEC"] == "/etc/mpi/kubexec.sh"
    assert env["I_MPI_HYDRA_BOOTSTRAP"] == "rsh"
    assert env["OMPI_MCA_btl_tcp_if_exclude"] == "lo,docker0"
    assert env["PRTE_ALLOW_RUN_AS_ROOT"] == env["PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"] == "1"
    assert not env["NVIDIA_VISIBLE_DEVICES"]
    worker = (await world.get(kinds.PODS, "j-worker-0"))["spec"]
    assert worker["serviceAccountName"] == "default"
    assert "sleep" in worker["containers"][0]["command"][2]


@pytest.mark.parametrize(
    ("main", "launcher", "worker"), [("", "mpi-launcher", "mpi-worker"), ("own", "own", "own")]
)
async def test_v1_containers_have_any_names(world, make, main, launcher, worker):
    obj = make(MPI(), {"Launcher": 1, "Worker": 1}, mainContainer=main)
    for type_, name in (("Launcher", launcher), ("Worker", worker)):
        containers = [{"name": name, "image": "python:3.11"}]
        if main:
            # What is not the main one is left alone, though it comes first.
            containers.insert(0, {"name": "side", "image": "python:3.11"})
        template = {"spec": {"containers": containers}}
        obj["spec"]["mpiReplicaSpecs"][type_]["template"] = template
    await world.create(V1, obj)
    await world.until_names(kinds.PODS, ["j-launcher-0", "j-worker-0"])
    pods = [await world.get(kinds.PODS, name) for name in ("j-launcher-0", "j-worker-0")]
    mounts = [
        [
            each["name"]
            for each in pod["spec"]["containers"]
            if any(one["name"] == "mpi-job-config" for one in each["volumeMounts"])
        ]
        for pod in pods
    ]
    assert mounts == [[launcher], [worker]]
    told = pods[0]["spec"]["containers"][-1]["env"]
    assert {"name": "WHERRY_MPI_CONTAINER", "value": worker} in told
    assert not main or "env" not in pods[0]["spec"]["containers"][0]
    assert "sleep" in pods[1]["spec"]["containers"][-1]["command"][2]


async def test_v1_runs_when_launcher_and_all_workers_do(world, make):
    pending = make(MPI(), {"Launcher": 1, "Worker": 2}, play="pending")
    await world.create(V1, pending)
    await world.until_names(kinds.PODS, ["j-launcher-0", "j-worker-0", "j-worker-1"])
    for name in ("j-launcher-0", "j-worker-0"):
        await world.kubelet.set_ready(name)
    await world.until_status(V1, "j", completionTime=0)
    assert not conditions.is_true(await world.get(V1, "j"), "Running")
    await world.kubelet.set_ready("j-worker-1")
    await world.until_condition(V1, "j", "Running", "MPIJobRunning")
    await world.kubelet.finish("j-launcher-0")
    await world.until_condition(V1, "j", "Succeeded", "MPIJobSucceeded")


async def test_v1_says_that_its_launcher_was_evicted(world, make):
    await world.create(V1, make(MPI(), {"Launcher": 1, "Worker": 1}))
    await world.until_condition(V1, "j", "Running")
    await world.kubelet.evict("j-launcher-0")
    await world.until_condition(V1, "j", "Failed", "MPIJobEvicted")


async def test_v1_host_list_follows_the_workers(world, make):
    await world.create(V1, make(MPI(), {"Launcher": 1, "Worker": 1}))
    await world.until_condition(V1, "j", "Running")
    await world.client.patch(V1, "j", {"spec": {"replicas": 2}}, "default", subresource="scale")

    async def listed():
        data = (await world.get(kinds.CONFIG_MAPS, "j-config"))["data"]
        return data["hostfile"] == "j-worker-0 slots=1\nj-worker-1 slots=1\n"

    await world.until(listed, "the host list")


async def test_v2_makes_what_mpi_operator_makes(world):
    await world.create(V2, v2(slotsPerWorker=2))
    await world.until_names(kinds.JOBS, ["j-launcher"])
    data = (await world.get(kinds.CONFIG_MAPS, "j-config"))["data"]
    hosts = [f"j-worker-{index}.j.default.svc" for index in range(2)]
    assert data["hostfile"] == "".join(f"{host} slots=2\n" for host in hosts)
    for name in ("j", "j-launcher"):
        assert (await world.get(kinds.SERVICES, name))["spec"]["clusterIP"] == "None"
    secret = await world.get(kinds.SECRETS, "j-ssh")
    assert secret["type"] == "kubernetes.io/ssh-auth"
    assert secret["data"].keys() == {"ssh-privatekey", "ssh-publickey"}
    worker = await world.get(kinds.PODS, "j-worker-1")
    assert (worker["spec"]["hostname"], worker["spec"]["subdomain"]) == ("j-worker-1", "j")
    assert worker["metadata"]["labels"] == {
        "training.kubeflow.org/operator-name": "mpi-operator",
        "training.kubeflow.org/job-name": "j",
        "training.kubeflow.org/job-role": "worker",
        "training.kubeflow.org/replica-index": "1",
    }
    assert "sshd" not in " ".join(worker["spec"]["containers"][0]["command"])
    assert variables(worker) == {"K_MPI_JOB_ROLE": "worker"}
    template = (await world.get(kinds.JOBS, "j-launcher"))["spec"]["template"]
    assert template["spec"]["restartPolicy"] == "OnFailure"
    assert template["spec"]["serviceAccountName"] == "j-launcher"
    env = variables(template)
    assert env["K_MPI_JOB_ROLE"] == "launcher"
    assert env["OMPI_MCA_orte_set_default_slots"] == "2"
    keys = next(each for each in template["spec"]["volumes"] if each["name"] == "ssh-auth")
    assert [item["path"] for item in keys["secret"]["items"]] == [
        "id_rsa",
        "id_rsa.pub",
        "authorized_keys",
    ]


@pytest.mark.parametrize(
    ("implementation", "variable"),
    [("MPICH", "HYDRA_HOST_FILE"), ("Intel", "I_MPI_HYDRA_HOST_FILE")],
)
async def test_v2_speaks_to_each_implementation(world, implementation, variable):
    await world.create(V2, v2(mpiImplementation=implementation, runLauncherAsWorker=True))
    await world.until_names(kinds.JOBS, ["j-launcher"])
    template = (await world.get(kinds.JOBS, "j-launcher"))["spec"]["template"]
    assert variables(template)[variable] == "/etc/mpi/hostfile.hydra"
    data = (await world.get(kinds.CONFIG_MAPS, "j-config"))["data"]
    assert data["hostfile.hydra"].splitlines()[0] == "j-launcher:1"


@pytest.mark.parametrize(
    "chosen",
    [
        {"command": ["mpirun", "--mca", "btl_tcp_if_include", "eth1", "hostname"]},
        {"env": [{"name": "OMPI_MCA_btl_tcp_if_include", "value": "eth1"}]},
    ],
)
async def test_a_launcher_that_chooses_its_network_is_left_to_it(world, chosen):
    obj = v2()
    (launcher,) = obj["spec"]["mpiReplicaSpecs"]["Launcher"]["template"]["spec"]["containers"]
    launcher |= chosen
    await world.create(V2, obj)
    await world.until_names(kinds.JOBS, ["j-launcher"])
    template = (await world.get(kinds.JOBS, "j-launcher"))["spec"]["template"]
    assert "OMPI_MCA_btl_tcp_if_exclude" not in variables(template)


async def test_v2_runs_and_succeeds(world):
    await world.create(V2, v2(runPolicy={"cleanPodPolicy": "Running"}))
    obj = await world.until_condition(V2, "j", "Running")
    assert obj["status"]["replicaStatuses"]["Worker"]["active"] == 2
    assert obj["status"]["replicaStatuses"]["Launcher"]["active"] == 1
    (launcher,) = await world.names(kinds.PODS, "training.kubeflow.org/job-role=launcher")
    await world.kubelet.finish(launcher)
    await world.until_condition(V2, "j", "Succeeded", "MPIJobSucceeded")
    await world.until_names(kinds.PODS, [launcher])


async def test_v2_may_wait_for_its_workers(world):
    obj = v2(launcherCreationPolicy="WaitForWorkersReady")
    template = obj["spec"]["mpiReplicaSpecs"]["Worker"]["template"]
    template["metadata"] = {"annotations": {"test/play": "unready"}}
    await world.create(V2, obj)
    await world.until_names(kinds.PODS, ["j-worker-0", "j-worker-1"])
    await world.kubelet.set_ready("j-worker-0")
    assert await world.names(kinds.JOBS) == []
    await world.kubelet.set_ready("j-worker-1")
    await world.until_names(kinds.JOBS, ["j-launcher"])


async def test_v2_fails_with_its_launcher_and_its_last_words(world):
    obj = v2(runPolicy={"backoffLimit": 0})
    obj["spec"]["mpiReplicaSpecs"]["Launcher"]["restartPolicy"] = "Never"
    await world.create(V2, obj)
    await world.until_condition(V2, "j", "Running")
    (launcher,) = await world.names(kinds.PODS, "training.kubeflow.org/job-role=launcher")
    await world.kubelet.finish(launcher, code=1, message="no such program: trian")
    obj = await world.until_condition(V2, "j", "Failed", "BackoffLimitExceeded")
    assert "no such program: trian" in condition(obj, "Failed")["message"]


async def test_v2_suspends_and_resumes(world):
    await world.create(V2, v2())
    await world.until_condition(V2, "j", "Running")
    await world.patch(V2, "j", {"spec": {"runPolicy": {"suspend": True}}})
    await world.until_condition(V2, "j", "Suspended")
    await world.until_names(kinds.PODS, [])
    assert (await world.get(kinds.JOBS, "j-launcher"))["spec"]["suspend"] is True
    await world.patch(V2, "j", {"spec": {"runPolicy": {"suspend": False}}})

    async def runs():
        obj = await world.get(V2, "j")
        return conditions.is_true(obj, "Running") and not conditions.is_true(obj, "Suspended")

    await world.until(runs, "running again")


async def test_v2_makes_a_lost_worker_anew(world):
    await world.create(V2, v2())
    await world.until_condition(V2, "j", "Running")
    before = (await world.get(kinds.PODS, "j-worker-0"))["metadata"]["uid"]
    await world.kubelet.evict("j-worker-0")

    async def anew():
        pod = await world.find(kinds.PODS, "j-worker-0")
        return pod and pod["metadata"]["uid"] != before

    await world.until(anew, "another worker")


async def test_v2_goes_after_its_time(world):
    await world.create(V2, v2(runPolicy={"ttlSecondsAfterFinished": 60}))
    await world.until_condition(V2, "j", "Running")
    (launcher,) = await world.names(kinds.PODS, "training.kubeflow.org/job-role=launcher")
    await world.kubelet.finish(launcher)
    await world.until_condition(V2, "j", "Succeeded")
    await world.advance(70)
    await world.until_gone(V2, "j")


async def test_a_job_runs_as_the_version_it_was_written_in(world, make):
    suspended = {"suspend": True}
    await world.create(V2, v2(runPolicy=suspended))
    seen = await world.until_condition(V1, "j", "Suspended")
    assert seen["metadata"]["annotations"][WRITTEN_AS] == "kubeflow.org/v2beta1"
    # A client of the other version writes it back: that changes nothing of what it is.

    async def written():
        obj = await world.get(V1, "j")
        obj["spec"]["slotsPerWorker"] = 4
        try:
            return await world.client.update(V1, obj)
        except errors.ConflictError:
            return None  # the controllers were quicker

    await world.until(written, "the write")
    assert (await world.get(V2, "j"))["spec"]["launcherCreationPolicy"] == "AtStartup"
    await world.create(V1, make(MPI(), {"Launcher": 1}, name="old", runPolicy=suspended))
    await world.patch(V2, "j", {"spec": {"runPolicy": {"suspend": False}}})
    await world.patch(V2, "old", {"spec": {"runPolicy": {"suspend": False}}})
    await world.until_names(kinds.JOBS, ["j-launcher"])
    await world.until_names(kinds.PODS, ["old-launcher-0"], "training.kubeflow.org/job-name=old")


async def test_v2_has_rules_of_its_own(world):
    obj = v2()
    obj["spec"]["mpiReplicaSpecs"]["Worker"]["restartPolicy"] = "ExitCode"
    with pytest.raises(errors.InvalidError, match="want one of Never, OnFailure"):
        await world.create(V2, obj)
    with pytest.raises(errors.InvalidError, match="mpi-operator"):
        await world.create(V2, v2(runPolicy={"managedBy": "kubeflow.org/training-operator"}))
