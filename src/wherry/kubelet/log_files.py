"""Reads container logs in the CRI format, across rotation, without reading more than is wanted.

A record is ``<RFC3339Nano> stdout|stderr F|P <text>``; a line that was cut into pieces has `P` on all
but its last. The current file of an attempt is ``N.log``, older ones are ``N.log.1`` (newest), ``.2`` …
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 64 * 1024
_NAME = re.compile(r"(0|[1-9][0-9]{0,9})\.log")


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        time: As it stands in the file; fixed width, so it compares as text.
        stream: ``stdout`` or ``stderr``.
        text: What was written, with its newline unless the line goes on.
    """

    time: bytes
    stream: bytes
    text: bytes


def parse(line: bytes) -> Record | None:
    """Read a record; None for a line that is none, as after a crash in the middle of a write."""
    parts = line.split(b" ", 3)
    if len(parts) != 4 or parts[2] not in {b"F", b"P"}:
        return None
    end = b"\n" if parts[2] == b"F" else b""
    return Record(parts[0], parts[1], parts[3] + end)


def attempts(folder: Path) -> list[int]:
    """Return the attempts of a container that have logs, oldest first."""
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return []
    matches = (_NAME.fullmatch(name) for name in names)
    return sorted(int(match[1]) for match in matches if match)


def files(log: Path) -> list[Path]:
    """Return the files of one attempt, oldest first."""
    rotated: list[tuple[int, Path]] = []
    for entry in log.parent.glob(f"{log.name}.*"):
        suffix = entry.name.removeprefix(f"{log.name}.")
        if suffix.isdecimal():
            rotated.append((int(suffix), entry))
    older = [path for _, path in sorted(rotated, reverse=True)]
    return [*older, log] if log.exists() else older


def records(log: Path) -> Iterator[Record]:
    """Yield everything an attempt has written so far."""
    for path in files(log):
        with path.open("rb") as stream:
            for line in stream:
                record = parse(line.removesuffix(b"\n"))
                if record is not None:
                    yield record


def tail(log: Path, count: int) -> list[Record]:
    """Return the records of the last ``count`` lines, reading from the end."""
    found: list[Record] = []
    missing = count
    for path in reversed(files(log)):
        if missing <= 0:
            break
        part = _tail_of_file(path, missing)
        missing -= sum(record.text.endswith(b"\n") for record in part)
        found = [*part, *found]
    return found


def _tail_of_file(path: Path, count: int) -> list[Record]:
    result: list[Record] = []
    whole = 0
    for line in _lines_backwards(path):
        record = parse(line)
        if record is None:
            continue
        if record.text.endswith(b"\n"):
            whole += 1
            if whole > count:
                break
        result.append(record)
    result.reverse()
    return result


def _lines_backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        position = stream.seek(0, os.SEEK_END)
        rest = b""
        while position > 0:
            size = min(_BLOCK, position)
            position -= size
            stream.seek(position)
            lines = (stream.read(size) + rest).split(b"\n")
            rest = lines[0]
            yield from reversed([line for line in lines[1:] if line])
        if rest:
            yield rest
