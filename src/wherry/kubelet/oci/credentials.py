"""Who one is at which registry, from docker's configuration format. Pure but for `of_user`.

Source: `kubernetes.io/dockerconfigjson` and `kubernetes.io/dockercfg` secrets, and the kubelet's
rules for what matches an image: globs in the host, then the longest path.
"""

import base64
import binascii
import contextlib
import fnmatch
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wherry.kubelet.oci import references
from wherry.objects.requests import Object

_MAX_FILE_BYTES = 1024 * 1024
_TYPES = {
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/dockercfg": ".dockercfg",
}


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and password, or a token to be exchanged. Never shown by `repr`."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header."""
        text = f"{self.username}:{self.password}".encode()
        return "Basic " + base64.b64encode(text).decode()


ANONYMOUS = Credentials()


@dataclass(frozen=True, slots=True)
class Entry:
    """Credentials and where they hold."""

    host: str
    path: str
    credentials: Credentials


class Keyring:
    """All credentials that may be used for an image."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        # The longest first, as upstream: the narrower key is the better one.
        self._entries = sorted(entries, key=lambda one: (one.path, one.host), reverse=True)

    def lookup(self, reference: references.Reference) -> list[Credentials]:
        """Return what to try, best first; nothing where only anonymous pulls are possible."""
        found: list[Credentials] = []
        for entry in self._entries:
            if _covers(entry, reference) and entry.credentials not in found:
                found.append(entry.credentials)
        return found


def _covers(entry: Entry, reference: references.Reference) -> bool:
    path = entry.path
    inside = not path or f"{reference.repository}/".startswith(f"{path}/")
    return inside and _host_matches(entry.host, reference.registry)


def _host_matches(pattern: str, host: str) -> bool:
    pattern_name, _, pattern_port = pattern.partition(":")
    name, _, port = host.partition(":")
    wanted, parts = pattern_name.split("."), name.split(".")
    return (
        pattern_port == port
        and len(wanted) == len(parts)
        and all(fnmatch.fnmatchcase(p, w) for p, w in zip(parts, wanted, strict=True))
    )


def of_secret(secret: Object) -> list[Entry]:
    """Return what a pull secret holds; nothing where it is of another type or malformed."""
    key = _TYPES.get(str(secret.get("type") or ""))
    try:
        text = base64.b64decode(str((secret.get("data") or {})[key]), validate=True)
        document = json.loads(text)
    except (KeyError, ValueError, binascii.Error, RecursionError):
        return []
    return _entries(document, nested=key == ".dockerconfigjson")


def of_user(home: Path | None = None) -> list[Entry]:
    """Return what `docker login` has stored for the user who runs this, helpers left out."""
    path = (home or Path.home()) / ".docker" / "config.json"
    with contextlib.suppress(OSError, ValueError, RecursionError):
        if path.stat().st_size <= _MAX_FILE_BYTES:
            return _entries(json.loads(path.read_text()), nested=True)
    return []


def _entries(document: Any, *, nested: bool) -> list[Entry]:
    auths = document.get("auths") if nested and isinstance(document, Mapping) else document
    if not isinstance(auths, Mapping):
        return []
    found = []
    for key, value in auths.items():
        made = _credentials(value) if isinstance(value, Mapping) else None
        if made is not None:
            found.append(Entry(*_place(str(key)), made))
    return found


def _place(key: str) -> tuple[str, str]:
    """Return host and path of a key such as `https://index.docker.io/v1/`."""
    parts = urlsplit(key if "://" in key else f"https://{key}")
    host, path = parts.netloc.rpartition("@")[2], parts.path.strip("/")
    if host in {"index.docker.io", "registry-1.docker.io"}:
        host = references.HUB
    return host, "" if path in {"v1", "v2"} else path


def _credentials(value: Mapping[str, Any]) -> Credentials | None:
    username, password = str(value.get("username") or ""), str(value.get("password") or "")
    if value.get("auth"):
        try:
            decoded = base64.b64decode(str(value["auth"]) + "==").decode()
        except (ValueError, binascii.Error):
            return None
        username, _, password = decoded.partition(":")
        password = password.rstrip("\0")
    token = str(value.get("identitytoken") or "")
    made = Credentials(username, password, token)
    return None if made == ANONYMOUS else made
