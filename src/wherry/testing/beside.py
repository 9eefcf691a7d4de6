"""A world whose products run as processes of their own, beside an API that does not know them.

What `wherry controllers` does on somebody's cluster: over HTTPS, as the account and with the rights
that we ship, with webhooks, and as two replicas of which the one that leads is killed when the first
job has come. The clock is the test's here too: the processes (`beside_replica`) are told when it is put forward.
"""

import asyncio
import contextlib
import datetime
import json
import os
import random
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from wherry.builtin import component as builtin
from wherry.builtin.gangs import component as gangs
from wherry.builtin.service_proxy import ServiceProxy
from wherry.builtin.settings import BuiltinSettings
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.cluster import registration
from wherry.controller import installing
from wherry.controller.component import Component
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.embedded import in_memory
from wherry.embedded.identity import Identity
from wherry.objects import errors, kinds
from wherry.objects.requests import Object, Request, Transport
from wherry.objects.resources import Resource
from wherry.testing.beside_replica import NAMESPACE
from wherry.testing.clock import FakeClock
from wherry.testing.passing import PassingTransport
from wherry.testing.played import Controllers, World, played

_TRY_SECONDS: Final = 60.0
_START_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.05
_PATIENCE: Final = 3
_QUIET_LOOKS: Final = 6
_KILLED_AFTER_SECONDS: Final = 0.5


class _Patient(PassingTransport):
    """Asks again while nobody answers at the address of the webhooks: the leader has just died."""

    async def send(self, request: Request) -> Object:
        deadline = asyncio.get_running_loop().time() + _TRY_SECONDS
        while True:
            try:
                return await super().send(request)
            except errors.InternalError as error:
                late = asyncio.get_running_loop().time() > deadline
                if late or "webhook" not in error.message:
                    raise
            await asyncio.sleep(_PAUSE_SECONDS)


class Replica:
    """One process of controllers, which follows the test's clock.

    Attributes:
        identity: Under which it contends for the lease.
    """

    def __init__(self, identity: str, process: Process) -> None:
        """Take a process that has been started."""
        self.identity = identity
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(
        cls, identity: str, access: Path, names: Sequence[str], now: datetime.datetime
    ) -> "Replica":
        """Start one.

        Args:
            identity: Unique among replicas.
            access: Kubeconfig of the controllers' account.
            names: Of the products.
            now: The test's time.
        """
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        words = [identity, str(access), ",".join(names), now.isoformat()]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "wherry.testing.beside_replica", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=kept,
        )
        return cls(identity, process)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def advance(self, seconds: float, turns: int) -> None:
        """Put its clock forward; nothing happens where it is dead."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        async with self._turn:
            with contextlib.suppress(ConnectionError):
                stdin.write(json.dumps([seconds, turns]).encode() + b"\n")
                await stdin.drain()
                await stdout.readline()

    async def kill(self) -> None:
        """End it as a machine that fails does. Idempotent."""
        if self.runs:
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """End it in order. Idempotent."""
        if self.runs:
            self._process.terminate()
        await self._process.wait()


class _SharedClock(FakeClock):
    """A clock by which other processes go, too."""

    def __init__(self, start: datetime.datetime) -> None:
        super().__init__(start)
        self.replicas: list[Replica] = []

    async def advance(self, seconds: float, *, turns: int = 20) -> None:
        await super().advance(seconds, turns=turns)
        await asyncio.gather(*(each.advance(seconds, turns) for each in self.replicas))


class ProcessWorld(World):
    """A world in which Kubernetes' own controllers run here, and the products elsewhere.

    Attributes:
        spares: Whether nobody is killed unasked.
    """

    def __init__(
        self,
        transport: Transport,
        controllers: Controllers,
        *,
        clock: _SharedClock,
        access: Path,
        run: Sequence[Component],
    ) -> None:
        """Take what it works with; nothing is started.

        Args:
            transport: Leads to the API, with all rights.
            controllers: Makes Kubernetes' own.
            clock: Of all.
            access: Kubeconfig of the products' account.
            run: The products.
        """
        super().__init__(transport, controllers, clock=clock)
        self.client = Client(_Patient(transport))
        self._replicas = clock.replicas
        self._access, self._run = access, run
        self._groups = {kind.resource.group for one in run for kind in one.kinds}
        self._number = 0
        self.spares = False
        self._killing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the controllers, and wait until the products' webhooks are led to."""
        await super().start()
        names = [one.name for one in self._run]
        for _ in range(2):
            self._number += 1
            identity, now = f"replica-{self._number}", self.clock.now()
            self._replicas.append(await Replica.start(identity, self._access, names, now))
        async with asyncio.timeout(_START_SECONDS):
            while not await self._answers():
                await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(_PAUSE_SECONDS)

    async def _answers(self) -> bool:
        """Return whether the API gets answers at the webhooks, from one that leads."""
        if not all(each.runs for each in self._replicas):
            raise RuntimeError("a replica has ended; what it said stands above")
        if await self.find(kinds.VALIDATING_WEBHOOK_CONFIGURATIONS, registration.NAME) is None:
            return False
        name = f"trial-{self._number}"
        for one in self._run:
            for kind in one.kinds:
                obj = {"metadata": {"name": name, "namespace": "default"}, "spec": {}}
                if not kind.resource.namespaced:
                    del obj["metadata"]["namespace"]
                try:
                    await self._transport.send(_trial(kind.resource, obj))
                except (errors.NotFoundError, errors.InternalError):
                    return False
                except errors.ApiError:
                    continue
        return await self._leader() is not None

    async def _leader(self) -> Replica | None:
        try:
            lease = await self.client.get(kinds.LEASES, "wherry-controllers", NAMESPACE)
        except errors.NotFoundError:
            return None
        holder = lease["spec"].get("holderIdentity")
        return next((each for each in self._replicas if each.identity == holder), None)

    async def create(self, resource: Resource, obj: Object) -> Object:
        """Create an object; soon after the first of a product, the leader dies."""
        made = await super().create(resource, obj)
        if (
            not self.spares
            and self._killing is None
            and resource.group in self._groups
            and resource.namespaced
        ):
            self._killing = asyncio.create_task(self._kill_leader())
        return made

    async def _kill_leader(self) -> None:
        # Some time within the first steps of the job: which one is left to chance.
        await asyncio.sleep(random.uniform(0, _KILLED_AFTER_SECONDS))  # noqa: S311 - no secret
        leader = await self._leader()
        if leader is not None:
            self._replicas.remove(leader)
            await leader.kill()

    async def kill(self) -> None:
        """End all controllers wherever they are."""
        await self._end_killing()
        for each in self._taken():
            await each.kill()
        await super().kill()

    async def stop(self) -> None:
        """End all controllers in order. Idempotent."""
        await self._end_killing()
        await asyncio.gather(*(each.stop() for each in self._taken()))
        await super().stop()

    def _taken(self) -> list[Replica]:
        taken, self._replicas[:] = [*self._replicas], []
        return taken

    async def _end_killing(self) -> None:
        if self._killing is not None:
            self._killing.cancel()
            await asyncio.gather(self._killing, return_exceptions=True)

    async def until(
        self, condition: Callable[[], Awaitable[Any]], what: str = "", seconds: float = 30
    ) -> Any:
        """Return the first true result of a condition; processes take longer than tasks."""
        return await super().until(condition, what, seconds * _PATIENCE)

    async def flush_events(self) -> None:
        """Return once no further events come: they are told in another process."""
        await super().flush_events()
        seen, quiet = -1, 0
        while quiet < _QUIET_LOOKS:
            await asyncio.sleep(_PAUSE_SECONDS)
            now = len(await self.client.list(kinds.EVENTS))
            quiet = quiet + 1 if now == seen else 0
            seen = now


def _trial(resource: Resource, obj: Object) -> Request:
    where = "default" if resource.namespaced else None
    body = {"apiVersion": resource.api_version, "kind": resource.kind, **obj}
    return Request("create", resource, where, body=body, options={"dryRun": "All"})


@contextlib.asynccontextmanager
async def world(
    run: Sequence[Component],
    *,
    directory: Path,
    start: datetime.datetime,
    settings: BuiltinSettings,
) -> AsyncGenerator[ProcessWorld, None]:
    """Give a world in which products run beside the API, started.

    Args:
        run: The products, of those that `wherry.components` lists.
        directory: For keys and kubeconfigs.
        start: What the clock shows first.
        settings: Of Kubernetes' own controllers.
    """
    proxy = ServiceProxy()

    def controllers(manager: Manager) -> Iterable[Controller]:
        yield from builtin.controllers(manager, settings, proxy)
        yield from gangs.COMPONENT.controllers(manager)

    async with in_memory.served(directory, (gangs.COMPONENT,)) as (server, identity):
        admin = server.transport(in_memory.ADMIN)
        access = directory / "controllers.kubeconfig"
        clock = _SharedClock(start)
        made = ProcessWorld(admin, controllers, clock=clock, access=access, run=run)
        async with played(made):
            definitions = [kind.definition() for kind in gangs.COMPONENT.kinds]
            await installing.define(made.client, definitions)
            await installing.make_objects(made.client, gangs.COMPONENT)
            await _grant(Client(admin), run)
            account = await _account(
                Client(admin), f"https://{in_memory.HOST}:{server.port}", identity
            )
            kubeconfig.write(access, kubeconfig.entry("controllers", account))
            await made.start()
            yield made
        await proxy.close()


async def _grant(client: Client, run: Sequence[Component]) -> None:
    """Give the account of the products' controllers the access that we ship."""
    for obj in registration.access(run, NAMESPACE):
        resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        await client.create(resource, obj)


async def _account(client: Client, url: str, identity: Identity) -> Connection:
    """Return the way in of the account that the products' controllers run as."""
    request: dict[str, Any] = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"namespace": NAMESPACE, "name": registration.NAME},
        "spec": {"audiences": [], "expirationSeconds": 3600},
    }
    name = registration.NAME
    answer = await client.create(kinds.SERVICE_ACCOUNTS, request, subresource="token", name=name)
    return Connection(
        server=url,
        certificate_authority=identity.pki.authority.certificate,
        token=answer["status"]["token"],
        namespace=NAMESPACE,
    )
