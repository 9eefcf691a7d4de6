"""The SDK of Kubeflow Pipelines, unchanged: every method of its client, every command of its CLI."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from wherry.objects import kinds as core
from wherry.objects import metadata
from wherry.testing import builders, environments
from wherry.testing.fixtures import shared_platform
from wherry.testing.waiting import eventually

__all__ = ["shared_platform"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PROGRAMS = HERE / "programs"
AUDIENCE = "pipelines.kubeflow.org"
RBAC = "rbac.authorization.k8s.io"
IN_A_POD = """
import kfp, kfp_server_api
client = kfp.Client()
made = client.create_experiment("from a pod")
there = client.list_experiments(namespace=client.get_user_namespace()).total_size
try:
    client.list_experiments(namespace="kube-system")
except kfp_server_api.ApiException as error:
    print(f"made in {made.namespace}, {there} there; other: {error.status}")
"""


def _cases(group):
    rows = json.loads((HERE / "names" / f"{group}.json").read_text())
    return [
        pytest.param(
            row["name"],
            marks=pytest.mark.conformance("pipelines-api", group=group, name=row["name"]),
        )
        for row in rows
        if not row.get("notApplicable")
    ]


class Programs:
    """Runs programs with the SDK, in a namespace of their own; each once."""

    def __init__(self, platform, folder, pins="clients-pipelines.txt"):
        self.platform = platform
        self._folder = folder
        self._environment = environments.environment(
            ROOT / "requirements" / pins, ROOT / "build" / "clients"
        )
        self._told = {}

    @property
    def service(self):
        """Return the address at which the service is reached without the API server."""
        client, call = self.platform.client, self.platform.call

        def found():
            services = call(client.list(core.SERVICES, "kubeflow"))
            return next((e for e in services if metadata.name(e) == "ml-pipeline"), None)

        return f"http://{eventually(found, 60)['spec']['clusterIP']}:8888"

    def namespace(self):
        """Return the name of a new namespace."""
        body = {"metadata": {"generateName": "sdk-"}}
        made = self.platform.call(self.platform.client.create(core.NAMESPACES, body))
        return metadata.name(made)

    def token(self, namespace):
        """Return the token of an account that may edit in a namespace, and where all share."""
        call, client = self.platform.call, self.platform.client
        account = {"metadata": {"name": "robot", "namespace": namespace}}
        call(client.create(core.SERVICE_ACCOUNTS, account))
        for where in (namespace, "kubeflow"):
            binding = {
                "metadata": {"name": f"robot-{namespace}", "namespace": where},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
                "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": namespace}],
            }
            call(client.create(core.ROLE_BINDINGS, binding))
        asked = {**account, "spec": {"audiences": [AUDIENCE]}}
        made = call(client.create(core.SERVICE_ACCOUNTS, asked, subresource="token"))
        return made["status"]["token"]

    def pod(self, namespace, program, **mounts):
        """Return the log of a pod that has run a program with the SDK to its end."""
        folder = str(self._environment)
        volumes = [{"name": "sdk", "hostPath": {"path": folder}}, *mounts.get("volumes", ())]
        container = {
            "name": "main",
            "image": builders.IMAGE,
            "command": [f"{folder}/bin/python", "-W", "ignore", "-c", program],
            "volumeMounts": [{"name": "sdk", "mountPath": folder}, *mounts.get("mounts", ())],
        }
        spec = {"containers": [container], "restartPolicy": "Never", "volumes": volumes}
        spec["serviceAccountName"] = "robot"
        body = {"metadata": {"name": "pod", "namespace": namespace}, "spec": spec}
        call, client = self.platform.call, self.platform.client
        call(client.create(core.PODS, body))

        def ended():
            found = call(client.get(core.PODS, "pod", namespace))
            return found["status"].get("phase") in ("Succeeded", "Failed")

        eventually(ended, 120)
        return call(lines(client, "pod", namespace))

    def told(self, program, *, directly=False):
        """Return what a program has told at its end."""
        key = program, directly
        if key not in self._told:
            namespace = self.namespace()
            arguments = [self.service, self.token(namespace)] if directly else []
            self._told[key] = self._run(program, namespace, arguments)
        return self._told[key]

    def _run(self, program, namespace, arguments):
        folder = self._folder / namespace
        folder.mkdir()
        done = subprocess.run(
            [self._environment / "bin" / "python", PROGRAMS / f"{program}.py", *arguments],
            cwd=folder,
            env={
                "PATH": f"{self._environment / 'bin'}:{os.environ['PATH']}",
                "HOME": str(folder),
                "KUBECONFIG": str(self.platform.kubeconfig),
                "NAMESPACE": namespace,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        return json.loads(done.stdout.splitlines()[-1])


async def lines(client, pod, namespace):
    """Return the lines of a pod's log."""
    return [line async for line in client.log_lines(pod, namespace)]


@pytest.fixture(scope="session")
def programs(shared_platform, tmp_path_factory):
    return Programs(shared_platform, tmp_path_factory.mktemp("sdk"))


@pytest.fixture(scope="session")
def programs_of_v1(shared_platform, tmp_path_factory):
    """Give what runs programs with the last release of version 1 of the SDK."""
    folder = tmp_path_factory.mktemp("sdk-v1")
    return Programs(shared_platform, folder, "clients-pipelines-v1.txt")


@pytest.mark.parametrize("name", _cases("client"))
def test_a_method_of_the_client(programs, name):
    told = programs.told("kfp_client")
    assert told["outcomes"][name.removeprefix("Client.")] == ""


def test_every_method_of_the_client_is_tried(programs):
    told = programs.told("kfp_client")
    assert set(told["methods"]) == set(told["outcomes"])


def test_the_client_is_told_where_the_service_is_and_given_a_token(programs):
    told = programs.told("kfp_client", directly=True)
    assert {name: text for name, text in told["outcomes"].items() if text} == {}


def test_the_client_finds_the_service_within_a_pod(programs):
    namespace = programs.namespace()
    programs.token(namespace)
    projected = {"serviceAccountToken": {"audience": AUDIENCE, "path": "token"}}
    told = programs.pod(
        namespace,
        IN_A_POD,
        volumes=[{"name": "token", "projected": {"sources": [projected]}}],
        mounts=[{"name": "token", "mountPath": "/var/run/secrets/kubeflow/pipelines"}],
    )
    assert told[-1:] == [f"made in {namespace}, 1 there; other: 403"], told


@pytest.mark.parametrize("name", _cases("client-v1"))
def test_a_method_of_the_client_of_version_1(programs_of_v1, name):
    told = programs_of_v1.told("kfp_v1_client")
    assert told["outcomes"][name.removeprefix("Client.")] == ""


def test_every_method_of_the_client_of_version_1_is_tried(programs_of_v1):
    told = programs_of_v1.told("kfp_v1_client")
    assert set(told["methods"]) == set(told["outcomes"])


def test_the_client_of_version_1_is_given_an_address_and_a_token(programs_of_v1):
    told = programs_of_v1.told("kfp_v1_client", directly=True)
    assert {name: text for name, text in told["outcomes"].items() if text} == {}


@pytest.mark.parametrize("name", _cases("cli"))
def test_a_command(programs, name):
    told = programs.told("kfp_cli", directly=True)
    words = name.removeprefix("kfp ").replace("-", "_").split()
    assert told["outcomes"]["__".join(words)] == ""


def test_every_command_is_tried(programs):
    told = programs.told("kfp_cli", directly=True)
    assert set(told["methods"]) - set(told["outcomes"]) == {"diagnose_me"}
