"""Pipelines that are uploaded as files: a form of several parts, as browsers send it."""

from typing import Final

from aiohttp import BodyPartReader, http_exceptions, web

from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import wire
from wherry.pipelines.api.methods import METHODS, Method

MOST_BYTES: Final = 32 * 1024 * 1024
"""A file is no larger."""
FIELD: Final = "uploadfile"
_SERVICE: Final = "PipelineUploadService"
_MOST_PARTS: Final = 16
_CHUNK: Final = 64 * 1024
_SHOWN: Final = 200
_PATHS: Final = tuple(method.path for method in METHODS if method.service == _SERVICE)


def is_upload(method: Method) -> bool:
    """Return whether a method takes a file."""
    return method.service == _SERVICE


def is_upload_path(path: str) -> bool:
    """Return whether a path is that of a method that takes a file."""
    return path.endswith(_PATHS)


async def read(method: Method, request: web.Request) -> Object:
    """Return the message of an upload: what the query says, and the file.

    Raises:
        BadRequestError: it is no such form, or has no file.
        RequestEntityTooLargeError: the file is too large.
    """
    asked = wire.read_query(method.request, request.query.items())
    asked.pop(FIELD, None)
    if not request.content_type.startswith("multipart/"):
        raise errors.BadRequestError(
            f"Content-Type: {request.content_type[:80]!r}: want multipart/form-data with a part {FIELD}"
        )
    try:
        part = await _part(request)
        content = await _content(part)
    except (ValueError, http_exceptions.HttpProcessingError) as error:
        raise errors.BadRequestError(f"the form cannot be read: {str(error)[:_SHOWN]}") from error
    return {**asked, FIELD: content, "filename": part.filename or ""}


async def _part(request: web.Request) -> BodyPartReader:
    reader = await request.multipart()
    for _ in range(_MOST_PARTS):
        part = await reader.next()
        if part is None:
            break
        if isinstance(part, BodyPartReader) and part.name == FIELD:
            return part
    raise errors.BadRequestError(f"the form has no part {FIELD}")


async def _content(part: BodyPartReader) -> bytes:
    held = bytearray()
    while chunk := await part.read_chunk(_CHUNK):
        held += chunk
        if len(held) > MOST_BYTES:
            raise errors.RequestEntityTooLargeError(f"{FIELD}: is larger than {MOST_BYTES} bytes")
    return bytes(held)
