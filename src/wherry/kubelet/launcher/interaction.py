"""A command run inside a container for somebody who watches: its streams are the caller's own descriptors.

The launcher passes nothing on; it starts the command, tells how it ended, and ends it when the caller has gone.
"""

import dataclasses
import os
import signal
from collections.abc import Callable, Sequence

from wherry.kubelet.launcher import child, container, interception, loop, processes, spawn, types

_HANG_UP_SECONDS = 2.0
"""What a command gets to end by itself once nobody watches any more."""


Reply = Callable[[types.Ended], None]


class Interaction:
    """A watched command on its way."""

    def __init__(
        self,
        events: loop.Loop,
        inside: container.Container,
        argv: tuple[str, ...],
        descriptors: Sequence[int],
        *,
        terminal: bool,
        reply: Reply,
    ) -> None:
        """Fork it.

        Args:
            events: The launcher's loop.
            inside: The container; its main process must be alive.
            argv: Program and arguments.
            descriptors: Standard input, output and error; the caller keeps (and closes) its own copies.
            terminal: Whether they are a terminal, which is to control the command.
            reply: Called once with the outcome.
        """
        self._loop = events
        self.inside = inside
        self._reply = reply
        self._interceptor: interception.Interceptor | None = None
        self._timer: loop.Timer | None = None
        env = {"TERM": "xterm", **inside.spec.env} if terminal else inside.spec.env
        spec = dataclasses.replace(inside.spec, argv=argv, env=env)
        spawn.own(descriptors, spec)
        plan = inside.plan._replace(spec=spec, join=inside.state.pid, terminal=terminal)
        stdin, stdout, stderr = descriptors
        forked = spawn.fork(plan, stdin=stdin, stdout=stdout, stderr=stderr)
        self.pid = forked.pid
        self._starting = child.Starting(events, forked.status, self._started)
        inside.admit(self.pid, self._starting)

    def _started(self) -> None:
        listener = self._starting.listener
        if listener is not None:
            self._interceptor = self.inside.interceptor(listener)

    def hang_up(self) -> None:
        """Nobody watches any more: ask it to end, and make it if it does not."""
        if self._timer is None:
            processes.kill_group(self.pid, signal.SIGHUP)
            self._timer = self._loop.later(_HANG_UP_SECONDS, self.kill)

    def kill(self) -> None:
        """End it and its process group."""
        processes.kill_group(self.pid)
        processes.kill(self.pid)

    def ended(self, status: int) -> None:
        """Answer; ``status`` is what ``waitpid`` told."""
        self._starting.read()
        if self._timer is not None:
            self._timer.cancel()
        code, error = os.waitstatus_to_exitcode(status), None
        if self._starting.error is not None:
            code, error = self._starting.error
        self._reply(types.Ended(128 - code if code < 0 else code, error))
