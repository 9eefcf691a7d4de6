"""MPI jobs that really run: `mpirun` starts processes in pods through the API, and they add up."""

import dataclasses
from pathlib import Path

import pytest

from wherry.cli import main
from wherry.training.frameworks.mpi import MPI
from wherry.training.sdk.errors import FailedError
from wherry.training.sdk.starting import train
from wherry.training.trainer.kinds import RUNTIMES, STEP, TRAIN_JOBS

V2 = dataclasses.replace(MPI.resource, version="v2beta1")
MPICH = ("mpi4py==4.1.2", "mpich")
OPEN_MPI = ("mpi4py==4.1.2", "openmpi")

PROGRAMS = Path(__file__).with_name("programs")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def pods(runs):
    """Return the pods of launcher and workers: both have the program, the launcher runs it."""

    def made(image, *command):
        launcher = runs.pod(MPI(), image, "reduce", *command)
        worker = runs.pod(MPI(), image, "reduce")
        del worker["spec"]["containers"][0]["command"]
        return launcher, worker

    return made


def added_up(told, hosts):
    """Check what the ranks have told."""
    ranks = range(len(hosts))
    assert sorted(each["rank"] for each in told) == list(ranks)
    assert sorted(each["host"] for each in told) == sorted(hosts)
    assert {each["total"] for each in told} == {sum(rank + 1 for rank in ranks)}


@pytest.mark.parametrize("version", ["v1", "v2beta1"])
def test_mpich(runs, pods, version):
    """Through our remote shell: no ssh, no keys, no daemon."""
    launcher, worker = pods(runs.environment("mpich", *MPICH), "mpirun", "-n", "3", "python")
    replicas = {"Launcher": {"template": launcher}, "Worker": {"replicas": 3, "template": worker}}
    if version == "v1":
        runs.start(MPI(), replicas)
    else:
        runs.start(MPI(), replicas, V2, mpiImplementation="MPICH")
    runs.succeed(MPI())
    told = runs.told("j-launcher-0" if version == "v1" else "job/j-launcher")
    added_up(told, [f"j-worker-{index}" for index in range(3)])


@pytest.mark.slow
@pytest.mark.parametrize("with_launcher", [False, True])
def test_open_mpi(runs, pods, with_launcher):
    image = runs.environment("openmpi", *OPEN_MPI)
    launcher, worker = pods(image, "mpirun", "-n", "3", "python")
    workers = 2 if with_launcher else 3
    replicas = {
        "Launcher": {"template": launcher},
        "Worker": {"replicas": workers, "template": worker},
    }
    runs.start(MPI(), replicas, V2, runLauncherAsWorker=with_launcher)
    runs.succeed(MPI())
    hosts = [f"j-worker-{index}" for index in range(workers)]
    hosts += ["j-launcher"] if with_launcher else []
    added_up(runs.told("job/j-launcher"), hosts)


@pytest.mark.slow
def test_intel_mpi(runs, pods):
    image = runs.environment("intel", "mpi4py==4.1.2", "impi-rt")
    launcher, worker = pods(image, "mpirun", "-n", "3", "python")
    replicas = {"Launcher": {"template": launcher}, "Worker": {"replicas": 3, "template": worker}}
    runs.start(MPI(), replicas, V2, mpiImplementation="Intel")
    runs.succeed(MPI())
    added_up(runs.told("job/j-launcher"), [f"j-worker-{index}" for index in range(3)])


@pytest.mark.parametrize(
    ("implementation", "packages"),
    [("MPICH", MPICH), pytest.param("OpenMPI", OPEN_MPI, marks=pytest.mark.slow)],
)
def test_a_train_job(runs, pods, implementation, packages):
    """Names of its pods end at random: the remote shell finds them by label."""
    image = runs.environment(implementation.lower(), *packages)
    parts = pods(image, "mpirun", "-n", "3", "python")
    jobs = []
    for name, pod, labels in zip(("launcher", "node"), parts, ({STEP: "trainer"}, {}), strict=True):
        pod["spec"]["containers"][0]["name"] = "node"
        pod["spec"]["restartPolicy"] = "Never"
        job = {"metadata": {"labels": labels}, "spec": {"backoffLimit": 0, "template": pod}}
        jobs.append({"name": name, "template": job})
    policy = {
        "numNodes": 1,
        "mpi": {"mpiImplementation": implementation, "runLauncherAsNode": True},
    }
    success = {"operator": "All", "targetReplicatedJobs": ["launcher"]}
    template = {"spec": {"replicatedJobs": jobs, "successPolicy": success}}
    meta = {"name": "own", "namespace": runs.namespace}
    runs.create(RUNTIMES, {"metadata": meta, "spec": {"mlPolicy": policy, "template": template}})
    reference = {"name": "own", "kind": "TrainingRuntime"}
    spec = {"runtimeRef": reference, "trainer": {"numNodes": 3}}
    runs.create(TRAIN_JOBS, {"metadata": {**meta, "name": "j"}, "spec": spec})
    runs.end(TRAIN_JOBS, "Complete")
    told = runs.told("job/j-launcher-0")
    added_up(told, ["j-launcher-0-0", "j-node-0-0", "j-node-0-1"])


@pytest.mark.slow
def test_a_train_job_of_a_shipped_runtime(runs):
    """As an ordinary user, over nodes whose command is sshd."""
    image = "ghcr.io/kubeflow/trainer/mlx-runtime"
    runs.environment("mlx-runtime", *OPEN_MPI, images=[image])
    program = (PROGRAMS / "reduce.py").read_text()
    trainer = {"numNodes": 3, "command": ["mpirun", "-n", "3", "python", "-c", program]}
    spec = {"runtimeRef": {"name": "mlx-distributed"}, "trainer": trainer}
    runs.create(TRAIN_JOBS, {"metadata": {"name": "j", "namespace": runs.namespace}, "spec": spec})
    runs.end(TRAIN_JOBS, "Complete")
    added_up(runs.told("job/j-launcher-0"), ["j-launcher-0-0", "j-node-0-0", "j-node-0-1"])


SDK = """
import os

import wherry


def fit(unhappy=-1):
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    wherry.report(step=1, steps=1, value=world.rank)
    if world.rank == unhappy:
        raise ValueError("this rank is unhappy")
    return world.allreduce(world.rank + 1), os.environ["COLOUR"]


if __name__ == "__main__":
    print(fit())
"""


@pytest.fixture
def code(tmp_path, monkeypatch):
    (tmp_path / "mpi_code.py").write_text(SDK)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def place(runs):
    """Where the SDK's jobs go: arguments of `train`."""
    connection = runs.platform.kubeconfig
    return {"connection": connection, "namespace": runs.namespace, "env": {"COLOUR": "green"}}


def test_the_sdk_starts_ranks_by_mpi(code, place):
    training = train("mpi_code:fit", framework="mpi", workers=3, **place)
    assert training.result(timeout=240) == (6, "green")
    assert training.kind == "MPIJob"
    told = {each["rank"]: each["value"] for each in training.metrics()}
    assert told == {"rank-0": 0, "rank-1": 1, "rank-2": 2}


@pytest.mark.slow
def test_the_sdk_raises_what_a_rank_raises(code, place):
    packages = list(OPEN_MPI)
    training = train(
        "mpi_code:fit", framework="mpi", args=[1], workers=2, packages=packages, **place
    )
    with pytest.raises(FailedError, match="this rank is unhappy") as caught:
        training.result(timeout=240)
    assert list(caught.value.tracebacks) == ["rank-1"]


@pytest.mark.slow
def test_the_command_line_starts_ranks_by_mpi(code, runs, capsys):
    words = ["--kubeconfig", str(runs.platform.kubeconfig), "-n", runs.namespace]
    words += ["--framework", "mpi", "--workers", "2", "--env", "COLOUR=red", "mpi_code.py"]
    assert main(["train", "run", *words]) == 0
    assert capsys.readouterr().out.count("(3, 'red')") == 2
