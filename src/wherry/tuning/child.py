"""A process that answers questions line by line, started when there is one and ended when there is none.

Nothing is lost with it: when it dies it is started anew and asked again, when it takes too long it is
ended.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

_LONGEST_ANSWER_BYTES: Final = 64 << 20
_STOP_SECONDS: Final = 5.0
_TRIES: Final = 2
"""How often a question is put when the process dies over it: it may have been another's fault."""


class ChildError(Exception):
    """No answer; the message says why, in one line. Asking again may help."""


class Child:
    """The way to the process. Safe to use from many tasks of one loop; questions wait in line."""

    def __init__(
        self,
        command: Sequence[str],
        what: str,
        *,
        deadline_seconds: float,
        idle_seconds: float,
        environment: Mapping[str, str] | None = None,
        forgotten: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare; no process is started yet.

        Args:
            command: What is run: it answers each line of its input with one of its output, and ends
                at the end of its input.
            what: What it is, for messages.
            deadline_seconds: How long one question may take before the process is ended.
            idle_seconds: How long it waits for the next question before it ends.
            environment: Variables besides those of this process.
            forgotten: Called when what it was told is lost: it leaves, or is started in another's place.
        """
        self._command = command
        self._what = what
        self._deadline_seconds = deadline_seconds
        self._idle_seconds = idle_seconds
        self._environment = environment or {}
        self._forgotten = forgotten
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._closings = 0

    @property
    def pid(self) -> int | None:
        """Of the process; None: none runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def ask(self, line: Callable[[], bytes]) -> bytes:
        """Return the answer to a question, both a line.

        Args:
            line: Makes the question when its turn has come, and again for another process.

        Raises:
            ChildError: it took too long, died, or was closed.
        """
        closings = self._closings
        async with self._turn:
            self._stay()
            try:
                return await self._answered(line, closings)
            finally:
                self._leave_when_idle()

    async def close(self) -> None:
        """End the process. Questions that wait fail; one that is put later starts it anew."""
        self._closings += 1
        await self._end()

    async def _answered(self, line: Callable[[], bytes], closings: int) -> bytes:
        for _ in range(_TRIES):
            if closings != self._closings:
                raise ChildError(f"{self._what} was closed")
            process = await self._running()
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    said = await _exchange(process, line())
            except TimeoutError:
                await self._end()
                raise ChildError(
                    f"{self._what} gave no answer within {self._deadline_seconds:g} s"
                ) from None
            except asyncio.CancelledError:
                # Its answer would be taken for that of the next question.
                await self._end()
                raise
            except ValueError as error:
                await self._end()
                raise ChildError(f"the answer of {self._what} is too long: {error}") from None
            if said:
                return said
            await self._end()
        raise ChildError(f"the process of {self._what} died over the question")

    async def _running(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._forgotten()
            try:
                self._process = await self._started()
            except OSError as error:
                raise ChildError(
                    f"the process of {self._what} cannot be started: {error}"
                ) from None
        return self._process

    async def _started(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **self._environment},
            limit=_LONGEST_ANSWER_BYTES,
            start_new_session=True,
        )

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _leave_when_idle(self) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            # At the end of its input it leaves by itself.
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_seconds, self._dismiss, process)

    def _dismiss(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
        self._forgotten()

    async def _end(self) -> None:
        self._stay()
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()


async def _exchange(process: asyncio.subprocess.Process, line: bytes) -> bytes:
    """Put the question and return the line that comes back; empty where the process has died."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(line)
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return b""
    said = await process.stdout.readline()
    return said if said.endswith(b"\n") else b""
