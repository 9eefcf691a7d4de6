"""Where an API server is and how to prove who one is: what a kubeconfig context comes down to."""

import os
from dataclasses import dataclass, field
from pathlib import Path

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigurationError(Exception):
    """There is no usable kubeconfig; the message says which file or field, and what would help."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One server and one user.

    Secrets are kept out of `repr`, so that no log holds them.

    Attributes:
        server: URL, e.g. ``https://127.0.0.1:6443``.
        namespace: The context's namespace.
        certificate_authority: PEM of the CA; None trusts the system's.
        client_certificate: PEM of the user's certificate.
        client_key: PEM of its key.
        token: Bearer token.
        token_file: File of a bearer token that is renewed; wins over ``token``.
        username: For HTTP basic authentication.
        password: Likewise.
        tls_server_name: The name in the server's certificate where it is not the URL's.
        insecure_skip_tls_verify: Whether any certificate is accepted.
        source: Where this was read, for messages.
    """

    server: str
    namespace: str = "default"
    certificate_authority: bytes | None = None
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    username: str = ""
    password: str = field(default="", repr=False)
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        if not self.server.startswith(("https://", "http://")):
            raise ConfigurationError(
                f"{self.source or 'connection'}: server {self.server!r} must begin with https:// "
                "or http://"
            )
        if (self.client_certificate is None) != (self.client_key is None):
            raise ConfigurationError(
                f"{self.source or 'connection'}: client-certificate and client-key go together; "
                "one of them is missing"
            )


def in_cluster(directory: Path = SERVICE_ACCOUNT) -> Connection | None:
    """Return the connection of a pod's service account, or None outside of pods."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    token = directory / "token"
    if not host or not token.is_file():
        return None
    authority, namespace = directory / "ca.crt", directory / "namespace"
    return Connection(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        namespace=namespace.read_text().strip() if namespace.is_file() else "default",
        certificate_authority=authority.read_bytes() if authority.is_file() else None,
        token_file=token,
        source=str(directory),
    )
