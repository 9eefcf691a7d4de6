"""Others' clients, unchanged: each runs in an environment of its own, as on its user's machine."""

import dataclasses
import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.testing import builders, environments
from wherry.testing.fixtures import shared_platform
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.kubectl import Following
from wherry.testing.waiting import eventually

__all__ = ["shared_platform"]

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "clients.txt"
PROGRAMS = Path(__file__).with_name("programs")
_NUMBERS = itertools.count(1)
BOATS = Resource("example.org", "v1", "boats", "Boat")
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
CRD: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "boats.example.org"},
    "spec": {
        "group": "example.org",
        "scope": "Namespaced",
        "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "listKind": "BoatList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {"type": "object", "properties": {"oars": {"type": "integer"}}},
                            "status": OPEN,
                        },
                    }
                },
            }
        ],
    },
}


def _environment(pins: Path) -> Path:
    """Return the folder of an environment; made once for each state of its pins."""
    return environments.environment(pins, ROOT / "build" / "clients")


@pytest.fixture(scope="session")
def environment() -> Path:
    """Give the folder of the clients' environment."""
    return _environment(PINS)


@pytest.fixture(scope="session")
def training_environment() -> Path:
    """Give the folder of the environment with the SDK of training-operator."""
    return _environment(ROOT / "requirements" / "clients-training.txt")


@pytest.fixture(scope="session")
def tuning_environment() -> Path:
    """Give the folder of the environment with Katib's SDK."""
    return _environment(ROOT / "requirements" / "clients-tuning.txt")


@pytest.fixture(scope="session")
def workflows_environment() -> Path:
    """Give the folder of the environment with the SDKs of Argo Workflows."""
    return _environment(ROOT / "requirements" / "clients-workflows.txt")


@pytest.fixture(scope="session")
def kubeflow_environment() -> Path:
    """Give the folder of the environment with Kubeflow's SDK."""
    return _environment(ROOT / "requirements" / "kubeflow.txt")


@pytest.fixture
def namespace(shared_platform: InProcessPlatform) -> Iterator[str]:
    """Give a namespace of the test's own on the shared platform."""
    name = f"client-{next(_NUMBERS)}"
    client = shared_platform.client
    shared_platform.call(client.create(kinds.NAMESPACES, builders.namespace(name)))
    yield name
    shared_platform.call(client.delete(kinds.NAMESPACES, name))


@dataclasses.dataclass(frozen=True)
class World:
    """What really is there, seen past HTTP."""

    platform: InProcessPlatform
    namespace: str

    @property
    def client(self) -> Client:
        return self.platform.client

    def create(self, resource: Resource, obj: Object) -> Object:
        obj["metadata"]["namespace"] = self.namespace
        return self.platform.call(self.client.create(resource, obj))

    def patch(self, resource: Resource, name: str, change: Object) -> Object:
        call = self.client.patch(resource, name, change, self.namespace)
        return self.platform.call(call)

    def delete(self, resource: Resource, name: str) -> None:
        self.platform.call(self.client.delete(resource, name, self.namespace))

    def find(self, resource: Resource, name: str) -> Object | None:
        try:
            return self.platform.call(self.client.get(resource, name, self.namespace))
        except errors.NotFoundError:
            return None

    def all(self, resource: Resource) -> list[Object]:
        return list(self.platform.call(self.client.list(resource, self.namespace)).items)


@pytest.fixture
def world(shared_platform: InProcessPlatform, namespace: str) -> World:
    return World(shared_platform, namespace)


@dataclasses.dataclass(frozen=True)
class Programs:
    """Runs what stands in `programs/`, with the kubeconfig of the platform and nothing else."""

    environment: Path
    kubeconfig: Path
    namespace: str
    home: Path

    @property
    def python(self) -> str:
        return str(self.environment / "bin" / "python")

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.environment / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "KUBECONFIG": str(self.kubeconfig),
            "NAMESPACE": self.namespace,
        }

    def run(self, name: str, *arguments: str, seconds: float = 100) -> Any:
        """Run a program to its end; return the JSON that it printed last.

        Raises:
            AssertionError: it failed; with what it wrote.
        """
        done = subprocess.run(
            [self.python, "-W", "default", str(PROGRAMS / f"{name}.py"), *arguments],
            env=self.variables,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:] + done.stdout[-1000:]
        return json.loads(done.stdout.splitlines()[-1])

    def follow(self, *arguments: str) -> Following:
        """Start ``python ARGUMENTS``, which goes on while the test does."""
        return Following(
            subprocess.Popen(
                [self.python, *arguments],
                env=self.variables,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )


@pytest.fixture
def programs(
    environment: Path, shared_platform: InProcessPlatform, namespace: str, tmp_path: Path
) -> Programs:
    return Programs(environment, shared_platform.kubeconfig, namespace, tmp_path)


@pytest.fixture
def training_programs(
    training_environment: Path, shared_platform: InProcessPlatform, namespace: str, tmp_path: Path
) -> Programs:
    return Programs(training_environment, shared_platform.kubeconfig, namespace, tmp_path)


@pytest.fixture
def tuning_programs(
    tuning_environment: Path, shared_platform: InProcessPlatform, namespace: str, tmp_path: Path
) -> Programs:
    return Programs(tuning_environment, shared_platform.kubeconfig, namespace, tmp_path)


@pytest.fixture
def workflow_programs(
    workflows_environment: Path, shared_platform: InProcessPlatform, namespace: str, tmp_path: Path
) -> Programs:
    return Programs(workflows_environment, shared_platform.kubeconfig, namespace, tmp_path)


@pytest.fixture
def kubeflow_programs(
    kubeflow_environment: Path, shared_platform: InProcessPlatform, namespace: str, tmp_path: Path
) -> Programs:
    return Programs(kubeflow_environment, shared_platform.kubeconfig, namespace, tmp_path)


@pytest.fixture(scope="session")
def boats(shared_platform: InProcessPlatform) -> Iterator[Resource]:
    """Give a kind of the tests' own."""
    client, call = shared_platform.client, shared_platform.call
    call(client.create(kinds.CUSTOM_RESOURCE_DEFINITIONS, CRD))

    def served() -> bool:
        found = call(client.get(kinds.CUSTOM_RESOURCE_DEFINITIONS, "boats.example.org"))
        return any(
            (one["type"], one["status"]) == ("Established", "True")
            for one in found.get("status", {}).get("conditions", ())
        )

    eventually(served)
    yield BOATS
    call(client.delete(kinds.CUSTOM_RESOURCE_DEFINITIONS, "boats.example.org"))
