"""kr8s with `await`: watches, exec, several forwarded requests at a time."""

import asyncio
import io
import json
import os
import sys

import httpx
import kr8s.asyncio
from kr8s.asyncio.objects import Pod

NAMESPACE = os.environ["NAMESPACE"]
SERVER = "import http.server; http.server.test(http.server.SimpleHTTPRequestHandler, \
http.server.ThreadingHTTPServer, port=8080, bind='127.0.0.1')"


async def main() -> dict[str, object]:
    seen: dict[str, object] = {}
    container = {"name": "main", "image": "python:3", "command": ["python", "-c", SERVER]}
    container["readinessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    metadata = {"name": "web", "namespace": NAMESPACE, "labels": {"app": "web"}}
    web = await Pod({"metadata": metadata, "spec": spec})
    api = await kr8s.asyncio.api()
    events = []
    await web.create()
    async for event, found in api.watch("pods", namespace=NAMESPACE, label_selector="app=web"):
        events.append(event)
        if await found.ready():
            break
    seen["first event"] = events[0]
    out = io.BytesIO()
    done = await web.exec(["seq", "20000"], stdout=out)
    seen["exec"] = [len(out.getvalue()), done.returncode]
    async with (
        web.portforward(remote_port=8080, local_port="auto") as port,
        httpx.AsyncClient() as client,
    ):
        url = f"http://127.0.0.1:{port}/"
        answers = await asyncio.gather(*(client.get(url) for _ in range(10)))
    seen["answers"] = [answer.status_code for answer in answers]
    await web.delete()
    await web.wait("delete", timeout=80)
    seen["left"] = [one.name async for one in api.get("pods", namespace=NAMESPACE)]
    return seen


sys.stdout.write(json.dumps(asyncio.run(main())))
