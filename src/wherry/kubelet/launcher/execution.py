"""A command run inside a container: exec probes and lifecycle hooks."""

import dataclasses
import os
import signal
from collections.abc import Callable

from wherry.kubelet.launcher import child, container, interception, loop, output, processes, spawn
from wherry.kubelet.launcher import types as kinds

Reply = Callable[[kinds.Execution], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run, and its bounds."""

    argv: tuple[str, ...]
    timeout_seconds: float
    max_output_bytes: int


class Running:
    """A command on its way. Processes that it leaves behind go on until the container ends."""

    def __init__(
        self, events: loop.Loop, inside: container.Container, command: Command, reply: Reply
    ) -> None:
        """Fork it.

        Args:
            events: The launcher's loop.
            inside: The container; its main process must be alive.
            command: What to run.
            reply: Called once with the outcome.
        """
        self._loop = events
        self.inside = inside
        self._command = command
        self._reply = reply
        self._output = bytearray()
        self._truncated = False
        self._timed_out = False
        self._interceptor: interception.Interceptor | None = None
        self._pipe = output.Pipe(events, self._take)
        spec = dataclasses.replace(inside.spec, argv=command.argv)
        plan = inside.plan._replace(spec=spec, join=inside.state.pid)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            writer = self._pipe.writer
            forked = spawn.fork(plan, stdin=null, stdout=writer, stderr=writer)
        finally:
            os.close(null)
            self._pipe.started()
        self.pid = forked.pid
        self._starting = child.Starting(events, forked.status, self._started)
        inside.admit(self.pid, self._starting)
        self._timer = events.later(command.timeout_seconds, self._expire)

    def _take(self, data: bytes) -> None:
        room = self._command.max_output_bytes - len(self._output)
        self._output += data[:room]
        self._truncated = self._truncated or len(data) > room

    def _started(self) -> None:
        listener = self._starting.listener
        if listener is not None:
            self._interceptor = self.inside.interceptor(listener)

    def _expire(self) -> None:
        self._timed_out = True
        self.kill()

    def kill(self) -> None:
        """End it and its process group."""
        processes.kill_group(self.pid)
        processes.kill(self.pid)

    def ended(self, status: int) -> None:
        """Answer; ``status`` is what ``waitpid`` told."""
        self._starting.read()
        self._timer.cancel()
        self._pipe.drain()
        code = os.waitstatus_to_exitcode(status)
        if self._starting.error is not None:
            code, message = self._starting.error
            self._output[:] = message.encode()
        if self._timed_out:
            code = -signal.SIGKILL
        self._reply(
            kinds.Execution(
                exit_code=128 - code if code < 0 else code,
                output=bytes(self._output),
                timed_out=self._timed_out,
                truncated=self._truncated,
            )
        )
