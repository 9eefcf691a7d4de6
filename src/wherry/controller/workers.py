"""The workers of one controller: take a request, reconcile, decide what the outcome means."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence

from wherry.controller import writes
from wherry.controller.cache import Cache
from wherry.controller.clock import Clock
from wherry.controller.controller import Controller, Watch
from wherry.controller.errors import ForeignOwnerError, Retry, Terminal
from wherry.controller.informers import Handler
from wherry.controller.queue import QueueClosed, WorkQueue
from wherry.controller.requests import Request, Result
from wherry.objects import errors
from wherry.objects.requests import Object

SEEN_SECONDS = 10.0
"""How long a reconcile waits at most for its controller's own writes to come back."""


class Workers:
    """Runs one controller's reconciler.

    Attributes:
        controller: Whose.
        queue: What is to be reconciled.
    """

    def __init__(
        self, controller: Controller, caches: Mapping[str, Sequence[Cache]], clock: Clock
    ) -> None:
        self.controller = controller
        self.queue: WorkQueue[Request] = WorkQueue(clock)
        self._clock = clock
        self._ledger = writes.Ledger(caches)
        self._logger = logging.getLogger(f"wherry.controller.{controller.name}")
        self._complaints: dict[Request, str] = {}

    def handler(self, watch: Watch) -> Handler:
        """Return the handler that turns changes into requests."""
        requests, matters, add = watch.requests, watch.matters, self.queue.add

        def handle(old: Object | None, new: Object | None) -> None:
            if matters and old is not None and new is not None and not matters(old, new):
                return
            if old is not None:
                for request in requests(old):
                    add(request)
            if new is not None:
                for request in requests(new):
                    add(request)

        return handle

    async def run(self) -> None:
        """Work until the queue is closed; what is in hand then is finished first."""
        await asyncio.gather(*(self._work() for _ in range(self.controller.workers)))

    async def _work(self) -> None:
        # The context of this task: everything that a reconcile writes is noted here.
        writes.current.set(self._ledger)
        with contextlib.suppress(QueueClosed):
            while True:
                request = await self.queue.get()
                try:
                    await self._step(request)
                finally:
                    self.queue.done(request)

    async def _step(self, request: Request) -> None:
        if self._ledger.revisions or self._ledger.deletions:
            await self._see_own_writes()
        try:
            result = await self._reconcile(request)
        except Retry as retry:
            self._settle(request)
            self.queue.add_after(request, retry.after_seconds)
        except Terminal as terminal:
            self._logger.error("%s: %s; not tried again before a change", request.path, terminal)
            self._settle(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is retried and told
            self._fail(request, error)
        else:
            self._settle(request)
            if result is not None and result.requeue_after_seconds is not None:
                self.queue.add_after(request, result.requeue_after_seconds)

    async def _reconcile(self, request: Request) -> Result | None:
        try:
            return await self.controller.reconciler.reconcile(request)
        except asyncio.CancelledError as error:
            # Something that the reconciler awaited was cancelled, not this worker.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("what the reconciler waited for was cancelled") from error

    def _settle(self, request: Request) -> None:
        self.queue.forget(request)
        if self._complaints:
            self._complaints.pop(request, None)

    def _fail(self, request: Request, error: Exception) -> None:
        after = (
            error.details.get("retryAfterSeconds") if isinstance(error, errors.ApiError) else None
        )
        if isinstance(after, int | float) and after > 0:
            self.queue.add_after(request, after)
            delay = float(after)
        else:
            delay = self.queue.add_rate_limited(request)
        if isinstance(error, errors.ConflictError):
            self._logger.debug("%s: %s", request.path, error)
            return
        # One traceback for one trouble: the same failure again is a line, another one is news.
        complaint = f"{type(error).__name__}: {error}"
        told = self._complaints.get(request) == complaint
        if isinstance(error, errors.NotFoundError) and request not in self._complaints:
            # Mostly what was to be written went away meanwhile, which the next look shows.
            self._complaints[request] = ""
            self._logger.debug("%s: %s", request.path, error)
            return
        self._complaints[request] = complaint
        expected = isinstance(error, errors.ApiError | ForeignOwnerError)
        if told:
            self._logger.info("%s: again: %s; next in %.3g s", request.path, complaint, delay)
        elif expected:
            self._logger.warning("%s: %s; next in %.3g s", request.path, complaint, delay)
        else:
            self._logger.error(
                "%s: reconcile failed; next in %.3g s", request.path, delay, exc_info=error
            )

    async def _see_own_writes(self) -> None:
        if not await self._ledger.settle(SEEN_SECONDS):
            self._logger.warning(
                "the caches lack this controller's own writes after %g s; going on", SEEN_SECONDS
            )
