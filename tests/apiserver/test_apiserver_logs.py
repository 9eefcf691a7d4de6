import asyncio
from typing import Any

import aiohttp
import pytest

from wherry.apiserver.identity import Decision, User
from wherry.apiserver.server import ApiServer, Extensions
from wherry.objects import errors, kinds
from wherry.objects.requests import Request

ADMIN = User("admin", groups=("system:masters",))


class Everyone:
    async def authenticate(self, headers: Any, peer_certificate: Any) -> Any:
        return ADMIN


class Everything:
    def authorize(self, attributes: Any) -> Any:
        return Decision(True)


class Streams:
    """A node that repeats what it is asked, and follows until it is let go."""

    def __init__(self) -> None:
        self.more = asyncio.Event()
        self.closed = asyncio.Event()

    async def logs(self, namespace: Any, pod: Any, container: Any, options: Any) -> Any:
        if options.previous:
            raise errors.BadRequestError("previous terminated container not found")
        try:
            yield f"{namespace}/{pod}/{container} {options.tail_lines}\n".encode()
            if options.follow:
                await self.more.wait()
                yield b"more\n"
        finally:
            self.closed.set()


@pytest.fixture
def streams() -> Any:
    return Streams()


@pytest.fixture
async def logs(store: Any, streams: Any) -> Any:
    server = ApiServer(
        store,
        authenticator=Everyone(),
        authorizer=Everything(),
        extensions=Extensions(pod_streams=streams),
    )
    await server.start()
    transport = server.transport(ADMIN)
    await transport.send(Request("create", kinds.NAMESPACES, body={"metadata": {"name": "n"}}))
    for name, containers in (("one", ["c"]), ("two", ["c", "d"])):
        spec = {"containers": [{"name": each, "image": "python"} for each in containers]}
        body = {"metadata": {"name": name}, "spec": spec}
        await transport.send(Request("create", kinds.PODS, namespace="n", body=body))
    base = f"http://127.0.0.1:{server.port}/api/v1/namespaces/n/pods/"
    async with aiohttp.ClientSession(base) as session:
        yield session
    await server.stop()


async def test_logs_of_the_only_container(logs: Any) -> None:
    async with logs.get("one/log?tailLines=3") as response:
        assert response.headers["Content-Type"].startswith("text/plain")
        assert await response.text() == "n/one/c 3\n"


async def test_following_goes_on_until_the_end(logs: Any, streams: Any) -> None:
    async with logs.get("two/log?container=d&follow=true") as response:
        assert await response.content.readline() == b"n/two/d None\n"
        streams.more.set()
        assert await response.read() == b"more\n"


async def test_a_follower_that_leaves_is_let_go(logs: Any, streams: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("wherry.apiserver.http.streams.CHECK_SECONDS", 0.02)
    response = await logs.get("one/log?follow=true")
    response.close()
    async with asyncio.timeout(60):
        await streams.closed.wait()


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("two/log", 400, "choose one of: [c d]"),
        ("two/log?container=x", 400, "container x is not valid for pod two"),
        ("one/log?previous=true", 400, "previous terminated container not found"),
        ("one/log?tailLines=-1", 400, "tailLines"),
        ("one/log?sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ("one/log?limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("none/log", 404, 'pods "none" not found'),
    ],
)
async def test_wrong_requests(logs: Any, path: Any, code: Any, text: Any) -> None:
    async with logs.get(path) as response:
        value = await response.json()
    assert response.status == code
    assert text in value["message"]
