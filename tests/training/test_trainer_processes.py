"""TrainJobs whose pods are real processes: peers meet by name, and the unmodified SDK drives them."""

import asyncio
import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.kubelet.environments.kinds import ENVIRONMENTS
from wherry.objects import conditions, kinds
from wherry.objects.requests import Object
from wherry.testing import builders, environments
from wherry.testing.waiting import eventually
from wherry.training.trainer.kinds import CLUSTER_RUNTIMES, FRAMEWORK, RUNTIMES, STEP, TRAIN_JOBS

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "kubeflow.txt"
PROGRAM = Path(__file__).with_name("programs") / "trainer_client.py"
NUMBERS = itertools.count(1)

MEET = """
import os, socket, time
host, port = os.environ["JAX_COORDINATOR_ADDRESS"].split(":")
if os.environ["JAX_PROCESS_ID"] == "0":
    with socket.create_server(("", int(port))) as server:
        peers = [server.accept()[0] for _ in range(int(os.environ["JAX_NUM_PROCESSES"]) - 1)]
        total = sum(int(peer.recv(9)) for peer in peers)
    with open("/dev/termination-log", "w") as log:
        log.write(f"sum {total}, {socket.gethostname()}")
else:
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=5) as peer:
                peer.sendall(os.environ["JAX_PROCESS_ID"].encode())
                break
        except OSError:
            time.sleep(0.02)
"""


def runtime(policy, image=builders.IMAGE, **fields):
    node = {
        "name": "node",
        "template": {
            "metadata": {"labels": {STEP: "trainer"}},
            "spec": {
                "backoffLimit": 0,
                "template": {
                    "spec": {
                        "containers": [{"name": "node", "image": image, **fields}],
                        "restartPolicy": "Never",
                    }
                },
            },
        },
    }
    template = {"spec": {"replicatedJobs": [node]}}
    return {"mlPolicy": {"numNodes": 1, **policy}, "template": template}


def obj(resource, name, namespace="", **fields):
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**meta, **fields.pop("metadata", {})},
        **fields,
    }


@pytest.fixture
def namespace(shared_platform):
    name = f"trainer-{next(NUMBERS)}"
    shared_platform.call(shared_platform.client.create(kinds.NAMESPACES, builders.namespace(name)))
    yield name
    shared_platform.call(shared_platform.client.delete(kinds.NAMESPACES, name))


@pytest.fixture
def create(shared_platform):
    def made(resource, *arguments, **fields):
        call = shared_platform.client.create(resource, obj(resource, *arguments, **fields))
        return shared_platform.call(call)

    return made


@pytest.fixture
def ended(shared_platform):
    """Wait for the end of a TrainJob; return the condition that tells it."""

    def waited(name, namespace, seconds=240):
        def end():
            found = shared_platform.call(shared_platform.client.get(TRAIN_JOBS, name, namespace))
            return next(
                (
                    conditions.get(found, type_)
                    for type_ in ("Complete", "Failed")
                    if conditions.is_true(found, type_)
                ),
                None,
            )

        return eventually(end, seconds, what=f"{name} has ended")

    return waited


def test_nodes_meet_by_name(shared_platform, namespace, create, ended):
    create(RUNTIMES, "own", namespace, spec=runtime({"jax": {}}))
    create(
        TRAIN_JOBS,
        "j",
        namespace,
        spec={
            "runtimeRef": {"name": "own", "kind": "TrainingRuntime"},
            "trainer": {"numNodes": 3, "command": ["python", "-c", MEET]},
        },
    )
    end = ended("j", namespace)
    assert (end["type"], end["reason"]) == ("Complete", "AllJobsCompleted")
    call = shared_platform.client.list(kinds.PODS, namespace)
    first = next(
        pod
        for pod in shared_platform.call(call).items
        if pod["metadata"]["name"].startswith("j-node-0-0-")
    )
    state = first["status"]["containerStatuses"][0]["state"]["terminated"]
    assert state["message"] == "sum 3, j-node-0-0"


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_job_goes_on_when_the_control_plane_is_killed(running):
    async def client():
        return Client(HttpTransport(running.connection))

    async def uids(one):
        found = (await one.list(kinds.PODS, "default")).items
        return {pod["metadata"]["uid"] for pod in found if pod["status"]["phase"] == "Running"}

    one = await client()
    for resource, name, spec in (
        (RUNTIMES, "own", runtime({"torch": {}})),
        (
            TRAIN_JOBS,
            "j",
            {
                "runtimeRef": {"name": "own", "kind": "TrainingRuntime"},
                "trainer": {"numNodes": 2, "command": ["sleep", "8"]},
            },
        ),
    ):
        await one.create(resource, obj(resource, name, "default", spec=spec))
    before: set[str] = set()
    while len(before) < 2:
        before = await uids(one)
        await asyncio.sleep(0.05)
    await one.close()
    await asyncio.to_thread(running.restart)
    one = await client()
    found: Object = {}
    while not conditions.is_true(found, "Complete"):
        assert not conditions.is_true(found, "Failed")
        await asyncio.sleep(0.2)
        found = await one.get(TRAIN_JOBS, "j", "default")
    left = (await one.list(kinds.PODS, "default")).items
    assert {pod["metadata"]["uid"] for pod in left} == before
    await one.close()


@pytest.fixture(scope="session")
def environment():
    """Give the Python of an environment that holds the SDK; made once for each state of its pins."""
    folder = environments.environment(PINS, ROOT / "build" / "clients")
    return folder / "bin" / "python"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_sdks_helper_tells_how_far_a_job_is(
    shared_platform, namespace, create, ended, environment
):
    code = (
        "from kubeflow.trainer import update_trainjob_status\n"
        "assert update_trainjob_status(50, 10, {'loss': 0.25})"
    )
    create(RUNTIMES, "own", namespace, spec=runtime({"torch": {}}))
    reference = {"name": "own", "kind": "TrainingRuntime"}
    trainer = {"command": [str(environment), "-c", code]}
    create(TRAIN_JOBS, "j", namespace, spec={"runtimeRef": reference, "trainer": trainer})
    assert ended("j", namespace, 120)["type"] == "Complete"
    job = shared_platform.call(shared_platform.client.get(TRAIN_JOBS, "j", namespace))
    told = job["status"]["trainerStatus"]
    assert told.pop("lastUpdatedTime")
    assert told == {
        "progressPercentage": 50,
        "estimatedRemainingSeconds": 10,
        "metrics": [{"name": "loss", "value": "0.25"}],
    }


@pytest.fixture
def client(environment, shared_platform, namespace, tmp_path):
    """Run the client program; return what it has seen."""

    def run(*arguments, seconds=100):
        done = subprocess.run(
            [str(environment), str(PROGRAM), namespace, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "KUBECONFIG": str(shared_platform.kubeconfig),
            },
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_sdk_trains_a_function(shared_platform, namespace, create, client):
    plain = {"name": f"plain-{namespace}", "labels": {FRAMEWORK: "jax"}}
    create(CLUSTER_RUNTIMES, plain["name"], metadata=plain, spec=runtime({"jax": {}}))
    seen = client(plain["name"], "plain")
    assert seen["name"] == "chosen"
    assert seen["pods"] == [["ml", True]] * 2
    assert "torch-distributed" in seen["runtimes"]
    assert seen["created"]
    assert seen["log"] == ["rank 0 of 2: lr 0.5"]
    assert seen["status"] == "Complete"
    assert seen["steps"] == ["node-0", "node-1"]
    # That it ran is told where it is seen to run: it may be over before.
    assert {"Created", "StepCompleted"} <= set(seen["events"])
    assert seen["left"] == []
    eventually(
        lambda: not shared_platform.call(shared_platform.client.list(kinds.PODS, namespace)).items,
        what="the pods have gone",
    )


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_the_sdk_trains_with_torch_on_two_nodes(create, client):
    environment = {"images": ["example.org/torch:*"], "requirements": ["torch==2.13.0", "numpy"]}
    create(ENVIRONMENTS, "trainer-torch", spec=environment)
    labels = {"labels": {FRAMEWORK: "torch"}}
    spec = runtime({"torch": {}}, "example.org/torch:1")
    create(CLUSTER_RUNTIMES, "own-torch", metadata=labels, spec=spec)
    seen = client("own-torch", "torch", seconds=400)
    assert seen["log"] == ["rank 0 of 2: sum 3.0"]
    assert seen["status"] == "Complete"
