"""The HTTP transport, against a real server on loopback."""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from aiohttp import web

from wherry.client.client import Client
from wherry.client.connections import ConfigurationError, Connection
from wherry.client.transports import http
from wherry.client.transports.http import HttpTransport
from wherry.objects import errors, kinds, requests

Serve = Callable[..., Awaitable[str]]
Connect = Callable[[Connection], Client]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    clients: list[Client] = []

    def make(connection: Connection) -> Client:
        clients.append(Client(HttpTransport(connection)))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "type": request.headers.get("Content-Type"),
            "authorization": request.headers.get("Authorization"),
            "body": json.loads(body) if body else None,
        }
    )


async def test_calls_on_the_wire(serve: Serve, connect: Connect) -> None:
    client = connect(Connection(server=await serve(echo)))
    got = await client.get(kinds.ROLES, "system:a b", "ns")
    assert got["path"] == "/apis/rbac.authorization.k8s.io/v1/namespaces/ns/roles/system%3Aa%20b"
    pod = {"metadata": {"name": "p", "namespace": "ns"}}
    created = await client.create(kinds.PODS, pod, dry_run=True)
    assert created["method"] == "POST"
    assert created["path"] == "/api/v1/namespaces/ns/pods?fieldManager=wherry&dryRun=All"
    assert created["body"] == pod
    bound = await client.create(kinds.PODS, pod, subresource="binding")
    assert bound["path"] == "/api/v1/namespaces/ns/pods/p/binding?fieldManager=wherry"
    replaced = await client.update(kinds.PODS, pod, subresource="status")
    assert replaced["path"] == "/api/v1/namespaces/ns/pods/p/status?fieldManager=wherry"
    patch = [{"op": "remove", "path": "/a"}]
    patched = await client.patch(
        kinds.PODS, "p", patch, "ns", content_type=requests.JSON_PATCH, force=True
    )
    assert (patched["method"], patched["type"]) == ("PATCH", "application/json-patch+json")
    assert "force" not in patched["path"]
    applied = await client.patch(
        kinds.NODES, "n", {}, content_type=requests.APPLY_PATCH, force=True
    )
    assert applied["path"] == "/api/v1/nodes/n?fieldManager=wherry&force=true"
    deleted = await client.delete(kinds.PODS, "p", "ns", grace_period_seconds=0, uid="u")
    assert deleted["body"] == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "u"},
    }
    assert (await client.delete(kinds.NODES, "n", "ignored"))["body"] is None


@pytest.mark.parametrize("name", ["", "a/b", "..", "a%2fb", "a\n"])
async def test_names_that_would_be_another_call_are_refused(name: str, connect: Connect) -> None:
    client = connect(Connection(server="http://127.0.0.1:1"))
    with pytest.raises(errors.BadRequestError, match=r"metadata\.name"):
        await client.get(kinds.NODES, name)
    with pytest.raises(errors.BadRequestError, match=r"metadata\.namespace"):
        await client.get(kinds.PODS, "p", name)


async def test_lists_follow_continue(serve: Serve, connect: Connect) -> None:
    async def answer(request: web.Request) -> web.Response:
        start = int(request.query.get("continue", 0))
        assert request.query["labelSelector"] == "app in (a,b)"
        items = [{"metadata": {"name": f"p{number}"}} for number in range(start, start + 2)]
        more = {"continue": str(start + 2)} if start < 4 else {}
        return web.json_response({"metadata": {"resourceVersion": "9", **more}, "items": items})

    client = connect(Connection(server=await serve(answer)))
    listing = await client.list(kinds.PODS, labels="app in (a,b)", limit=2)
    assert [item["metadata"]["name"] for item in listing] == [f"p{number}" for number in range(6)]
    assert listing.items[0]["kind"] == "Pod"
    assert listing.resource_version == "9"


async def test_status_errors_are_raised_by_reason(serve: Serve, connect: Connect) -> None:
    answers: dict[str, errors.ApiError] = {
        "gone": errors.GoneError("too old"),
        "conflict": errors.conflict("pods", "p"),
        "exists": errors.already_exists("pods", "p"),
        "slow": errors.TooManyRequestsError("slow down"),
    }

    async def answer(request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        if name == "proxy":
            return web.Response(status=503, text="upstream connect error")
        if name == "moved":
            return web.Response(status=302, headers={"Location": "/login"})
        if name == "page":
            return web.Response(text="<html>")
        error = answers[name]
        status = error.to_status()
        return web.json_response(status, status=error.code, headers={"Retry-After": "7"})

    client = connect(Connection(server=await serve(answer)))
    for name, error in answers.items():
        with pytest.raises(type(error), match=error.message[:8]):
            await client.get(kinds.NODES, name)
    with pytest.raises(errors.TooManyRequestsError) as caught:
        await client.get(kinds.NODES, "slow")
    assert caught.value.details["retryAfterSeconds"] == 7
    with pytest.raises(errors.ServiceUnavailableError, match="upstream connect error"):
        await client.get(kinds.NODES, "proxy")
    with pytest.raises(errors.ApiError, match="302"):
        await client.get(kinds.NODES, "moved")
    with pytest.raises(errors.InternalError, match="not JSON"):
        await client.get(kinds.NODES, "page")


def event(kind: str, name: str = "n", **data: Any) -> bytes:
    return orjson.dumps({"type": kind, "object": {"metadata": {"name": name}, **data}}) + b"\n"


async def test_watch_lines_may_be_of_any_length(serve: Serve, connect: Connect) -> None:
    text = "x" * 8_000_000

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.query["watch"] == "true"
        assert request.query["resourceVersion"] == "5"
        response = web.StreamResponse()
        await response.prepare(request)
        lines = event("ADDED", "small") + event("MODIFIED", "large", text=text) + b"\n"
        for start in range(0, len(lines), 100_001):
            await response.write(lines[start : start + 100_001])
        await response.write(event("BOOKMARK"))
        return response

    client = connect(Connection(server=await serve(answer)))
    events = [event async for event in client.watch(kinds.NODES, resource_version="5")]
    assert [event.type for event in events] == ["ADDED", "MODIFIED", "BOOKMARK"]
    assert events[1].object["text"] == text


class SilentServer:
    """Speaks TLS to one client, sends it one event and then does nothing for it any more."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self, *, answers: bool) -> socket.socket:
        """Return the connection without its TLS."""
        with self._listener:
            accepted, _ = self._listener.accept()
        tls = self._tls.wrap_socket(accepted, server_side=True)
        assert tls.recv(65536)
        if answers:
            line = event("ADDED")
            tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            tls.sendall(b"%x\r\n%b\r\n" % (len(line), line))
        return socket.socket(fileno=tls.detach())


def read_to_the_end(connection: socket.socket) -> None:
    connection.settimeout(60)
    with connection, contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            pass


@pytest.mark.parametrize("answers", [True, False])
async def test_what_is_given_up_ends_although_the_server_does_nothing_for_it(
    connect: Connect, authority: Any, server_tls: ssl.SSLContext, answers: bool
) -> None:
    server = SilentServer(server_tls)
    serving = asyncio.ensure_future(asyncio.to_thread(server.serve, answers=answers))
    client = connect(Connection(server=server.url, certificate_authority=authority.ca.certificate))
    events = cast(AsyncGenerator[requests.WatchEvent, None], client.watch(kinds.NODES))
    if answers:
        assert (await anext(events)).type == "ADDED"
        left = await serving
    else:
        asked = asyncio.ensure_future(anext(events))
        left = await serving
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
    await events.aclose()
    await asyncio.to_thread(read_to_the_end, left)


async def test_logs_are_read_by_line_and_to_the_end(serve: Serve, connect: Connect) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b"one\ntw", b"o\n\n", b"x" * 2_000_000, b"\nno newline"):
            await response.write(piece)
        return response

    client = connect(Connection(server=await serve(answer)))
    lines = [line async for line in client.log_lines("p", "ns", container="main")]
    assert lines[:3] == ["one", "two", ""]
    assert "".join(lines[3:-1]) == "x" * 2_000_000
    assert lines[-1] == "no newline"


async def test_a_watch_that_is_too_old_is_gone(serve: Serve, connect: Connect) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        status = errors.GoneError("too old resource version").to_status()
        if request.path.endswith("nodes"):
            return web.json_response(status, status=410)
        return web.Response(body=orjson.dumps({"type": "ERROR", "object": status}) + b"\n")

    client = connect(Connection(server=await serve(answer)))
    for resource in (kinds.NODES, kinds.PODS):
        with pytest.raises(errors.GoneError):
            async for _ in client.watch(resource, resource_version="1"):
                pass


async def test_closing_a_watch_hangs_up(serve: Serve, connect: Connect) -> None:
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(event("ADDED"))
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    client = connect(Connection(server=await serve(answer)))
    watch = client.watch(kinds.NODES)
    assert isinstance(watch, AsyncGenerator)
    await anext(watch)
    await watch.aclose()
    async with asyncio.timeout(60):
        await ended.wait()


async def test_a_broken_connection_is_told(serve: Serve, connect: Connect) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(event("ADDED"))
        assert request.transport
        request.transport.close()
        return response

    client = connect(Connection(server=await serve(answer)))
    with pytest.raises(errors.ServiceUnavailableError, match="connection broke"):
        async for _ in client.watch(kinds.NODES):
            pass


async def test_nobody_there_says_what_to_do(connect: Connect, unused_tcp_port: int) -> None:
    client = connect(Connection(server=f"http://127.0.0.1:{unused_tcp_port}", source="my config"))
    with pytest.raises(errors.ServiceUnavailableError, match=r"wherry up.*my config"):
        await client.get(kinds.NODES, "n")


async def test_client_certificates_and_the_ca(
    serve: Serve, connect: Connect, authority: Any, server_tls: ssl.SSLContext
) -> None:
    async def who(request: web.Request) -> web.Response:
        assert request.transport
        peer = request.transport.get_extra_info("peercert") or {}
        return web.json_response({"subject": peer.get("subject", [])})

    url = await serve(who, server_tls)
    ca = authority.ca.certificate
    user = {"client_certificate": authority.user.certificate, "client_key": authority.user.key}
    known = connect(Connection(server=url, certificate_authority=ca, **user))
    assert (await known.get(kinds.NODES, "n"))["subject"] == [[["commonName", "user"]]]
    anybody = connect(Connection(server=url, certificate_authority=ca))
    assert (await anybody.get(kinds.NODES, "n"))["subject"] == []
    careless = connect(Connection(server=url, insecure_skip_tls_verify=True))
    await careless.get(kinds.NODES, "n")
    stranger = connect(Connection(server=url, certificate_authority=authority.user.certificate))
    with pytest.raises(errors.ServiceUnavailableError, match="TLS failed"):
        await stranger.get(kinds.NODES, "n")
    named = connect(Connection(server=url, certificate_authority=ca, tls_server_name="other"))
    with pytest.raises(errors.ServiceUnavailableError, match="TLS failed"):
        await named.get(kinds.NODES, "n")
    with pytest.raises(ConfigurationError, match="not usable"):
        HttpTransport(Connection(server=url, certificate_authority=b"no pem"))


async def test_tokens_are_sent_and_read_again(
    serve: Serve, connect: Connect, tmp_path: Path
) -> None:
    valid = "first"

    async def answer(request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer {valid}":
            error = errors.UnauthorizedError("Unauthorized")
            return web.json_response(error.to_status(), status=401)
        return web.json_response({})

    url = await serve(answer)
    await connect(Connection(server=url, token="first")).get(kinds.NODES, "n")
    token = tmp_path / "token"
    token.write_text("first\n")
    client = connect(Connection(server=url, token_file=token))
    await client.get(kinds.NODES, "n")
    valid = "second"
    token.write_text("second\n")
    with pytest.raises(errors.UnauthorizedError):
        await client.get(kinds.NODES, "n")
    await client.get(kinds.NODES, "n")
    missing = connect(Connection(server=url, token_file=tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="tokenFile"):
        await missing.get(kinds.NODES, "n")
    basic = connect(Connection(server=await serve(echo), username="u", password="p"))
    assert (await basic.get(kinds.NODES, "n"))["authorization"] == "Basic dTpw"


async def test_proxies_of_the_environment_are_ignored(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    await connect(Connection(server=await serve(echo))).get(kinds.NODES, "n")


async def test_secrets_are_not_in_repr(authority: Any) -> None:
    connection = Connection(
        server="https://x",
        token="hush1",
        password="hush2",
        client_certificate=authority.user.certificate,
        client_key=b"hush3",
    )
    assert "hush" not in repr(connection)


async def test_documents_and_streams(serve: Serve) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"accept": request.headers["Accept"]})
        if request.path == "/none":
            error = errors.NotFoundError("no such log")
            return web.json_response(error.to_status(), status=404)
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(3):
            await response.write(f"line {number} of {request.query['container']}\n".encode())
        return response

    transport = HttpTransport(Connection(server=await serve(answer)))
    assert await transport.read("/version", accept="text/x") == {"accept": "text/x"}
    text = b"".join([chunk async for chunk in transport.stream("/log?container=a%20b")])
    assert text.splitlines() == [b"line 0 of a b", b"line 1 of a b", b"line 2 of a b"]
    with pytest.raises(errors.NotFoundError, match="no such log"):
        await transport.read("/none")
    with pytest.raises(errors.NotFoundError, match="no such log"):
        await anext(transport.stream("/none"))
    await transport.close()
    await transport.close()


async def test_json_is_posted_to_a_path_and_gateways_errors_are_understood(serve: Serve) -> None:
    """Such as a service's behind a proxy; what is no error of a gateway is shown as it came."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/refused":
            told = {"error": "no such run", "code": 5, "message": "no such run", "details": []}
            return web.json_response(told, status=404)
        if request.path == "/odd":
            return web.json_response({"code": 5, "message": ["no", "text"]}, status=500)
        return await echo(request)

    transport = HttpTransport(Connection(server=await serve(answer)))
    sent = await transport.post("/a/b?c=d%20e", {"n": [1]})
    assert (sent["method"], sent["path"], sent["body"]) == ("POST", "/a/b?c=d%20e", {"n": [1]})
    assert sent["type"] == "application/json"
    with pytest.raises(errors.NotFoundError) as caught:
        await transport.post("/refused", {})
    assert caught.value.message == "no such run"
    with pytest.raises(errors.InternalError, match="the server answered 500: "):
        await transport.read("/odd")
    await transport.close()


async def test_silence_is_a_timeout(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def answer(_: web.Request) -> web.Response:
        await asked.wait()
        return web.json_response({})

    monkeypatch.setattr(http, "_ANSWER_SECONDS", 0.05)
    client = connect(Connection(server=await serve(answer)))
    with pytest.raises(errors.ServerTimeoutError, match="does not answer"):
        await client.get(kinds.NODES, "n")
    asked.set()


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b'{"type": "ADDED"}\n'])
async def test_what_is_no_event_is_an_error(line: bytes, serve: Serve, connect: Connect) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=line)

    client = connect(Connection(server=await serve(answer)))
    with pytest.raises(errors.InternalError, match="not an event"):
        await anext(aiter(client.watch(kinds.NODES)))


async def test_what_is_no_json_is_not_sent(connect: Connect) -> None:
    client = connect(Connection(server="http://127.0.0.1:1"))
    with pytest.raises(errors.BadRequestError, match="cannot be written as JSON"):
        await client.create(kinds.NODES, {"metadata": {"name": "n"}, "spec": object()})


async def test_collections_are_deleted_by_selector(serve: Serve, connect: Connect) -> None:
    asked: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.method, request.raw_path))
        return web.json_response({"kind": "Status", "status": "Success"})

    client = connect(Connection(server=await serve(answer)))
    await client.delete_collection(kinds.PODS, "ns", labels="a=b", propagation_policy="Orphan")
    assert asked == [("DELETE", "/api/v1/namespaces/ns/pods?labelSelector=a%3Db")]


def test_servers_are_urls_and_certificates_are_pairs() -> None:
    with pytest.raises(ConfigurationError, match="must begin with"):
        Connection(server="127.0.0.1:6443")
    with pytest.raises(ConfigurationError, match="go together"):
        Connection(server="https://x", client_key=b"k")
