"""TLS and bearer tokens of a connection."""

import base64
import os
import ssl
import tempfile
import time
from pathlib import Path

from wherry.client.connections import ConfigurationError, Connection

# Projected tokens are renewed at 80 % of an hour or so; upstream re-reads them every minute too.
_TOKEN_SECONDS = 60.0


def tls(connection: Connection) -> ssl.SSLContext:
    """Return the TLS settings of a connection.

    Raises:
        ConfigurationError: a certificate or key is not usable; the message says where it is from.
    """
    try:
        authority = connection.certificate_authority
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if connection.insecure_skip_tls_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if connection.client_certificate and connection.client_key:
            _load_pair(context, connection.client_certificate, connection.client_key)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"{connection.source or connection.server}: certificate or key is not usable: {error}"
        ) from error
    return context


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module reads keys from files only; this one is 0600 and gone at once.
    handle, name = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


class Credentials:
    """The `Authorization` header; a token file is read again as it is renewed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._token = connection.token
        self._read_at = float("-inf")

    def headers(self) -> dict[str, str]:
        """Return the headers that prove who asks; empty for client certificates and nobody.

        Raises:
            ConfigurationError: the token file cannot be read and never could.
        """
        if self._connection.token_file is not None:
            self._renew(self._connection.token_file)
        if self._token:
            return {"Authorization": f"Bearer {self._token}"}
        if self._connection.username:
            pair = f"{self._connection.username}:{self._connection.password}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        return {}

    def expire(self) -> None:
        """Read the token file again at the next request: the server refused what it had."""
        self._read_at = float("-inf")

    def _renew(self, path: Path) -> None:
        if time.monotonic() - self._read_at < _TOKEN_SECONDS:
            return
        try:
            self._token = path.read_text().strip()
            self._read_at = time.monotonic()
        except OSError as error:
            # While a new token is put in place the old one is good for a while.
            if not self._token:
                raise ConfigurationError(f"tokenFile {path}: {error.strerror}") from error
