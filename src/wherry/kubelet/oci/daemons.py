"""Docker and Podman, where neither runc nor crun is there: whether they answer, and their commands.

Everything goes through their command line, which both have in common. A container is made first and
then started in the foreground, so that variables, some of them secrets, are on no command line and in
no file that outlives the call.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from wherry.kubelet.oci import kernel_log

PROGRAMS = ("docker", "podman")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CALL_SECONDS = 60.0
_LOOK_SECONDS = 10.0
_NAME = "wherry-"
_LABEL = "wherry.dev/platform"
_MARK = "WHERRY_COMMAND"
_NEVER = "0001-01-01"
# Control-P and control-Q are for the program in the terminal; nobody types this.
_KEYS = ("--detach-keys", "ctrl-@,ctrl-^,ctrl-@,ctrl-^")
_OWN = (
    "HOME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "DOCKER_HOST",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_REGISTRIES_CONF",
)
_MAX_COMPLAINT = 2000


class DaemonError(Exception):
    """The engine refused; the message is its own."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """Docker or Podman on this machine.

    Attributes:
        program: The file of its command line.
        kind: `docker` or `podman`.
        platform: Tells this platform's containers from those of others.
    """

    program: str
    kind: str
    platform: str
    signals: ClassVar[bool] = True

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its command line gets: how to reach it, and nothing else."""
        found = {name: os.environ[name] for name in _OWN if name in os.environ}
        return {"PATH": f"{os.environ.get('PATH', '')}:{_PATH}", **found}

    async def call(self, *arguments: str, more: Mapping[str, str] | None = None) -> bytes:
        """Run a command that ends soon, and return its output.

        Args:
            *arguments: The command.
            more: Variables for it to take from its own.

        Raises:
            DaemonError: it failed.
        """
        return await self.long_call(_CALL_SECONDS, *arguments, more=more)

    async def long_call(
        self, seconds: float, *arguments: str, more: Mapping[str, str] | None = None
    ) -> bytes:
        """Run a command that may take so many seconds, and return its output.

        Raises:
            DaemonError: it failed.
        """
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**(more or {}), **self.environment},
        )
        try:
            async with asyncio.timeout(seconds):
                output, complaint = await process.communicate()
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            if isinstance(error, TimeoutError):
                raise DaemonError(f"{self.kind} did not answer within {seconds:g} s") from None
            raise
        if process.returncode != 0:
            raise DaemonError(_told(complaint.decode(errors="replace")) or f"{self.kind} failed")
        return output

    async def create(
        self, container: str, options: tuple[str, ...], more: Mapping[str, str]
    ) -> None:
        """Make a container, not yet started.

        Args:
            container: Its id.
            options: All that follows `create`, the image included.
            more: Variables that the options name without a value.

        Raises:
            DaemonError: it cannot be made.
        """
        if both := sorted(set(more) & set(self.environment)):
            raise DaemonError(
                f"{self.kind} takes no {both[0]} of several lines, or of more than 60 KB"
            )
        label = f"{_LABEL}={self.platform}"
        await self.call(
            "create", "--name", _NAME + container, "--label", label, *options, more=more
        )

    async def copy_out(self, container: str, path: str) -> bytes:
        """Return a file of a container as a tar archive.

        Raises:
            DaemonError: there is none.
        """
        return await self.call("cp", f"{_NAME}{container}:{path}", "-")

    def run(self, container: str, *, stdin: bool) -> tuple[str, ...]:
        """Return the command line that starts a container and stays for as long as it lives."""
        attached = ("--attach", "--interactive") if stdin else ("--attach",)
        return (self.program, "start", *attached, *_KEYS, _NAME + container)

    def execute(
        self, container: str, argv: tuple[str, ...], *, terminal: bool, mark: Path | None
    ) -> tuple[str, ...]:
        """Return the command line that runs `argv` inside a container."""
        options = ("--tty", "--env", "TERM=xterm") if terminal else ()
        if mark is not None:
            options = (*options, "--env", f"{_MARK}={mark}")
        return (
            *(self.program, "exec", "--interactive", *_KEYS),
            *(*options, _NAME + container, *argv),
        )

    def abandon(self, mark: Path) -> None:
        """Kill the command, and what it has started; its processes are known by a variable."""
        sought = f"{_MARK}={mark}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if sought in (folder / "environ").read_bytes().split(b"\0"):
                    os.kill(int(folder.name), signal.SIGKILL)

    async def started(self, container: str) -> int | None:
        """Return the process of a container's own program."""
        pid = int((await self._state(container)).get("Pid") or 0)
        return pid or None

    async def _state(self, container: str) -> dict[str, Any]:
        with contextlib.suppress(DaemonError, ValueError):
            line = ("container", "inspect", "--format", "{{json .State}}", _NAME + container)
            found = json.loads(await self.call(*line))
            return found if isinstance(found, dict) else {}
        return {}

    async def on_record(self) -> list[str]:
        """Return this platform's containers; those that cannot be asked for now are for the next time."""
        with contextlib.suppress(DaemonError):
            names = (await self.call(*self._list)).decode().split()
            return [name.removeprefix(_NAME) for name in names]
        return []

    @property
    def _list(self) -> tuple[str, ...]:
        label = f"label={_LABEL}={self.platform}"
        return ("ps", "--all", "--filter", label, "--format", "{{.Names}}")

    async def signal(self, container: str, number: int) -> bool:
        """Send a signal to a container; returns whether that was possible."""
        with contextlib.suppress(DaemonError):
            await self.call("kill", "--signal", str(int(number)), _NAME + container)
            return True
        return False

    async def delete(self, container: str) -> None:
        """End a container if it runs and drop it, with the volumes that are only its own."""
        with contextlib.suppress(DaemonError):
            await self.call("rm", "--force", "--volumes", _NAME + container)

    def end_all(self) -> int:
        """End all of this platform's containers, and return how many there were."""
        names = self._sync(*self._list).split()
        if names:
            self._sync("rm", "--force", "--volumes", *names)
        return len(names)

    def _sync(self, *arguments: str) -> str:
        done = subprocess.run(  # noqa: S603 - the engine's command line, and names that it told
            [self.program, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CALL_SECONDS,
            check=False,
        )
        return done.stdout.decode() if done.returncode == 0 else ""

    async def complaint(self, container: str, folder: Path) -> str:
        """Return why a container's own program never ran; empty if it did."""
        state = await self._state(container)
        if not str(state.get("StartedAt") or _NEVER).startswith(_NEVER):
            return ""
        why = str(state.get("Error") or "")
        return _told(why) or f"{self.kind} could not start the container: its log may say why"

    async def out_of_memory(self, container: str) -> bool:
        """Return whether the kernel killed one of a container's processes for want of memory."""
        if (await self._state(container)).get("OOMKilled"):
            return True
        if self.kind != "podman":
            return False
        # With control groups of version 1 it looks for it when the group has gone.
        with contextlib.suppress(DaemonError):
            line = ("container", "inspect", "--format", "{{.Id}}", _NAME + container)
            known = (await self.call(*line)).decode().strip()
            return await asyncio.to_thread(kernel_log.killed, f"libpod-{known}")
        return False


def find(data: Path, programs: tuple[str, ...] = PROGRAMS) -> tuple[Daemon | None, str]:
    """Look for a daemon that answers.

    Args:
        data: The platform's folder.
        programs: Which ones will do, the best first.

    Returns:
        The engine, or None and why there is none.
    """
    if sys.platform != "linux":
        return None, f"{sys.platform} runs no Linux containers"
    platform = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:16]
    reasons = []
    for name in programs:
        program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_PATH}")
        if program is None:
            reasons.append(f"{name} is not installed")
            continue
        found = Daemon(program, name, platform)
        if not (why := _unusable(found)):
            return found, ""
        reasons.append(f"{name} {why}")
    return None, " and ".join(reasons)


def _unusable(found: Daemon) -> str:
    host = os.environ.get("DOCKER_HOST", "")
    if found.kind == "docker" and host and not host.startswith("unix://"):
        return f"is to be reached at DOCKER_HOST={host}: want a daemon of this machine, unix://..."
    command = [found.program, "ps", "--quiet", "--filter", f"label={_LABEL}={found.platform}"]
    try:
        done = subprocess.run(  # noqa: S603 - the program that was just found, fixed arguments
            command, env=found.environment, capture_output=True, timeout=_LOOK_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not answer ({error})"
    complaint = _told(done.stderr.decode(errors="replace"))
    return f"does not answer ({complaint})" if done.returncode else ""


def _told(complaint: str) -> str:
    """Return what a command line complains of, without its own decoration."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    # Docker's hint at its help, and warnings, are of no use to whoever reads a pod's status.
    lines = [one for one in lines if not one.startswith(("See '", "WARNING", "time="))]
    text = " ".join(lines)
    for start in ("docker: ", "Error: ", "Error response from daemon: "):
        text = text.removeprefix(start)
    return text[:_MAX_COMPLAINT]
