"""The folder of an embedded platform as the command line sees it, and whether anything runs there.

The names are those that `wherry.embedded` uses; it is not imported here because that would load the
whole platform.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from wherry.cli import processes

STORE_LOCK = Path("store") / "lock"


@dataclass(frozen=True, slots=True)
class Running:
    """A platform that runs.

    Attributes:
        pid: Its process.
        url: Where its API answers; empty while it starts.
        version: Of Wherry.
        started: Unix seconds; 0 while it starts.
    """

    pid: int
    url: str = ""
    version: str = ""
    started: float = 0.0


@dataclass(frozen=True, slots=True)
class Home:
    """The files of one platform.

    Attributes:
        directory: Absolute.
    """

    directory: Path

    @classmethod
    def of(cls, directory: Path | None) -> "Home":
        """Return the home that an option names, or the default one."""
        if directory is None:
            told = os.environ.get("WHERRY_HOME")
            directory = Path(told) if told else Path.home() / ".wherry"
        return cls(directory.expanduser().absolute())

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def state_file(self) -> Path:
        """What a running platform says of itself."""
        return self.directory / "wherry.json"

    @property
    def log(self) -> Path:
        """Where a platform in the background logs to."""
        return self.directory / "wherry.log"

    @property
    def launcher(self) -> Path:
        """The launcher's own folder."""
        return self.directory / "launcher"

    def running(self) -> Running | None:
        """Return the platform that runs here, also one that still starts; None if none does.

        A file that a killed platform has left is not believed: the process must be alive, be
        Wherry's, and be older than what it wrote.
        """
        said = self._said()
        if said is not None and processes.is_wherry(said.pid, said.started):
            return said
        lock = self.directory / STORE_LOCK
        try:
            pid, written = int(lock.read_text()), lock.stat().st_mtime
        except (OSError, ValueError):
            return None
        return Running(pid) if processes.is_wherry(pid, written) else None

    def _said(self) -> Running | None:
        try:
            said = json.loads(self.state_file.read_text())
            return Running(
                int(said["pid"]), str(said["url"]), str(said["version"]), float(said["started"])
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def log_tail(self, lines: int, *, since: int) -> str:
        """Return the last lines of the log.

        Args:
            lines: How many at most.
            since: Byte position before which nothing is wanted.
        """
        try:
            with self.log.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(since, size - 64 * 1024))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])
