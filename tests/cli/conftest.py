"""A real API server over TLS in a thread, and the command line run in this process against it."""

import asyncio
import datetime
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from wherry.apiserver.server import ApiServer, Extensions
from wherry.cli import main
from wherry.cli.why import inquiry
from wherry.cli.why.inquiry import Report
from wherry.cli.why.world import Question
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.embedded.identity import CONTROL_PLANE, Identity
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.objects import kinds, metadata, selectors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.store import Store

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell starts what runs in its background so; the commands that tests interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


class Cluster:
    """A server without controllers or node: what a test writes stays as it is."""

    def __init__(self, directory: Path) -> None:
        self.kubeconfig = directory / "kubeconfig"
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.client: Client
        self.run(self._start())

    def run(self, work: Any) -> Any:
        """Run a coroutine on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(90)

    async def _start(self) -> None:
        self._store = Store.in_memory()
        await self._store.start()
        identity = Identity.load(self._directory, self._store, ("127.0.0.1",))
        self._server = ApiServer(
            self._store,
            authenticator=identity.authenticator,
            authorizer=identity.authorizer,
            ssl_context=identity.pki.ssl_context(),
            extensions=Extensions(virtuals=identity.virtuals),
        )
        await self._server.start()
        self.client = Client(self._server.transport(CONTROL_PLANE))
        connection = Connection(
            server=f"https://127.0.0.1:{self._server.port}",
            certificate_authority=identity.pki.authority.certificate,
            client_certificate=identity.pki.admin.certificate,
            client_key=identity.pki.admin.key,
        )
        kubeconfig.write(self.kubeconfig, kubeconfig.entry("test", connection))

    async def _stop(self) -> None:
        await self._server.stop()
        await self._store.close()

    def stop(self) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def make_namespace(self, name: str) -> None:
        """Create a namespace with the account that pods run as."""
        self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        account = {"name": "default", "namespace": name}
        self.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})

    def create(self, obj: Object) -> Object:
        resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        made: Object = self.run(self.client.create(resource, obj))
        return made


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = request.node.name.lower().replace("_", "-").replace("[", "-").replace("]", "")[:50]
    cluster.make_namespace(name)
    return str(name)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home: no kubeconfig of anyone's is near."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WHERRY_HOME", str(tmp_path / "wherry"))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return tmp_path


Run = Callable[..., Outcome]


@pytest.fixture
def typed(home: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs `wherry` with some words."""

    def run(*words: str) -> Outcome:
        capfd.readouterr()
        code = main(words)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def wherry(typed: Run, cluster: Cluster, namespace: str) -> Run:
    """Return a function that runs a command against the server, in the test's namespace."""

    def run(verb: str, *words: str) -> Outcome:
        return typed(verb, "--kubeconfig", str(cluster.kubeconfig), "-n", namespace, *words)

    return run


KINDS = {
    (one.api_version, one.kind): one for one in (*kinds.BUILTIN, environment_kinds.ENVIRONMENTS)
}

Logs = Mapping[tuple[str, str], list[str]]


class InMemory:
    """Answers questions from a list of objects, as a cluster would."""

    def __init__(self, objects: list[tuple[Resource, Object]], logs: Logs) -> None:
        self.objects = objects
        self.logs = logs

    async def answer(self, question: Question) -> Any:
        if question.about == "log":
            return self.logs.get((question.name, question.detail), [])
        if question.about == "children":
            return [pair for pair in self.objects if _is_owned(pair[1], question.name)]
        if question.about == "events":
            return [
                obj
                for obj in self.of(kinds.EVENTS)
                if obj.get("involvedObject", {}).get("uid") == question.name
            ]
        if question.about == "object":
            place = (question.namespace, question.name)
            found = [
                obj for obj in self.of(question.resource) if metadata.namespaced_name(obj) == place
            ]
            return found[0] if found else None
        return self.listed(question)

    def of(self, resource: Resource) -> list[Object]:
        return [obj for kind, obj in self.objects if kind.key == resource.key]

    def listed(self, question: Question) -> list[Object]:
        selector = selectors.parse_labels(question.detail)
        return [
            obj
            for obj in self.of(question.resource)
            if question.namespace in {"", metadata.namespace(obj)}
            and selector.matches(metadata.labels(obj))
        ]


def _is_owned(obj: Object, uid: str) -> bool:
    return any(one["uid"] == uid for one in metadata.owner_references(obj))


@pytest.fixture
def explain() -> Callable[..., Any]:
    """Return a function that walks from an object over objects in memory."""

    async def run(
        resource: Resource,
        name: str,
        *objects: Object,
        logs: Logs | None = None,
        known: Iterable[Resource] = (),
    ) -> Report:
        namespace = "default" if resource.namespaced else ""
        more = {(one.api_version, one.kind): one for one in (resource, *known)}
        there = [((KINDS | more)[obj["apiVersion"], obj["kind"]], obj) for obj in objects]
        answer = InMemory(there, logs or {}).answer
        return await inquiry.investigate(resource, namespace, name, answer=answer, now=NOW)

    return run
