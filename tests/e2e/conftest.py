"""The whole of Wherry as its users meet it: over HTTPS, by stock clients, with real pods."""

import http.client
import itertools
import json
import shutil
import ssl
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from wherry.client.client import Client
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.testing import builders
from wherry.testing.fixtures import platform, running, shared_platform
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.kubectl import Kubectl
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

__all__ = ["platform", "running", "shared_platform"]

_NUMBERS = itertools.count(1)
_KUBECTLS = {
    "newest": str(Path(sys.executable).with_name("kubectl")),
    "machine": shutil.which("kubectl", path="/usr/local/bin:/usr/bin:/bin"),
}
"""The one from PyPI and the one that is installed here."""


@pytest.fixture
def namespace(shared_platform: InProcessPlatform) -> Iterator[str]:
    """Give a namespace of the test's own on the shared platform."""
    name = f"test-{next(_NUMBERS)}"
    client = shared_platform.client
    shared_platform.call(client.create(kinds.NAMESPACES, builders.namespace(name)))

    def furnished() -> bool:
        accounts = shared_platform.call(client.list(kinds.SERVICE_ACCOUNTS, name))
        maps = shared_platform.call(client.list(kinds.CONFIG_MAPS, name))
        return bool(accounts.items and maps.items)

    eventually(furnished, what=f"what every namespace has is in {name}")
    yield name
    # Not waited for: it goes while the next test runs.
    shared_platform.call(client.delete(kinds.NAMESPACES, name))


@pytest.fixture(params=_KUBECTLS)
def binary(request: pytest.FixtureRequest) -> str:
    """Give each kubectl in turn."""
    found = _KUBECTLS[request.param]
    if not found or not Path(found).exists():
        pytest.skip(f"there is no {request.param} kubectl")
    return found


@pytest.fixture(scope="session")
def kubectl_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a home whose cache of discovery is shared, as a person's is."""
    return tmp_path_factory.mktemp("kubectl")


@pytest.fixture
def kubectl(
    binary: str, shared_platform: InProcessPlatform, namespace: str, kubectl_home: Path
) -> Kubectl:
    """Give kubectl, set to the test's namespace on the shared platform."""
    home = kubectl_home / Path(binary).parent.name
    home.mkdir(exist_ok=True)
    return Kubectl(binary, shared_platform.kubeconfig, home, namespace)


@pytest.fixture
def own_kubectl(binary: str, platform: InProcessPlatform, tmp_path: Path) -> Kubectl:
    """Give kubectl on a platform of the test's own, for what others would feel."""
    return Kubectl(binary, platform.kubeconfig, tmp_path, "default")


class World:
    """The shared platform seen from one namespace, past HTTP: what really is there."""

    def __init__(self, platform: InProcessPlatform, namespace: str) -> None:
        self.platform = platform
        self.namespace = namespace

    @property
    def client(self) -> Client:
        return self.platform.client

    def create(self, resource: Resource, obj: Object) -> Object:
        obj["metadata"]["namespace"] = self.namespace
        return self.platform.call(self.client.create(resource, obj))

    def get(self, resource: Resource, name: str) -> Object:
        return self.platform.call(self.client.get(resource, name, self.namespace))

    def find(self, resource: Resource, name: str) -> Object | None:
        try:
            return self.get(resource, name)
        except errors.NotFoundError:
            return None

    def all(self, resource: Resource, labels: str = "") -> list[Object]:
        found = self.platform.call(self.client.list(resource, self.namespace, labels=labels))
        return list(found.items)

    def names(self, resource: Resource, labels: str = "") -> list[str]:
        return [obj["metadata"]["name"] for obj in self.all(resource, labels)]

    def phase(self, pod: str) -> str:
        return str(self.get(kinds.PODS, pod).get("status", {}).get("phase"))

    def wait_for_phase(self, pod: str, phase: str, seconds: float = 90) -> Object:
        eventually(lambda: self.phase(pod) == phase, seconds, what=f"{pod} is {phase}")
        return self.get(kinds.PODS, pod)

    def condition(self, resource: Resource, name: str, type_: str) -> str:
        status = self.get(resource, name).get("status", {})
        return next((c["status"] for c in status.get("conditions", ()) if c["type"] == type_), "")

    def wait_for_condition(
        self, resource: Resource, name: str, type_: str, seconds: float = 90
    ) -> None:
        eventually(
            lambda: self.condition(resource, name, type_) == "True",
            seconds,
            what=f"{name} has condition {type_}",
        )


@pytest.fixture
def world(shared_platform: InProcessPlatform, namespace: str) -> World:
    """Give a view past HTTP of what is in the test's namespace."""
    return World(shared_platform, namespace)


class Answer:
    """A status code and a body."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.code = response.status
        self.headers = response.headers
        self.text = response.read().decode()

    @property
    def status(self) -> Any:
        """The Status object; there must be one."""
        found = json.loads(self.text)
        assert (found["apiVersion"], found["kind"]) == ("v1", "Status"), self.text
        assert found["status"] == "Failure"
        assert found["code"] == self.code
        assert found["message"]
        return found

    def is_refusal(self, code: int, reason: str) -> Any:
        """Assert that this is a Status with that code and reason; return it."""
        assert (self.code, self.status["reason"]) == (code, reason), self.text
        return self.status


class Wire:
    """Raw HTTPS to a platform, as administrator unless told otherwise."""

    def __init__(self, directory: Path, url: str) -> None:
        self.address = urlsplit(url)
        self.directory = directory

    def context(self, certificate: tuple[Path, Path] | None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(self.directory / "pki" / "ca.crt"))
        if certificate:
            made.load_cert_chain(*map(str, certificate))
        return made

    @property
    def admin(self) -> tuple[Path, Path]:
        return self.directory / "pki" / "admin.crt", self.directory / "pki" / "admin.key"

    def send(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        *,
        type_: str = "application/json",
        token: str = "",
        anonymous: bool = False,
        **headers: str,
    ) -> Answer:
        """Send one request on a connection of its own."""
        certificate = None if token or anonymous else self.admin
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            sent["Content-Type"] = type_
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = body.encode() if isinstance(body, str) else body
        assert self.address.hostname
        assert self.address.port
        connection = http.client.HTTPSConnection(
            self.address.hostname, self.address.port, context=self.context(certificate), timeout=90
        )
        try:
            connection.request(method, path, data, sent)
            return Answer(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture
def wire(shared_platform: InProcessPlatform) -> Wire:
    return Wire(shared_platform.directory, shared_platform.url)


@pytest.fixture(scope="session")
def wire_to() -> Callable[[RunningPlatform], Wire]:
    """Give what makes a `Wire` to a platform in a process of its own."""
    return lambda running: Wire(running.directory, running.url)


@pytest.fixture
def space(namespace: str) -> str:
    """The path of the test's namespace."""
    return f"/api/v1/namespaces/{namespace}"


@pytest.fixture
def alive_and_unchanged(request: pytest.FixtureRequest) -> Iterator[None]:
    """After whatever a test sends, the server answers, and holds no ConfigMap or Pod from it."""
    world = request.getfixturevalue("world")
    wire = request.getfixturevalue("wire")
    yield
    assert wire.send("GET", "/readyz").code == 200
    assert world.names(kinds.CONFIG_MAPS) in ([], ["kube-root-ca.crt"])
    assert world.names(kinds.PODS) == []
