"""A server with the identities of an embedded platform, over TLS, without a node."""

import asyncio
import contextlib
import dataclasses
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from wherry.apiserver import bootstrap
from wherry.apiserver.certificates import KeyPair
from wherry.apiserver.identity import User
from wherry.apiserver.server import ApiServer, Extensions
from wherry.client.client import Client
from wherry.controller.manager import Manager
from wherry.embedded.identity import CONTROL_PLANE, Identity
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.store import Store

NOW = datetime.datetime.now(datetime.UTC)


@dataclasses.dataclass
class Answer:
    """What came over HTTP."""

    code: int
    body: Any

    @property
    def message(self) -> str:
        return str(self.body["message"])


@dataclasses.dataclass
class Cluster:
    """A running server, the administrator's client and ways in as others."""

    store: Store
    identity: Identity
    server: ApiServer
    client: Client
    directory: Path

    def as_user(self, name: str, *groups: str) -> Client:
        user = User(name, groups=(*groups, "system:authenticated"))
        return Client(self.server.transport(user))

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        certificate: KeyPair | None = None,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
    ) -> Answer:
        context = ssl.create_default_context(
            cadata=self.identity.pki.authority.certificate.decode()
        )
        if certificate is not None:
            (self.directory / "client.pem").write_bytes(certificate.certificate + certificate.key)
            context.load_cert_chain(self.directory / "client.pem")
        sent = [("Content-Type", "application/json"), *dict(headers or {}).items()]
        if isinstance(headers, list):
            sent = [("Content-Type", "application/json"), *headers]
        if token:
            sent.append(("Authorization", f"Bearer {token}"))
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method,
                f"https://127.0.0.1:{self.server.port}{path}",
                data=json.dumps(body) if body is not None else None,
                headers=sent,
                ssl=context,
            ) as response,
        ):
            text = await response.text()
            kind = response.headers.get("Content-Type", "")
            return Answer(response.status, json.loads(text) if "json" in kind else text)

    async def account(self, name: str, namespace: str = "default") -> Object:
        return await self.client.create(
            kinds.SERVICE_ACCOUNTS, {"metadata": {"name": name, "namespace": namespace}}
        )

    async def token(self, name: str, namespace: str = "default", **spec: Any) -> str:
        body = {"metadata": {"namespace": namespace}, "spec": spec}
        made = await self.client.create(
            kinds.SERVICE_ACCOUNTS, body, name=name, subresource="token"
        )
        return str(made["status"]["token"])

    async def role(
        self, name: str, *rules: Object, namespace: str = "default", **more: Any
    ) -> Object:
        body: Object = {"metadata": {"name": name}, "rules": list(rules), **more}
        if not namespace:
            return await self.client.create(kinds.CLUSTER_ROLES, body)
        body["metadata"]["namespace"] = namespace
        return await self.client.create(kinds.ROLES, body)

    async def bind(
        self,
        name: str,
        role: str,
        *subjects: Object,
        kind: str = "Role",
        namespace: str = "default",
    ) -> Object:
        body: Object = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": kinds.ROLES.group, "kind": kind, "name": role},
            "subjects": list(subjects),
        }
        if not namespace:
            return await self.client.create(kinds.CLUSTER_ROLE_BINDINGS, body)
        body["metadata"]["namespace"] = namespace
        return await self.client.create(kinds.ROLE_BINDINGS, body)


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> Object:
    """Return a rule of space-separated parts; ``core`` stands for the group without name."""
    parts: Object = {
        "verbs": verbs.split(),
        "resources": resources.split(),
        "apiGroups": ["" if each == "core" else each for each in (groups or "core").split()],
    }
    return parts | ({"resourceNames": names.split()} if names else {})


def user(name: str) -> Object:
    return {"kind": "User", "apiGroup": kinds.ROLES.group, "name": name}


def group(name: str) -> Object:
    return {"kind": "Group", "apiGroup": kinds.ROLES.group, "name": name}


def account(name: str, namespace: str = "default") -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


@contextlib.asynccontextmanager
async def serve(directory: Path) -> AsyncIterator[Cluster]:
    """Run a server whose keys are in a folder."""
    async with Store.in_memory() as store:
        identity = Identity.load(directory, store, ("127.0.0.1",))
        server = ApiServer(
            store,
            authenticator=identity.authenticator,
            authorizer=identity.authorizer,
            ssl_context=identity.pki.ssl_context(),
            extensions=Extensions(
                strategies=identity.strategies,
                virtuals=identity.virtuals,
                documents=identity.documents(lambda: f"https://127.0.0.1:{server.port}"),
            ),
        )
        await server.start()
        client = Client(server.transport(CONTROL_PLANE))
        for obj in (*bootstrap.namespaces(), *bootstrap.roles(), *bootstrap.role_bindings()):
            resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
            assert resource is not None
            await client.create(resource, obj)
        await client.create(kinds.NAMESPACES, {"metadata": {"name": "other"}})
        yield Cluster(store, identity, server, client, directory)
        await server.stop()


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with serve(tmp_path) as running:
        yield running


@pytest.fixture
async def managed(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The same, with the controllers that issue tokens and certificates."""
    manager = Manager(cluster.client)
    for controller in cluster.identity.controllers(manager, legacy_tokens=True):
        manager.add(controller)
    task = asyncio.create_task(manager.run())
    await manager.ready.wait()
    yield cluster
    await manager.stop()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def until() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Return a function that asks again until the answer is one, for at most a minute or so."""

    async def wait(ask: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(6000):
            if found := await ask():
                return found
            await asyncio.sleep(0.01)
        raise AssertionError("it did not come about")

    return wait
