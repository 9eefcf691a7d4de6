"""Webhooks that really listen, over TLS with an authority of their own."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

Judge = Callable[[dict[str, Any]], Any]


class Hooks:
    """A server of webhooks: each path has a judge that gets the request and returns the response."""

    def __init__(self, tls: tuple[ssl.SSLContext, str]) -> None:
        self._context, self.authority = tls
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
async def hooks(webhook_tls: Any) -> AsyncIterator[Hooks]:
    hooks = Hooks(webhook_tls)
    await hooks.start()
    yield hooks
    await hooks.stop()


@pytest.fixture
def allowing() -> Any:
    """`allow`: fixtures are how files of a folder without package share."""
    return allow
