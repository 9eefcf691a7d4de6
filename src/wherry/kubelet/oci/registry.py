"""The calls to a registry: manifests and blobs, with whatever authentication it asks for.

Source: the OCI distribution-spec 1.1 and the distribution project's token authentication.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from wherry.kubelet.oci import challenges, credentials, manifests, references

_MAX_DOCUMENT_BYTES = 4 * 1024 * 1024
_MAX_ERROR_BYTES = 16 * 1024
_MAX_TOKENS = 1000
_CLIENT = "wherry"
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=30, sock_connect=15, sock_read=60)


class RegistryError(Exception):
    """The registry cannot be reached or refuses; the message says which and why.

    Attributes:
        passing: Whether the same call may succeed if it is tried again soon.
        refused: Whether other credentials may help.
    """

    def __init__(self, message: str, *, passing: bool = False, refused: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Access:
    """An image and as whom it is asked for."""

    reference: references.Reference
    credentials: credentials.Credentials


@dataclass(frozen=True, slots=True)
class Document:
    """A manifest as it came, checked against its digest."""

    content: bytes
    media_type: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Endpoint:
    url: str
    verify: bool


class Registry:
    """A client for all registries; remembers tokens and which of them speak plain HTTP."""

    def __init__(self, insecure: Collection[str] = ()) -> None:
        """Open it; there must be a running loop.

        Args:
            insecure: Hosts (with their ports) whose certificates are not checked and that may
                speak plain HTTP. Loopback addresses always may.
        """
        self._insecure = frozenset(insecure)
        # What proxies know of this machine's own addresses is nothing.
        self._sessions = {
            local: aiohttp.ClientSession(
                timeout=_TIMEOUT,
                auto_decompress=False,
                trust_env=not local,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": _CLIENT},
            )
            for local in (False, True)
        }
        self._endpoints: dict[str, _Endpoint] = {}
        self._tokens: dict[Access, str] = {}

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()

    async def manifest(self, access: Access, wanted: str = "") -> Document:
        """Fetch a manifest or an index.

        Args:
            access: The image.
            wanted: Tag or digest; empty: what the reference says.

        Raises:
            RegistryError: it cannot be had.
        """
        wanted = wanted or access.reference.wanted
        async with self._get(access, f"manifests/{wanted}", {"Accept": manifests.ACCEPT}) as answer:
            content = await _bounded(answer, _MAX_DOCUMENT_BYTES)
            kind = answer.headers.get("Content-Type", "")
        digest = wanted if references.is_digest(wanted) else _digest(content)
        if _digest(content, digest) != digest:
            raise RegistryError(f"manifest {wanted} does not have the digest {digest}")
        return Document(content, kind, digest)

    async def blob(self, access: Access, descriptor: manifests.Descriptor) -> bytes:
        """Fetch a small blob whole, checked.

        Raises:
            RegistryError: it cannot be had, or is larger than some MiB.
        """
        async with self.stream(access, descriptor.digest) as answer:
            content = await _bounded(answer, min(descriptor.size, _MAX_DOCUMENT_BYTES))
        if _digest(content, descriptor.digest) != descriptor.digest:
            raise RegistryError(f"blob {descriptor.digest} has another digest than that")
        return content

    @contextlib.asynccontextmanager
    async def stream(
        self, access: Access, digest: str, *, offset: int = 0
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a blob from `offset` on; status 206 tells that the offset was honoured.

        Raises:
            RegistryError: it cannot be had.
        """
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        async with self._get(access, f"blobs/{digest}", headers) as answer:
            yield answer

    @contextlib.asynccontextmanager
    async def _get(
        self, access: Access, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        reference = access.reference
        try:
            endpoint = await self._endpoint(reference.host)
            url = f"{endpoint.url}/v2/{reference.repository}/{path}"
            async with contextlib.AsyncExitStack() as stack:
                answer = await stack.enter_async_context(
                    self._call(endpoint, url, self._signed(access, headers))
                )
                if answer.status == HTTPStatus.UNAUTHORIZED:
                    await self._identify(access, endpoint, answer)
                    answer = await stack.enter_async_context(
                        self._call(endpoint, url, self._signed(access, headers))
                    )
                if answer.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                    self._tokens.pop(access, None)
                    raise await _failure(answer, reference)
                yield answer
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            text = str(error) or type(error).__name__
            raise RegistryError(f"registry {reference.registry}: {text}", passing=True) from error

    def _call(
        self, endpoint: _Endpoint, url: str, headers: Mapping[str, str]
    ) -> "aiohttp.client._RequestContextManager":
        local = references.is_loopback(urlsplit(endpoint.url).netloc)
        return self._sessions[local].get(url, headers=headers, ssl=endpoint.verify)

    def _signed(self, access: Access, headers: Mapping[str, str]) -> dict[str, str]:
        known = self._tokens.get(access)
        return {**headers, "Authorization": known} if known else dict(headers)

    async def _endpoint(self, host: str) -> _Endpoint:
        """Return how a host is to be spoken to; insecure ones are tried once, encrypted first."""
        if host not in self._insecure and not references.is_loopback(host):
            return _Endpoint(f"https://{host}", verify=True)
        if host not in self._endpoints:
            endpoint = _Endpoint(f"https://{host}", verify=False)
            try:
                async with self._call(endpoint, f"{endpoint.url}/v2/", {}):
                    pass
            except aiohttp.ClientConnectionError:
                endpoint = _Endpoint(f"http://{host}", verify=True)
                async with self._call(endpoint, f"{endpoint.url}/v2/", {}):
                    pass
            self._endpoints[host] = endpoint
        return self._endpoints[host]

    async def _identify(
        self, access: Access, endpoint: _Endpoint, answer: aiohttp.ClientResponse
    ) -> None:
        """Get what the registry asks for and remember it."""
        asked = challenges.parse(answer.headers.getall("WWW-Authenticate", []))
        if len(self._tokens) >= _MAX_TOKENS:
            self._tokens.clear()
        for challenge in asked:
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                self._tokens[access] = await self._bearer(access, endpoint, challenge.parameters)
                return
            if challenge.scheme == "basic" and access.credentials.username:
                self._tokens[access] = access.credentials.basic
                return
        raise await _failure(answer, access.reference)

    async def _bearer(self, access: Access, endpoint: _Endpoint, asked: Mapping[str, str]) -> str:
        who, realm = access.credentials, asked["realm"]
        if (
            endpoint.verify
            and endpoint.url.startswith("https:")
            and urlsplit(realm).scheme != "https"
        ):
            raise RegistryError(f"the registry wants tokens from {realm!r}, which is not encrypted")
        query = {
            "service": asked.get("service", ""),
            "scope": asked.get("scope") or f"repository:{access.reference.repository}:pull",
        }
        session = self._sessions[references.is_loopback(urlsplit(realm).netloc)]
        if who.identity_token:
            form = {
                **query,
                "grant_type": "refresh_token",
                "refresh_token": who.identity_token,
                "client_id": _CLIENT,
            }
            call = session.post(realm, data=form, ssl=endpoint.verify)
        else:
            headers = {"Authorization": who.basic} if who.username else {}
            call = session.get(realm, params=query, headers=headers, ssl=endpoint.verify)
        async with call as answer:
            if answer.status != HTTPStatus.OK:
                raise await _failure(answer, access.reference)
            return "Bearer " + _token(await _bounded(answer, _MAX_DOCUMENT_BYTES))


def _token(content: bytes) -> str:
    try:
        document = json.loads(content)
        token = document.get("token") or document["access_token"]
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise RegistryError("the registry's token service answered without a token") from error
    return str(token)


async def _failure(
    answer: aiohttp.ClientResponse, reference: references.Reference
) -> RegistryError:
    status = answer.status
    said = await _reason(answer)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return RegistryError(
            f"pull access denied for {reference.name}, repository does not exist or may require "
            f"authorization (imagePullSecrets): {said}",
            refused=True,
        )
    if status == HTTPStatus.NOT_FOUND:
        # Several registries say so of what they do not want to show.
        return RegistryError(f"{reference.text}: not found: {said}", refused=True)
    passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    return RegistryError(f"registry {reference.registry}: {said}", passing=passing)


async def _reason(answer: aiohttp.ClientResponse) -> str:
    """Return status and what the answer's body says of it, within bounds."""
    text = f"{answer.status} {answer.reason or ''}".strip()
    with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RegistryError):
        document = json.loads(await _bounded(answer, _MAX_ERROR_BYTES))
        errors: list[Any] = document["errors"]
        text += f" ({errors[0]['code']}: {errors[0].get('message', '')})"[:300]
    return text


async def _bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    content = bytearray()
    async for piece in answer.content.iter_chunked(64 * 1024):
        content += piece
        if len(content) > limit:
            raise RegistryError(
                f"{answer.url.host} sends more than the {limit} bytes that are possible"
            )
    return bytes(content)


def _digest(content: bytes, like: str = "sha256:") -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


async def pause(attempt: int) -> None:
    """Wait before another try: 0.5 s, doubled each time."""
    await asyncio.sleep(0.5 * 2**attempt)
