"""The program that runs containers, runc or crun: whether it is there, its command lines, its records."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from wherry.kubelet.oci import groups, kernel_log

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS = ("runc", "crun")
_CALL_SECONDS = 30.0
_RECORDS = (("state.json", "init_process_pid"), ("status", "pid"))
"""Of runc and crun: in which file they note a container's process, and under which name."""

_INIT = ("runc:[", "crun")
_SECOND = Path("/sys/fs/cgroup/unified")
"""Where control groups of version 2 are beside those of version 1."""

_WITHOUT_SECOND = (
    *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
    # It may be away already: commands inside a container begin where its engine is.
    f'umount {_SECOND} 2>/dev/null; exec "$0" "$@"',
)
"""crun refuses a machine whose controllers are some in version 1 and some in version 2; those of version
1 are all that it needs, and all that it sees without the other mount."""
_MAX_LOG_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Engine:
    """An OCI runtime that works on this machine.

    Attributes:
        program: Its file.
        root: Where it keeps its records.
        keeps: Whether it can leave a container's records in place when it ends.
        before: Command that it is run by.
    """

    program: str
    root: Path
    keeps: bool
    before: tuple[str, ...] = ()
    signals: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """`runc` or `crun`."""
        return Path(self.program).name

    def run(self, container: str, bundle: Path) -> tuple[str, ...]:
        """Return the command line that runs a container for as long as it lives."""
        keep = ("--keep",) if self.keeps else ()
        log = ("--log", str(bundle / "log.json"), "--log-format", "json")
        return (*self._start, *log, "run", *keep, "--bundle", str(bundle), container)

    def execute(
        self, container: str, argv: tuple[str, ...], *, terminal: bool, mark: Path | None
    ) -> tuple[str, ...]:
        """Return the command line that runs `argv` inside a container."""
        # Some versions of crun take the variables that are given here for all that there are.
        kind = ("--env", "TERM=xterm") if self.kind == "runc" else ()
        options = ("--tty", *kind) if terminal else ()
        if mark is not None:
            options = (*options, "--pid-file", str(mark))
        return (*self._start, "exec", *options, container, *argv)

    @property
    def _start(self) -> tuple[str, ...]:
        return (*self.before, self.program, "--root", str(self.root))

    def abandon(self, mark: Path) -> None:
        """Kill the command whose engine process has been killed before it."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(mark.read_text()), signal.SIGKILL)

    async def started(self, container: str) -> int | None:
        """Return the process of a container's own program; None until it runs."""
        return self._program(container)

    def _program(self, container: str) -> int | None:
        """Until a container's own program runs, the engine has its process."""
        for name, key in _RECORDS:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                pid = json.loads((self.root / container / name).read_text())[key]
                comm = Path(f"/proc/{int(pid)}/comm").read_text()
                return None if comm.startswith(_INIT) else int(pid)
        return None

    def containers(self) -> list[str]:
        """Return the names of all containers on record."""
        with contextlib.suppress(OSError):
            return [entry.name for entry in self.root.iterdir() if entry.is_dir()]
        return []

    async def on_record(self) -> list[str]:
        """Return the names of all containers on record."""
        return self.containers()

    def removal(self, container: str) -> tuple[str, ...]:
        """Return the command line that ends a container and drops its records."""
        return (*self._start, "delete", "--force", container)

    async def signal(self, container: str, number: int) -> bool:
        """Send a signal to a container; returns whether that was possible."""
        return await self._call((*self._start, "kill", container, str(int(number))))

    async def delete(self, container: str) -> None:
        """End a container if it runs, and drop its records and control groups. Idempotent."""
        record = self.root / container
        if not record.exists():
            return
        noted = self._groups(container).values()
        ended = self.is_written(container) and await self._call(self.removal(container))
        gone = ended and groups.gone(noted)
        if not gone and not await asyncio.to_thread(groups.remove, container):
            return  # as long as there is a record, the next agent tries again
        # What was cut off while it was made cannot be read, and is only in the way.
        await asyncio.to_thread(shutil.rmtree, record, ignore_errors=True)

    def is_written(self, container: str) -> bool:
        """Return whether the engine got as far as to note what it made; else it drops the record only."""
        return any((self.root / container / name).exists() for name, _ in _RECORDS)

    @staticmethod
    async def _call(command: tuple[str, ...]) -> bool:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": _PATH},
        )
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                return await process.wait() == 0
        except TimeoutError:
            process.kill()
            await process.wait()
            return False

    async def complaint(self, container: str, folder: Path) -> str:
        """Return why a container's own program never ran; empty if it did."""
        return complaint(folder)

    async def out_of_memory(self, container: str) -> bool:
        """Return whether the kernel killed one of a container's processes for want of memory."""
        noted = self._groups(container)
        folder = noted.get("memory") or noted.get("")
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                text = (Path(folder) / name).read_text() if folder else ""
                facts = dict(line.split() for line in text.splitlines())
                if int(facts.get("oom_kill", "0")) > 0:
                    return True
        # Who keeps no records takes the group away before it can be read.
        return not noted and await asyncio.to_thread(kernel_log.killed, groups.name(container))

    def _groups(self, container: str) -> dict[str, str]:
        """Return the folders that runc has noted, by controller; the empty name is version 2."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            state = json.loads((self.root / container / "state.json").read_text())
            return {str(kind): str(at) for kind, at in (state.get("cgroup_paths") or {}).items()}
        return {}


def find(root: Path, programs: tuple[str, ...] = PROGRAMS) -> tuple[Engine | None, str]:
    """Look for an engine.

    Args:
        root: Where it shall keep its records.
        programs: Which ones will do, the best first.

    Returns:
        The engine, or None and why there is none.
    """
    if sys.platform != "linux":
        return None, f"{sys.platform} runs no Linux containers"
    reasons = []
    for name in programs:
        program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_PATH}")
        reason = "is not installed" if program is None else _unusable(name)
        if program is not None and not reason:
            before = _WITHOUT_SECOND if name == "crun" and _mixed() else ()
            return Engine(program, root, keeps=_keeps(program), before=before), ""
        reasons.append(f"{name} {reason}")
    return None, " and ".join(reasons)


def _unusable(name: str) -> str:
    if name == "crun" and _mixed() and (os.geteuid() != 0 or shutil.which("unshare") is None):
        return (
            "refuses machines with controllers in control groups of both versions, as this one has; "
            "root with unshare (util-linux) could hide those of version 2 from it"
        )
    return ""


def _mixed() -> bool:
    """Return whether there are control groups of both versions, and both have controllers."""
    with contextlib.suppress(OSError):
        return bool((_SECOND / "cgroup.controllers").read_text().split())
    return False


def _keeps(program: str) -> bool:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(  # noqa: S603 - the program that was just found, fixed arguments
            [program, "run", "--help"], capture_output=True, timeout=_CALL_SECONDS, check=False
        )
        return b"--keep" in done.stdout + done.stderr
    return False


def complaint(bundle: Path) -> str:
    """Return why a container could not be started, as its engine put it; empty if it could."""
    found = ""
    with contextlib.suppress(OSError):
        text = (bundle / "log.json").read_bytes()[-_MAX_LOG_BYTES:].decode(errors="replace")
        for line in text.splitlines():
            with contextlib.suppress(ValueError, AttributeError):
                entry = json.loads(line)
                if entry.get("level") in {"error", "fatal"}:
                    found = str(entry.get("msg") or "")
    return found[:2000]
