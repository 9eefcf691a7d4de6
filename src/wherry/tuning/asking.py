"""Asks search algorithms, in a process of their own.

What does the mathematics (NumPy, SciPy, Optuna) is large and busy; it stays out of the process that
reconciles. The worker (`worker`) is started with the first question, ends when nobody has asked for
a while, and is started anew when it has died (`child`): it knows nothing that cannot be told again.
"""

import sys
from collections.abc import Callable, Sequence

from wherry.objects.errors import Cause
from wherry.tuning import wire
from wherry.tuning.algorithm import Answer, Question, Search
from wherry.tuning.child import Child, ChildError
from wherry.tuning.retelling import Teller


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
        self._worker = Child(
            (sys.executable, "-m", "wherry.tuning.worker"),
            "the search algorithm",
            deadline_seconds=deadline_seconds,
            idle_seconds=idle_seconds,
            environment=_ONE_THREAD,
            forgotten=self._tell_all,
        )
        self._teller = Teller()

    @property
    def worker_pid(self) -> int | None:
        """The worker's process; None: none runs."""
        return self._worker.pid

    async def propose(self, name: str, question: Question) -> Answer:
        """Return what the algorithm proposes.

        Args:
            name: Of the algorithm.
            question: What it is asked.

        Raises:
            AskError: the algorithm failed, took too long, or its process died.
        """
        return wire.answer(await self._ask(lambda: wire.propose(name, question, self._teller)))

    async def validate(self, name: str, search: Search) -> Sequence[Cause]:
        """Return what the algorithm finds wrong with a search.

        Raises:
            AskError: as in `propose`.
        """
        return wire.causes(await self._ask(lambda: wire.validate(name, search)))

    async def close(self) -> None:
        """End the worker. Questions that wait fail."""
        await self._worker.close()

    async def __aenter__(self) -> "Asker":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _ask(self, line: Callable[[], bytes]) -> bytes:
        try:
            said = await self._worker.ask(line)
            if wire.is_forgotten(said):
                self._tell_all()
                said = await self._worker.ask(line)
        except ChildError as error:
            raise AskError(str(error)) from None
        if problem := wire.error(said):
            raise AskError(problem)
        return said

    def _tell_all(self) -> None:
        self._teller = Teller()


# Matrices here are small: threads would cost more than they bring, and the trials need the cores.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
