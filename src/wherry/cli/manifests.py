"""Objects in files, folders and on stdin."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.cli.failures import CommandError
from wherry.objects import documents
from wherry.objects.requests import Object

_SUFFIXES = (".yaml", ".yml", ".json")
_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Manifest:
    """One object and where it stands.

    Attributes:
        place: For messages, e.g. ``app.yaml, document 2``.
        obj: The object; empty if there is an error.
        error: Why it cannot be used, empty if it can.
    """

    place: str
    obj: Object
    error: str = ""


def read(names: Sequence[str], *, generated: bool = False) -> Iterator[Manifest]:
    """Yield the objects of files in their order; lists are taken apart.

    Args:
        names: Files, folders (their ``.yaml``, ``.yml`` and ``.json`` files by name) or ``-``.
        generated: Whether ``generateName`` may stand for a name.

    Raises:
        CommandError: a file is missing, unreadable or too large, or a folder holds no manifests.
    """
    for name in names:
        for source, text in _texts(name):
            number = 0
            for number, value in enumerate(documents.read(text), 1):
                yield from _objects(value, f"{source}, document {number}", generated=generated)
            if not number:
                yield Manifest(source, {}, "holds no objects")


def _texts(name: str) -> Iterator[tuple[str, str]]:
    if name == "-":
        yield "stdin", _decode("stdin", sys.stdin.buffer.read(_LIMIT_BYTES + 1))
        return
    path = Path(name)
    files = _files(path) if path.is_dir() else [path]
    for file in files:
        try:
            with file.open("rb") as opened:
                raw = opened.read(_LIMIT_BYTES + 1)
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from error
        yield str(file), _decode(str(file), raw)


def _files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())
    if not found:
        raise CommandError(f"{folder}: no files that end in {', '.join(_SUFFIXES)}")
    return found


def _decode(source: str, raw: bytes) -> str:
    if len(raw) > _LIMIT_BYTES:
        raise CommandError(f"{source}: larger than {_LIMIT_BYTES // 2**20} MiB")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CommandError(f"{source}: not UTF-8 text: {error}") from error


def _objects(value: Any, place: str, *, generated: bool) -> Iterator[Manifest]:
    if isinstance(value, documents.DocumentError):
        yield Manifest(place, {}, str(value))
    elif not isinstance(value, dict):
        kind = type(value).__name__
        yield Manifest(place, {}, f"an object has apiVersion, kind and metadata; this is a {kind}")
    elif str(value.get("kind", "")).endswith("List") and isinstance(value.get("items"), list):
        for number, item in enumerate(value["items"], 1):
            yield from _objects(item, f"{place}, item {number}", generated=generated)
    else:
        yield Manifest(place, value, _complaint(value, generated=generated))


def _complaint(obj: Object, *, generated: bool) -> str:
    for field in ("apiVersion", "kind"):
        if not isinstance(obj.get(field), str) or not obj[field]:
            return f"{field} is missing; want for example apiVersion: v1, kind: ConfigMap"
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        return "metadata is missing; it must be an object with a name"
    name = metadata.get("name") or (metadata.get("generateName") if generated else None)
    if not isinstance(name, str) or not name:
        return "metadata.name is missing; it must be a string"
    if not isinstance(metadata.get("namespace", ""), str | None):
        return "metadata.namespace must be a string"
    if not isinstance(metadata.get("annotations") or {}, dict):
        return "metadata.annotations must be an object"
    return ""
