"""The file of audit events: JSON lines, rotated by size, written by a thread of its own.

The event loop only puts bytes into a bounded queue. Where the disk cannot keep up events are
dropped and counted: a full disk must not stop the API.
"""

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from wherry.objects.requests import Object

_LOG = logging.getLogger(__name__)
_WAITING: Final = 10_000
_MAX_LINE_BYTES: Final = 8 * 1024 * 1024
_STOP_SECONDS: Final = 5.0


class AuditLog:
    """An audit log that is being written. `close` ends it.

    Args:
        path: The file; made with mode 0600.
        max_bytes: Size at which a new file is begun.
        backups: How many old files are kept, as ``PATH.1`` (the newest) and so on.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = 100 * 1024 * 1024, backups: int = 10
    ) -> None:
        self.path = path
        self.written = 0
        """Events handed over."""
        self.dropped = 0
        """Events that were lost because the queue was full or the disk refused them."""
        self._max_bytes = max_bytes
        self._backups = backups
        self._queue: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._descriptor = _open(path)
        self._size = os.fstat(self._descriptor).st_size
        self._thread = threading.Thread(target=self._run, name="audit log", daemon=True)
        self._thread.start()

    def write(self, event: Object) -> None:
        """Hand over an event; never waits."""
        try:
            line = orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)
        except TypeError:
            # A body may hold what has no form in JSON's text, a lone surrogate: the rest is kept.
            plain = {key: each for key, each in event.items() if not key.endswith("Object")}
            line = orjson.dumps(plain, default=str, option=orjson.OPT_APPEND_NEWLINE)
        try:
            if len(line) > _MAX_LINE_BYTES:
                raise queue.Full
            self._queue.put_nowait(line)
            self.written += 1
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Write what waits and close the file. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(queue.Full):
                self._queue.put(None, timeout=_STOP_SECONDS)
            self._thread.join(_STOP_SECONDS)

    def metrics(self) -> Iterator[str]:
        """Yield what `/metrics` tells of the log."""
        yield "# HELP apiserver_audit_event_total Events handed to the audit log."
        yield "# TYPE apiserver_audit_event_total counter"
        yield f"apiserver_audit_event_total {self.written}"
        yield "# HELP apiserver_audit_error_total Events that were lost."
        yield "# TYPE apiserver_audit_error_total counter"
        yield f'apiserver_audit_error_total{{plugin="log"}} {self.dropped}'

    def _run(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                if self._size and self._size + len(line) > self._max_bytes:
                    self._rotate()
                self._size += _write_all(self._descriptor, line)
            except OSError as error:
                if not self.dropped:
                    _LOG.error("the audit log %s cannot be written: %s", self.path, error)
                self.dropped += 1
        os.close(self._descriptor)

    def _rotate(self) -> None:
        for number in range(self._backups - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                self._backup(number).rename(self._backup(number + 1))
        if self._backups:
            self.path.rename(self._backup(1))
        else:
            self.path.unlink()
        os.close(self._descriptor)
        self._descriptor, self._size = _open(self.path), 0

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def _open(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write_all(descriptor: int, data: bytes) -> int:
    done = 0
    while done < len(data):
        done += os.write(descriptor, data[done:])
    return done
