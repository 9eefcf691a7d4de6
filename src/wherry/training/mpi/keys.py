"""The ssh keys of a job, for images whose programs use them; our own launchers do not."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from wherry.objects.requests import Object

PRIVATE, PUBLIC = "ssh-privatekey", "ssh-publickey"
TYPE: Final = "kubernetes.io/ssh-auth"
FILES: Final[Mapping[str, str]] = {
    "id_rsa": PRIVATE,
    "id_rsa.pub": PUBLIC,
    "authorized_keys": PUBLIC,
}
"""Keys of the Secret, by the names that ssh knows them by."""


def new() -> dict[str, str]:
    """Return the content of a Secret with a new pair of keys (ECDSA, P-521), as ssh writes them."""
    key = ec.generate_private_key(ec.SECP521R1())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return {PRIVATE: private.decode(), PUBLIC: public.decode()}


def mount(spec: Object, container: Object, volume: Object, path: str) -> None:
    """Give a container the keys, in place.

    Args:
        spec: The pod's.
        container: One of its containers.
        volume: The volume, with its name.
        path: Where to.
    """
    spec.setdefault("volumes", []).append(volume)
    mounted = {"name": volume["name"], "mountPath": path}
    container.setdefault("volumeMounts", []).append(mounted)


def volume(name: str, secret: str, *, mode: int, modes: Mapping[str, int] | None = None) -> Object:
    """Return the volume that holds the keys as ssh's files.

    Args:
        name: What to call it.
        secret: Name of the Secret.
        mode: Of the files.
        modes: Of some of them, by key of the Secret.
    """
    own = modes or {}
    items: list[dict[str, Any]] = [
        {"key": key, "path": path, **({"mode": own[key]} if key in own else {})}
        for path, key in FILES.items()
    ]
    return {"name": name, "secret": {"secretName": secret, "items": items, "defaultMode": mode}}
