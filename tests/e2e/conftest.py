"""The whole of Wherry as its users meet it: over HTTPS, by stock clients, with real pods."""

import dataclasses
import http.client
import itertools
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
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
from wherry.testing.running import RunningPlatform
from wherry.testing.waiting import eventually

__all__ = ["platform", "running", "shared_platform"]

_NUMBERS = itertools.count(1)
_KUBECTLS = {
    "newest": str(Path(sys.executable).with_name("kubectl")),
    "machine": shutil.which("kubectl", path="/usr/local/bin:/usr/bin:/bin"),
}
"""The one from PyPI and the one that is installed here."""


@dataclasses.dataclass(frozen=True)
class Output:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def table(self) -> list[dict[str, str]]:
        """The rows of a table, by the headings of its columns."""
        return parse_table(self.out)

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def parse_table(text: str) -> list[dict[str, str]]:
    """Read a table of kubectl: columns start where their headings do."""
    head, *rows = text.splitlines()
    starts = [
        at for at, char in enumerate(head) if char != " " and (at == 0 or head[at - 2 : at] == "  ")
    ]
    spans = list(itertools.pairwise([*starts, 10_000]))
    names = [head[a:b].strip() for a, b in spans]
    return [
        dict(zip(names, (row[a:b].strip() for a, b in spans), strict=True)) for row in rows if row
    ]


class Kubectl:
    """One kubectl, with a home and a namespace of its own."""

    def __init__(self, binary: str, kubeconfig: Path, home: Path, namespace: str) -> None:
        self.binary = binary
        self.namespace = namespace
        self.home = home
        cache = home / "cache"
        self.command = [binary, f"--cache-dir={cache}", f"--namespace={namespace}"]
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "KUBECONFIG": str(kubeconfig),
            "KUBECTL_KUBERC": "false",
        }

    def run(
        self,
        *arguments: str,
        text: str = "",
        environment: Mapping[str, str] | None = None,
        seconds: float = 30,
    ) -> Output:
        """Run a command, whatever comes of it."""
        done = subprocess.run(
            [*self.command, *arguments],
            input=text,
            env={**self.environment, **(environment or {})},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        # Two years apart is wider than kubectl likes; it says so on each call.
        err = "\n".join(
            line for line in done.stderr.splitlines() if "version difference" not in line
        )
        return Output(done.returncode, done.stdout, err)

    def __call__(self, *arguments: str, **options: Any) -> Output:
        """Run a command that must work."""
        done = self.run(*arguments, **options)
        assert done.code == 0, f"kubectl {' '.join(arguments)}: {done.err}{done.out}"
        return done

    def fails(self, *arguments: str, **options: Any) -> str:
        """Run a command that must not work; return its complaint."""
        done = self.run(*arguments, **options)
        assert done.code != 0, f"kubectl {' '.join(arguments)} worked: {done.out}"
        return done.err

    def follow(self, *arguments: str) -> "Following":
        """Start a command that goes on, as a watch."""
        return Following(
            subprocess.Popen(
                [*self.command, *arguments],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        )

    def apply(self, *objects: Object) -> Output:
        """Apply objects, as JSON."""
        return self("apply", "-f", "-", text=as_list(*objects))

    def get(self, *arguments: str) -> Any:
        """Get as JSON."""
        return self("get", *arguments, "-o", "json").json


class Following:
    """A command that runs on while the test does; its output is read as it comes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._process = process
        self._pipe = process.stdout
        self.text = ""

    def __enter__(self) -> "Following":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()

    def sees(self, words: str, seconds: float = 15) -> None:
        """Wait until the output has these words."""
        eventually(lambda: words in self.read(), seconds, what=f"{words!r} in the output")

    def ends(self, seconds: float = 15) -> int:
        """Wait until the command ends by itself; return its exit code."""
        eventually(lambda: self.read() is not None and self._process.poll() is not None, seconds)
        self.read()
        return self._process.returncode

    def read(self) -> str:
        while chunk := self._pipe.read(65536):
            self.text += chunk.decode()
        return self.text


def as_list(*objects: Object) -> str:
    """Write objects as one document."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


@pytest.fixture
def namespace(shared_platform: InProcessPlatform) -> Iterator[str]:
    """Give a namespace of the test's own on the shared platform."""
    name = f"test-{next(_NUMBERS)}"
    client = shared_platform.client
    shared_platform.call(client.create(kinds.NAMESPACES, builders.namespace(name)))
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

    def wait_for_phase(self, pod: str, phase: str, seconds: float = 15) -> Object:
        eventually(lambda: self.phase(pod) == phase, seconds, what=f"{pod} is {phase}")
        return self.get(kinds.PODS, pod)

    def condition(self, resource: Resource, name: str, type_: str) -> str:
        status = self.get(resource, name).get("status", {})
        return next((c["status"] for c in status.get("conditions", ()) if c["type"] == type_), "")

    def wait_for_condition(
        self, resource: Resource, name: str, type_: str, seconds: float = 20
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
            self.address.hostname, self.address.port, context=self.context(certificate), timeout=20
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
