"""What the launcher remembers on disk: one small file per process, replaced whole.

A record is written before the process runs and again before its exit is announced. So whoever comes next knows what
ran, and nothing runs twice. Files are not synced: a crash of the machine ends the processes too, and the next launcher
sees by the boot id that they are gone.
"""

import dataclasses
import errno
import json
import os
import pathlib
import sys
from typing import Any

from wherry.kubelet.launcher import types

_SUFFIX = ".json"


@dataclasses.dataclass(slots=True, kw_only=True)
class Record:
    """One process as the disk knows it."""

    state: types.ProcessState
    boot: str
    """Of the machine when it was started."""
    ticks: int = 0
    """Start of the process in the kernel's ticks; with the pid it names the process for ever."""
    token: str = ""
    """Name of a mount that only this container's processes see; empty without isolation."""
    links: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    """(target, source) of symbolic links that stand in for mounts, to be removed after."""
    cgroups: list[str] = dataclasses.field(default_factory=list)
    """Folders of the container's cgroups, to be removed after."""


class Records:
    """The folder of records."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)

    def load(self) -> list[Record]:
        """Return all records; unreadable ones are reported on standard error and set aside."""
        records = []
        for path in sorted(self._directory.glob("*" + _SUFFIX)):
            try:
                records.append(_decode(json.loads(path.read_text())))
            except (OSError, ValueError, TypeError, KeyError) as error:
                print(f"record {path} is damaged and set aside: {error}", file=sys.stderr)  # noqa: T201 — the log
                path.replace(path.with_suffix(".damaged"))
        return records

    def save(self, record: Record) -> None:
        """Put a record on disk, in one step.

        Raises:
            OSError: It cannot be written; the one before is still there.
        """
        target = self._path(record.state.id)
        fresh = f"{target}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        try:
            data = json.dumps(_values(record)).encode()
            if os.write(descriptor, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), fresh)
        finally:
            os.close(descriptor)
        os.replace(fresh, target)  # noqa: PTH105 — each start waits for this, and a Path takes longer than the call

    def remove(self, process_id: str) -> None:
        """Forget a record."""
        pathlib.Path(self._path(process_id)).unlink(missing_ok=True)

    def _path(self, process_id: str) -> str:
        return f"{self._directory}/{types.check_id(process_id)}{_SUFFIX}"


def _values(record: Record) -> dict[str, Any]:
    """Return what ``asdict`` would, in a tenth of its time: it copies all that is in it."""
    values = {name: getattr(record, name) for name in record.__slots__}
    return {**values, "state": types.state_values(record.state)}


def _decode(values: dict[str, Any]) -> Record:
    state = types.ProcessState(**values.pop("state"))
    types.check_id(state.id)
    links = [(str(target), str(source)) for target, source in values.pop("links")]
    return Record(state=state, links=links, **values)
