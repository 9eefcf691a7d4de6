"""The control plane's side of the launcher."""

import asyncio
import base64
import contextlib
import dataclasses
import itertools
import pathlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

from wherry.kubelet.launcher import protocol, sessions, starter, types

DEFAULT_IDLE_SECONDS = 600.0

_READ_BYTES = 256 * 1024
_REACHABLE_SECONDS = 15.0
_RETRY_SECONDS = 1.0
_AGAIN_SECONDS = 0.02
_ERRORS = {
    kind.__name__: kind
    for kind in (types.LauncherError, types.UnknownProcessError, types.LauncherGoneError)
}


class Launcher:
    """Starts and watches processes that outlive the caller.

    One connection, used from one event loop. If the launcher process dies, a new one is started at once: its processes
    are then reported as finished, with an error that says so, and calls that were on their way raise
    ``LauncherGoneError``.
    """

    def __init__(self, directory: pathlib.Path, *, idle_seconds: float) -> None:
        """Use ``connect`` instead."""
        self.directory = directory.absolute()
        """The launcher's own folder."""
        self._idle_seconds = idle_seconds
        self._numbers = itertools.count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._exits: asyncio.Queue[types.ProcessState | None] = asyncio.Queue()
        self._told: set[str] = set()
        self._reachable = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._warm_limits: types.WarmLimits | None = None
        self.pid = 0
        """Of the launcher process."""
        self.features = types.Features(
            isolate=False,
            user_namespace=False,
            interception=False,
            memory_limits=False,
            cpu_limits=False,
            pids_limits=False,
            reasons={},
        )
        """What the machine allows."""

    @classmethod
    async def connect(
        cls, directory: pathlib.Path, *, idle_seconds: float = DEFAULT_IDLE_SECONDS
    ) -> Self:
        """Connect to the launcher of a folder, starting it if none answers.

        Args:
            directory: The launcher's own: socket, lock, log and records. Containers see it empty, so nothing that they
                need may be in it.
            idle_seconds: How long a launcher that is started now stays without processes and connections.

        Returns:
            A connected launcher.

        Raises:
            LauncherError: It cannot be started, or speaks another version.
        """
        deadline = time.monotonic() + _REACHABLE_SECONDS
        while True:
            launcher = cls(directory, idle_seconds=idle_seconds)
            try:
                await launcher._begin()
            except types.LauncherGoneError:
                # One that is just dying takes connections for a moment yet, and answers nothing.
                if time.monotonic() > deadline:
                    raise
            else:
                return launcher
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _begin(self) -> None:
        reader = await self._open()
        self._task = asyncio.create_task(self._serve(reader))
        try:
            await self._greet()
            self._told.update(s.id for s in await self.list() if not s.running)
        except BaseException:
            await self.close()
            raise

    async def start(self, spec: types.ProcessSpec) -> types.ProcessState:
        """Start a process, at most once per id.

        Args:
            spec: What to run. The id of a process that is known already is not started again.

        Returns:
            The state once the program runs, or with ``error`` if it could not (there is no entry in ``exits`` then).

        Raises:
            LauncherError: The spec is malformed.
            LauncherGoneError: The launcher died meanwhile; ``list`` tells whether the process had been started.
        """
        return types.ProcessState(**await self._call("start", types.spec_values(spec)))

    async def signal(self, process_id: str, signum: int, *, group: bool = False) -> None:
        """Send a signal.

        Args:
            process_id: A process that has finished is left in peace.
            signum: Its number.
            group: To the whole process group rather than the main process.

        Raises:
            UnknownProcessError: There is no such process.
        """
        await self._call("signal", {"id": process_id, "signal": int(signum), "group": group})

    async def list(self) -> "list[types.ProcessState]":
        """Return every process that has not been forgotten, running or not."""
        return [types.ProcessState(**values) for values in await self._call("list", {})]

    async def list_warm(self) -> tuple[types.WarmState, ...]:
        """Return the warmed processes, and those that there should be and why they are not."""
        found = []
        for values in await self._call("list_warm", {}):
            lists = {name: tuple(values[name]) for name in ("flags", "preload")}
            found.append(types.WarmState(**{**values, **lists}))
        return tuple(found)

    async def limit_warm(self, limits: types.WarmLimits) -> None:
        """Bound what is kept warm; no memory at all turns warm starts off."""
        self._warm_limits = limits
        await self._call("limit_warm", dataclasses.asdict(limits))

    async def forget(self, process_id: str) -> None:
        """Drop the record of a finished process; its log stays. Forgetting twice is fine.

        Raises:
            LauncherError: It still runs.
        """
        await self._call("forget", {"id": process_id})
        self._told.discard(process_id)

    async def execute(
        self,
        process_id: str,
        argv: Sequence[str],
        *,
        timeout_seconds: float,
        max_output_bytes: int = 64 * 1024,
    ) -> types.Execution:
        """Run a command inside a container: its namespaces, environment, folder, user and address.

        Args:
            process_id: The container's.
            argv: Program and arguments.
            timeout_seconds: After this it is killed, with its process group.
            max_output_bytes: What is kept of its output; at most 8 MiB.

        Returns:
            The outcome, also if it could not start.

        Raises:
            UnknownProcessError: There is no such process.
            LauncherError: The process does not run.
        """
        params = {
            "id": process_id,
            "argv": [*argv],
            "timeout_seconds": timeout_seconds,
            "max_output_bytes": max_output_bytes,
        }
        values = await self._call("execute", params)
        return types.Execution(**{**values, "output": base64.b64decode(values["output"])})

    async def interact(
        self,
        process_id: str,
        argv: Sequence[str],
        *,
        stdin: bool,
        terminal: bool,
        raw: bool = False,
    ) -> sessions.Session:
        """Run a command inside a container and watch it; see `sessions.interact`."""
        return await sessions.interact(
            self.directory,
            process_id,
            argv,
            stdin=stdin,
            terminal=terminal,
            raw=raw,
            idle_seconds=self._idle_seconds,
        )

    async def attach(self, process_id: str, *, stdin: bool, once: bool) -> sessions.Session:
        """Watch a container; see `sessions.attach`."""
        return await sessions.attach(
            self.directory, process_id, stdin=stdin, once=once, idle_seconds=self._idle_seconds
        )

    async def write_stdin(self, process_id: str, data: bytes, *, close: bool = False) -> int:
        """Feed the standard input of a process that was started with ``stdin``.

        Args:
            process_id: The process.
            data: At most some MiB; what does not fit into the pipe now is not taken.
            close: End the input if ``data`` was taken whole.

        Returns:
            How many bytes were taken; try the rest again later.

        Raises:
            LauncherError: There is no input to write to (any more).
        """
        encoded = base64.b64encode(data).decode()
        params = {"id": process_id, "data": encoded, "close": close}
        return int(await self._call("write_stdin", params))

    async def exits(self) -> AsyncIterator[types.ProcessState]:
        """Yield the final state of every process that ends from ``connect`` on, once; for one consumer.

        What had ended before is in ``list``. Ends when the launcher is closed.
        """
        while (state := await self._exits.get()) is not None:
            yield state

    async def shutdown(self) -> None:
        """Kill all processes, stop the launcher and close the connection."""
        self._closed = True  # so that nothing starts it again
        with contextlib.suppress(types.LauncherGoneError):
            await self._call("shutdown", {})
        if self._task is not None:
            await asyncio.wait([self._task], timeout=_REACHABLE_SECONDS)
        await self.close()

    async def close(self) -> None:
        """Disconnect; processes go on."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._hang_up()
        self._lose_calls()
        self._exits.put_nowait(None)

    async def _open(self) -> asyncio.StreamReader:
        peer = await starter.reach(self.directory, idle_seconds=self._idle_seconds)
        reader, self._writer = await asyncio.open_unix_connection(sock=peer)
        return reader

    async def _greet(self) -> None:
        greeting = await self._send("hello", {"version": protocol.VERSION})
        if greeting["version"] != protocol.VERSION:
            raise types.LauncherError(
                f"the launcher in {self.directory} (pid {greeting['pid']}) speaks version "
                f"{greeting['version']}, this program version {protocol.VERSION}; stop it with the program that "
                "started it, or kill it (its pods end too)"
            )
        self.pid = greeting["pid"]
        self.features = types.Features(**greeting["features"])
        self._reachable.set()

    async def _call(self, method: str, params: dict[str, Any]) -> Any:
        try:
            async with asyncio.timeout(_REACHABLE_SECONDS):
                await self._reachable.wait()
        except TimeoutError as error:
            raise types.LauncherGoneError("the launcher cannot be reached") from error
        return await self._send(method, params)

    async def _send(self, method: str, params: dict[str, Any]) -> Any:
        writer = self._writer
        if writer is None or writer.is_closing():
            raise types.LauncherGoneError("the launcher's connection is closed")
        number = next(self._numbers)
        try:
            message = protocol.encode({"call": number, "method": method, "params": params})
        except protocol.ProtocolError as error:
            raise types.LauncherError(str(error)) from error
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            writer.write(message)
            with contextlib.suppress(ConnectionError):  # the reader notices and ends the call
                await writer.drain()
            return await answer
        finally:
            self._calls.pop(number, None)

    async def _serve(self, reader: asyncio.StreamReader) -> None:
        """Read answers; come back to a new launcher when the old one has gone."""
        while True:
            await self._read(reader)
            self._lose_calls()
            if self._closed:
                return
            reader = await self._reopen()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        decoder = protocol.Decoder()
        with contextlib.suppress(ConnectionError, protocol.ProtocolError):
            while data := await reader.read(_READ_BYTES):
                for message in decoder.feed(data):
                    self._take(message)
        self._reachable.clear()
        await self._hang_up()

    async def _hang_up(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _lose_calls(self) -> None:
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(
                    types.LauncherGoneError("the connection to the launcher broke")
                )

    async def _reopen(self) -> asyncio.StreamReader:
        while True:
            try:
                reader = await self._open()
            except (types.LauncherError, OSError):
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            self._resumption = asyncio.create_task(self._resume())
            return reader

    async def _resume(self) -> None:
        """After a reconnect: tell of the exits that were missed."""
        with contextlib.suppress(types.LauncherError):
            await self._greet()
            if self._warm_limits is not None:
                await self.limit_warm(self._warm_limits)
            for state in await self.list():
                if not state.running:
                    self._tell(state)

    def _take(self, message: protocol.Message) -> None:
        if message.get("event") == "exit":
            self._tell(types.ProcessState(**message["state"]))
            return
        answer = self._calls.get(message.get("call", 0))
        if answer is None or answer.done():
            return
        error = message.get("error")
        if error is None:
            answer.set_result(message.get("result"))
        else:
            kind = _ERRORS.get(error["kind"], types.LauncherError)
            answer.set_exception(kind(error["message"]))

    def _tell(self, state: types.ProcessState) -> None:
        if state.id not in self._told:
            self._told.add(state.id)
            self._exits.put_nowait(state)
