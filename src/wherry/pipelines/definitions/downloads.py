"""Pipelines that are fetched from where a caller says: only from places that may be asked.

The service stands where its callers do not: what it fetches for them must not be its neighbours.
Source of the places: kubeflow/pipelines ``backend/src/apiserver/validation/pipeline_url.go``.
"""

import asyncio
import fnmatch
import ipaddress
import socket
from collections.abc import Sequence
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from wherry.objects import errors

OPTION: Final = "pipelines-url-allowed"
"""Option: further places that may be asked, with commas between: hosts such as ``*.example.com`` by
HTTPS if their addresses are public; or beginnings of URLs, such as ``http://10.0.0.7:8080/``, as they are."""
HOSTS: Final = (
    "storage.googleapis.com",
    "s3.amazonaws.com",
    "github.com",
    "raw.githubusercontent.com",
)
MOST_BYTES: Final = 8 * 1024 * 1024
_SECONDS: Final = 30.0
_MOST_REDIRECTS: Final = 5
_CHUNK: Final = 64 * 1024
_LONGEST: Final = 2048
_HTTPS: Final = "https"
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


class Downloads:
    """Fetches files. For one event loop."""

    def __init__(self, allowed: str = "") -> None:
        """Take which places may be asked besides `HOSTS`.

        Args:
            allowed: As `OPTION` has it.
        """
        told = [each.strip() for each in allowed.split(",") if each.strip()]
        self._prefixes = tuple(each for each in told if "://" in each)
        self._hosts: Sequence[str] = (*HOSTS, *(each for each in told if "://" not in each))

    async def read(self, url: str) -> bytes:
        """Return the file at a URL.

        Raises:
            BadRequestError: that place may not be asked, or does not give it.
            RequestEntityTooLargeError: it is too large.
        """
        place = self._checked(url)
        try:
            async with asyncio.timeout(_SECONDS):
                for _ in range(_MOST_REDIRECTS):
                    found = await self._ask(place)
                    if isinstance(found, bytes):
                        return found
                    place = self._checked(str(place.join(URL(found))))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            told = str(error) or type(error).__name__
            raise errors.BadRequestError(
                f"{url[:200]!r} cannot be fetched: {told[:200]}"
            ) from error
        raise errors.BadRequestError(f"{url[:200]!r} leads on more than {_MOST_REDIRECTS} times")

    def _checked(self, url: str) -> URL:
        try:
            place = URL(url)
            host, port = place.host or "", place.port
        except ValueError as error:
            raise errors.BadRequestError(f"{url[:200]!r} is no URL: {error}") from error
        if len(url) > _LONGEST:
            raise errors.BadRequestError(f"want a URL of at most {_LONGEST} characters")
        if place.user is not None or place.password is not None:
            raise errors.BadRequestError("want a URL without a user and a password")
        if ".." in URL(url, encoded=True).path.split("/"):
            # What begins as a folder that may be asked would be another one by the time it is.
            raise errors.BadRequestError("want a URL without '..'")
        if not self._is_named(url):
            known = any(fnmatch.fnmatchcase(host.lower(), each.lower()) for each in self._hosts)
            if place.scheme != _HTTPS or port != 443 or not known or _is_private(host):
                raise errors.BadRequestError(
                    f"{url[:200]!r} may not be asked; want https:// and one of "
                    f"{', '.join(self._hosts)}"
                )
        return place

    def _is_named(self, url: str) -> bool:
        return url.startswith(self._prefixes)

    async def _ask(self, place: URL) -> bytes | str:
        """Return a file, or where it is instead."""
        resolver = None if self._is_named(str(place)) else PublicResolver()
        connector = aiohttp.TCPConnector(resolver=resolver, force_close=True)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(place, allow_redirects=False) as answer,
        ):
            if answer.status in _MOVED:
                return answer.headers.get("Location", "")
            if answer.status != 200:
                raise ValueError(f"the answer was {answer.status} {answer.reason}")
            held = bytearray()
            async for chunk in answer.content.iter_chunked(_CHUNK):
                held += chunk
                if len(held) > MOST_BYTES:
                    raise errors.RequestEntityTooLargeError(
                        f"{str(place)[:200]!r} is larger than {MOST_BYTES} bytes"
                    )
            return bytes(held)


def _is_private(host: str) -> bool:
    """Return whether a host is an address that not everybody may reach: no resolver is asked about one."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        # Short forms such as 127.1, which are connected to as they are.
        return host.replace(".", "").isdigit()


class PublicResolver(AbstractResolver):
    """Knows only addresses that everybody may reach."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: it has none that is public.
        """
        found = await self._inner.resolve(host, port, family)
        public = [each for each in found if ipaddress.ip_address(each["host"]).is_global]
        if not public:
            raise OSError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        """Close it."""
        await self._inner.close()
