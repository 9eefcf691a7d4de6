"""TrainJobs with MPI: who is a host, what the launcher is told, and which pods it may reach."""

import copy

import pytest

from wherry.objects import errors, kinds, metadata
from wherry.testing.played import PLAY
from wherry.training.trainer.kinds import RUNTIMES, TRAIN_JOBS
from wherry.training.trainer.runtimes import all_runtimes

SHIPPED = next(each for each in all_runtimes() if each["metadata"]["name"] == "mlx-distributed")
WORKERS = "wherry.dev/mpi-workers-of=j"


def runtime(**mpi):
    """Return the spec of the shipped runtime, with pods that are played and settings of its own."""
    spec = copy.deepcopy(SHIPPED["spec"])
    spec["mlPolicy"]["mpi"] |= mpi
    for replicated in spec["template"]["spec"]["replicatedJobs"]:
        pod = replicated["template"]["spec"]["template"]
        pod["metadata"] = {"annotations": {PLAY: "run"}}
        pod["spec"]["terminationGracePeriodSeconds"] = 1
    return spec


@pytest.fixture
def start(world):
    async def started(trainer=None, spec=None):
        await world.create(RUNTIMES, {"metadata": {"name": "own"}, "spec": spec or runtime()})
        reference = {"name": "own", "kind": "TrainingRuntime"}
        spec = {"runtimeRef": reference, **({"trainer": trainer} if trainer else {})}
        return await world.create(TRAIN_JOBS, {"metadata": {"name": "j"}, "spec": spec})

    return started


@pytest.fixture
def hosts(world):
    """Wait for the host list."""

    async def listed(key="hostfile"):
        async def there():
            found = await world.find(kinds.CONFIG_MAPS, "j-mpi-hostfile")
            return found and found["data"][key].splitlines()

        return await world.until(there, "the host list")

    return listed


def container(pod):
    (found,) = pod["spec"]["containers"]
    return found


def env(pod):
    return {one["name"]: one.get("value") for one in container(pod)["env"]}


async def pod(world, host):
    """Wait for the pod of a host."""

    async def there():
        found = await world.list(kinds.PODS)
        return next((each for each in found if each["spec"].get("hostname") == host), None)

    return await world.until(there, f"a pod {host}")


async def test_the_launcher_is_told_of_its_nodes(world, start, hosts):
    await start({"numNodes": 3, "numProcPerNode": 2, "command": ["mpirun", "hostname"]})
    assert await hosts() == [
        "j-launcher-0-0 slots=2",
        "j-node-0-0.j slots=2",
        "j-node-0-1.j slots=2",
    ]
    launcher = await pod(world, "j-launcher-0-0")
    assert container(launcher)["command"] == ["mpirun", "hostname"]
    assert launcher["spec"]["serviceAccountName"] == "j-mpi-launcher"
    told = env(launcher)
    assert told["OMPI_MCA_orte_default_hostfile"] == "/etc/mpi/hostfile"
    assert told["OMPI_MCA_orte_keep_fqdn_hostnames"] == "true"
    assert told["OMPI_MCA_orte_set_default_slots"] == "2"
    assert told["OMPI_MCA_plm_rsh_args"] == "-o ConnectionAttempts=10"
    assert told["PRTE_MCA_plm_ssh_agent"] == "/etc/mpi/kubexec.sh"
    assert told["WHERRY_MPI_SELECTOR"] == WORKERS
    node = await pod(world, "j-node-0-1")
    assert "sleep" in container(node)["command"][2]
    assert "readinessProbe" not in container(node)
    mounted = {each["name"]: each["mountPath"] for each in container(node)["volumeMounts"]}
    assert mounted["mpi-hostfile"] == "/etc/mpi"
    assert mounted["mpi-ssh-auth"] == "/home/mpiuser/.ssh"
    # By which MPICH's nodes call it.
    service = await world.get(kinds.SERVICES, "j-launcher-0-0")
    assert service["spec"]["selector"]["jobset.sigs.k8s.io/replicatedjob-name"] == "launcher"
    secret = await world.get(kinds.SECRETS, "j-mpi-ssh-auth")
    assert (secret["type"], secret["immutable"]) == ("kubernetes.io/ssh-auth", True)


async def test_the_launcher_may_reach_its_nodes_and_no_other_pods(world, start):
    await start({"numNodes": 3})

    async def named():
        rules = (await world.get(kinds.ROLES, "j-mpi-launcher"))["rules"]
        return {rule["resources"][0]: rule for rule in rules if "resourceNames" in rule}

    async def agrees():
        there = await world.names(kinds.PODS, WORKERS)
        rules = await named()
        # One that is deleted before it runs has not failed: its successor has its name.
        pods = [await world.get(kinds.PODS, name) for name in there]
        if len(pods) != 2 or any(each["status"]["phase"] != "Running" for each in pods):
            return False
        return rules and rules["pods/exec"]["resourceNames"] == sorted(there)

    async def gone():
        if first not in (await named())["pods/exec"]["resourceNames"]:
            return True
        # A pod that went before its end was seen has not failed: its successor is there at once.
        found = await world.find(kinds.PODS, first)
        return found is not None and metadata.uid(found) != deleted

    await pod(world, "j-node-0-1")
    await world.until(agrees, "a role that names the nodes")
    assert (await named())["pods/exec"]["verbs"] == ["create", "get"]
    (first, _) = await world.names(kinds.PODS, WORKERS)
    deleted = metadata.uid(await world.get(kinds.PODS, first))
    await world.delete(kinds.PODS, first)
    await world.until(gone, "a role without the node")
    await world.advance(30)  # a Job waits before it makes another pod
    await world.until(agrees, "a role that names the node's successor")


@pytest.mark.parametrize(
    ("as_node", "trainer", "wanted"),
    [
        (True, {"numNodes": 1}, ["j-launcher-0-0 slots=1"]),
        (True, None, ["j-launcher-0-0 slots=1", "j-node-0-0.j slots=1"]),
        (False, {"numNodes": 2}, ["j-node-0-0.j slots=1", "j-node-0-1.j slots=1"]),
        (
            False,
            {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 4}}},
            ["j-node-0-0.j slots=4"],
        ),
    ],
)
async def test_hosts(start, hosts, as_node, trainer, wanted):
    await start(trainer, runtime(runLauncherAsNode=as_node))
    assert await hosts() == wanted


@pytest.mark.parametrize(
    ("implementation", "variable"),
    [("MPICH", "HYDRA_HOST_FILE"), ("Intel", "I_MPI_HYDRA_HOST_FILE")],
)
async def test_each_implementation(world, start, hosts, implementation, variable):
    await start({"numNodes": 2}, runtime(mpiImplementation=implementation))
    assert env(await pod(world, "j-launcher-0-0"))[variable] == "/etc/mpi/hostfile.hydra"
    assert await hosts("hostfile.hydra") == ["j-launcher-0-0:1", "j-node-0-0.j:1"]


async def test_the_end_of_the_launcher_is_the_end(world, start):
    await start({"numNodes": 2})
    launcher = await pod(world, "j-launcher-0-0")
    await world.kubelet.finish(launcher["metadata"]["name"])
    await world.until_condition(TRAIN_JOBS, "j", "Complete")
    await world.until_names(kinds.PODS, [], WORKERS)


async def test_nodes_that_a_runtime_has_not_are_refused(start):
    spec = runtime()
    jobs = spec["template"]["spec"]["replicatedJobs"]
    launcher = next(each for each in jobs if each["name"] == "launcher")
    del launcher["dependsOn"]
    spec["template"]["spec"]["replicatedJobs"] = [launcher]
    with pytest.raises(errors.InvalidError, match='no replicated job "node"'):
        await start({"numNodes": 2}, spec)


async def test_processes_are_a_number(start):
    with pytest.raises(errors.InvalidError, match='"gpu": want a whole number'):
        await start({"numProcPerNode": "gpu"})
