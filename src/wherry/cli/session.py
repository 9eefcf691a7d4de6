"""A connection to the cluster that a command is aimed at."""

import asyncio
import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wherry.cli.home import Home
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.client.resources import Resources
from wherry.client.transports.http import HttpTransport

FIELD_MANAGER = "wherry"


@dataclass(frozen=True, slots=True)
class Session:
    """One command's way to a cluster.

    Attributes:
        client: For objects.
        transport: For Tables, logs and other documents.
        resources: What is served.
        namespace: Where, unless an object says otherwise.
        chosen: Whether ``-n`` has named that namespace.
    """

    client: Client
    transport: HttpTransport
    resources: Resources
    namespace: str
    chosen: bool

    async def read(self, path: str, *, accept: str = "application/json") -> Any:
        """Return the JSON at a path."""
        return await self.transport.read(path, accept=accept)


def connection(options: Namespace) -> Connection:
    """Return which cluster is meant: ``--kubeconfig``, else the running Wherry, else kubectl's.

    Raises:
        ConfigurationError: there is none, or it is not usable.
    """
    if options.kubeconfig is not None:
        return kubeconfig.load([options.kubeconfig], options.context)
    home = Home.of(options.directory)
    running = home.running() is not None and home.kubeconfig.is_file()
    if running and not options.context:
        return kubeconfig.load([home.kubeconfig])
    if running:
        return kubeconfig.load([home.kubeconfig, *_own_files()], options.context)
    found = kubeconfig.connection(context=options.context)
    # Whoever means the laptop must not change a cluster unawares.
    print(f"wherry: no Wherry runs in {home.directory}; using {found.source}", file=sys.stderr)
    return found


def _own_files() -> list[Path]:
    listed = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return listed or [kubeconfig.DEFAULT]


@contextlib.asynccontextmanager
async def opened(options: Namespace) -> AsyncIterator[Session]:
    """Give the session of a command, and close it."""
    found = connection(options)
    transport = HttpTransport(found)
    client = Client(transport, field_manager=FIELD_MANAGER)
    namespace = options.namespace or found.namespace
    try:
        yield Session(client, transport, Resources(transport), namespace, bool(options.namespace))
    finally:
        await client.close()


def run(options: Namespace, work: Callable[[Session, Namespace], Awaitable[int]]) -> int:
    """Run a command's coroutine within a session; return its exit code."""

    async def within() -> int:
        async with opened(options) as session:
            return await work(session, options)

    return asyncio.run(within())
