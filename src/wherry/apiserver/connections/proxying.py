"""HTTP through the API server to a pod: requests are passed on, answers come back as they arrive.

Source: `k8s.io/apimachinery/pkg/util/proxy` (headers, redirects). Links in HTML are left as they are.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
import yarl
from aiohttp import web
from multidict import CIMultiDict

from wherry.apiserver.connections import byte_streams, fronting
from wherry.objects import errors

_CONNECT_SECONDS = 10.0
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What the API server itself was told: none of the pod's business.
_OURS = frozenset({"authorization", "host"})


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes.

    Attributes:
        scheme: ``http`` or ``https``, whose certificate is not looked at.
        host: Address of the pod.
        port: Its port.
        prefix: The path of the API up to ``/proxy``.
        told: Headers by which it is told who calls; none: that is none of its business.
    """

    scheme: str
    host: str
    port: int
    prefix: str
    told: tuple[tuple[str, str], ...] = ()


def new_session() -> aiohttp.ClientSession:
    """Return the session that `serve` takes."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=False),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
    )


async def serve(
    request: web.BaseRequest, target: Target, session: aiohttp.ClientSession
) -> web.StreamResponse:
    """Pass a request on, and its answer back.

    Args:
        request: Not answered yet; its path begins with the target's prefix.
        target: Where it goes.
        session: From `new_session`.

    Raises:
        ServiceUnavailableError: Nobody answers there.
    """
    path, mark, query = request.raw_path.partition("?")
    rest = path.removeprefix(target.prefix)
    if not rest and request.method in {"GET", "HEAD"}:
        # Without the slash, the relative links of what is there would lead astray.
        return web.Response(status=301, headers={"Location": f"{path}/{mark}{query}"})
    rest = f"{rest or '/'}{mark}{query}"
    if request.headers.get("Upgrade"):
        return await _splice(request, target, rest)
    url = yarl.URL(f"{target.scheme}://{_authority(target)}{rest}", encoded=True)
    headers = _request_headers(request, target)
    body = request.content if request.body_exists else None
    try:
        answer = await session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        )
    except (aiohttp.ClientError, OSError) as error:
        raise _unreachable(error) from error
    async with answer:
        return await _pass_back(request, answer, target)


async def _pass_back(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, target: Target
) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status, reason=answer.reason, headers=_response_headers(answer, target)
    )
    if "Content-Length" not in response.headers and request.method != "HEAD":
        response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
    except (aiohttp.ClientError, OSError):
        # What was promised cannot be kept: a clean end would pass for the whole.
        if request.transport is not None:
            request.transport.abort()
    return response


async def _splice(request: web.BaseRequest, target: Target, rest: str) -> web.StreamResponse:
    """Connect both sides and leave them to themselves: a WebSocket, or whatever they agree on."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(
                target.host, target.port, ssl=True if target.scheme == "https" else None
            )
    except OSError as error:
        raise _unreachable(error) from error
    pod = byte_streams.SocketStream(reader, writer)
    headers = _request_headers(request, target)
    headers["Host"] = _authority(target)
    headers["Connection"], headers["Upgrade"] = "Upgrade", request.headers["Upgrade"]
    lines = [f"{request.method} {rest} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
    client = byte_streams.take_over(request, b"")
    with contextlib.suppress(ConnectionError):
        await pod.write("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"))
        await _join(client, pod)
    await pod.close()
    await client.close()
    return byte_streams.Done()


async def _join(client: byte_streams.SocketStream, pod: byte_streams.SocketStream) -> None:
    async def pump(source: byte_streams.SocketStream, sink: byte_streams.SocketStream) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read():
                await sink.write(data)

    tasks = [asyncio.create_task(pump(client, pod)), asyncio.create_task(pump(pod, client))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _request_headers(request: web.BaseRequest, target: Target) -> CIMultiDict[str]:
    headers = _end_to_end(request.headers.items(), request.headers.get("Connection", ""))
    for name in list(headers):
        if name.lower() in _OURS or name.lower().startswith("impersonate-"):
            headers.popall(name, None)
    before = ", ".join(request.headers.getall("X-Forwarded-For", []))
    headers["X-Forwarded-For"] = f"{before}, {request.remote}" if before else str(request.remote)
    headers["X-Forwarded-Host"] = request.headers.get("Host", "")
    headers["X-Forwarded-Proto"] = "https" if request.secure else "http"
    headers["X-Forwarded-Uri"] = request.raw_path
    if target.told:
        fronting.strip(headers)
        headers.extend(target.told)
    return headers


def _response_headers(answer: aiohttp.ClientResponse, target: Target) -> CIMultiDict[str]:
    headers = _end_to_end(answer.headers.items(), answer.headers.get("Connection", ""))
    location = headers.get("Location")
    if location is not None:
        headers["Location"] = rewritten(location, target)
    return headers


def rewritten(location: str, target: Target) -> str:
    """Return where a redirect leads, as seen from outside.

    Args:
        location: As the pod said it: absolute, or a path.
        target: The pod.
    """
    try:
        url = yarl.URL(location, encoded=True)
        host, port = url.raw_host, url.port
    except ValueError:
        return location
    if host is not None and (host, port) != (target.host, target.port):
        return location
    if not url.raw_path.startswith("/"):
        return location
    tail = f"?{url.raw_query_string}" if url.raw_query_string else ""
    fragment = f"#{url.raw_fragment}" if url.raw_fragment else ""
    return f"{target.prefix}{url.raw_path}{tail}{fragment}"


def _end_to_end(items: Iterable[tuple[str, str]], connection: str) -> CIMultiDict[str]:
    named = {token.strip().lower() for token in connection.split(",")}
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in items:
        if name.lower() not in _HOP_BY_HOP and name.lower() not in named:
            headers.add(name, value)
    return headers


def _authority(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"


def _unreachable(error: Exception) -> errors.ServiceUnavailableError:
    return errors.ServiceUnavailableError(f"error trying to reach service: {error}")
