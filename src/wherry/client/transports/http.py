"""Requests over HTTP: one connection pool per server, Kubernetes' errors as ours.

Proxies are off on purpose: the embedded server is on loopback, and a cluster's is named in the
kubeconfig. TLS, tokens and the wire format are in their own modules.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, cast

import aiohttp
import orjson
import yarl

from wherry.client.connections import Connection
from wherry.client.transports import security, wire
from wherry.client.transports.lines import LineSplitter
from wherry.objects import errors, requests
from wherry.objects.requests import Object, WatchEvent

_CONNECT_SECONDS = 30.0
# The server's own bound for an ordinary request is 60 s; past it nobody answers any more.
_ANSWER_SECONDS = 75.0
# How long after the end that was asked for a silent watch is given up as dead.
_WATCH_GRACE_SECONDS = 30.0
_READ_BUFFER_BYTES = 256 * 1024


class _Response(aiohttp.ClientResponse):
    """An answer that cuts the connection where it is given up before its end.

    An orderly end of TLS would take as long as the server likes, and need the event loop all that time.
    """

    def close(self) -> None:
        """Give it up."""
        self._cut()
        super().close()

    def release(self) -> Any:
        """Give the connection back to the pool where all of the answer has come."""
        self._cut()
        return super().release()

    def _cut(self) -> None:
        connection = self.connection
        # There is none any more once all has come.
        if connection is not None and connection.transport is not None:
            connection.transport.abort()


class HttpTransport:
    """Sends requests to one API server; conforms to `requests.Transport`.

    Made without a running loop; the first request opens the pool on the loop that it runs on.
    """

    def __init__(self, connection: Connection, *, user_agent: str = "wherry") -> None:
        self.connection = connection
        self._credentials = security.Credentials(connection)
        self._tls = security.tls(connection) if connection.server.startswith("https") else None
        self._user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: requests.Request) -> Object:
        """Send anything but a watch; see `requests.Transport.send`."""
        call = wire.encode(request)
        async with self._answer(call, _ANSWER_SECONDS) as response:
            return cast(Object, wire.decode(await response.read()))

    async def watch(self, request: requests.Request) -> AsyncGenerator[WatchEvent, None]:
        """Watch; see `requests.Transport.watch`."""
        asked = request.options.get("timeoutSeconds")
        silence = float(asked) + _WATCH_GRACE_SECONDS if asked else None
        lines = LineSplitter()
        async with self._answer(wire.encode(request), silence) as response:
            async for chunk in response.content.iter_any():
                for line in lines.feed(chunk):
                    yield _event(line)

    async def read(self, path: str, *, accept: str = "application/json") -> Any:
        """Return the JSON at a path that is no resource, such as ``/version`` or ``/apis``.

        Args:
            path: Percent-encoded, with its query.
            accept: Media types wanted.

        Raises:
            ApiError: the server refused or is away.
        """
        call = wire.HttpCall("GET", path, {"Accept": accept}, None)
        async with self._answer(call, _ANSWER_SECONDS) as response:
            return wire.decode(await response.read())

    async def post(self, path: str, body: Any) -> Any:
        """Send JSON to a path that is no resource, such as a service's behind a proxy; return its JSON.

        Args:
            path: Percent-encoded, with its query.
            body: What to send.

        Raises:
            ApiError: the server refused or is away.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        call = wire.HttpCall("POST", path, headers, orjson.dumps(body))
        async with self._answer(call, _ANSWER_SECONDS) as response:
            return wire.decode(await response.read())

    async def stream(self, path: str) -> AsyncGenerator[bytes, None]:
        """Yield an answer as it comes, such as a followed log.

        Args:
            path: Percent-encoded, with its query.

        Raises:
            ApiError: the server refused or is away.
        """
        call = wire.HttpCall("GET", path, {"Accept": "*/*"}, None)
        async with self._answer(call, None) as response:
            async for chunk in response.content.iter_any():
                yield chunk

    def chunks(self, request: requests.Request) -> AsyncGenerator[bytes, None]:
        """Read what is no object; see `requests.Transport.chunks`."""
        return self.stream(wire.encode(request).path)

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @contextlib.asynccontextmanager
    async def _answer(
        self, call: wire.HttpCall, silence_seconds: float | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Give the answer to a call; failures of the network are errors of the API.

        Raises:
            ServerTimeoutError: nothing came for too long.
        """
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=_CONNECT_SECONDS, sock_read=silence_seconds
        )
        try:
            async with self._pool().request(
                call.method,
                yarl.URL(self.connection.server + call.path, encoded=True),
                headers={**call.headers, **self._credentials.headers()},
                data=call.body,
                timeout=timeout,
                server_hostname=self.connection.tls_server_name or None,
                allow_redirects=False,
            ) as response:
                if response.status >= 300:
                    raise await self._failure(response)
                yield response
        except TimeoutError as error:
            raise errors.ServerTimeoutError(
                f"{self.connection.server} does not answer; is it overloaded or stopped?"
            ) from error
        except aiohttp.ClientError as error:
            raise self._unreachable(error) from error

    async def _failure(self, response: aiohttp.ClientResponse) -> errors.ApiError:
        if response.status == 401:
            self._credentials.expire()
        body = await response.read()
        return wire.failure(response.status, body, response.headers.get("Retry-After", ""))

    def _unreachable(self, error: aiohttp.ClientError) -> errors.ApiError:
        server = self.connection.server
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
            return errors.ServiceUnavailableError(
                f"{server}: TLS failed: {error}; does {self.connection.source or 'the kubeconfig'} "
                "belong to this server?"
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            return errors.ServiceUnavailableError(
                f"nobody answers at {server} ({error.os_error.strerror or error}); start Wherry with "
                f"`wherry up`, or choose another server than {self.connection.source or 'this'}"
            )
        return errors.ServiceUnavailableError(f"{server}: the connection broke: {error}")

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._tls or True, limit=0, keepalive_timeout=60)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"User-Agent": self._user_agent},
                read_bufsize=_READ_BUFFER_BYTES,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                response_class=_Response,
            )
        return self._session


def _event(line: bytes) -> WatchEvent:
    try:
        event = orjson.loads(line)
        event = WatchEvent(event["type"], event["object"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise errors.InternalError(
            f"a line of the watch is not an event: {line[:200]!r}"
        ) from error
    if event.type == "ERROR":
        raise errors.from_status(event.object)
    return event
