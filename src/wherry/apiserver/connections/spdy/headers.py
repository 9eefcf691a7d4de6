"""Header blocks: names and values, compressed with one dictionary and one state per direction."""

import struct
import zlib
from collections.abc import Mapping

MAX_BLOCK_BYTES = 64 * 1024
"""Of a block, decompressed."""

_MOST_HEADERS = 256
_COUNT = struct.Struct(">I")

_WORDS = (
    b"options head post put delete trace accept accept-charset accept-encoding accept-language "
    b"accept-ranges age allow authorization cache-control connection content-base content-encoding "
    b"content-language content-length content-location content-md5 content-range content-type date "
    b"etag expect expires from host if-match if-modified-since if-none-match if-range "
    b"if-unmodified-since last-modified location max-forwards pragma proxy-authenticate "
    b"proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    b"user-agent vary via warning www-authenticate method get status"
).split()
_MORE_WORDS = (
    b"200 OK",
    b"version",
    b"HTTP/1.1",
    b"url",
    b"public",
    b"set-cookie",
    b"keep-alive",
    b"origin",
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, "
    "Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,"
    "sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = (
    b"".join(_COUNT.pack(len(word)) + word for word in (*_WORDS, *_MORE_WORDS)) + _TAIL.encode()
)


class HeaderError(Exception):
    """A block that is none."""


class Compressor:
    """Writes header blocks of one direction."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(zdict=DICTIONARY)

    def block(self, headers: Mapping[str, str]) -> bytes:
        """Return the next block."""
        parts = [_COUNT.pack(len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                parts += (_COUNT.pack(len(text)), text)
        return self._zlib.compress(b"".join(parts)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class Decompressor:
    """Reads header blocks of one direction."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)

    def headers(self, block: bytes) -> dict[str, str]:
        """Return the headers of the next block, names in lower case.

        Raises:
            HeaderError: It is damaged or too large.
        """
        try:
            plain = self._zlib.decompress(block, MAX_BLOCK_BYTES)
        except zlib.error as error:
            raise HeaderError(f"header block: {error}") from error
        if self._zlib.unconsumed_tail:
            raise HeaderError(f"a header block has more than {MAX_BLOCK_BYTES} bytes")
        try:
            return _parsed(plain)
        except (struct.error, UnicodeDecodeError) as error:
            raise HeaderError(f"header block: {error}") from error


def _parsed(plain: bytes) -> dict[str, str]:
    (count,) = _COUNT.unpack_from(plain)
    if count > _MOST_HEADERS:
        raise HeaderError(f"a header block has more than {_MOST_HEADERS} headers")
    at, texts = _COUNT.size, []
    for _ in range(2 * count):
        (length,) = _COUNT.unpack_from(plain, at)
        at += _COUNT.size
        if at + length > len(plain):
            raise HeaderError("a header block ends too early")
        texts.append(plain[at : at + length].decode())
        at += length
    return {name.lower(): value for name, value in zip(texts[::2], texts[1::2], strict=True)}
