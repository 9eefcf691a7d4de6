"""The peer: the same HTTP stack (aiohttp on uvloop, TLS with the same keys) and nothing above it.

It answers every request with bytes that it was given, and pushes given bytes to whoever watches
when something is posted. What our server costs beyond it is what our server does.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web


class _Bare:
    def __init__(self, answers: dict[str, Any]) -> None:
        self._status = answers["status"]
        self._body = answers["body"].encode()
        self._event = answers.get("event", "").encode()
        self._watchers: list[web.StreamResponse] = []
        self._pushing: set[asyncio.Task[None]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET":
            await request.read()
            # Each connection is served on its own, as the watchers of a real server are.
            for watcher in self._watchers:
                task = asyncio.create_task(watcher.write(self._event))
                self._pushing.add(task)
                task.add_done_callback(self._pushing.discard)
        elif "watch" in request.query:
            return await self._watch(request)
        headers = {"Content-Type": "application/json"}
        return web.Response(body=self._body, status=self._status, headers=headers)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"\n")
        self._watchers.append(response)
        try:
            await asyncio.Event().wait()
        finally:
            self._watchers.remove(response)
        return response


async def _serve(answers: dict[str, Any]) -> None:
    pki = Path(answers["pki"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "apiserver.crt", pki / "apiserver.key")
    context.load_verify_locations(cafile=str(pki / "ca.crt"))
    context.verify_mode = ssl.CERT_OPTIONAL
    # A watcher that has gone must not be served on.
    server = web.Server(_Bare(answers).handle, access_log=None, handler_cancellation=True)
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server, "127.0.0.1", 0, ssl=context)
    print(listener.sockets[0].getsockname()[1], flush=True)
    # The end of standard input is the end of whoever wanted the server.
    await asyncio.to_thread(sys.stdin.read)
    listener.close()
    await server.shutdown(0.1)


def main() -> None:
    answers = json.loads(sys.stdin.readline())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(answers))


if __name__ == "__main__":
    main()
