"""Webhooks that really listen, over TLS with an authority of their own."""

import asyncio
import base64
import datetime
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Judge = Callable[[dict[str, Any]], Any]


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


class Hooks:
    """A server of webhooks: each path has a judge that gets the request and returns the response."""

    def __init__(self, directory: Path) -> None:
        self._context, self.authority = _certificate(directory)
        self._judges: dict[str, Judge] = {}
        self._runner = web.ServerRunner(web.Server(self._answer))
        self.port = 0
        self.asked: list[dict[str, Any]] = []
        self.called = asyncio.Event()

    async def start(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    def config(self, path: str, judge: Judge) -> dict[str, Any]:
        """Serve a judge; return the `clientConfig` that leads to it."""
        self._judges[f"/{path}"] = judge
        return {"url": f"https://127.0.0.1:{self.port}/{path}", "caBundle": self.authority}

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        review = await request.json()
        self.asked.append(review["request"])
        self.called.set()
        judged = self._judges[request.path](review["request"])
        response = await judged if isinstance(judged, Awaitable) else judged
        answer = {"uid": review["request"]["uid"], **response}
        body = {"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": answer}
        return web.json_response(body)


def allow(patch: Any = None, **more: Any) -> dict[str, Any]:
    """Return the response that lets a write through, with a JSON patch if given."""
    if patch is None:
        return {"allowed": True, **more}
    text = base64.b64encode(json.dumps(patch).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": text, **more}


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[Hooks]:
    hooks = Hooks(tmp_path)
    await hooks.start()
    yield hooks
    await hooks.stop()


@pytest.fixture
def allowing() -> Any:
    """`allow`: fixtures are how files of a folder without package share."""
    return allow
