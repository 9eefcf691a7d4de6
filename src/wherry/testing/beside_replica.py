"""One replica of `wherry controllers` whose clock is a test's; see `beside`.

Run as a module: identity, kubeconfig, products and the time as arguments. Each line of the input,
``[seconds, turns]``, puts the clock forward; a line of the output tells that it was done.
"""

import asyncio
import datetime
import json
import sys
from pathlib import Path
from typing import Final

from wherry import components
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.transports.http import HttpTransport
from wherry.cluster import running
from wherry.testing.clock import FakeClock

NAMESPACE: Final = "wherry-system"
"""Where its lease and its certificate are."""


async def _serve(identity: str, access: str, names: str, now: str) -> None:
    """Run one replica until its input ends; put the clock forward by what comes there."""
    clock = FakeClock(datetime.datetime.fromisoformat(now))
    client = Client(HttpTransport(kubeconfig.connection(Path(access))))
    settings = running.Settings(
        namespace=NAMESPACE,
        identity=identity,
        webhooks=running.WebhookSettings(port=0),
        lease=(3.0, 2.5, 0.3),
        clock=clock,
    )
    chosen = components.named(names.split(","))
    work = asyncio.ensure_future(running.run(client, chosen, settings))
    follow = asyncio.ensure_future(_follow(clock))
    try:
        await asyncio.wait({work, follow}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in (work, follow):
            each.cancel()
        await asyncio.gather(work, follow, return_exceptions=True)
        await client.close()
    if not work.cancelled():
        work.result()


async def _follow(clock: FakeClock) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        seconds, turns = json.loads(line)
        await clock.advance(seconds, turns=turns)
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:]))
