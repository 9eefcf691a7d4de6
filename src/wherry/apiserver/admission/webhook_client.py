"""Calls to webhooks: one `AdmissionReview` there and back, over HTTPS."""

import asyncio
import base64
import binascii
import functools
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.store import Key, Store

_DEFAULT_SECONDS: Final = 10
_MAX_BYTES: Final = 3 * 1024 * 1024
_VERSIONS: Final = ("v1", "v1beta1")


class WebhookCallError(Exception):
    """A webhook could not be asked, or has answered nonsense."""


@functools.lru_cache(maxsize=64)
def _trust(ca_bundle: str) -> ssl.SSLContext:
    if not ca_bundle:
        return ssl.create_default_context()
    try:
        text = base64.b64decode(ca_bundle).decode()
        return ssl.create_default_context(cadata=text)
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError) as error:
        raise WebhookCallError(f"the caBundle holds no certificates: {error}") from error


class _Response(aiohttp.ClientResponse):
    """An answer that cuts the connection where it is given up before its end.

    A webhook that is late may also be late to agree to an orderly end of TLS.
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


class WebhookClient:
    """Keeps connections to webhooks.

    Args:
        store: Where the Services are that webhooks name.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None

    async def call(self, spec: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
        """Ask an admission webhook.

        Args:
            spec: The entry of the webhook configuration.
            request: The `AdmissionRequest`.

        Returns:
            The `AdmissionResponse`; its ``patch``, if any, is the list of operations.

        Raises:
            WebhookCallError: It cannot be reached in time, or does not answer as it should.
        """
        spoken = spec.get("admissionReviewVersions") or _VERSIONS
        version = next((each for each in _VERSIONS if each in spoken), "v1")
        review = {
            "kind": "AdmissionReview",
            "apiVersion": f"admission.k8s.io/{version}",
            "request": dict(request),
        }
        seconds = spec.get("timeoutSeconds") or _DEFAULT_SECONDS
        try:
            answer = await self.post(spec.get("clientConfig") or {}, review, seconds)
        except WebhookCallError as error:
            raise WebhookCallError(f"failed to call webhook: {error}") from error
        return _checked(answer, str(request["uid"]))

    async def post(
        self,
        config: Mapping[str, Any],
        body: Mapping[str, Any],
        seconds: float,
        *,
        max_bytes: int = _MAX_BYTES,
    ) -> dict[str, Any]:
        """Send a JSON object to where a `clientConfig` points, and return the one that comes back.

        Args:
            config: Where, and whom to trust there.
            body: What is sent.
            seconds: How long it may take.
            max_bytes: How long the answer may be.

        Raises:
            WebhookCallError: It cannot be done in time, or the answer is none.
        """
        url, host = self._place(config)
        try:
            async with (
                asyncio.timeout(seconds),
                self._connected().post(
                    url,
                    params={"timeout": f"{seconds}s"},
                    data=orjson.dumps(body),
                    headers={"Content-Type": "application/json", "Accept": "application/json"},
                    ssl=_trust(config.get("caBundle") or ""),
                    server_hostname=host,
                    allow_redirects=False,
                ) as response,
            ):
                raw = await _read(response, max_bytes)
                status = response.status
        except TimeoutError as error:
            raise _failed(url, seconds, "context deadline exceeded") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failed(url, seconds, str(error)) from error
        if status != 200 or len(raw) > max_bytes:
            size = f"more than {max_bytes}" if len(raw) > max_bytes else str(len(raw))
            why = f"the server answered with status {status} and {size} bytes"
            raise _failed(url, seconds, why)
        try:
            answer = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise _failed(url, seconds, f"the answer is not JSON: {error}") from error
        if not isinstance(answer, dict):
            raise _failed(url, seconds, "the answer is no JSON object")
        return answer

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(response_class=_Response)
        return self._session

    def _place(self, config: Mapping[str, Any]) -> tuple[str, str]:
        """Return the URL to call, and the name that the certificate must have."""
        if url := config.get("url"):
            return str(url), str(urlsplit(str(url)).hostname or "")
        service = config.get("service") or {}
        name, namespace = str(service.get("name")), str(service.get("namespace"))
        record = self._store.get(Key(kinds.SERVICES.key, namespace, name))
        if record is None:
            raise WebhookCallError(f'service "{name}" not found')
        address = _address(record.value(), namespace)
        path = "/" + str(service.get("path") or "").lstrip("/")
        return f"https://{address}:{service.get('port') or 443}{path}", f"{name}.{namespace}.svc"


def _address(service: Object, namespace: str) -> str:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName"))
    address = str(spec.get("clusterIP") or "None")
    if address == "None":
        name = service["metadata"]["name"]
        raise WebhookCallError(f"service {namespace}/{name} has no address")
    return f"[{address}]" if ":" in address else address


def _failed(url: str, seconds: float, why: str) -> WebhookCallError:
    return WebhookCallError(f'Post "{url}?timeout={seconds}s": {why}')


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body; where it is longer than allowed, no more than shows that it is."""
    pieces = bytearray()
    async for piece in response.content.iter_any():
        pieces += piece
        if len(pieces) > most:
            break
    return bytes(pieces)


def _checked(answer: Mapping[str, Any], uid: str) -> dict[str, Any]:
    version = str(answer.get("apiVersion"))
    if answer.get("kind") != "AdmissionReview" or version not in {
        f"admission.k8s.io/{each}" for each in _VERSIONS
    }:
        raise WebhookCallError(
            f"expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, "
            f"got {version:.100}, Kind={answer.get('kind')!s:.100}"
        )
    response = answer.get("response")
    if not isinstance(response, dict):
        raise WebhookCallError("webhook response was absent")
    if response.get("uid") != uid and version.endswith("/v1"):
        raise WebhookCallError(f'expected response.uid="{uid}", got "{response.get("uid")!s:.100}"')
    if response.get("patch") is None:
        return response
    if response.get("patchType") != "JSONPatch":
        raise WebhookCallError(
            "webhook returned response.patch but not response.patchType JSONPatch"
        )
    try:
        operations = orjson.loads(base64.b64decode(str(response["patch"]), validate=True))
    except ValueError as error:
        raise WebhookCallError(f"the patch is not base64 of JSON: {error}") from error
    return {**response, "patch": operations}
