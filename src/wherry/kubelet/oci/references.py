"""Image references in full: registry, repository, tag and digest. Pure.

Source: the grammar of the distribution project's `reference` package, Docker Hub's defaults included.
"""

import ipaddress
import re
from typing import NamedTuple

HUB = "docker.io"
_HUB_ALIASES = {"index.docker.io", "registry-1.docker.io", "docker.io"}
_HUB_HOST = "registry-1.docker.io"
_MAX_NAME = 255

_HOST = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
)
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


class Reference(NamedTuple):
    """Where an image is. Either `tag` or `digest` is set, or both; then the digest counts."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def text(self) -> str:
        """The whole reference in its long form."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def wanted(self) -> str:
        """What to ask the registry for: the digest, else the tag."""
        return self.digest or self.tag

    @property
    def host(self) -> str:
        """Where the registry answers, with its port if it is not the usual one."""
        return _HUB_HOST if self.registry == HUB else self.registry


def parse(text: str) -> Reference:
    """Read a reference.

    Args:
        text: Such as `python:3.12` or `localhost:5000/team/model@sha256:…`.

    Returns:
        The reference; without tag and digest the tag is `latest`.

    Raises:
        ValueError: it is none.
    """
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "the digest is sha256: and 64 hexadecimal digits")
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    name, tag = (rest[:colon], rest[colon + 1 :]) if colon >= 0 else (rest, "")
    if colon >= 0 and not _TAG.fullmatch(tag):
        raise _invalid(text, "a tag has 1 to 128 letters, digits, '.', '_' and '-'")
    registry, repository = _split(name)
    if not _HOST.fullmatch(registry) or len(name) > _MAX_NAME:
        raise _invalid(text, "the registry is a host name with an optional port")
    for part in repository.split("/"):
        if not _PART.fullmatch(part):
            raise _invalid(
                text, "names have lower-case letters and digits, '.', '_' and '-' within"
            )
    return Reference(registry, repository, tag or ("" if digest else "latest"), digest)


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not (set(first) & {".", ":"} or first == "localhost" or first != first.lower()):
        first, rest = HUB, name
    if first in _HUB_ALIASES:
        return HUB, rest if "/" in rest else f"library/{rest}"
    return first, rest


def _invalid(text: str, why: str) -> ValueError:
    return ValueError(f'couldn\'t parse image reference "{text}": invalid reference format: {why}')


def is_digest(text: str) -> bool:
    """Return whether it is a digest that can be checked."""
    return bool(_DIGEST.fullmatch(text))


def is_loopback(host: str) -> bool:
    """Return whether a registry's host (port allowed) is this machine itself."""
    name = host.rsplit(":", 1)[0].strip("[]") if not host.endswith("]") else host.strip("[]")
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
