"""One container's main process, from its start until its exit is on record."""

import dataclasses
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from wherry.kubelet.launcher import (
    cgroup,
    child,
    interception,
    interfaces,
    links,
    logs,
    loop,
    nursery,
    output,
    processes,
    records,
    service_table,
    spare,
    spawn,
    taps,
    types,
)

_START_SECONDS = 60.0
_SETTLE_SECONDS = 2.0
_WARM_SECONDS = 5.0
"""A child that has not said its pid by then is not waited for."""

Reply = Callable[[types.ProcessState], None]


class Surroundings(NamedTuple):
    """What all containers of a launcher share."""

    events: loop.Loop
    records: records.Records
    features: types.Features
    controllers: cgroup.Controllers
    directory: str
    """The launcher's own folder, free of symbolic links."""
    boot: str
    nofile: tuple[int, int]
    nursery: nursery.Nursery
    services: service_table.ServiceTable
    interfaces: interfaces.Interfaces
    spare: spare.Spare


class Container:
    """A container's process and all that belongs to it."""

    def __init__(self, around: Surroundings, spec: types.ProcessSpec) -> None:
        self._around = around
        self.spec = spec
        features = around.features
        token = f"wherry:{os.urandom(12).hex()}"
        self.plan = spawn.Plan(
            spec=spec,
            isolate=spec.isolate and features.isolate,
            user_namespace=features.user_namespace,
            intercept=spec.address is not None and features.interception,
            directory=around.directory,
            token=token,
            nofile=around.nofile,
            terminal=spec.tty,
        )
        self.record = records.Record(
            state=types.ProcessState(id=spec.id, started_at=time.time()),
            boot=around.boot,
            token=token if self.plan.isolate else "",
        )
        self.exited = False
        self._replies: list[Reply] = []
        self._starting: child.Starting | None = None
        self._namespace = ""
        self._output: output.LoggedOutput | None = None
        self._standard: tuple[int, int, int] | None = None
        self._stdin: int | None = None
        self._interceptor: interception.Interceptor | None = None
        self._group: cgroup.Group | None = None
        self._timer: loop.Timer | None = None
        self._began: Callable[[int], None] = lambda _: None
        self._never: Callable[[], None] = lambda: None
        self._place: nursery.Place | None = None
        self._stopped = False
        self._ended_at = 0.0
        self.settle_until = 0.0
        """Monotonic: when stragglers are no longer waited for."""

    @property
    def state(self) -> types.ProcessState:
        """What is known now."""
        return self.record.state

    @property
    def running(self) -> bool:
        """Whether its end is not on record yet."""
        return self.record.state.running

    @property
    def starting(self) -> bool:
        """Whether it is not known yet if the program runs."""
        return self._starting is not None

    def on_started(self, reply: Reply) -> None:
        """Call ``reply`` when it is known whether the program runs; at once if that is so already."""
        if self._starting is None:
            reply(self.state)
        else:
            self._replies.append(reply)

    def start(self, began: Callable[[int], None], never: Callable[[], None]) -> None:
        """Fork the process, or have it forked; a problem becomes the state's ``error``.

        Args:
            began: Called with the pid as soon as there is one.
            never: Called if there will be none.
        """
        self._began, self._never = began, never
        try:
            self._prepare()
            if not self._ask():
                self._fork()
        except (types.LauncherError, OSError) as error:
            self._not_started(str(error))

    def _not_started(self, reason: str) -> None:
        self._failed(spawn.NOT_PREPARED, reason)
        if self.state.pid is None:
            self.complete()
            self._never()
        else:  # it waits for leave to go on, and will be reaped
            processes.kill(self.state.pid)

    def _prepare(self) -> None:
        spec = self.spec
        if not self.plan.isolate:
            self.record.links = links.plan(spec.mounts)
        group = cgroup.Group(self._around.controllers, spec)
        self.record.cgroups = [str(at) for at in (*group.folders, *group.parents)]
        if self.record.links or self.record.cgroups:  # else nothing would be left behind
            self._around.records.save(self.record)
        if group.folders:
            self._group = group
            group.make()
        log = logs.LogFile(
            spec.log_path, max_bytes=spec.log_max_bytes, max_files=spec.log_max_files
        )
        remember = spec.stdin or spec.tty
        self._output = output.LoggedOutput(
            self._around.events, log, terminal=spec.tty, remember=remember
        )
        links.make(self.record.links)
        stdout, stderr = self._output.writers
        self._standard = self._open_stdin(self._output.terminal, stdout), stdout, stderr
        if self.spec.tty:
            spawn.own([stdout], self.spec)

    def _ask(self) -> bool:
        """Ask a warmed process for a child, or the one that waits for what starts cold; False if there is none."""
        assert self._standard is not None
        asked = self._around.nursery.fork(self.plan, self._standard)
        self._place, status = asked or (None, self._around.spare.fork(self.plan, self._standard))
        if status is None:
            return False
        events = self._around.events
        self._starting = child.Starting(
            events, status, self._started, named=self._named, heard=self._intercept
        )
        self._timer = events.later(_WARM_SECONDS, self._fork_after_all)
        return True

    def _named(self, pid: int) -> None:
        """Take over a child that was there before."""
        assert self._timer is not None
        self._timer.cancel()
        # Anything else is dead already, and the number may be another's.
        if self._stopped or processes.parent(pid) != os.getpid():
            self._fork_after_all()
            return
        try:
            self._adopt(pid)
        except OSError as error:
            self._not_started(str(error))

    def _fork_after_all(self) -> None:
        """Fork what nobody else has; a child that comes late ends by itself."""
        if self._starting is not None:
            self._starting.abandon()
            self._starting = None
        if self._place is not None:
            self._around.nursery.went_cold(self._place, "it did not fork in time")
        try:
            if self._stopped:
                raise types.LauncherError("stopped before it ran")
            self._fork()
        except (types.LauncherError, OSError) as error:
            self._not_started(str(error))

    def _fork(self) -> None:
        assert self._standard is not None
        stdin, stdout, stderr = self._standard
        forked = spawn.fork(self.plan, stdin=stdin, stdout=stdout, stderr=stderr)
        self._starting = child.Starting(self._around.events, forked.status, self._started)
        self._adopt(forked.pid)

    def _adopt(self, pid: int) -> None:
        """Put a child on record and let it go on."""
        assert self._starting is not None
        self._close_standard()
        self._update(pid=pid)
        self._began(pid)
        self._timer = self._around.events.later(_START_SECONDS, self._give_up)
        self.record.ticks = processes.start_ticks(pid)
        if self._group is not None:
            self._group.add(pid)
        self._around.records.save(self.record)
        self._starting.go()

    def _close_standard(self) -> None:
        """Close the launcher's copies of the descriptors that the child has."""
        if self._standard is not None and self._output is not None:
            os.close(self._standard[0])
            self._standard = None
            self._output.started()

    def _open_stdin(self, terminal: int | None, writer: int) -> int:
        if terminal is not None:
            self._stdin = os.dup(terminal)
            return os.dup(writer)
        if not self.spec.stdin:
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        reader, self._stdin = os.pipe()
        os.set_blocking(self._stdin, False)
        return reader

    def _give_up(self) -> None:
        self._timer = None
        if self._starting is not None and self.state.pid is not None:
            self._failed(spawn.NOT_PREPARED, f"did not start within {_START_SECONDS:.0f} s")
            processes.kill(self.state.pid)

    def _started(self) -> None:
        starting = self._starting
        assert starting is not None
        if self.state.pid is None:  # who was asked has died, or could not fork
            self._fork_after_all()
            return
        self._starting = None
        if starting.cold and self._place is not None:
            self._around.nursery.went_cold(self._place, starting.cold)
        if self._timer is not None:
            self._timer.cancel()
        self._namespace = starting.mount_namespace
        if starting.listener is not None:
            self._intercept(starting.listener)
        if starting.error is not None:
            self._failed(*starting.error)
        if self.state.error is None:  # else the answer follows when the child has been reaped
            self._answer()

    def _intercept(self, listener: int) -> None:
        self._interceptor = self.interceptor(listener)

    def interceptor(self, listener: int) -> interception.Interceptor:
        """Answer the calls that come in on ``listener`` (owned from now on) as this container's."""
        assert self.spec.address is not None
        return interception.Interceptor(
            self._around.events,
            listener,
            address=self.spec.address,
            services=self._around.services,
            seen=self._around.interfaces,
        )

    def _answer(self) -> None:
        replies, self._replies = self._replies, []
        for reply in replies:
            reply(self.state)

    def _failed(self, code: int, message: str) -> None:
        if self.state.error is None:
            self._update(error=message, exit_code=code)

    def _update(self, **changes: object) -> None:
        self.record.state = dataclasses.replace(self.record.state, **changes)  # type: ignore[arg-type]  # checked by the callers' eyes: dataclasses.replace is untyped by field

    def main_exited(self, status: int) -> None:
        """Note how the main process ended, and end the others.

        Args:
            status: As ``waitpid`` tells.
        """
        if self._starting is not None:
            self._starting.read()  # its last words
        self.exited = True
        self.settle_until = time.monotonic() + _SETTLE_SECONDS
        code = os.waitstatus_to_exitcode(status)
        if self.state.error is None:
            by = -code if code < 0 else None
            self._update(exit_code=128 - code if code < 0 else code, signal=by)
        self._ended_at = time.time()
        self.kill_group()

    def kill(self) -> None:
        """Kill the main process, wherever its start has got to, and its group."""
        self._stopped = True
        if self.state.pid is not None and not self.exited:
            processes.kill(self.state.pid)
            self.kill_group()

    def kill_group(self) -> None:
        """Kill the process group and what else is in the control group."""
        if self.state.pid is not None:
            processes.kill_group(self.state.pid)
        for pid in self.grouped():
            processes.kill(pid)

    @property
    def namespace(self) -> str:
        """The name of its mount namespace; empty until it is known, and without isolation."""
        return self._namespace

    def admit(self, pid: int, starting: child.Starting) -> None:
        """Put another process under the container's limits and let it go on; if that fails, it ends with an error."""
        try:
            if self._group is not None:
                self._group.add(pid)
        except OSError as error:
            starting.error = spawn.NOT_PREPARED, f"control group of {self.spec.id}: {error}"
            processes.kill(pid)
            return
        starting.go()

    def grouped(self) -> list[int]:
        """Return the processes that are in its control groups."""
        return self._group.pids() if self._group is not None else []

    def hear(self) -> None:
        """Take in what a child that is to become it has said by now: its pid above all."""
        if self._starting is not None and self.state.pid is None:
            self._starting.read()

    def owns(self, pid: int) -> bool:
        """Whether an orphan that the launcher has inherited came from this container."""
        if self._namespace and processes.mount_namespace(pid) == self._namespace:
            # A child that waits for its container may have been given the number of one that is gone.
            return processes.has_mount(pid, self.plan.token) or processes.has_own_root(pid)
        return processes.session(pid) == self.state.pid

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the main process or its whole group; none if it has ended."""
        pid = self.state.pid
        if pid is None or self.exited:
            return
        (processes.kill_group if group else processes.kill)(pid, number)

    def write_stdin(self, data: bytes, *, close: bool) -> int:
        """Feed standard input without waiting.

        Args:
            data: May be taken in part.
            close: Close it when ``data`` has been taken whole.

        Returns:
            How many bytes were taken.

        Raises:
            LauncherError: There is no standard input, or nobody reads it any more.
        """
        if self._stdin is None or not self.spec.stdin:
            raise types.LauncherError(f"{self.spec.id}: standard input is closed")
        try:
            taken = os.write(self._stdin, data) if data else 0
        except BlockingIOError:
            return 0
        except OSError as error:
            raise types.LauncherError(f"{self.spec.id}: nobody reads standard input") from error
        if close and taken == len(data) and not self.spec.tty:
            self._close_stdin()
        return taken

    def attach(self, descriptors: list[int]) -> tuple[list[taps.Tap], int | None]:
        """Let somebody watch, and write.

        Args:
            descriptors: See ``LoggedOutput.attach``; owned from now on.

        Returns:
            What ends the watching, and the descriptor of standard input (of the terminal, if there is one), which
            stays the container's own.
        """
        assert self._output is not None
        return self._output.attach(descriptors), self._stdin

    def _close_stdin(self) -> None:
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def complete(self) -> None:
        """Put the end on record, free what was held, answer who waits for the start."""
        self._close_standard()
        if self._output is not None:
            self._output.close()
        if self._interceptor is not None:
            self._interceptor.close()
        self._close_stdin()
        links.remove(self.record.links)
        finished = self._ended_at or time.time()
        self._update(finished_at=finished, oom_killed=self._out_of_memory())
        if self._group is not None:
            self._group.remove()
        try:
            self._around.records.save(self.record)
        except OSError as error:  # a full disk; whoever waits for the exit must not wait for ever
            print(f"{self.spec.id}: its exit is not on record: {error}", file=sys.stderr)  # noqa: T201 — the log
        self._answer()

    def _out_of_memory(self) -> bool:
        died_badly = self.state.error is None and self.state.exit_code not in {0, None}
        return died_badly and self._group is not None and self._group.out_of_memory()
