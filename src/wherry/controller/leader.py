"""Leader election: of several managers one works, the others wait.

A `Lease` names the holder and when it last renewed. Whoever sees it unrenewed for the lease's
duration, by its own clock and not by the times in the object, takes it over; whoever cannot renew
in time stops working before another may start.

Source: client-go `tools/leaderelection` (states, times, what each field means).
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from wherry.client.client import Client
from wherry.controller.clock import Clock
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object

logger = logging.getLogger("wherry.controller.leader")

# Spreads the attempts of many candidates; upstream's factor.
_JITTER = 1.2


@dataclass(frozen=True, slots=True)
class LeaderElection:
    """What is contended for and how fast.

    Attributes:
        identity: Who asks; unique among candidates, e.g. host name and a random part.
        name: Name of the Lease.
        namespace: Namespace of the Lease.
        lease_duration_seconds: After how long without renewal others may take over.
        renew_deadline_seconds: After how long without a renewal the leader gives up by itself;
            less than the lease's duration.
        retry_period_seconds: Time between attempts.
        clock: By which it goes; None: the controllers'.
    """

    identity: str
    name: str = "wherry"
    namespace: str = "kube-system"
    lease_duration_seconds: float = 15
    renew_deadline_seconds: float = 10
    retry_period_seconds: float = 2
    clock: Clock | None = None

    def __post_init__(self) -> None:
        if not self.identity:
            raise ValueError("identity: '' names nobody; give each candidate a name of its own")
        if not (
            self.lease_duration_seconds
            > self.renew_deadline_seconds
            > _JITTER * self.retry_period_seconds
            > 0
        ):
            raise ValueError(
                f"lease_duration_seconds {self.lease_duration_seconds:g} must be greater than "
                f"renew_deadline_seconds {self.renew_deadline_seconds:g}, and that greater than "
                f"{_JITTER} times retry_period_seconds {self.retry_period_seconds:g}, above 0"
            )


class Elector:
    """Contends for one lease.

    Attributes:
        leading: Whether it holds the lease.
    """

    def __init__(self, client: Client, election: LeaderElection, clock: Clock) -> None:
        self.leading = False
        self._client = client
        self._election = election
        self._clock = clock
        self._observed: Object = {}
        self._observed_at = 0.0

    async def run(
        self,
        *,
        on_started: Callable[[], Awaitable[None]],
        on_lost: Callable[[], Awaitable[None]],
    ) -> None:
        """Contend until cancelled; then call ``on_lost`` if leading, and release the lease.

        Args:
            on_started: Called when the lease is held. Must start the work and return.
            on_lost: Called when it is not any more; must stop the work before it returns.
        """
        try:
            while True:
                await self._acquire()
                logger.info("%s leads %s", self._election.identity, self._election.name)
                await on_started()
                await self._renew()
                self.leading = False
                logger.warning("%s lost %s", self._election.identity, self._election.name)
                await on_lost()
        finally:
            if self.leading:
                await on_lost()
                self.leading = False
                await self._release()

    async def _acquire(self) -> None:
        while not await self._attempt():
            period = self._election.retry_period_seconds
            await self._clock.sleep(period * (1 + _JITTER * random.random()))  # noqa: S311
        self.leading = True

    async def _renew(self) -> None:
        renewed = self._clock.monotonic()
        while True:
            deadline = renewed + self._election.renew_deadline_seconds
            left = deadline - self._clock.monotonic()
            await self._clock.sleep(min(self._election.retry_period_seconds, left))
            if await self._attempt_before(deadline):
                renewed = self._clock.monotonic()
            elif self._clock.monotonic() >= deadline:
                return

    async def _attempt_before(self, deadline: float) -> bool:
        """Attempt, but do not hang on a server that does not answer past the deadline."""
        attempt = asyncio.ensure_future(self._attempt())
        limit = asyncio.ensure_future(self._clock.sleep(deadline - self._clock.monotonic()))
        try:
            await asyncio.wait({attempt, limit}, return_when=asyncio.FIRST_COMPLETED)
            return attempt.done() and attempt.result()
        finally:
            attempt.cancel()
            limit.cancel()
            await asyncio.wait({attempt, limit})

    async def _attempt(self) -> bool:
        """Take or renew the lease once; return whether it is held."""
        try:
            return await self._take()
        except errors.ConflictError:
            return False
        except errors.ApiError as error:
            logger.debug("lease %s: %s", self._election.name, error)
            return False

    async def _take(self) -> bool:
        election = self._election
        try:
            lease = await self._client.get(kinds.LEASES, election.name, election.namespace)
        except errors.NotFoundError:
            self._observe(await self._client.create(kinds.LEASES, self._first()))
            return True
        if lease.get("spec") != self._observed.get("spec"):
            self._observe(lease)
        holder = (lease.get("spec") or {}).get("holderIdentity")
        if holder and holder != election.identity and not self._expired(lease):
            return False
        updated = await self._client.update(kinds.LEASES, self._held(lease))
        self._observe(updated)
        return True

    def _observe(self, lease: Object) -> None:
        self._observed, self._observed_at = lease, self._clock.monotonic()

    def _expired(self, lease: Object) -> bool:
        duration = float(
            lease["spec"].get("leaseDurationSeconds") or self._election.lease_duration_seconds
        )
        return self._clock.monotonic() - self._observed_at >= duration

    def _first(self) -> Object:
        now = metadata.format_micro_time(self._clock.now())
        spec = {"holderIdentity": self._election.identity, "leaseTransitions": 0}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._election.name, "namespace": self._election.namespace},
            "spec": {**spec, **self._duration(), "acquireTime": now, "renewTime": now},
        }

    def _held(self, lease: Object) -> Object:
        now = metadata.format_micro_time(self._clock.now())
        spec = {**lease.get("spec", {}), **self._duration(), "renewTime": now}
        if spec.get("holderIdentity") != self._election.identity:
            spec["holderIdentity"] = self._election.identity
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        return {**lease, "spec": spec}

    def _duration(self) -> dict[str, int]:
        return {"leaseDurationSeconds": max(1, round(self._election.lease_duration_seconds))}

    async def _release(self) -> None:
        """Let others take over at once; they would otherwise wait for the lease to run out."""
        election, lease = self._election, self._observed
        try:
            while (lease.get("spec") or {}).get("holderIdentity") == election.identity:
                with contextlib.suppress(errors.ConflictError):
                    await self._client.update(kinds.LEASES, self._free(lease))
                    return
                # A renewal that was cut off has come about nevertheless.
                lease = await self._client.get(kinds.LEASES, election.name, election.namespace)
        except errors.ApiError as error:
            logger.debug("lease %s was not released: %s", election.name, error)

    def _free(self, lease: Object) -> Object:
        now = metadata.format_micro_time(self._clock.now())
        times = {"leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
        return {**lease, "spec": {**lease["spec"], "holderIdentity": "", **times}}
