"""The load: a process of its own that sends what it is told to and tells how long it took.

The job comes as JSON on standard input, the answer goes as JSON to standard output. Between the two
it says ``ready`` once all connections stand and waits for a line, so that the CPU time of the
server can be read before and after without handshakes in it.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from harness import control_plane, exchange

_P = TypeVar("_P", bound=asyncio.Protocol)


async def _throughput(job: dict[str, Any]) -> dict[str, object]:
    # One iterator for all: a connection that is done takes the next request from it.
    requests = iter([base64.b64decode(one) for one in job["requests"]])
    workers = [await _connect(job, exchange.Worker(requests)) for _ in range(job["connections"])]
    await _go()
    started, cpu = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.begin()
    await asyncio.gather(*(worker.finished for worker in workers))
    elapsed = time.perf_counter() - started
    failures = [worker.failed for worker in workers if worker.failed]
    return {
        "elapsed": elapsed,
        "client_cpu": time.process_time() - cpu,
        "seconds": [one for worker in workers for one in worker.seconds],
        "failure": failures[0].decode("utf-8", "replace") if failures else "",
    }


async def _watch(job: dict[str, Any]) -> dict[str, object]:
    """Create one object at a time; the next when every watcher has seen the one before."""
    missing = [0]
    all_arrived = asyncio.Event()

    def arrived() -> None:
        missing[0] -= 1
        if missing[0] == 0:
            all_arrived.set()

    watchers = []
    for _ in range(job["watchers"]):
        watcher = exchange.Watcher(arrived)
        await _connect(job, watcher, base64.b64decode(job["watch"]))
        watchers.append(watcher)
    await asyncio.gather(*(watcher.opened for watcher in watchers))
    writer = await _connect(job, exchange.Worker(iter(())))
    await _go()
    delays: list[float] = []
    for index, text in enumerate(job["requests"]):
        missing[0] = len(watchers)
        all_arrived.clear()
        request = base64.b64decode(text)
        sent = time.perf_counter()
        await writer.one(request)
        if watchers:
            async with asyncio.timeout(10):
                await all_arrived.wait()
        delays += [watcher.arrivals[index] - sent for watcher in watchers]
        await asyncio.sleep(0.005)
    return {"delays": delays, "failure": writer.failed.decode("utf-8", "replace")}


async def _connect(job: dict[str, Any], protocol: _P, first: bytes = b"") -> _P:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(
        lambda: protocol,
        exchange.HOST,
        job["port"],
        ssl=control_plane.admin_context(Path(job["pki"])),
        server_hostname="localhost",
    )
    if first:
        transport.write(first)
    return protocol


async def _go() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    job = json.loads(sys.stdin.readline())
    work = _watch(job) if "watch" in job else _throughput(job)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(work)), flush=True)


if __name__ == "__main__":
    main()
