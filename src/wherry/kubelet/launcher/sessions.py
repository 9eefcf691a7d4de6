"""Watching a container or a command in it: the control plane's ends of its streams.

The streams do not pass through the launcher: it gets, or gives, their other ends. A session has a connection of its
own; when that ends, so does what it watches over.
"""

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import pathlib
import socket
import struct
import termios
import tty
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from wherry.kubelet.launcher import descriptors, protocol, starter, types

_READ_BYTES = 64 * 1024
_QUEUE_CHUNKS = 4
_MOST_CELLS = 65535
_BROKEN = "the connection to the launcher broke"
STDOUT, STDERR = 1, 2


@dataclasses.dataclass(slots=True)
class Streams:
    """The control plane's ends."""

    input: descriptors.Descriptor | None = None
    terminal: descriptors.Descriptor | None = None
    """What takes a size; it may be ``input`` and the only one of ``outputs`` too."""
    outputs: dict[int, descriptors.Descriptor] = dataclasses.field(default_factory=dict)

    def finish(self) -> None:
        """Let the outputs end with what is there."""
        for output in self.outputs.values():
            output.finish()

    def close(self) -> None:
        """Close all of them."""
        for one in (self.input, self.terminal, *self.outputs.values()):
            if one is not None:
                one.close()


class Session:
    """Three streams of a process. For one consumer; close it in the end."""

    def __init__(
        self,
        wire: "_Wire",
        streams: Streams,
        *,
        ended: asyncio.Task[types.Ended] | None = None,
        inputs_owner: str = "",
        ends_with_input: bool = False,
    ) -> None:
        """Use `interact` or `attach`.

        Args:
            wire: The session's connection.
            streams: What it reads and writes.
            ended: Waits for a command's end.
            inputs_owner: The container whose standard input ends with that of the session; empty for none.
            ends_with_input: Whether the outputs end once the watcher has nothing more to write.
        """
        self._wire = wire
        self._streams = streams
        self._ended = ended
        self._inputs_owner = inputs_owner
        self._ends_with_input = ends_with_input
        if ended is not None:
            ended.add_done_callback(self._finish)

    async def write(self, data: bytes) -> None:
        """Write to standard input, waiting while it is full; lost if nobody reads it any more."""
        target = self._streams.input
        if target is not None and not await target.write(data):
            self._drop_input()

    def end_input(self) -> None:
        """Nothing more will be written. A terminal goes on all the same.

        Where a container's standard input outlives its watchers, the session ends too: nobody could
        tell the container that this watcher is done, nor would the watcher be told when it is.
        """
        self._drop_input()
        if self._ends_with_input:
            self._streams.finish()

    def _drop_input(self) -> None:
        target, self._streams.input = self._streams.input, None
        if target is None or target is self._streams.terminal:
            return
        target.close()
        if self._inputs_owner:
            self._wire.end_input(self._inputs_owner)

    def resize(self, width: int, height: int) -> None:
        """Tell the terminal its size in characters; nothing without one."""
        terminal = self._streams.terminal
        if terminal is None:
            return
        size = [min(max(0, cells), _MOST_CELLS) for cells in (height, width)]
        with contextlib.suppress(OSError):
            fcntl.ioctl(terminal.number, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))

    async def output(self) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield pieces of standard output (1) and error (2) as they come, to the end of both."""
        queue: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(_QUEUE_CHUNKS)

        async def pump(number: int, source: descriptors.Descriptor) -> None:
            while data := await source.read():
                await queue.put((number, data))
            await queue.put((number, b""))

        pumps = [asyncio.create_task(pump(*entry)) for entry in self._streams.outputs.items()]
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

    async def wait(self) -> types.Ended:
        """Return how a command ended; an attached container's end is not told here.

        Raises:
            LauncherError: It could not be run, or the launcher has gone.
        """
        if self._ended is None:
            return types.Ended(0, None)
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """Stop watching: a command still running is ended; a container goes on. Idempotent."""
        if self._ended is not None:
            self._ended.cancel()
            await asyncio.gather(self._ended, return_exceptions=True)
        self.end_input()
        self._wire.close()
        self._streams.close()

    def _finish(self, ended: asyncio.Task[types.Ended]) -> None:
        if not ended.cancelled():
            ended.exception()  # whoever waits is told; nobody may be
        self._streams.finish()


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
        try:
            data, received, _, _ = socket.recv_fds(self._peer, _READ_BYTES, 4)
        except BlockingIOError:
            await descriptors.readable(self._peer.fileno())
            return await self._receive()
        except OSError as error:
            raise types.LauncherGoneError(_BROKEN) from error
        for number in received:
            os.set_inheritable(number, False)  # noqa: FBT003 - the standard library's own form
        self.descriptors += received
        if not data:
            raise types.LauncherGoneError(_BROKEN)
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
    raw: bool = False,
    idle_seconds: float,
) -> Session:
    """Run a command inside a container and watch it.

    Args:
        directory: The launcher's.
        process_id: The container's.
        argv: Program and arguments.
        stdin: Whether it has standard input; else it reads nothing.
        terminal: Whether its streams are a terminal.
        raw: Whether that terminal passes everything on as it is: for a command that makes another within.
        idle_seconds: For a launcher that has to be started.

    Returns:
        The session; that a command cannot be started is told by ``wait``.

    Raises:
        LauncherError: The launcher cannot be reached.
    """
    wire = await _connect(directory, idle_seconds)
    streams = Streams()
    try:
        theirs = (
            _terminal(streams, stdin=stdin, raw=raw) if terminal else _pipes(streams, stdin=stdin)
        )
        try:
            params = {"id": process_id, "argv": [*argv], "terminal": terminal}
            await wire.send("interact", params, theirs)
        finally:
            for number in set(theirs):
                os.close(number)
    except BaseException:
        streams.close()
        wire.close()
        raise

    async def ended() -> types.Ended:
        return types.Ended(**await wire.answer())

    return Session(wire, streams, ended=asyncio.create_task(ended()))


def _pipes(streams: Streams, *, stdin: bool) -> list[int]:
    """Make three pipes; return the process's ends."""
    if stdin:
        theirs, writer = os.pipe()
        streams.input = descriptors.Descriptor(writer)
    else:
        theirs = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return [theirs, *_output_pipes(streams)]


def _output_pipes(streams: Streams) -> list[int]:
    theirs = []
    for number in (STDOUT, STDERR):
        reader, writer = os.pipe()
        streams.outputs[number] = descriptors.Descriptor(reader)
        theirs.append(writer)
    return theirs


def _terminal(streams: Streams, *, stdin: bool, raw: bool) -> list[int]:
    ours, theirs = os.openpty()
    if raw:
        tty.setraw(theirs)
    streams.terminal = streams.outputs[STDOUT] = descriptors.Descriptor(ours)
    streams.input = streams.terminal if stdin else None
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
    streams = Streams()
    try:
        theirs = _output_pipes(streams)
        try:
            answer = await wire.call("attach", {"id": process_id, "once": once}, theirs)
        finally:
            for number in theirs:
                os.close(number)
        for number in wire.descriptors:
            target = descriptors.Descriptor(number)
            streams.terminal = target if answer["terminal"] else None
            streams.input = target if stdin else None
            if not stdin and not answer["terminal"]:
                target.close()
        wire.descriptors.clear()
    except BaseException:
        streams.close()
        wire.close()
        raise
    owner = process_id if once else ""
    return Session(wire, streams, inputs_owner=owner, ends_with_input=stdin and not once)
