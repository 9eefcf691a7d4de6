"""The launcher process itself: becomes a daemon, listens, and serves until nobody needs it."""

import contextlib
import fcntl
import gc
import os
import pathlib
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable

from wherry.kubelet.launcher import (
    cgroup,
    connection,
    container,
    features,
    interfaces,
    loop,
    nursery,
    processes,
    protocol,
    records,
    recovery,
    service_table,
    spare,
    supervisor,
    syscalls,
    types,
)

_MAX_CONNECTIONS = 1024
"""Everyone who attaches or runs a command has one."""
_MAX_LOG_BYTES = 1024 * 1024
_ACCEPT_PAUSE_SECONDS = 0.5


class Daemon:
    """Ties the loop, the socket and the processes together."""

    def __init__(self, directory: str, *, idle_seconds: float) -> None:
        """Recover, find out what the machine allows, and listen.

        Args:
            directory: Own folder, mode 0700, locked by the caller, free of symbolic links.
            idle_seconds: Without processes and connections for so long, it ends.
        """
        self._loop = loop.Loop()
        self._idle_seconds = idle_seconds
        self._needed_at = time.monotonic()
        self._connections: list[connection.Connection] = []
        self._socket_path = pathlib.Path(directory, protocol.SOCKET_NAME)
        nofile = _raise_nofile()
        kept = records.Records(pathlib.Path(directory, "records"))
        finished = recovery.recover(kept)
        controllers = cgroup.detect()
        self.features = features.detect(controllers)
        own = self.features.isolate and not self.features.user_namespace
        begin_in = directory if own else ""
        around = container.Surroundings(
            events=self._loop,
            records=kept,
            features=self.features,
            controllers=controllers,
            directory=directory,
            boot=processes.boot_id(),
            nofile=nofile,
            nursery=nursery.Nursery(self._loop, directory, begin_in=begin_in),
            services=service_table.ServiceTable(directory),
            interfaces=interfaces.Interfaces(self._loop),
            spare=spare.Spare(self._loop, begin_in=begin_in),
        )
        self._table = supervisor.Supervisor(around, finished, self._announce)
        self._catch_signals()
        self._listener = _listen(directory)
        self._loop.watch(self._listener.fileno(), self._accept)
        self._watch_idleness()

    def run(self) -> None:
        """Serve to the end."""
        gc.collect()
        gc.freeze()  # forks share what the collector does not touch
        self._loop.run()
        self._socket_path.unlink(missing_ok=True)

    def _catch_signals(self) -> None:
        if processes.LINUX:
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        self._waker, wakes = socket.socketpair()
        self._wakes = wakes
        for end in (self._waker, wakes):
            end.settimeout(0)
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._loop.watch(self._waker.fileno(), self._signalled)

    def _signalled(self) -> None:
        numbers = self._waker.recv(4096)
        if signal.SIGCHLD in numbers:
            self._table.reap()
        if signal.SIGTERM in numbers:
            self.shutdown(lambda: None)

    def _accept(self) -> None:
        try:
            peer, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:  # out of descriptors: the peer stays in the queue
            print(f"accept: {error}", file=sys.stderr)  # noqa: T201 — the launcher's log
            self._loop.unwatch(self._listener.fileno())
            self._loop.later(_ACCEPT_PAUSE_SECONDS, self._accept_again)
            return
        if (
            connection.peer_uid(peer) not in {0, os.geteuid()}
            or len(self._connections) >= _MAX_CONNECTIONS
        ):
            peer.close()
            return
        self._connections.append(connection.Connection(self._loop, peer, self, self._table))

    def _accept_again(self) -> None:
        self._loop.watch(self._listener.fileno(), self._accept)

    def closed(self, connection: connection.Connection) -> None:
        """Take note that a control plane has gone."""
        self._connections.remove(connection)

    def _announce(self, state: types.ProcessState) -> None:
        message = {"event": "exit", "state": types.state_values(state)}
        for peer in list(self._connections):
            if peer.listens:
                peer.send(message)

    def _watch_idleness(self) -> None:
        now = time.monotonic()
        if self._connections or self._table.busy:
            self._needed_at = now
        if now - self._needed_at >= self._idle_seconds:
            self._loop.stop()
        self._loop.later(self._idle_seconds / 4, self._watch_idleness)

    def shutdown(self, done: Callable[[], None]) -> None:
        """Kill every process, call ``done`` and end."""

        def finish() -> None:
            done()
            self._loop.stop()

        self._table.kill_all(finish)


def _raise_nofile() -> tuple[int, int]:
    """Take all the descriptors there are; return the limits that containers shall get."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    return limits


def _listen(directory: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(0)
    os.chdir(
        directory
    )  # the address of a Unix socket is at most 107 bytes long; a name always fits
    pathlib.Path(protocol.SOCKET_NAME).unlink(missing_ok=True)
    mask = os.umask(0o177)
    listener.bind(protocol.SOCKET_NAME)
    os.umask(mask)
    os.chdir("/")
    listener.listen(128)
    return listener


def _lock(directory: str) -> int | None:
    descriptor = os.open(f"{directory}/{protocol.LOCK_NAME}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _redirect(directory: str) -> None:
    path = pathlib.Path(directory, protocol.LOG_NAME)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    log = os.open(path, flags, 0o600)
    if os.fstat(log).st_size > _MAX_LOG_BYTES:
        os.ftruncate(log, 0)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, descriptor in enumerate((null, log, log)):
        os.dup2(descriptor, target)
    os.close(null)
    os.close(log)


def main(directory: str, idle_seconds: float) -> int:
    """Start a daemon for ``directory`` unless one runs there.

    Args:
        directory: Made if missing.
        idle_seconds: See ``Daemon``.

    Returns:
        0 as soon as a launcher answers there (or another one is about to), 1 if it failed; the log says why.
    """
    # Whoever starts us may leave descriptors open to children (uvloop does), and would wait for their end for ever.
    os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    pathlib.Path(directory).mkdir(mode=0o700, parents=True, exist_ok=True)
    directory = str(pathlib.Path(directory).resolve())
    if _lock(directory) is None:
        return 0
    ready, tell = os.pipe()
    if os.fork() != 0:
        os.close(tell)
        return 0 if os.read(ready, 1) else 1
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    os.close(ready)
    os.chdir("/")
    _redirect(directory)
    daemon = Daemon(directory, idle_seconds=idle_seconds)
    print(f"{time.strftime('%F %T')} launcher {os.getpid()} is ready", flush=True)  # noqa: T201
    os.write(tell, b"1")
    os.close(tell)
    daemon.run()
    return 0
