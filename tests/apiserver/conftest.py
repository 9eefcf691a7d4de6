"""A real server on a free port over an in-memory store, and both ways into it."""

import asyncio
import base64
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wherry.apiserver.identity import Attributes, Decision, User
from wherry.apiserver.inprocess import InProcessTransport
from wherry.apiserver.server import ApiServer, Extensions
from wherry.objects import errors, kinds
from wherry.objects.requests import Object, Request, WatchEvent
from wherry.store import Store

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


class FixedUser:
    """Everyone is the administrator, but for those who name themselves in a header."""

    async def authenticate(
        self, headers: Mapping[str, str], peer_certificate: dict[str, Any] | None
    ) -> User | None:
        name = headers.get("X-Test-User")
        return User(name, groups=("system:authenticated",)) if name else ADMIN


class AllowMost:
    """Everything is allowed but what `mallory` asks for."""

    def authorize(self, attributes: Attributes) -> Decision:
        return Decision(attributes.user.name != "mallory", "")


class HttpTransport:
    """The plainest transport over HTTP, to run the same tests both ways."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def send(self, request: Request) -> Object:
        method = {
            "get": "GET",
            "list": "GET",
            "create": "POST",
            "update": "PUT",
            "patch": "PATCH",
            "delete": "DELETE",
            "deletecollection": "DELETE",
        }[request.verb]
        content_type = request.content_type if request.verb == "patch" else "application/json"
        async with self.session.request(
            method,
            request.resource.path(request.namespace, request.name, request.subresource),
            params=dict(request.options),
            data=json.dumps(request.body) if request.body is not None else None,
            headers={"Content-Type": content_type},
        ) as response:
            value = await response.json()
            if response.status >= 400:
                raise errors.from_status(value, response.status)
            return dict(value)

    async def watch(self, request: Request) -> AsyncIterator[WatchEvent]:
        params = {**request.options, "watch": "true"}
        path = request.resource.path(request.namespace, request.name)
        async with self.session.get(path, params=params) as response:
            if response.status >= 400:
                raise errors.from_status(await response.json(), response.status)
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise errors.from_status(event["object"])
                yield WatchEvent(event["type"], event["object"])


@dataclass
class Api:
    """A running server with a client session and a transport."""

    server: ApiServer
    store: Store
    session: aiohttp.ClientSession
    transport: InProcessTransport | HttpTransport

    async def send(self, verb: Any, resource: Any, **fields: Any) -> Object:
        return await self.transport.send(Request(verb, resource, **fields))

    async def create(
        self, resource: Any, name: str, /, namespace: str = "default", **parts: Any
    ) -> Object:
        metadata = {"name": name, **parts.pop("metadata", {})}
        where = namespace if resource.namespaced else None
        return await self.send(
            "create", resource, namespace=where, body={"metadata": metadata, **parts}
        )

    async def get(self, resource: Any, name: str, namespace: str | None = "default") -> Object:
        where = namespace if resource.namespaced else None
        return await self.send("get", resource, namespace=where, name=name)


async def serve(store: Store, extensions: Extensions | None = None) -> ApiServer:
    server = ApiServer(
        store, authenticator=FixedUser(), authorizer=AllowMost(), extensions=extensions
    )
    await server.start()
    return server


@pytest.fixture(params=["inprocess", "http"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with Store.in_memory() as store:
        yield store


@pytest.fixture
async def server(store: Store) -> AsyncIterator[ApiServer]:
    server = await serve(store)
    await server.transport(ADMIN).send(
        Request("create", kinds.NAMESPACES, body={"metadata": {"name": "default"}})
    )
    yield server
    await server.stop()


@pytest.fixture
async def session(server: ApiServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session


@pytest.fixture
async def api(server: ApiServer, store: Store, session: aiohttp.ClientSession, way: str) -> Api:
    inprocess = server.transport(ADMIN)
    return Api(server, store, session, inprocess if way == "inprocess" else HttpTransport(session))


@pytest.fixture
def run_kubectl(server: ApiServer, tmp_path: Any) -> Any:
    """Return a coroutine function that runs a kubectl against the server: (code, out, err)."""

    async def run(kubectl: str, *arguments: str, text: str = "") -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            kubectl,
            f"--server=http://127.0.0.1:{server.port}",
            f"--cache-dir={tmp_path}/cache",
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"HOME": str(tmp_path), "KUBECONFIG": "/dev/null", "PATH": "/usr/bin:/bin"},
        )
        async with asyncio.timeout(100):
            out, err = await process.communicate(text.encode())
        return process.returncode or 0, out.decode(), err.decode()

    return run


def _certificate(directory: Path) -> tuple[ssl.SSLContext, str]:
    """Return a server's context and its certificate, which is its own authority, in base64."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "webhook")])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.DNSName("hooks.default.svc"),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    file = directory / "webhook.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, base64.b64encode(pem).decode()


@pytest.fixture
def webhook_tls(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """The context of a server of webhooks on this machine, and its authority as a `caBundle`."""
    return _certificate(tmp_path)
