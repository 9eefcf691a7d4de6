"""All containers of a launcher: start them, reap them, clean up behind them, remember them."""

import contextlib
import os
import time
from collections.abc import Callable

from wherry.kubelet.launcher import (
    container,
    execution,
    interaction,
    processes,
    shim,
    taps,
    types,
)

_SETTLE_POLL_SECONDS = 0.25
_SHUTDOWN_SECONDS = 5.0


class Supervisor:
    """The table of processes. Everything happens on the launcher's loop; nothing blocks."""

    def __init__(
        self,
        around: container.Surroundings,
        finished: list[types.ProcessState],
        announce: Callable[[types.ProcessState], None],
    ) -> None:
        """Begin with what is known from before.

        Args:
            around: Shared by all containers.
            finished: States on record.
            announce: Called with the final state of every process that had run, once it is on record.
        """
        self._around = around
        self._finished = {state.id: state for state in finished}
        self._announce = announce
        self._containers: dict[str, container.Container] = {}
        self._mains: dict[int, container.Container] = {}
        self._executions: dict[int, execution.Running | interaction.Interaction | shim.Call] = {}
        self._doors: dict[str, shim.Door] = {}
        self._settling: list[container.Container] = []

    @property
    def busy(self) -> bool:
        """Whether any process is held."""
        return bool(self._containers or self._executions)

    def states(self) -> list[types.ProcessState]:
        """Return every process known, running or finished, by id."""
        running = {name: held.state for name, held in self._containers.items()}
        return [state for _, state in sorted({**self._finished, **running}.items())]

    def start(self, spec: types.ProcessSpec, reply: container.Reply) -> None:
        """Start a process, or answer with the one that has this id already."""
        known = self._containers.get(spec.id)
        if known is not None:
            known.on_started(reply)
            return
        if spec.id in self._finished:
            reply(self._finished[spec.id])
            return
        fresh = container.Container(self._around, spec)
        self._containers[spec.id] = fresh
        self._open_door(fresh)
        fresh.start(lambda pid: self._mains.__setitem__(pid, fresh), lambda: self._never_ran(fresh))
        fresh.on_started(reply)

    def _open_door(self, fresh: container.Container) -> None:
        around = self._around
        door = shim.open_door(around.events, fresh, around.nursery, self._executions.__setitem__)
        if door is not None:
            self._doors[fresh.spec.id] = door

    def _close_door(self, held: container.Container) -> None:
        door = self._doors.pop(held.spec.id, None)
        if door is not None:
            door.close()

    def _never_ran(self, held: container.Container) -> None:
        self._close_door(held)
        del self._containers[held.spec.id]
        self._finished[held.spec.id] = held.state

    def signal(self, process_id: str, number: int, *, group: bool) -> None:
        """Send a signal; one that has finished is left in peace.

        Raises:
            UnknownProcessError: There is no such process.
        """
        if process_id in self._finished:
            return
        self._running(process_id).signal(number, group=group)

    def write_stdin(self, process_id: str, data: bytes, *, close: bool) -> int:
        """Feed standard input; see ``Container.write_stdin``."""
        return self._running(process_id).write_stdin(data, close=close)

    def forget(self, process_id: str) -> None:
        """Drop the record of a finished process; an unknown one is forgotten already.

        Raises:
            LauncherError: It still runs.
        """
        if process_id in self._containers:
            raise types.LauncherError(f"{process_id} still runs; stop it first")
        self._around.records.remove(process_id)
        self._finished.pop(process_id, None)

    def warm(self) -> list[types.WarmState]:
        """Return the warmed processes."""
        return self._around.nursery.states()

    def limit_warm(self, limits: types.WarmLimits) -> None:
        """Bound the warmed processes."""
        self._around.nursery.limit(limits)

    def execute(self, process_id: str, command: execution.Command, reply: execution.Reply) -> None:
        """Run a command inside a container.

        Raises:
            UnknownProcessError: There is no such process.
            LauncherError: It does not run.
        """
        inside = self._alive(process_id)
        running = execution.Running(self._around.events, inside, command, reply)
        self._executions[running.pid] = running

    def interact(
        self,
        process_id: str,
        argv: tuple[str, ...],
        descriptors: list[int],
        *,
        terminal: bool,
        reply: interaction.Reply,
    ) -> interaction.Interaction:
        """Run a command inside a container on somebody's own descriptors; see ``Interaction``.

        Raises:
            UnknownProcessError: There is no such process.
            LauncherError: It does not run.
        """
        inside, events = self._alive(process_id), self._around.events
        fresh = interaction.Interaction(
            events, inside, argv, descriptors, terminal=terminal, reply=reply
        )
        self._executions[fresh.pid] = fresh
        return fresh

    def attach(self, process_id: str, descriptors: list[int]) -> tuple[list[taps.Tap], int | None]:
        """Let somebody watch a container; see ``Container.attach``.

        Raises:
            UnknownProcessError: There is no such process.
            LauncherError: It does not run.
        """
        return self._alive(process_id).attach(descriptors)

    def has_terminal(self, process_id: str) -> bool:
        """Whether a container's streams are a terminal."""
        return self._running(process_id).spec.tty

    def _alive(self, process_id: str) -> container.Container:
        inside = self._running(process_id)
        if inside.exited or inside.starting:
            raise types.LauncherError(f"{process_id} does not run")
        return inside

    def _running(self, process_id: str) -> container.Container:
        held = self._containers.get(process_id)
        if held is not None:
            return held
        if process_id in self._finished:
            raise types.LauncherError(f"{process_id} has finished")
        raise types.UnknownProcessError(f"no process {process_id!r} is known")

    def kill_all(self, done: Callable[[], None]) -> None:
        """Kill every process; ``done`` is called when their ends are on record (or after 5 s)."""
        self._around.nursery.close()
        self._around.spare.close()
        for held in list(self._containers.values()):
            held.kill()
        for running in self._executions.values():
            running.kill()
        self._await_end(time.monotonic() + _SHUTDOWN_SECONDS, done)

    def _await_end(self, deadline: float, done: Callable[[], None]) -> None:
        if not self.busy or time.monotonic() > deadline:
            done()
            return
        self._around.events.later(0.005, lambda: self._await_end(deadline, done))

    def reap(self) -> None:
        """Collect every child that has ended; call after SIGCHLD."""
        with contextlib.suppress(ChildProcessError):
            while True:
                self._before_reaping()
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                self._ended(pid, status)
        self._settle()

    def _before_reaping(self) -> None:
        """Kill the group of the main process that is next, while the zombie keeps the number from others."""
        if not processes.LINUX:
            return
        dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if dead is not None and dead.si_pid in self._mains:
            self._mains[dead.si_pid].kill_group()

    def _ended(self, pid: int, status: int) -> None:
        main = self._mains.pop(pid, None)
        if main is not None:
            main.main_exited(status)
            self._close_door(main)
            self._settling.append(main)
            for running in self._executions.values():
                if running.inside is main:
                    running.kill()
        elif pid in self._executions:
            self._executions.pop(pid).ended(status)
        else:
            self._around.nursery.ended(pid)
            self._around.spare.ended(pid)

    def _settle(self) -> None:
        """Finish containers whose main process has ended, once nothing of theirs is left."""
        if not self._settling:
            return
        known = self._mains.keys() | self._executions.keys()
        orphans = [pid for pid in processes.children() if pid not in known]
        for held in list(self._settling):
            # Commands run inside are no orphans, and hold its groups as long as they live.
            left = [*(pid for pid in orphans if held.owns(pid)), *held.grouped()]
            if left:
                self._hear()
                left = [pid for pid in left if pid not in self._mains]
            for pid in left:
                processes.kill(pid)
            if not left or time.monotonic() > held.settle_until:
                self._settling.remove(held)
                self._complete(held)
        if self._settling:  # normally the next SIGCHLD comes first
            self._around.events.later(_SETTLE_POLL_SECONDS, self._settle)

    def _hear(self) -> None:
        """Learn which children have become containers just now.

        One that has a view of its own has said its pid before, though we may not have read it yet; until then it is
        but a child of ours, maybe with the number of the namespace that has gone.
        """
        for held in list(self._containers.values()):
            held.hear()

    def _complete(self, held: container.Container) -> None:
        held.complete()
        del self._containers[held.spec.id]
        self._finished[held.spec.id] = held.state
        if held.state.error is None:
            self._announce(held.state)
