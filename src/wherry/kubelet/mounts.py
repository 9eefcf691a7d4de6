"""What a container sees where: volume mounts with their sub-paths, and the agent's own files."""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from wherry.kubelet import expansion
from wherry.kubelet.launcher.types import Mount
from wherry.kubelet.volume import Prepared
from wherry.objects.requests import Object

DEFAULT_MESSAGE_PATH = "/dev/termination-log"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where it is, not what


class MountError(Exception):
    """A mount is described wrongly, or its sub-path leaves the volume."""


def volume_mounts(
    container: Object, volumes: Mapping[str, Prepared], environment: Mapping[str, str]
) -> list[Mount]:
    """Return the container's mounts; missing sub-paths are made.

    Args:
        container: Its `volumeMounts` count.
        volumes: Prepared ones by name.
        environment: For `subPathExpr`.

    Raises:
        MountError: a path is not allowed, or there is no such volume.
    """
    return [_mount(entry, volumes, environment) for entry in container.get("volumeMounts") or []]


def _mount(entry: Object, volumes: Mapping[str, Prepared], environment: Mapping[str, str]) -> Mount:
    name = str(entry["name"])
    volume = volumes.get(name)
    if volume is None:
        raise MountError(f'volumeMounts: there is no volume "{name}"')
    sub_path = str(entry.get("subPath") or "")
    if entry.get("subPathExpr"):
        sub_path = expansion.expand(str(entry["subPathExpr"]), environment)
    read_only = bool(entry.get("readOnly")) or volume.read_only
    source = within(volume.path, sub_path, make=not volume.read_only) if sub_path else volume.path
    return Mount(source=str(source), target=target(str(entry["mountPath"])), read_only=read_only)


def target(text: str) -> str:
    """Return a path of the container.

    Raises:
        MountError: it is not absolute, or has `..` in it.
    """
    path = PurePosixPath(text)
    if ".." in path.parts or "\0" in text:
        raise MountError(f"mountPath {text!r} must not contain '..'")
    # A relative one counts from the root, as it does upstream.
    return str(PurePosixPath("/") / path)


def within(base: Path, sub_path: str, *, make: bool) -> Path:
    """Return a path below ``base`` that really is there, symbolic links followed.

    Args:
        base: The volume.
        sub_path: Relative path.
        make: Make it, as a folder, where there is nothing.

    Raises:
        MountError: it is absolute, has `..`, is not there, or a link leads out of the volume.
    """
    path = PurePosixPath(sub_path)
    if path.is_absolute() or ".." in path.parts or "\0" in sub_path:
        raise MountError(f"subPath {sub_path!r} must be relative and must not contain '..'")
    root = Path(os.path.realpath(base))
    found = Path(os.path.realpath(root / path))
    if not found.is_relative_to(root):
        raise MountError(f"subPath {sub_path!r} leads out of the volume")
    if not found.exists():
        if not make:
            raise MountError(f"subPath {sub_path!r} does not exist in the volume")
        found.mkdir(parents=True, exist_ok=True)
    return found
