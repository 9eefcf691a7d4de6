"""What the training itself tells of its TrainJob: who may, what is taken, and where it ends up."""

import asyncio
import itertools
import json
import subprocess
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

import wherry
from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.controller.manager import Manager
from wherry.controller.surroundings import Surroundings
from wherry.embedded import in_memory
from wherry.objects import conditions, kinds, metadata
from wherry.testing import builders
from wherry.testing.waiting import eventually
from wherry.training.trainer import receiving, reporting
from wherry.training.trainer.endpoint import OPTION, Endpoint
from wherry.training.trainer.kinds import RUNTIMES, STEP, TRAIN_JOBS

pytestmark = pytest.mark.timeout(300)

PROGRAM = Path(__file__).with_name("programs") / "tell.py"
FOLDER = "/var/run/secrets/kubeflow/trainer"
NUMBERS = itertools.count(1)
SOURCES = Path(wherry.__file__).parents[1]
REPORTS = f"""
import sys
sys.path.append({str(SOURCES)!r})
import wherry
for step in range(1, 4):
    wherry.report(step=step, steps=4, loss=1 / step)
"""

TWICE = f"""
import pathlib, sys, time
sys.path.append({str(SOURCES)!r})
import wherry
wherry.report(step=1, steps=4)
while not pathlib.Path("/shared/go").exists():
    time.sleep(0.05)
while True:
    wherry.report(step=4, steps=4)
    time.sleep(0.2)
"""


def runtime():
    container = {"name": "node", "image": builders.IMAGE}
    pod = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    step = {"metadata": {"labels": {STEP: "trainer"}}, "spec": {"template": pod, "backoffLimit": 0}}
    jobs = [{"name": "node", "template": step}]
    return {"mlPolicy": {"numNodes": 1}, "template": {"spec": {"replicatedJobs": jobs}}}


@pytest.fixture
def namespace(shared_platform):
    name = f"status-{next(NUMBERS)}"
    shared_platform.call(shared_platform.client.create(kinds.NAMESPACES, builders.namespace(name)))
    yield name
    shared_platform.call(shared_platform.client.delete(kinds.NAMESPACES, name))


def of(resource, name, namespace, spec):
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


@pytest.fixture
def train(shared_platform, namespace):
    """Run a program as a job on one node and more; return the job when it is over."""

    def logs():
        """Return what the pods have said."""
        pods = shared_platform.call(shared_platform.client.list(kinds.PODS, namespace)).items
        kubectl = ["kubectl", "--kubeconfig", str(shared_platform.kubeconfig), "-n", namespace]
        return [
            subprocess.run(
                [*kubectl, "logs", metadata.name(pod)], capture_output=True, text=True, check=False
            ).stdout
            for pod in pods
        ]

    def trained(code, nodes=1, python="python"):
        call, client = shared_platform.call, shared_platform.client
        call(client.create(RUNTIMES, of(RUNTIMES, "own", namespace, runtime())))
        spec = {
            "runtimeRef": {"name": "own", "kind": "TrainingRuntime"},
            "trainer": {"numNodes": nodes, "command": [python, "-c", code]},
        }
        call(client.create(TRAIN_JOBS, of(TRAIN_JOBS, "j", namespace, spec)))

        def ended():
            found = call(client.get(TRAIN_JOBS, "j", namespace))
            over = any(conditions.is_true(found, each) for each in ("Complete", "Failed"))
            return found if over else None

        found = eventually(ended, 240, what="the job has ended")
        assert conditions.is_true(found, "Complete"), logs()
        return found

    return trained


def test_what_the_pods_that_train_are_given(shared_platform, namespace, train):
    train("pass")
    (pod,) = shared_platform.call(shared_platform.client.list(kinds.PODS, namespace)).items
    (container,) = pod["spec"]["containers"]
    path = f"/apis/trainer.kubeflow.org/v1alpha1/namespaces/{namespace}/trainjobs/j/status"
    host = "kubeflow-trainer-controller-manager.kubeflow-system.svc:10443"
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert {key: value for key, value in env.items() if key.startswith("KUBEFLOW")} == {
        "KUBEFLOW_TRAINER_SERVER_URL": f"https://{host}{path}",
        "KUBEFLOW_TRAINER_SERVER_CA_CERT": f"{FOLDER}/ca.crt",
        "KUBEFLOW_TRAINER_SERVER_TOKEN": f"{FOLDER}/token",
    }
    mounts = [one for one in container["volumeMounts"] if one["mountPath"] == FOLDER]
    assert mounts == [{"name": "kubeflow-trainer-token", "mountPath": FOLDER, "readOnly": True}]
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    token, authority = volumes["kubeflow-trainer-token"]["projected"]["sources"]
    assert token["serviceAccountToken"] == {
        "audience": f"trainer.kubeflow.org/v1alpha1/namespaces/{namespace}/trainjobs/j/status",
        "expirationSeconds": 3600,
        "path": "token",
    }
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    assert authority["configMap"] == {"name": "j-tls-config", "items": items}
    call = shared_platform.client.get(kinds.CONFIG_MAPS, "j-tls-config", namespace)
    held = shared_platform.call(call)
    assert held["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE")
    owner = metadata.controller_of(held)
    assert owner is not None
    assert (owner["kind"], owner["name"]) == ("TrainJob", "j")


def test_who_may_tell_what(shared_platform, namespace, train):
    job = train(PROGRAM.read_text())
    assert job["status"]["trainerStatus"] == {
        "progressPercentage": 42,
        "estimatedRemainingSeconds": 7,
        "metrics": [{"name": "loss", "value": "0.5"}],
        "lastUpdatedTime": "2026-06-12T03:00:00Z",
    }
    (pod,) = shared_platform.call(shared_platform.client.list(kinds.PODS, namespace)).items
    message = pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    assert json.loads(message) == {
        "all": 200,
        "nothing": 200,
        "no token": 403,
        "another token": 403,
        "another job": 403,
        "no JSON": 422,
        "no object": 422,
        "too deep": 422,
        "no time": 422,
        "a number": 422,
        "too far": 422,
        "too long": 422,
        "too much": 413,
        "no such place": 404,
    }


def test_reports_of_the_first_rank_are_told(train):
    job = train(REPORTS, nodes=2)
    told = job["status"]["trainerStatus"]
    assert told["progressPercentage"] == 75
    assert told["estimatedRemainingSeconds"] >= 0
    values = {each["name"]: each["value"] for each in told["metrics"]}
    assert values.items() >= {"step": "3", "steps": "4", "loss": str(1 / 3)}.items()


async def test_whoever_sends_no_body_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(receiving, "_BODY_SECONDS", 0.2)
    account = {"metadata": {"name": "runner", "namespace": "team"}}
    audience = reporting.audience("team", "j")
    wanted = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": account["metadata"],
        "spec": {"audiences": [audience]},
    }
    async with in_memory.served(tmp_path) as (server, _):
        client = Client(server.transport(in_memory.ADMIN))
        await client.create(kinds.NAMESPACES, builders.namespace("team"))
        await client.create(kinds.SERVICE_ACCOUNTS, account)
        made = await client.create(kinds.SERVICE_ACCOUNTS, wanted, subresource="token")
        async with TestServer(receiving.application(client)) as http:
            reader, writer = await asyncio.open_connection(http.host, http.port)
            path, token = reporting.path("team", "j"), made["status"]["token"]
            lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}"]
            writer.write("\r\n".join([*lines, "Content-Length: 9", "", ""]).encode())
            async with asyncio.timeout(90):
                assert b" 504 " in await reader.readline()
            writer.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pods_reach_the_next_control_plane_too(running, tmp_path):
    def ask(call):
        async def asked():
            transport = HttpTransport(running.connection)
            try:
                return await call(Client(transport))
            finally:
                await transport.close()

        return asyncio.run(asked())

    def percentage(wanted):
        job = ask(lambda client: client.get(TRAIN_JOBS, "j", "default"))
        told = (job.get("status") or {}).get("trainerStatus") or {}
        return told.get("progressPercentage") == wanted

    pod = runtime()
    spec = pod["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "shared", "hostPath": {"path": str(tmp_path)}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "shared", "mountPath": "/shared"}]
    ask(lambda client: client.create(RUNTIMES, of(RUNTIMES, "own", "default", pod)))
    spec = {
        "runtimeRef": {"name": "own", "kind": "TrainingRuntime"},
        "trainer": {"command": ["python", "-c", TWICE]},
    }
    ask(lambda client: client.create(TRAIN_JOBS, of(TRAIN_JOBS, "j", "default", spec)))
    eventually(lambda: percentage(25), 120)
    running.restart()
    (tmp_path / "go").touch()
    eventually(lambda: percentage(100), 120)


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({}, "trainerStatus.lastUpdatedTime"),
        ({"lastUpdatedTime": "soon"}, "trainerStatus.lastUpdatedTime"),
        ({"progressPercentage": 1.5}, "trainerStatus.progressPercentage"),
        ({"progressPercentage": True}, "trainerStatus.progressPercentage"),
        ({"estimatedRemainingSeconds": "1"}, "trainerStatus.estimatedRemainingSeconds"),
        ({"estimatedRemainingSeconds": 2**31}, "trainerStatus.estimatedRemainingSeconds"),
        ({"metrics": [{"name": "loss"}]}, "trainerStatus.metrics"),
        ({"metrics": {"loss": "1"}}, "trainerStatus.metrics"),
    ],
)
def test_what_is_wrong_is_named(status, field):
    causes = reporting.read({"trainerStatus": status})
    assert isinstance(causes, list)
    assert field in {each.field for each in causes}


def test_what_is_not_told_any_more_goes():
    assert reporting.read({"trainerStatus": {"lastUpdatedTime": "2026-06-12T03:00:00Z"}}) == {
        "progressPercentage": None,
        "estimatedRemainingSeconds": None,
        "metrics": None,
        "lastUpdatedTime": "2026-06-12T03:00:00Z",
    }


@pytest.mark.parametrize(
    ("around", "place"),
    [
        (Surroundings(), None),
        (Surroundings(local=True), ("127.0.0.1", 0)),
        (Surroundings(options={OPTION: "10.0.0.7:10443"}), ("10.0.0.7", 10443)),
        (Surroundings(options={OPTION: "[fd00::7]:1"}, local=True), ("fd00::7", 1)),
    ],
)
async def test_where_it_is_served(around, place):
    async with in_memory.api() as server:
        manager = Manager(Client(server.transport(in_memory.ADMIN)), surroundings=around)
        endpoint = Endpoint(manager)
        assert endpoint.place == place
        assert endpoint.is_served == (place is not None)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.7", ":1", "10.0.0.7:", "10.0.0.7:65536", "10.0.0.7:one", "wherry.example:1", "[::]:1"],
)
async def test_an_address_that_is_none_is_named(address):
    async with in_memory.api() as server:
        around = Surroundings(options={OPTION: address})
        manager = Manager(Client(server.transport(in_memory.ADMIN)), surroundings=around)
        with pytest.raises(ValueError, match=f"{OPTION}: .*want HOST:PORT"):
            Endpoint(manager)
