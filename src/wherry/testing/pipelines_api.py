"""Calls of the pipelines service, or of Argo's server, as anybody: through the API server, which says who calls."""

import http.client
import json
import ssl
import tempfile
import time
import urllib.parse
import uuid
from email.message import Message
from pathlib import Path
from typing import Any, NamedTuple

from wherry.client.connections import Connection
from wherry.objects.requests import Object

PROXY = "/api/v1/namespaces/kubeflow/services/ml-pipeline:http/proxy"
ARGO_PROXY = "/api/v1/namespaces/argo/services/argo-server:web/proxy"
_WHOLE = ("/api/", "/apis", "/artifact", "/input-artifacts", "/openapi")
_SECONDS = 120
_IDLE_SECONDS = 5
"""After which the server may be about to close a connection; a request on it would be lost."""


class Answer(NamedTuple):
    """What was answered.

    Attributes:
        status: Of HTTP.
        body: What its JSON says.
    """

    status: int
    body: Any


class Bytes(NamedTuple):
    """What was answered, as it came.

    Attributes:
        status: Of HTTP.
        headers: Likewise.
        body: All of it.
    """

    status: int
    headers: Message
    body: bytes


class PipelinesApi:
    """Calls it by REST. For one thread."""

    def __init__(self, connection: Connection, *, keeps: bool = False, proxy: str = PROXY) -> None:
        """Take the way in of an administrator, who may say to be anybody.

        Args:
            connection: That way.
            keeps: Whether what was opened for a call is kept for the next: setting it up costs more
                than a call. Then `close` has to be called.
            proxy: Where the API server passes calls on.
        """
        self._proxy = proxy
        self._keeps = keeps
        self._used = time.monotonic()
        where = urllib.parse.urlsplit(connection.server)
        self._connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, context=_tls(connection), timeout=_SECONDS
        )

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str = "",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Answer:
        """Call a method.

        Args:
            method: Of HTTP.
            path: Below ``/apis/v2beta1``, or the whole, from ``/api``, ``/apis`` … on.
            body: JSON; bytes are sent as they are.
            user: Who calls; empty: the administrator.
            headers: Further ones.
            query: Of the URL; what is None is left out.
        """
        whole = path if path.startswith(_WHOLE) else f"/apis/v2beta1{path}"
        asked = {name: value for name, value in query.items() if value is not None}
        target = f"{self._proxy}{whole}"
        if asked:
            target += f"?{urllib.parse.urlencode(asked)}"
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        told = {"Content-Type": "application/json", **_identity(user), **(headers or {})}
        answer = self._sent(method, target, sent, told)
        return Answer(answer.status, _json(answer.body))

    def read(
        self,
        path: str,
        *,
        method: str = "GET",
        user: str = "",
        headers: dict[str, str] | None = None,
    ) -> Bytes:
        """Return what is answered with bytes.

        Args:
            path: The whole, with its query.
            method: Of HTTP.
            user: Who calls; empty: the administrator.
            headers: Of the request.
        """
        return self._sent(
            method, f"{self._proxy}{path}", None, {**_identity(user), **(headers or {})}
        )

    def upload(self, path: str, filename: str, data: bytes, **query: Any) -> Answer:
        """Upload a file as browsers do.

        Args:
            path: As of `call`.
            filename: As its sender calls it.
            data: What is in it.
            query: Of the URL.
        """
        boundary = uuid.uuid4().hex
        disposition = f'form-data; name="uploadfile"; filename="{filename}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self.call("POST", path, body, headers=headers, **query)

    def get(self, path: str, **query: Any) -> Object:
        """Return what a method that reads answers to the administrator, who gets an answer."""
        return self._answered(self.call("GET", path, **query))

    def post(self, path: str, body: Any = None, **query: Any) -> Object:
        """Return what a method that changes something answers to the administrator."""
        return self._answered(self.call("POST", path, body, **query))

    def delete(self, path: str, **query: Any) -> Object:
        """Delete something."""
        return self._answered(self.call("DELETE", path, **query))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _sent(self, method: str, target: str, body: Any, headers: dict[str, str]) -> Bytes:
        if time.monotonic() - self._used > _IDLE_SECONDS:
            self._connection.close()
        answered = False
        try:
            self._connection.request(method, target, body, headers)
            answer = self._connection.getresponse()
            told = Bytes(answer.status, answer.headers, answer.read())
            answered = True
        finally:
            # One on which an answer is still to come takes no other request.
            if not (self._keeps and answered):
                self._connection.close()
            self._used = time.monotonic()
        return told

    def _answered(self, answer: Answer) -> Object:
        assert answer.status == 200, answer
        body: Object = answer.body
        return body


def _identity(user: str) -> dict[str, str]:
    if not user:
        return {}
    return {"Impersonate-User": user, "Impersonate-Group": "system:authenticated"}


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")


def _tls(connection: Connection) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=(connection.certificate_authority or b"").decode())
    # The ssl module reads from files only.
    with tempfile.TemporaryDirectory() as folder:
        chain, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        chain.write_bytes(connection.client_certificate or b"")
        key.touch(mode=0o600)
        key.write_bytes(connection.client_key or b"")
        context.load_cert_chain(chain, key)
    return context
