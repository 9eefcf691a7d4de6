"""One gRPC health check, by hand: the only gRPC call the agent ever makes.

HTTP/2 is spoken as far as one unary call needs it: headers are sent uncompressed, and of the answer
only the data frame matters, since a failed call has none.

Source: RFC 9113 (frames), RFC 7541 6.2.2 (literals), `grpc/health/v1/health.proto`.
"""

import asyncio
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_ACK = END_STREAM = 1
_END_HEADERS = 4
_MAX_FRAME_BYTES = 1 << 20
_SERVING = b"\x08\x01"


class HealthError(Exception):
    """The service did not say that it serves."""


async def check(host: str, port: int, service: str) -> None:
    """Ask whether a service serves.

    Args:
        host: Address.
        port: Port, without TLS.
        service: Name of the service, empty for the server as a whole.

    Raises:
        HealthError: it says that it does not, or says nothing sensible.
        OSError: it cannot be reached.
    """
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(_request(f"{host}:{port}", service))
        await writer.drain()
        await _answer(reader, writer)
    except asyncio.IncompleteReadError as error:
        raise HealthError("the connection was closed before an answer came") from error
    finally:
        writer.close()


def _request(authority: str, service: str) -> bytes:
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "kube-probe",
    }
    block = b"".join(b"\0" + _literal(name) + _literal(value) for name, value in headers.items())
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    body = b"\0" + struct.pack(">I", len(message)) + message
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, block)
        + _frame(_DATA, END_STREAM, 1, body)
    )


def _literal(text: str) -> bytes:
    # Lengths below 127 fit in the prefix; a health check's headers are all shorter.
    data = text.encode()[:126]
    return bytes([len(data)]) + data


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readexactly(9)
        length = int.from_bytes(head[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", head[3:])
        if length > _MAX_FRAME_BYTES:
            raise HealthError("the answer is not HTTP/2")
        payload = await reader.readexactly(length)
        if kind == _SETTINGS and not flags & _ACK:
            writer.write(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            writer.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _DATA and stream == 1 and len(payload) >= 5:
            if payload[5:] != _SERVING:
                raise HealthError("service is not serving")
            return
        elif kind in {_RESET, _GOAWAY} or (kind == _HEADERS and flags & END_STREAM):
            raise HealthError("the server refused the health check")
