"""Which cluster, and calls to it from code that knows nothing of event loops (or runs in one)."""

import asyncio
import concurrent.futures
import contextlib
import json
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.client.transports.http import HttpTransport

T = TypeVar("T")

_AHEAD = 1000
"""Lines that are read ahead of whoever iterates."""
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Api:
    """An open way to a cluster, within one event loop.

    Attributes:
        client: For objects.
        transport: For logs.
    """

    client: Client
    transport: HttpTransport


Work = Callable[[Api], Coroutine[Any, Any, T]]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and a namespace of it. Holds no connection open; may be shared by threads.

    Attributes:
        connection: How to reach it.
        namespace: Where.
    """

    connection: Connection
    namespace: str

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Api]:
        """Give a way to it while the block runs."""
        transport = HttpTransport(self.connection)
        client = Client(transport)
        try:
            yield Api(client, transport)
        finally:
            await client.close()

    def call(self, work: Work[T]) -> T:
        """Run work to its end; from any thread, also where an event loop runs (a notebook)."""

        async def within() -> T:
            async with self.opened() as api:
                return await work(api)

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(within())
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, within()).result()

    def iterate(self, work: Callable[[Api], AsyncIterator[T]]) -> Iterator[T]:
        """Yield what an asynchronous iterator yields; closing the iterator ends it."""
        items: queue.Queue[tuple[str, Any]] = queue.Queue(_AHEAD)
        ended = threading.Event()
        thread = threading.Thread(
            target=lambda: asyncio.run(self._pump(work, items, ended)), daemon=True
        )
        thread.start()
        try:
            while True:
                kind, value = items.get()
                if kind == "end":
                    return
                if kind == "error":
                    raise value
                yield value
        finally:
            ended.set()

    async def _pump(
        self,
        work: Callable[[Api], AsyncIterator[T]],
        items: "queue.Queue[tuple[str, Any]]",
        ended: threading.Event,
    ) -> None:
        reading = asyncio.ensure_future(self._read(work, items, ended))
        while not reading.done() and not ended.is_set():
            await asyncio.wait([reading], timeout=_LOOK_SECONDS)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading

    async def _read(
        self,
        work: Callable[[Api], AsyncIterator[T]],
        items: "queue.Queue[tuple[str, Any]]",
        ended: threading.Event,
    ) -> None:
        last: tuple[str, Any] = ("end", None)
        try:
            async with self.opened() as api:
                async for item in work(api):
                    await _put(items, ("item", item), ended)
        except Exception as error:  # noqa: BLE001 - raised again where the iterator is read
            last = ("error", error)
        await _put(items, last, ended)


async def _put(
    items: "queue.Queue[tuple[str, Any]]", item: tuple[str, Any], ended: threading.Event
) -> None:
    while not ended.is_set():
        try:
            items.put_nowait(item)
        except queue.Full:
            # Whoever reads is slow; the log waits on the server.
            await asyncio.sleep(_LOOK_SECONDS)
        else:
            return


def choose(connection: Connection | Path | str | None, namespace: str) -> Cluster:
    """Return the cluster that is meant.

    Args:
        connection: It, or a kubeconfig; None: the Wherry that runs on this machine, else as kubectl.
        namespace: Where; empty takes the connection's.

    Raises:
        ConfigurationError: there is none.
    """
    if isinstance(connection, str | Path):
        connection = kubeconfig.connection(Path(connection))
    found = connection or _running() or kubeconfig.connection()
    return Cluster(found, namespace or found.namespace)


def _running() -> Connection | None:
    told = os.environ.get("WHERRY_HOME")
    home = Path(told) if told else Path.home() / ".wherry"
    try:
        os.kill(int(json.loads((home / "wherry.json").read_text())["pid"]), 0)
        return kubeconfig.load([home / "kubeconfig"])
    except PermissionError:
        return kubeconfig.load([home / "kubeconfig"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
