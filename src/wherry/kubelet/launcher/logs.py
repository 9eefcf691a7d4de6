"""Containers' output becomes log files in the CRI format that kubelets read.

A line of the file is ``<RFC3339Nano> stdout|stderr F|P <text>``; ``P`` marks a piece whose line goes on in the next
record of the same stream.
"""

import contextlib
import os
import pathlib
import time

MAX_PIECE_BYTES = 16 * 1024
"""Longer lines are cut into pieces, as container runtimes do."""

_second = (-1, b"")


def timestamp(nanoseconds: int) -> bytes:
    """Return RFC 3339 with nine decimals, in UTC.

    Args:
        nanoseconds: Since the Unix epoch.

    Returns:
        For instance ``2026-01-31T23:59:59.000000001Z``.
    """
    global _second  # noqa: PLW0603 — formatting the same second over and over is most of the cost
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    if _second[0] != seconds:
        _second = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode()
    return b"%b.%09dZ" % (_second[1], rest)


class LogFile:
    """One container's log: appended to, rotated by renaming."""

    def __init__(self, path: str, *, max_bytes: int, max_files: int) -> None:
        """Open it, making folders as needed.

        Args:
            path: Absolute.
            max_bytes: A file that has reached this is rotated.
            max_files: Kept, the one being written included; at least 1.
        """
        self._path = pathlib.Path(path)
        self._max_bytes = max_bytes
        self._max_files = max(1, max_files)
        self._cut = False
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._open()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(self._path, flags, 0o640)
        self._size = os.fstat(self._descriptor).st_size

    def write(self, records: bytes) -> None:
        """Append complete records. A full disk loses them, but never the container."""
        data = b"\n" + records if self._cut else records
        try:
            written = os.write(self._descriptor, data)
        except OSError:
            return
        self._cut = written < len(data)
        self._size += written
        if self._size >= self._max_bytes:
            with contextlib.suppress(OSError):
                self._rotate()

    def _rotate(self) -> None:
        for number in range(self._max_files - 1, 0, -1):
            older = self._numbered(number)
            newer = self._numbered(number - 1) if number > 1 else self._path
            with contextlib.suppress(FileNotFoundError):
                newer.replace(older)
        if self._max_files == 1:
            self._path.unlink(missing_ok=True)
        previous = self._descriptor
        self._open()
        os.close(previous)

    def _numbered(self, number: int) -> pathlib.Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class Stream:
    """One of a container's two outputs, on its way into the log."""

    def __init__(self, name: str, log: LogFile) -> None:
        self._name = name.encode()
        self._log = log
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether an unfinished line is held back."""
        return bool(self._rest)

    def feed(self, data: bytes) -> None:
        """Take in output as it comes; complete lines go to the file at once."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        out = self._records(lines) if lines else b""
        while len(self._rest) >= MAX_PIECE_BYTES:
            out += self._piece(self._rest[:MAX_PIECE_BYTES])
            self._rest = self._rest[MAX_PIECE_BYTES:]
        if out:
            self._log.write(out)

    def flush(self) -> None:
        """Write the unfinished line as a piece: a prompt or progress bar, or the end of the output."""
        if self._rest:
            self._log.write(self._piece(self._rest))
            self._rest = b""

    def _records(self, lines: list[bytes]) -> bytes:
        if max(map(len, lines)) > MAX_PIECE_BYTES:
            lines = [piece for line in lines for piece in self._cut(line)]
            return b"".join(lines)
        start = self._start(b"F")
        return start + (b"\n" + start).join(lines) + b"\n"

    def _cut(self, line: bytes) -> list[bytes]:
        last = max(0, len(line) - 1) // MAX_PIECE_BYTES * MAX_PIECE_BYTES
        pieces = [
            self._piece(line[at : at + MAX_PIECE_BYTES]) for at in range(0, last, MAX_PIECE_BYTES)
        ]
        return [*pieces, self._start(b"F") + line[last:] + b"\n"]

    def _piece(self, text: bytes) -> bytes:
        return self._start(b"P") + text + b"\n"

    def _start(self, tag: bytes) -> bytes:
        return b"%b %b %b " % (timestamp(time.time_ns()), self._name, tag)
