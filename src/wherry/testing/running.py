"""A platform as a process of its own, as `wherry up` starts it: a test may kill it at any moment."""

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.client.transports.http import HttpTransport
from wherry.testing import in_process

T = TypeVar("T")

_START_SECONDS = 150.0
_STOP_SECONDS = 90.0
_END_SECONDS = 10.0


class RunningPlatform:
    """A control plane in a process, with a launcher and pods that outlive it.

    Not thread-safe.

    Attributes:
        directory: Where it keeps everything.
        log: What its processes have written so far, one after the other.
    """

    def __init__(
        self,
        directory: Path,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = (sys.executable, "-P", "-m", "wherry.embedded"),
    ) -> None:
        """Take the settings; nothing happens before `start`.

        Args:
            directory: Where it keeps everything; made if missing.
            arguments: Further ones of `python -m wherry.embedded`.
            environment: Laid over this process's environment.
            command: What runs the platform, for example as another user.
        """
        self.directory = directory
        self.log = directory / "wherry.log"
        self._arguments = list(arguments)
        # Imports would recompile each time where the caller forbids bytecode.
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        self._environment = {**kept, **(environment or {})}
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def pid(self) -> int:
        """The control plane's process.

        Raises:
            RuntimeError: it does not run.
        """
        if self._process is None:
            raise RuntimeError("the platform does not run; call start() first")
        return self._process.pid

    @property
    def kubeconfig(self) -> Path:
        """The administrator's, for kubectl and other clients. There after the first start."""
        return self.directory / "kubeconfig"

    @property
    def connection(self) -> Connection:
        """The administrator's way in over HTTPS. There after the first start."""
        return kubeconfig.connection(self.kubeconfig)

    @property
    def url(self) -> str:
        """Where the API answers, or will again: every start takes the same port."""
        return self.connection.server

    def ask(self, call: Callable[[Client], Awaitable[T]]) -> T:
        """Return what a call to the API gives, over HTTPS, from an event loop of its own.

        Raises:
            ApiError: what the call raises.
            OSError: nobody answers.
        """

        async def asked() -> T:
            transport = HttpTransport(self.connection)
            try:
                return await call(Client(transport))
            finally:
                await transport.close()

        return asyncio.run(asked())

    @property
    def launcher_pid(self) -> int:
        """The process that holds the pods, whether or not a control plane runs.

        Raises:
            LookupError: there is none.
        """
        mark = os.fsencode(self.directory / "launcher")
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in words and any(b"kubelet/launcher" in word for word in words):
                return int(path.parent.name)
        raise LookupError(f"no launcher runs for {self.directory}")

    def start(self) -> float:
        """Start the control plane; return how many seconds it took until its node took pods.

        Raises:
            RuntimeError: it did not come up; the message has its reason and the end of its log.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        started = time.monotonic()
        reader, writer = os.pipe()
        command = [*self._command, "--directory", str(self.directory), "--port", str(self._port)]
        command += ["--ready-fd", str(writer), *self._arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - what the test asked for
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=self._environment,
                pass_fds=[writer],
                start_new_session=True,
            )
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            ready = select.select([pipe], [], [], _START_SECONDS)[0]
            said = json.loads((pipe.readline() if ready else b"") or b"{}")
        if "url" not in said:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_SECONDS)  # it may have more to say in its log
            self.kill()
            tail = self.log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the platform did not start: {said.get('error')}\n{tail}")
        self._port = int(said["url"].rpartition(":")[2])
        return time.monotonic() - started

    def stop(self) -> int:
        """Ask the control plane to end, as `wherry down` does; its pods go on.

        Returns:
            Its exit code.

        Raises:
            subprocess.TimeoutExpired: it has not ended within 90 s.
        """
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the control plane at once (``kill -9``); its pods go on. Idempotent."""
        self._end(signal.SIGKILL)

    def restart(self) -> float:
        """Kill the control plane and start it again; return the seconds that `start` took."""
        self.kill()
        return self.start()

    def end(self) -> None:
        """Kill the control plane, the pods and their launcher. Idempotent."""
        self.kill()
        in_process.end_pods(self.directory)

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(_STOP_SECONDS)
