"""gRPC over plain HTTP: what browsers speak, and the process that serves gRPC with us. Pure.

Source: the gRPC-Web protocol (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md).
"""

import base64
import binascii
import struct
import urllib.parse
from typing import Final, NamedTuple

from wherry.objects import errors

SERVICE: Final = "ml_metadata.MetadataStoreService"
"""Whose calls these are; the beginning of their paths."""
BINARY: Final = "application/grpc-web+proto"
TEXT: Final = "application/grpc-web-text+proto"
_BINARIES: Final = ("application/grpc-web", BINARY)
_TEXTS: Final = ("application/grpc-web-text", TEXT)
_HEAD: Final = struct.Struct(">BI")
_TRAILERS: Final = 0x80
_MOST_SAID: Final = 2000


class Answer(NamedTuple):
    """How a call ended.

    Attributes:
        code: Of gRPC; 0: well.
        said: What went wrong.
        message: The answer.
    """

    code: int
    said: str = ""
    message: bytes = b""


def is_text(content_type: str) -> bool:
    """Return whether what is sent is in base64.

    Raises:
        UnsupportedMediaTypeError: it is no gRPC-Web.
    """
    if content_type in _TEXTS:
        return True
    if content_type not in _BINARIES:
        raise errors.UnsupportedMediaTypeError(
            f"Content-Type: {content_type[:100]!r}: want {BINARY} or {TEXT}"
        )
    return False


def request(body: bytes, *, text: bool) -> bytes:
    """Return the message that a request brings.

    Raises:
        BadRequestError: it brings none.
    """
    if text:
        body = _decoded(body)
    if len(body) < _HEAD.size:
        raise errors.BadRequestError("the body is no frame of gRPC-Web: it is too short")
    flags, length = _HEAD.unpack_from(body)
    if flags or length != len(body) - _HEAD.size:
        raise errors.BadRequestError(
            "the body is no frame of gRPC-Web: want one, without compression, with its own length"
        )
    return body[_HEAD.size :]


def response(answer: Answer, *, text: bool) -> bytes:
    """Return the body that tells how a call ended."""
    said = urllib.parse.quote(answer.said[:_MOST_SAID], safe=" ,.:;'()[]{}/=-_")
    trailers = f"grpc-status:{answer.code}\r\ngrpc-message:{said}\r\n".encode()
    message = b"" if answer.code else frame(answer.message)
    body = message + _HEAD.pack(_TRAILERS, len(trailers)) + trailers
    return base64.b64encode(body) if text else body


def frame(message: bytes) -> bytes:
    """Return the body that brings a message."""
    return _HEAD.pack(0, len(message)) + message


def read(body: bytes) -> Answer:
    """Return how a call ended, as `response` has told it without base64.

    Raises:
        ValueError: it has not.
    """
    message, at = b"", 0
    while at + _HEAD.size <= len(body):
        flags, length = _HEAD.unpack_from(body, at)
        at += _HEAD.size
        part = body[at : at + length]
        at += length
        if not flags & _TRAILERS:
            message = part
            continue
        told = dict(line.split(":", 1) for line in part.decode().split("\r\n") if line)
        return Answer(int(told["grpc-status"]), urllib.parse.unquote(told["grpc-message"]), message)
    raise ValueError("the answer is no gRPC-Web")


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise errors.BadRequestError("the body is no base64") from error
