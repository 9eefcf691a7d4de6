"""Asks search algorithms, in a process of their own.

What does the mathematics (NumPy, SciPy, Optuna) is large and busy; it stays out of the process that
reconciles. The worker (`worker`) is started with the first question, ends when nobody has asked for
a while, and is started anew when it has died: it knows nothing that is not in the question, so that
nothing is lost with it.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Sequence

from wherry.objects.errors import Cause
from wherry.tuning import wire
from wherry.tuning.algorithm import Answer, Question, Search

_LONGEST_ANSWER_BYTES = 64 << 20
_STOP_SECONDS = 5.0
_TRIES = 2
"""How often a question is put when the worker dies over it: it may have been another's fault."""


class AskError(Exception):
    """No answer; the message says why, in one line. Asking again may help."""


class Asker:
    """The way to the algorithms. Safe to use from many tasks of one loop; questions wait in line."""

    def __init__(self, *, deadline_seconds: float = 120.0, idle_seconds: float = 300.0) -> None:
        """Prepare; no process is started yet.

        Args:
            deadline_seconds: How long one question may take before its worker is ended.
            idle_seconds: How long the worker waits for the next question before it ends.
        """
        self._deadline_seconds = deadline_seconds
        self._idle_seconds = idle_seconds
        self._turn = asyncio.Lock()
        self._worker: asyncio.subprocess.Process | None = None
        self._idle: asyncio.TimerHandle | None = None

    @property
    def worker_pid(self) -> int | None:
        """The worker's process; None: none runs."""
        worker = self._worker
        return worker.pid if worker is not None and worker.returncode is None else None

    async def propose(self, name: str, question: Question) -> Answer:
        """Return what the algorithm proposes.

        Args:
            name: Of the algorithm.
            question: What it is asked.

        Raises:
            AskError: the algorithm failed, took too long, or its process died.
        """
        return wire.answer(await self._ask(wire.propose(name, question)))

    async def validate(self, name: str, search: Search) -> Sequence[Cause]:
        """Return what the algorithm finds wrong with a search.

        Raises:
            AskError: as in `propose`.
        """
        return wire.causes(await self._ask(wire.validate(name, search)))

    async def close(self) -> None:
        """End the worker. Questions that wait fail."""
        await self._end()

    async def __aenter__(self) -> "Asker":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _ask(self, line: bytes) -> bytes:
        async with self._turn:
            self._stay()
            try:
                return await self._answered(line)
            finally:
                self._leave_when_idle()

    async def _answered(self, line: bytes) -> bytes:
        for _ in range(_TRIES):
            worker = await self._running()
            try:
                async with asyncio.timeout(self._deadline_seconds):
                    said = await _exchange(worker, line)
            except TimeoutError:
                await self._end()
                raise AskError(
                    f"the search algorithm gave no answer within {self._deadline_seconds:g} s"
                ) from None
            except asyncio.CancelledError:
                # Its answer would be taken for that of the next question.
                await self._end()
                raise
            except ValueError as error:
                await self._end()
                raise AskError(f"the search algorithm's answer is too long: {error}") from None
            if said:
                return _checked(said)
            await self._end()
        raise AskError("the process of the search algorithm died over the question")

    async def _running(self) -> asyncio.subprocess.Process:
        if self._worker is None or self._worker.returncode is not None:
            self._worker = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "wherry.tuning.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **_ONE_THREAD},
                limit=_LONGEST_ANSWER_BYTES,
                start_new_session=True,
            )
        return self._worker

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _leave_when_idle(self) -> None:
        worker = self._worker
        if worker is not None and worker.stdin is not None:
            # At the end of its input it leaves by itself.
            loop = asyncio.get_running_loop()
            self._idle = loop.call_later(self._idle_seconds, self._dismiss, worker)

    def _dismiss(self, worker: asyncio.subprocess.Process) -> None:
        if worker.stdin is not None:
            worker.stdin.close()
        self._worker = None

    async def _end(self) -> None:
        self._stay()
        worker, self._worker = self._worker, None
        if worker is None:
            return
        if worker.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
        if worker.stdin is not None:
            worker.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(worker.wait(), _STOP_SECONDS)


# Matrices here are small: threads would cost more than they bring, and the trials need the cores.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


async def _exchange(worker: asyncio.subprocess.Process, line: bytes) -> bytes:
    """Put the question and return the line that comes back; empty where the worker has died."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(line)
        await worker.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return b""
    said = await worker.stdout.readline()
    return said if said.endswith(b"\n") else b""


def _checked(said: bytes) -> bytes:
    if error := wire.error(said):
        raise AskError(error)
    return said
