"""What an image says of itself: variables, entrypoint, user, folder. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from wherry.kubelet.oci.manifests import ManifestError
from wherry.kubelet.oci.references import is_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The parts of an image's configuration that count here.

    Attributes:
        env: `NAME=value` each.
        entrypoint: What always runs.
        cmd: Its arguments, which a container's `args` or `command` replaces.
        user: `user[:group]`, names or numbers; empty: root.
        working_directory: Absolute, or empty.
        stop_signal: Name or number; empty: SIGTERM.
        diff_ids: Digests of the layers before compression, lowest first.
    """

    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    user: str = ""
    working_directory: str = ""
    stop_signal: str = ""
    diff_ids: tuple[str, ...]

    def values(self) -> dict[str, Any]:
        """Return the JSON form, for `from_values`."""
        return asdict(self)


_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,255}\$?(?::[A-Za-z0-9_.][A-Za-z0-9_.-]{0,255})?")


def read(content: bytes) -> ImageConfig:
    """Read an image's configuration blob.

    Raises:
        ManifestError: it is malformed.
    """
    try:
        document = json.loads(content)
        layers = _texts((document.get("rootfs") or {}).get("diff_ids"))
        return of_document(document.get("config") or {}, layers)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ManifestError(f"the image's configuration is malformed: {error}") from error


def of_document(config: Mapping[str, Any], layers: tuple[str, ...]) -> ImageConfig:
    """Read the part of a configuration that says how to run the image; engines show it in the same form.

    Raises:
        ManifestError: it is malformed.
        TypeError: so it is.
    """
    found = ImageConfig(
        env=_texts(config.get("Env")),
        entrypoint=_texts(config.get("Entrypoint")),
        cmd=_texts(config.get("Cmd")),
        user=str(config.get("User") or ""),
        working_directory=str(config.get("WorkingDir") or ""),
        stop_signal=str(config.get("StopSignal") or ""),
        diff_ids=layers,
    )
    if found.user and not _USER.fullmatch(found.user):
        raise ManifestError(f"the image's user {found.user!r} is not a user[:group]")
    if not all(is_digest(one) for one in found.diff_ids):
        raise ManifestError("rootfs.diff_ids of the image's configuration are not digests")
    return found


def from_values(values: Mapping[str, Any]) -> ImageConfig:
    """Rebuild what `values` returned.

    Raises:
        TypeError: it has other fields.
    """
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    return ImageConfig(**plain)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError(f"want a list of texts, got {type(value).__name__}")
    return tuple(str(one) for one in value)
