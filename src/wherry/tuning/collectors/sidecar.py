"""What collectors of files have in common: a container beside the trial's that prints what it reads.

It is a native sidecar: it begins before the trial's containers, which wait until it is ready, and is
told to end after them, so that nothing is lost at the end, however short the trial. What it prints is
followed like any log.
"""

import functools
import json
import posixpath
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.tuning.access import Access, Line
from wherry.tuning.collector import Wanted

NAME: Final = "metrics-logger-and-collector"
VOLUME: Final = "metrics-volume"
_STATE: Final = "metrics-collector"
_READY: Final = "/run/metrics-collector/ready"
_WAIT: Final = f"until [ -e {_READY} ]; do sleep 0.05; done"
IMAGE: Final = "python:3-alpine"
_PROGRAM: Final = Path(__file__).with_name("sidecar_program.py")
_FIELD: Final = "spec.metricsCollectorSpec.source.fileSystemPath"


def path_of(source: Object) -> str:
    """Return the path that a ``source`` names."""
    return str((source.get("fileSystemPath") or {}).get("path") or "")


def path_causes(spec: Object, kind: str) -> list[Cause]:
    """Return what is wrong with the path of a ``metricsCollectorSpec``.

    Args:
        spec: Defaults are filled in.
        kind: ``File`` or ``Directory``: which it has to be.
    """
    wanted = (spec.get("source") or {}).get("fileSystemPath") or {}
    path, causes = path_of(spec.get("source") or {}), []
    if wanted.get("kind") != kind:
        causes.append(
            Cause(f"{_FIELD}.kind", f"Invalid value: {wanted.get('kind')!r}: must be {kind}")
        )
    folder = posixpath.dirname(path) if kind == "File" else path
    if not path.startswith("/"):
        causes.append(Cause(f"{_FIELD}.path", f"Invalid value: {path!r}: must be an absolute path"))
    elif posixpath.normpath(folder) == "/":
        problem = "must be below a directory of its own, which becomes a volume"
        causes.append(Cause(f"{_FIELD}.path", f"Invalid value: {path!r}: {problem}"))
    return causes


def add(wanted: Wanted, pod: Object, mode: str, folder: str) -> None:
    """Put the sidecar into a pod, and a volume at the folder that both see, in place.

    Args:
        wanted: Whose metrics.
        pod: The pod, or its template.
        mode: ``text`` or ``events``.
        folder: Absolute path.
    """
    spec = pod["spec"]
    mount = share(wanted, spec, folder)
    sidecars = spec.setdefault("initContainers", [])
    if any(each.get("name") == NAME for each in sidecars):
        return
    sidecar = {
        "name": NAME,
        "image": IMAGE,
        "command": ["python3", "-u", "-c", _text(), mode, path_of(wanted.source), _READY],
        "restartPolicy": "Always",
        # Told to end while its interpreter starts, it would just be gone.
        "lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", _WAIT]}}},
        "volumeMounts": [mount, {"name": _STATE, "mountPath": posixpath.dirname(_READY)}],
        "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}},
    }
    sidecars.append(sidecar)
    spec.setdefault("volumes", []).append({"name": _STATE, "emptyDir": {}})


def share(wanted: Wanted, spec: dict[str, Any], folder: str) -> dict[str, Any]:
    """Have a folder of the primary container be on a volume; return how it is mounted."""
    container = primary(wanted, spec)
    mounts = container.setdefault("volumeMounts", [])
    held = [each for each in mounts if _is_within(folder, str(each.get("mountPath", "")))]
    if held:
        # The innermost is what the container sees there.
        return dict(max(held, key=lambda each: len(each["mountPath"])))
    volumes = spec.setdefault("volumes", [])
    if not any(each.get("name") == VOLUME for each in volumes):
        volumes.append({"name": VOLUME, "emptyDir": {}})
    mount = {"name": VOLUME, "mountPath": folder}
    mounts.append(mount)
    return dict(mount)


def primary(wanted: Wanted, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the primary container of a pod's spec."""
    containers: list[dict[str, Any]] = spec["containers"]
    return next((each for each in containers if each["name"] == wanted.container), containers[0])


async def told(pod: Object, access: Access) -> AsyncIterator[list[tuple[Line, dict[str, Any]]]]:
    """Yield what the sidecar says, each with the line that it stood in; together what comes so."""
    async for lines in access.lines(pod, NAME):
        yield [(line, said) for line in lines if (said := _said(line.text)) is not None]


def _said(line: str) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None  # of Python's own, such as a traceback: it is among the last lines
    return said if isinstance(said, dict) and "at" in said else None


@functools.cache
def _text() -> str:
    return _PROGRAM.read_text()


def _is_within(path: str, folder: str) -> bool:
    parts, outer = posixpath.normpath(path).split("/"), posixpath.normpath(folder).split("/")
    return bool(folder) and parts[: len(outer)] == outer
