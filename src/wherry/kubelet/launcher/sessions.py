"""Watching a container or a command in it: the control plane's ends of its streams.

The streams do not pass through the launcher: it gets, or gives, their other ends. A session has a connection of its
own; when that ends, so does what it watches over.
"""

import asyncio
import contextlib
import fcntl
import os
import pathlib
import socket
import struct
import termios
from collections.abc import AsyncIterator, Sequence
from typing import Any

from wherry.kubelet.launcher import descriptors, interaction, protocol, starter, types

_READ_BYTES = 64 * 1024
_QUEUE_CHUNKS = 4
_MOST_CELLS = 65535
STDOUT, STDERR = 1, 2


class Session:
    """Three streams of a process. For one consumer; close it in the end."""

    def __init__(self, wire: "_Wire", *, inputs_owner: str = "") -> None:
        """Use `interact` or `attach`.

        Args:
            wire: The session's connection.
            inputs_owner: The container whose standard input ends with that of the session; empty for none.
        """
        self._wire = wire
        self._inputs_owner = inputs_owner
        self._input: descriptors.Descriptor | None = None
        self._terminal: descriptors.Descriptor | None = None
        self._outputs: dict[int, descriptors.Descriptor] = {}
        self._ended: asyncio.Task[interaction.Ended] | None = None

    async def write(self, data: bytes) -> None:
        """Write to standard input, waiting while it is full; lost if nobody reads it any more."""
        if self._input is not None and not await self._input.write(data):
            self.end_input()

    def end_input(self) -> None:
        """Nothing more will be written. A terminal goes on all the same."""
        source, self._input = self._input, None
        if source is None or source is self._terminal:
            return
        source.close()
        if self._inputs_owner:
            self._wire.end_input(self._inputs_owner)

    def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in characters; nothing without one."""
        if self._terminal is None:
            return
        size = [min(max(0, cells), _MOST_CELLS) for cells in (height, width)]
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._terminal.number, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield pieces of standard output (1) and error (2) as they come, to the end of both."""
        queue: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(_QUEUE_CHUNKS)

        async def pump(number: int, source: descriptors.Descriptor) -> None:
            while data := await source.read():
                await queue.put((number, data))
            await queue.put((number, b""))

        pumps = [asyncio.create_task(pump(*entry)) for entry in self._outputs.items()]
        left = len(pumps)
        try:
            while left:
                number, data = await queue.get()
                left -= not data
                if data:
                    yield number, data
        finally:
            for task in pumps:
                task.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def wait(self) -> interaction.Ended:
        """Return how a command ended; an attached container's end is not told here.

        Raises:
            LauncherError: It could not be run, or the launcher has gone.
        """
        if self._ended is None:
            return interaction.Ended(0, None)
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Stop watching: a command still running is ended; a container goes on. Idempotent."""
        if self._ended is not None:
            self._ended.cancel()
            await asyncio.gather(self._ended, return_exceptions=True)
        self.end_input()
        self._wire.close()
        for source in {*self._outputs.values(), self._terminal}:
            if source is not None:
                source.close()

    def _finish(self, ended: asyncio.Task[interaction.Ended]) -> None:
        if not ended.cancelled():
            ended.exception()  # whoever waits is told; nobody may be
        for source in self._outputs.values():
            source.finish()


class _Wire:
    """Messages on a session's own connection."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._decoder = protocol.Decoder()
        self.descriptors: list[int] = []
        """That have come with an answer; the caller takes them."""

    async def call(self, method: str, params: dict[str, Any], send: Sequence[int] = ()) -> Any:
        """Ask, and return the answer."""
        await self.send(method, params, send)
        return await self.answer()

    async def send(self, method: str, params: dict[str, Any], send: Sequence[int] = ()) -> None:
        """Ask, sending descriptors along."""
        data = protocol.encode({"call": 1, "method": method, "params": params})
        if send:
            # A fresh connection has room for one byte; the rest may have to wait.
            socket.send_fds(self._peer, [data[:1]], send)
            data = data[1:]
        await asyncio.get_running_loop().sock_sendall(self._peer, data)

    async def answer(self) -> Any:
        """Return the answer to what was asked."""
        while True:
            for message in self._decoder.feed(await self._receive()):
                if message.get("call") == 1:
                    return _result(message)

    async def _receive(self) -> bytes:
        while True:
            try:
                data, received, _, _ = socket.recv_fds(self._peer, _READ_BYTES, 4)
                break
            except BlockingIOError:
                await descriptors.readable(self._peer.fileno())
            except OSError as error:
                raise types.LauncherGoneError("the connection to the launcher broke") from error
        for number in received:
            os.set_inheritable(number, False)
        self.descriptors += received
        if not data:
            raise types.LauncherGoneError("the connection to the launcher broke")
        return data

    def end_input(self, process_id: str) -> None:
        """End a container's standard input; nobody waits for the answer."""
        params = {"id": process_id, "data": "", "close": True}
        message = protocol.encode({"call": 2, "method": "write_stdin", "params": params})
        with contextlib.suppress(OSError):
            self._peer.send(message)

    def close(self) -> None:
        """Hang up."""
        while self.descriptors:
            os.close(self.descriptors.pop())
        self._peer.close()


def _result(message: protocol.Message) -> Any:
    error = message.get("error")
    if error is None:
        return message.get("result")
    kind = types.LauncherError
    if error["kind"] == types.UnknownProcessError.__name__:
        kind = types.UnknownProcessError
    raise kind(error["message"])


async def _connect(directory: pathlib.Path, idle_seconds: float) -> _Wire:
    wire = _Wire(await starter.reach(directory, idle_seconds=idle_seconds))
    try:
        await wire.call("hello", {"version": protocol.VERSION, "events": False})
    except BaseException:
        wire.close()
        raise
    return wire


async def interact(
    directory: pathlib.Path,
    process_id: str,
    argv: Sequence[str],
    *,
    stdin: bool,
    terminal: bool,
    idle_seconds: float,
) -> Session:
    """Run a command inside a container and watch it.

    Args:
        directory: The launcher's.
        process_id: The container's.
        argv: Program and arguments.
        stdin: Whether it has standard input; else it reads nothing.
        terminal: Whether its streams are a terminal.
        idle_seconds: For a launcher that has to be started.

    Returns:
        The session; that a command cannot be started is told by ``wait``.

    Raises:
        LauncherError: The launcher cannot be reached.
    """
    wire = await _connect(directory, idle_seconds)
    session = Session(wire)
    try:
        theirs = _terminal(session, stdin=stdin) if terminal else _pipes(session, stdin=stdin)
        try:
            params = {"id": process_id, "argv": [*argv], "terminal": terminal}
            await wire.send("interact", params, theirs)
        finally:
            for number in set(theirs):
                os.close(number)
    except BaseException:
        await session.close()
        raise

    async def ended() -> interaction.Ended:
        return interaction.Ended(**await wire.answer())

    session._ended = asyncio.create_task(ended())  # noqa: SLF001 - made here
    session._ended.add_done_callback(session._finish)  # noqa: SLF001 - made here
    return session


def _pipes(session: Session, *, stdin: bool) -> list[int]:
    """Give the session its ends of three pipes; return the others."""
    if stdin:
        input_end, writer = os.pipe()
        session._input = descriptors.Descriptor(writer)  # noqa: SLF001 - this makes sessions
    else:
        input_end = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return [input_end, *_outputs(session)]


def _outputs(session: Session) -> list[int]:
    theirs = []
    for number in (STDOUT, STDERR):
        reader, writer = os.pipe()
        session._outputs[number] = descriptors.Descriptor(reader)  # noqa: SLF001 - this makes sessions
        theirs.append(writer)
    return theirs


def _terminal(session: Session, *, stdin: bool) -> list[int]:
    ours, theirs = os.openpty()
    terminal = descriptors.Descriptor(ours)
    session._outputs[STDOUT] = session._terminal = terminal  # noqa: SLF001 - this makes sessions
    session._input = terminal if stdin else None  # noqa: SLF001 - this makes sessions
    return [theirs, theirs, theirs]


async def attach(
    directory: pathlib.Path, process_id: str, *, stdin: bool, once: bool, idle_seconds: float
) -> Session:
    """Watch a container.

    Args:
        directory: The launcher's.
        process_id: The container's.
        stdin: Whether to write to its standard input.
        once: Whether that ends with the session's.
        idle_seconds: For a launcher that has to be started.

    Raises:
        UnknownProcessError: There is no such process.
        LauncherError: It does not run.
    """
    wire = await _connect(directory, idle_seconds)
    once = once and stdin
    session = Session(wire, inputs_owner=process_id if once else "")
    try:
        theirs = _outputs(session)
        try:
            answer = await wire.call("attach", {"id": process_id, "once": once}, theirs)
        finally:
            for number in theirs:
                os.close(number)
        for number in wire.descriptors:
            _adopt(session, number, stdin=stdin, terminal=bool(answer["terminal"]))
        wire.descriptors.clear()
    except BaseException:
        await session.close()
        raise
    return session


def _adopt(session: Session, number: int, *, stdin: bool, terminal: bool) -> None:
    found = descriptors.Descriptor(number)
    if terminal:
        session._terminal = found  # noqa: SLF001 - this makes sessions
    if stdin:
        session._input = found  # noqa: SLF001 - this makes sessions
    elif not terminal:
        found.close()
