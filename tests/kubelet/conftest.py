"""A whole node: the API in memory, the loop, the agent, the real launcher and real processes."""

import asyncio
import dataclasses
import datetime
import itertools
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wherry.apiserver import allocators, pod_streams, resources, tokens
from wherry.apiserver.auth.accounts import StoredAccounts
from wherry.apiserver.auth.token_requests import TokenRequest
from wherry.apiserver.core import Core
from wherry.apiserver.identity import Attributes, Decision, User
from wherry.apiserver.inprocess import InProcessTransport
from wherry.apiserver.registry import Registry
from wherry.apiserver.strategies import BUILTIN
from wherry.apiserver.strategy import Strategy
from wherry.client.client import Client
from wherry.controller.manager import Manager
from wherry.kubelet.agent import Agent
from wherry.kubelet.environments import definition as environment_definition
from wherry.kubelet.environments import kinds as environment_kinds
from wherry.kubelet.launcher.client import Launcher
from wherry.kubelet.oci import leftovers
from wherry.kubelet.settings import BackOffSettings, KubeletSettings
from wherry.objects import errors, kinds, schemas
from wherry.objects.requests import Object
from wherry.store import Store

NAMESPACE = "team"
QUICK = BackOffSettings(
    initial_seconds=0.2,
    maximum_seconds=0.5,
    reset_seconds=60,
    image_seconds=0.2,
    volume_seconds=0.2,
)


class Everyone:
    """Lets everybody do everything: access is tested where it is decided."""

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(allowed=True)


class Node:
    """An API with one node under it."""

    def __init__(self, settings: KubeletSettings) -> None:
        self.settings = settings
        self.store = Store.in_memory()
        self.client: Client
        self.agent: Agent
        self.manager: Manager
        self._run: asyncio.Task[None]
        self._names = itertools.count()

    async def start_api(self) -> None:
        await self.store.start()
        served = resources.ResourceMap.of_builtin(BUILTIN)
        _serve_environments(served)
        core = Core(self.store, served, allocators.ClusterIPs(), allocators.NodePorts())
        accounts = StoredAccounts(self.store, _now)
        token = TokenRequest(tokens.TokenSigner(_key()), accounts, _now)
        registry = Registry(core, {"serviceaccounts/token": token})
        self.client = Client(InProcessTransport(registry, User("admin"), Everyone()))
        for name in (NAMESPACE, "kube-node-lease", "default"):
            await self.create(kinds.NAMESPACES, {"metadata": {"name": name}})
        await self.create(kinds.SERVICE_ACCOUNTS, {"metadata": _meta("default")})
        ca = {"metadata": _meta("kube-root-ca.crt"), "data": {"ca.crt": "CERTIFICATE"}}
        await self.create(kinds.CONFIG_MAPS, ca)

    async def start(self) -> None:
        self.manager = Manager(self.client, stop_seconds=2)
        self._run = asyncio.create_task(self.manager.run())
        self.agent = await Agent.start(self.manager, self.settings)

    async def stop(self) -> None:
        """End the control plane's side; containers go on."""
        await self.manager.stop()
        await self._run
        await self.agent.close()

    async def destroy(self) -> None:
        await self.stop()
        launcher = await Launcher.connect(self.settings.data / "launcher")
        await launcher.shutdown()
        leftovers.end(self.settings.data)
        await self.store.close()

    async def create(self, resource: Any, obj: Object) -> Object:
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        return await self.client.create(resource, {**kind, **obj})

    async def pod(self, *command: str, **spec: Any) -> Object:
        """Create a pod of one container on this node."""
        container = {"name": "main", "image": "python", "command": list(command)}
        container |= spec.pop("container", {})
        return await self.pod_of([container], **spec)

    async def pod_of(self, containers: list[Object], **spec: Any) -> Object:
        meta = _meta(spec.pop("name", f"pod-{next(self._names)}")) | spec.pop("metadata", {})
        defaults = {
            "nodeName": self.agent.node_name,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [{"image": "python", **container} for container in containers],
        }
        return await self.create(kinds.PODS, {"metadata": meta, "spec": defaults | spec})

    async def get(self, pod: Object) -> Object:
        return await self.client.get(kinds.PODS, pod["metadata"]["name"], NAMESPACE)

    async def wait(
        self, pod: Object, condition: Callable[[Object], Any], seconds: float = 60
    ) -> Object:
        """Return the pod once the condition holds."""
        deadline = time.monotonic() + seconds
        while True:
            found = await self.get(pod)
            try:
                if condition(found):
                    return found
            except (KeyError, IndexError):
                pass
            assert time.monotonic() < deadline, found.get("status")
            await asyncio.sleep(0.02)

    async def wait_phase(self, pod: Object, phase: str) -> Object:
        return await self.wait(pod, lambda p: p["status"].get("phase") == phase)

    async def wait_gone(self, pod: Object, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                await self.get(pod)
            except errors.NotFoundError:
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the pod is still there")

    async def log(self, pod: Object, container: str = "main", **options: Any) -> str:
        name = pod["metadata"]["name"]
        wanted = dataclasses.replace(pod_streams.LogOptions(), **options)
        parts = [piece async for piece in self.agent.logs.logs(NAMESPACE, name, container, wanted)]
        return b"".join(parts).decode()

    async def events(self, pod: Object) -> dict[str, str]:
        """All messages by reason."""
        await self.manager.flush_events()
        uid = pod["metadata"]["uid"]
        listed = await self.client.list(kinds.EVENTS, NAMESPACE)
        found: dict[str, str] = {}
        for event in listed:
            if event["involvedObject"].get("uid") == uid:
                reason = event["reason"]
                found[reason] = f"{found.get(reason, '')}{event['message']}\n"
        return found


def _meta(name: str) -> Object:
    return {"name": name, "namespace": NAMESPACE}


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _serve_environments(served: resources.ResourceMap) -> None:
    version = environment_definition.crd()["spec"]["versions"][0]
    schema = schemas.Schema.compile(version["schema"]["openAPIV3Schema"])
    resource = environment_kinds.ENVIRONMENTS
    served.add(resources.Served(resource, resource, lambda: schema, Strategy(), version))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds that all tests of a session share, as they are named by content."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture
async def node(tmp_path: Path, built: Path) -> AsyncIterator[Node]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "environments").symlink_to(built)
    found = Node(
        KubeletSettings(
            data=data,
            node_name="node-a",
            back_off=QUICK,
            hosts_debounce_seconds=0.01,
            memory=tmp_path / "memory",
        )
    )
    await found.start_api()
    await found.start()
    yield found
    await found.destroy()


def _wheel(folder: Path, name: str, version: str, requires: str = "") -> Path:
    """Make a package of one module that says its version."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files = {
        # Of another length each: bytecode is told apart by its source's time and size alone.
        f"{name}.py": f"VERSION = {version!r}\n{'#' * int(version[0])}\n",
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


@pytest.fixture
def tiny_wheel() -> Callable[..., Path]:
    """Return a function that makes a package in a folder: name, version, what it requires."""
    return _wheel
