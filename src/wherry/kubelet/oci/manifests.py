"""Manifests and indexes: what an image consists of, and which image of several is this machine's. Pure.

Source: OCI image-spec 1.1 and Docker's image manifest version 2, schema 2.
"""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wherry.kubelet.oci import references

INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
MANIFEST_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
ACCEPT = ", ".join(sorted(MANIFEST_TYPES | INDEX_TYPES))
MAX_LAYERS = 127
"""As many as overlayfs and Docker take."""

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "arm64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
}


class ManifestError(Exception):
    """What the registry sent is not an image that can run here; the message says why."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob: what it is, its digest and size in bytes."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image: its configuration and layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def size(self) -> int:
        """Bytes to be transferred at most."""
        return self.config.size + sum(layer.size for layer in self.layers)


def read(content: bytes, media_type: str) -> Manifest | tuple[Mapping[str, Any], ...]:
    """Read a manifest or an index.

    Args:
        content: At most some MiB.
        media_type: As the registry said; the document's own `mediaType` goes first.

    Returns:
        The manifest, or the entries of an index.

    Raises:
        ManifestError: it is neither.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"the manifest is not JSON: {error}") from error
    if not isinstance(document, Mapping):
        raise ManifestError("the manifest is not a JSON object")
    kind = str(document.get("mediaType") or media_type.partition(";")[0].strip())
    if kind in INDEX_TYPES or (kind not in MANIFEST_TYPES and "manifests" in document):
        return tuple(one for one in document.get("manifests") or () if isinstance(one, Mapping))
    if kind in MANIFEST_TYPES or {"config", "layers"} <= document.keys():
        return _manifest(document)
    raise ManifestError(
        f"media type {kind!r} is not supported: want {' or '.join(sorted(MANIFEST_TYPES))}"
    )


def _manifest(document: Mapping[str, Any]) -> Manifest:
    layers = document.get("layers")
    if not isinstance(layers, list) or not 0 < len(layers) <= MAX_LAYERS:
        raise ManifestError(f"the manifest must have 1 to {MAX_LAYERS} layers")
    return Manifest(_descriptor(document.get("config")), tuple(_descriptor(one) for one in layers))


def _descriptor(value: Any) -> Descriptor:
    if not isinstance(value, Mapping):
        raise ManifestError("a descriptor of the manifest is not an object")
    digest, size = str(value.get("digest") or ""), value.get("size")
    if not references.is_digest(digest) or not isinstance(size, int) or size < 0:
        raise ManifestError(f"descriptor {digest!r} of {size!r} bytes: digest or size is malformed")
    return Descriptor(str(value.get("mediaType") or ""), digest, size)


def select(entries: tuple[Mapping[str, Any], ...], machine: str = "") -> Descriptor:
    """Return the manifest of an index that fits this machine.

    Args:
        entries: Of the index.
        machine: As `uname -m` says; empty: this one's.

    Raises:
        ManifestError: none fits.
    """
    name = machine or platform.machine()
    architecture, variant = _ARCHITECTURES.get(name, (name, ""))
    fitting = []
    for entry in entries:
        found = entry.get("platform")
        found = found if isinstance(found, Mapping) else {}
        if found.get("os", "linux") != "linux" or found.get("architecture") != architecture:
            continue
        own = str(found.get("variant") or "")
        if own in {"", variant}:
            fitting.append((own == variant, entry))
    if not fitting:
        raise ManifestError(
            f"no matching manifest for linux/{architecture} in the manifest list entries"
        )
    return _descriptor(max(fitting, key=lambda one: one[0])[1])
