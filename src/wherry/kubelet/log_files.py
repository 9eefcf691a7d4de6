"""Reads container logs in the CRI format, across rotation, without reading more than is wanted.

A record is ``<RFC3339Nano> stdout|stderr F|P <text>``; a line that was cut into pieces has `P` on all
but its last. The current file of an attempt is ``N.log``, older ones are ``N.log.1`` (newest), ``.2`` …
"""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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
    begin = f"{log.name}."
    try:
        names = [entry.name for entry in os.scandir(log.parent) if entry.name.startswith(begin)]
    except FileNotFoundError:
        return []
    numbers = sorted(
        (int(number) for name in names if (number := name.removeprefix(begin)).isdecimal()),
        reverse=True,
    )
    older = [log.with_name(f"{begin}{number}") for number in numbers]
    return [*older, log] if log.exists() else older


class Snapshot:
    """What an attempt has written up to one moment, whatever is rotated afterwards.

    Attributes:
        current: The newest file, open; None where there is none.
        end: How many bytes of it belong to the snapshot.
    """

    def __init__(self, log: Path) -> None:
        self.end = 0
        self.current: BinaryIO | None = None
        inode = 0
        with contextlib.suppress(FileNotFoundError):
            self.current = log.open("rb")
            found = os.fstat(self.current.fileno())
            self.end, inode = found.st_size, found.st_ino
        self._older = list(_before(files(log), log, inode))

    def close(self) -> None:
        """Close the newest file."""
        if self.current is not None:
            self.current.close()

    def records(self) -> Iterator[Record]:
        """Yield everything, oldest first."""
        for path in self._older:
            with path.open("rb") as stream:
                yield from _records(stream, path.stat().st_size)
        if self.current is not None:
            self.current.seek(0)
            yield from _records(self.current, self.end)

    def tail(self, count: int) -> list[Record]:
        """Return the records of the last ``count`` lines, reading from the end."""
        found: list[Record] = []
        missing = count
        if self.current is not None and missing > 0:
            found = _tail(self.current, self.end, missing)
            missing -= _whole(found)
        for path in reversed(self._older):
            if missing <= 0:
                break
            with path.open("rb") as stream:
                part = _tail(stream, path.stat().st_size, missing)
            missing -= _whole(part)
            found = [*part, *found]
        return found


def _before(paths: list[Path], log: Path, inode: int) -> Iterator[Path]:
    """Yield the files that are older than the one that was opened, which may be rotated by now."""
    for path in paths:
        try:
            if path == log or path.stat().st_ino == inode:
                return
        except FileNotFoundError:
            continue
        yield path


def _whole(records: list[Record]) -> int:
    return sum(record.text.endswith(b"\n") for record in records)


def _records(stream: BinaryIO, end: int) -> Iterator[Record]:
    left = end
    while left > 0 and (line := stream.readline(left)):
        left -= len(line)
        record = parse(line.removesuffix(b"\n"))
        if record is not None:
            yield record


def _tail(stream: BinaryIO, end: int, count: int) -> list[Record]:
    result: list[Record] = []
    whole = 0
    for line in _lines_backwards(stream, end):
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


def _lines_backwards(stream: BinaryIO, end: int) -> Iterator[bytes]:
    position = end
    rest = b""
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        stream.seek(position)
        lines = (stream.read(size) + rest).split(b"\n")
        rest = lines[0]
        yield from (line for line in reversed(lines[1:]) if line)
    if rest:
        yield rest
