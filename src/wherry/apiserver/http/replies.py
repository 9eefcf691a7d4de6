"""Responses: JSON bytes, `Status` errors, and the headers that all of them carry."""

import asyncio
import gzip
from collections.abc import Iterable, Mapping
from typing import Final

import orjson
from aiohttp import web
from multidict import CIMultiDict, istr

from wherry.apiserver.audit import ids
from wherry.objects import errors

JSON: Final = "application/json"
_COMPRESSED_FROM_BYTES = 128 * 1024
_MAX_WARNING_CHARACTERS = 256
_MAX_WARNINGS = 20
_LOOPBACK = frozenset({"127.0.0.1", "::1", None})
_AUDIT_ID: Final = istr("Audit-Id")
# Copying is several times quicker than building; every answer has these.
_PLAIN: Final = CIMultiDict(
    {"Content-Type": JSON, _AUDIT_ID: "", "Cache-Control": "no-cache, private"}
)


def headers(content_type: str = JSON, warnings: Iterable[str] = ()) -> CIMultiDict[str]:
    """Return the headers of a response.

    Args:
        content_type: Of the body.
        warnings: Sentences for the person behind the client.
    """
    result = _PLAIN.copy()
    if content_type is not JSON:
        result["Content-Type"] = content_type
    result[_AUDIT_ID] = ids.new()
    for count, warning in enumerate(warnings):
        if count == _MAX_WARNINGS:
            break
        result.add("Warning", f'299 - "{_quoted(warning)}"')
    return result


def _quoted(text: str) -> str:
    plain = "".join(character for character in text if character.isprintable())
    cut = plain[:_MAX_WARNING_CHARACTERS]
    return cut.replace("\\", "\\\\").replace('"', '\\"')


async def send(
    request: web.BaseRequest, body: bytes, code: int = 200, warnings: Iterable[str] = ()
) -> web.Response:
    """Return a JSON response, compressed where that is worth its time.

    Compressing costs more than sending on the same machine, so it is done for remote clients only.
    """
    fields = headers(JSON, warnings)
    if (
        len(body) > _COMPRESSED_FROM_BYTES
        and request.remote not in _LOOPBACK
        and "gzip" in request.headers.get("Accept-Encoding", "")
    ):
        body = await asyncio.to_thread(gzip.compress, body, 1)
        fields["Content-Encoding"] = "gzip"
        fields["Vary"] = "Accept-Encoding"
    return web.Response(body=body, status=code, headers=fields)


def status(error: errors.ApiError, warnings: Iterable[str] = ()) -> web.Response:
    """Return an error as its `Status`."""
    fields = headers(JSON, warnings)
    if seconds := error.details.get("retryAfterSeconds"):
        fields["Retry-After"] = str(seconds)
    if isinstance(error, errors.UnauthorizedError):
        fields["WWW-Authenticate"] = 'Bearer realm="wherry"'
    return web.Response(body=_dumped(error.to_status()), status=error.code, headers=fields)


def _dumped(body: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:
        # A message may quote what a client has sent, lone surrogates included.
        text = str(body.get("message")).encode("utf-8", "replace").decode()
        return orjson.dumps({**body, "message": text, "details": {}})
