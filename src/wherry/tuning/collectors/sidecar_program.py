"""Prints what a trial writes to files, line by line as JSON; runs in the trial's pod, from its text.

Nothing but Python's standard library, 3.10 and later: it runs in whatever image has that. What
it prints is read by `collectors.sidecar`. Where a line stood (``at``) is the same each time it is
printed, so that a restart of the container does no harm.

    python3 -c TEXT text FILE READY
    python3 -c TEXT events FOLDER READY

READY is a file that is made once this can be told to end without losing anything.
"""

import json
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

Told = dict[str, Any]

PAUSE_SECONDS = 0.1
LONGEST = 1 << 20

_ending = False


def main() -> None:
    """Print until told to end, and then what is left."""
    signal.signal(signal.SIGTERM, _end)
    kind, path, ready = sys.argv[1:4]
    Path(ready).touch()
    reader: TextFile | EventFolder = TextFile(path) if kind == "text" else EventFolder(path)
    while True:
        # Looked at first: what is written before the end is there now.
        last = _ending
        any_read = False
        for told in reader.read(last):
            any_read = True
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()
        if last and not any_read:
            return
        if not any_read:
            time.sleep(PAUSE_SECONDS)


def _end(_number: int, _frame: object) -> None:
    global _ending  # noqa: PLW0603 - all that a signal handler does
    _ending = True


class TextFile:
    """A file that grows; begun anew where it becomes shorter."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._at = self._begun = 0

    def read(self, last: bool) -> Iterator[Told]:  # noqa: FBT001 - of one caller
        """Yield the lines that are whole by now; at last also one that is not."""
        try:
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._at:
                    self._at, self._begun = 0, self._begun + 1
                file.seek(self._at)
                while True:
                    line = file.readline(LONGEST)
                    if not line or not (line.endswith(b"\n") or len(line) == LONGEST or last):
                        return
                    at = f"{self._begun}:{self._at}"
                    self._at += len(line)
                    yield {"at": at, "line": line.decode("utf-8", "replace").rstrip("\r\n")}
        except OSError:  # it is not there yet
            return


class EventFolder:
    """Event files of TensorFlow, TensorBoard and PyTorch below a folder.

    A file is a row of records: length (8 bytes), its checksum (4), the data, its checksum (4).
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._at: dict[Path, int] = {}

    def read(self, last: bool) -> Iterator[Told]:  # noqa: FBT001 - of one caller
        """Yield the scalars of the records that are whole by now."""
        del last
        for folder, _, names in os.walk(self._path):
            for name in sorted(names):
                if "tfevents" in name:
                    yield from self._file(folder, name)

    def _file(self, folder: str, name: str) -> Iterator[Told]:
        path = Path(folder, name)
        try:
            with path.open("rb") as file:
                file.seek(self._at.get(path, 0))
                while True:
                    record = _record(file)
                    if record is None:
                        return
                    at = self._at.get(path, 0)
                    self._at[path] = file.tell()
                    for number, scalar in enumerate(_scalars(record)):
                        mark = f"{path.relative_to(self._path)}:{at}:{number}"
                        yield {**scalar, "at": mark, "folder": folder}
        except OSError:  # removed meanwhile
            return


def _record(file: BinaryIO) -> bytes | None:
    head = file.read(12)
    if len(head) < 12:
        return None
    length = struct.unpack("<Q", head[:8])[0]
    data = file.read(length + 4)
    return data[:length] if len(data) == length + 4 else None


def _scalars(event: bytes) -> Iterator[Told]:
    """Yield the scalars of an `Event`: wall_time 1, step 2, summary 5 of values 1."""
    when, step, summary = 0.0, 0, b""
    for number, value in _fields(event):
        if number == 1:
            when = struct.unpack("<d", value)[0]
        elif number == 2:
            step = value
        elif number == 5:
            summary = value
    for number, value in _fields(summary):
        if number == 1:
            tag, scalar = _value(value)
            if scalar is not None:
                yield {"time": when, "step": step, "tag": tag, "value": repr(scalar)}


def _value(data: bytes) -> tuple[str, Any]:
    """Return tag 1 and number of a `Summary.Value`: simple_value 2 or tensor 8."""
    tag, scalar = "", None
    for number, value in _fields(data):
        if number == 1:
            tag = value.decode("utf-8", "replace")
        elif number == 2:
            scalar = _short(struct.unpack("<f", value)[0])
        elif number == 8:
            scalar = _tensor(value)
    return tag, scalar


def _tensor(data: bytes) -> Any:
    """Return the number of a `TensorProto` that has one: dtype 1, content 4, values 5, 6, 7, 10."""
    kinds = {1: "f", 2: "d", 3: "i", 9: "q"}
    lists = {5: "f", 6: "d"}
    kind, content, found = 0, b"", None
    for number, value in _fields(data):
        if number == 1:
            kind = value
        elif number == 4:
            content = value
        elif number in lists and isinstance(value, bytes) and value:
            found = struct.unpack("<" + lists[number], value[: struct.calcsize(lists[number])])[0]
            found = _short(found) if lists[number] == "f" else found
        elif number in {7, 10}:
            found = value if isinstance(value, int) else _varint(value, 0)[0]
    if found is None and kind in kinds and len(content) == struct.calcsize("<" + kinds[kind]):
        found = struct.unpack("<" + kinds[kind], content)[0]
        found = _short(found) if kinds[kind] == "f" else found
    return found


def _short(value: float) -> float:
    """Return a 32-bit float as the shortest decimal that means it."""
    for digits in range(6, 10):
        text = f"{value:.{digits}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", value):
            return float(text)
    return value


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield number and value of each field of a message in protobuf's wire format."""
    at = 0
    while at < len(data):
        value: Any
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
        elif wire == 2:
            length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        else:
            length = 8 if wire == 1 else 4
            value, at = data[at : at + length], at + length
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


if __name__ == "__main__":
    main()
