"""The address of a server that runs in a process of its own, started for the first who connects.

gRPC for Python is large, most platforms are never asked by it, and it takes no socket that somebody
else listens on. So connections are taken here, and what comes over them is passed on, unread, to a
socket of that process; when none has been open for a while the process is ended.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wherry.controller.serving.relayed import Told

_CHUNK: Final = 64 * 1024
_START_SECONDS: Final = 90.0
_END_SECONDS: Final = 5.0


class Relay:
    """Serves at an address, on demand. For one event loop."""

    def __init__(
        self,
        module: str,
        variables: Mapping[str, str],
        *,
        log: logging.Logger,
        told: Told | None = None,
        idle_seconds: float = 120.0,
    ) -> None:
        """Prepare; nothing listens yet.

        Args:
            module: What is run, with the address to serve at (``unix:/path``) as its argument; it does
                what `relayed.serve` does.
            variables: Of its environment, beside our own.
            log: Where failures are told.
            told: Called with what else the process tells.
            idle_seconds: How long the process is kept without connections.
        """
        self._module = module
        self._variables = dict(variables)
        self._log = log
        self._told = told or (lambda _: None)
        self._idle_seconds = idle_seconds
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._server: asyncio.Server | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._serving: asyncio.Future[str] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._turn = asyncio.Lock()
        self._starts = 0

    async def listen(self, host: str, port: int) -> int:
        """Take connections; return the port.

        Raises:
            OSError: the address cannot be had.
        """
        # Known before it begins, so that it can be closed by whoever is cancelled meanwhile.
        self._server = await asyncio.start_server(self._connected, host, port, start_serving=False)
        await self._server.start_serving()
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take no more connections, cut those there are, end the process. Idempotent."""
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._end()
        if self._folder is not None:
            self._folder.cleanup()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._pass_on(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("%s: %s", self._module, error)
        if not self._connections and self._idle is None:
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_seconds, self._dismiss)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        try:
            path = await self._started()
            behind, before = await asyncio.open_unix_connection(path)
        except OSError as error:
            writer.close()
            raise RuntimeError(f"its process cannot be reached: {error}") from error
        except BaseException:
            writer.close()
            raise
        asking = asyncio.ensure_future(_copy(reader, before))
        try:
            # A client that has gone is the process' affair: it hears the end, and ends too.
            await _copy(behind, writer)
        finally:
            asking.cancel()
            for each in (before, writer):
                each.close()

    async def _started(self) -> str:
        """Return the socket of the process, which runs now."""
        async with self._turn:
            if not self._is_running():
                await self._start()
        assert self._serving is not None
        try:
            async with asyncio.timeout(_START_SECONDS):
                return await asyncio.shield(self._serving)
        except TimeoutError:
            raise TimeoutError(f"it has not served within {_START_SECONDS:g} s") from None

    def _is_running(self) -> bool:
        """Whether there is a process that has neither ended nor been told to end."""
        process = self._process
        if process is None or process.stdin is None:
            return False
        return process.returncode is None and not process.stdin.is_closing()

    async def _start(self) -> None:
        await self._end()
        if self._folder is None:
            # Sockets must have short names, which the home folder may not have.
            self._folder = tempfile.TemporaryDirectory(prefix="wherry-")
        self._starts += 1
        path = str(Path(self._folder.name, f"api-{self._starts}"))
        self._serving = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self._module,
            f"unix:{path}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **self._variables},
            start_new_session=True,
        )
        self._listening = asyncio.ensure_future(self._listen(self._process, self._serving, path))

    async def _listen(
        self, process: asyncio.subprocess.Process, serving: asyncio.Future[str], path: str
    ) -> None:
        """Take in what the process tells, to its end."""
        assert process.stdout is not None
        async for line in process.stdout:
            said = json.loads(line)
            if "serving" in said:
                serving.set_result(path)
            elif "failed" in said:
                serving.set_exception(RuntimeError(said["failed"]))
            else:
                self._told(said)
        if not serving.done():
            serving.set_exception(RuntimeError("its process ended before it served"))

    def _dismiss(self) -> None:
        """Have the process end, which it does with its standard input."""
        self._idle = None
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    async def _end(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._dismiss()
        process = self._process
        if process is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_SECONDS):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
            self._process = None
        if self._listening is not None:
            await self._listening


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass on what comes, to its end, and the end too."""
    try:
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
    except ConnectionError:
        target.close()
