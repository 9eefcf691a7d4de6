"""Chunked answers, read byte by byte: however one ends, nothing comes that is no chunk.

A client library forgives much; kubectl says "invalid byte in chunk length" and exits.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from wherry.apiserver.server import ApiServer, Extensions
from wherry.objects import errors, kinds
from wherry.objects.requests import Request
from wherry.store import Store

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def way() -> str:
    """Changes are made in process; only answers are read from the wire."""
    return "inprocess"


@dataclass
class Answer:
    """A chunked answer as it stood on the wire."""

    chunks: list[bytes]
    whole: bool
    """Whether the terminal chunk came; else the connection broke off after a whole chunk, or in it."""


async def read_answer(reader: asyncio.StreamReader, seen: asyncio.Event | None = None) -> Answer:
    """Read one answer strictly; ``seen`` is set with its first chunk."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    assert b"transfer-encoding: chunked" in head.lower()
    chunks: list[bytes] = []
    while True:
        try:
            size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
            data = (await reader.readexactly(size + 2))[:-2]
        except (asyncio.IncompleteReadError, ConnectionError):
            return Answer(chunks, whole=False)
        if not size:
            return Answer(chunks, whole=True)
        chunks.append(data)
        if seen is not None:
            seen.set()


async def ask(server: ApiServer, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return reader, writer


async def answers_still(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The connection is fit for another request: nothing was left over on it."""
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    rest = await reader.read()
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n"), rest[:100]
    assert rest.endswith(b"\r\n\r\nok")
    writer.close()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
    ],
)
@pytest.mark.parametrize("changes", [0, 3])
async def test_a_watch_whose_time_is_up(server: Any, api: Any, query: str, changes: int) -> None:
    reader, writer = await ask(server, f"{MAPS}?watch=true&timeoutSeconds=1{query}")
    for number in range(changes):
        await api.create(kinds.CONFIG_MAPS, f"m{number}")
    answer = await read_answer(reader)
    assert answer.whole
    lines = b"".join(answer.chunks).splitlines()
    assert [orjson.loads(each)["type"] for each in lines].count("ADDED") == changes
    await answers_still(reader, writer)


async def test_a_watch_that_the_server_ends(server: Any, api: Any) -> None:
    reader, writer = await ask(server, f"{MAPS}?watch=true")
    seen = asyncio.Event()
    reading = asyncio.create_task(read_answer(reader, seen))
    await api.create(kinds.CONFIG_MAPS, "one")
    await seen.wait()
    server._handler.end_watches()
    assert (await reading).whole
    await answers_still(reader, writer)


class Breaking:
    """A node whose log ends in an error after the first piece."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def logs(self, *_: Any) -> AsyncIterator[bytes]:
        yield b"first\n"
        raise self.error


@pytest.mark.parametrize(
    "error", [errors.InternalError("the node is gone"), OSError("disk"), ValueError("x")]
)
async def test_an_answer_that_fails_half_way_breaks_off(
    store: Store, server: Any, api: Any, error: Exception
) -> None:
    parts = server._handler._parts
    other = ApiServer(
        store,
        authenticator=parts.authenticator,
        authorizer=parts.authorizer,
        extensions=Extensions(pod_streams=Breaking(error)),
    )
    await other.start()
    spec = {"containers": [{"name": "c", "image": "python"}]}
    await api.transport.send(
        Request(
            "create",
            kinds.PODS,
            namespace="default",
            body={"metadata": {"name": "p"}, "spec": spec},
        )
    )
    reader, writer = await ask(other, "/api/v1/namespaces/default/pods/p/log?follow=true")
    answer = await read_answer(reader)
    assert (answer.chunks, answer.whole) in [([b"first\n"], False), ([], False)]
    writer.close()
    await other.stop()
