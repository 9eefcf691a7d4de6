"""Wherry in one file: a store, an API, one controller and one runtime.

Read it top to bottom; it has the shape of the real thing and none of its edges. Run it with
``python docs/mini.py``: an object is posted, a controller sees that it has too few pods and makes
them, the runtime turns pods into processes, and their exits come back as status.

here               in `src/wherry/`               what the real one adds
`Store`            `store/`                       SQLite, group commit, history, watch limits
`api`              `apiserver/`                   TLS, RBAC, schemas, every verb, every kind
`Client`           `client/`                      kubeconfig, watches that resume, all options
`Controller`       `controller/`                  shared caches, rate limits, leader election
`reconcile`        `builtin/`                     Deployments, Jobs, Services, volumes, ...
`Runtime`          `kubelet/`                     mounts, probes, logs, environments, restarts
"""

# ruff: noqa: T201 - it tells its story on the terminal

import asyncio
import contextlib
import copy
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import aiohttp
from aiohttp import web

Object = dict[str, Any]
Key = tuple[str, str]  # plural, name


# ── store: objects, each change with the next revision
class ConflictError(Exception):
    """The object has changed since the writer read it, or is there already."""


class Store:
    """Objects by key, and everyone who wants to hear of changes."""

    def __init__(self) -> None:
        self.revision = 0
        self._objects: dict[Key, Object] = {}
        self._watchers: list[tuple[str, asyncio.Queue[Object]]] = []

    def get(self, key: Key) -> Object | None:
        """Return a copy of one object."""
        return copy.deepcopy(self._objects.get(key))

    def list(self, plural: str) -> list[Object]:
        """Return copies of all objects of a resource."""
        return [copy.deepcopy(value) for key, value in self._objects.items() if key[0] == plural]

    def put(self, key: Key, value: Object) -> Object:
        """Create or replace; whoever replaces must have seen the latest revision."""
        present = self._objects.get(key)
        seen = value["metadata"].get("resourceVersion")
        if present is None and seen is not None:
            raise ConflictError(f"{key[1]} is gone")
        if present is not None and seen != present["metadata"]["resourceVersion"]:
            raise ConflictError(f"{key[1]} has changed: read it again")
        self.revision += 1
        value = copy.deepcopy(value)
        value["metadata"]["resourceVersion"] = str(self.revision)
        self._objects[key] = value
        for plural, queue in self._watchers:
            if plural == key[0]:
                queue.put_nowait({"type": "MODIFIED" if present else "ADDED", "object": value})
        return copy.deepcopy(value)

    @contextlib.contextmanager
    def watch(self, plural: str) -> Iterator[asyncio.Queue[Object]]:
        """Collect changes in a queue, beginning with what is there."""
        queue: asyncio.Queue[Object] = asyncio.Queue()
        for value in self.list(plural):
            queue.put_nowait({"type": "ADDED", "object": value})
        self._watchers.append((plural, queue))
        try:
            yield queue
        finally:
            self._watchers.remove((plural, queue))


# ── apiserver: HTTP before the store
def api(store: Store) -> web.Application:
    """Return the HTTP application: list, watch, create, get, replace."""

    async def list_or_watch(request: web.Request) -> web.StreamResponse:
        plural = request.match_info["plural"]
        if "watch" not in request.query:
            items = store.list(plural)
            return web.json_response({"items": items, "resourceVersion": str(store.revision)})
        response = web.StreamResponse()
        with store.watch(plural) as queue:
            await response.prepare(request)
            while True:
                event = await queue.get()
                await response.write(json.dumps(event).encode() + b"\n")

    async def create(request: web.Request) -> web.Response:
        value = await request.json()
        name = value.get("metadata", {}).get("name")
        if not name:
            return _status(422, "Invalid", "metadata.name: required")
        return _put(store, (request.match_info["plural"], name), value, 201)

    async def get(request: web.Request) -> web.Response:
        value = store.get(_key(request))
        return web.json_response(value) if value else _status(404, "NotFound", request.path)

    async def replace(request: web.Request) -> web.Response:
        return _put(store, _key(request), await request.json(), 200)

    app = web.Application()
    app.router.add_get("/api/v1/{plural}", list_or_watch)
    app.router.add_post("/api/v1/{plural}", create)
    app.router.add_get("/api/v1/{plural}/{name}", get)
    app.router.add_put("/api/v1/{plural}/{name}", replace)
    return app


def _key(request: web.Request) -> Key:
    return request.match_info["plural"], request.match_info["name"]


def _put(store: Store, key: Key, value: Object, code: int) -> web.Response:
    try:
        return web.json_response(store.put(key, value), status=code)
    except ConflictError as error:
        return _status(409, "Conflict", str(error))


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message}
    return web.json_response(body, status=code)


# ── client: the only way in
class Client:
    """The API's calls; controllers, runtime and users all come through here."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def call(self, method: str, path: str, body: Object | None = None) -> Object:
        """Make one call; a conflict is raised as such."""
        async with self._session.request(method, f"/api/v1/{path}", json=body) as response:
            answer: Object = await response.json()
            if response.status == 409:
                raise ConflictError(answer["message"])
            if response.status >= 400:
                raise LookupError(answer["message"])
            return answer

    async def watch(self, plural: str) -> AsyncIterator[Object]:
        """Yield changes, beginning with what is there."""
        async with self._session.get(f"/api/v1/{plural}?watch=1") as response:
            async for line in response.content:
                yield json.loads(line)


# ── controller: what is becomes what should be
class Controller:
    """Calls `reconcile` with a name whenever something about that name may have changed."""

    def __init__(self, client: Client, reconcile: Callable[[Client, str], Awaitable[None]]) -> None:
        self._client = client
        self._reconcile = reconcile
        # Names, not events: however much happened, one look at the present state is enough.
        self._due: dict[str, None] = {}
        self._wake = asyncio.Event()

    async def run(self, plural: str, children: str) -> None:
        """Watch a resource and its children, and work, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear(plural, lambda one: one["metadata"]["name"]))
            group.create_task(self._hear(children, lambda one: one["metadata"].get("owner")))
            group.create_task(self._work())

    async def _hear(self, plural: str, name_of: Callable[[Object], str | None]) -> None:
        async for event in self._client.watch(plural):
            if name := name_of(event["object"]):
                self._due[name] = None
                self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                name = next(iter(self._due))
                del self._due[name]
                try:
                    await self._reconcile(self._client, name)
                except ConflictError:
                    self._due[name] = None  # somebody was faster: look again


def missing(job: Object, pods: list[Object]) -> list[Object]:
    """Decide which pods a job still needs. Pure: no calls, so that it can be tested with a table."""
    name, spec = job["metadata"]["name"], job["spec"]
    there = {pod["metadata"]["name"] for pod in pods}
    wanted = (f"{name}-{index}" for index in range(spec["completions"]))
    return [
        {"metadata": {"name": one, "owner": name}, "spec": {"command": spec["command"]}}
        for one in wanted  # the name follows from the job: creating one twice is impossible
        if one not in there
    ]


async def reconcile(client: Client, name: str) -> None:
    """Read, decide, write; one status write at the end, and only when it says something new."""
    try:
        job = await client.call("GET", f"jobs/{name}")
    except LookupError:
        return
    items = (await client.call("GET", "pods"))["items"]
    pods = [pod for pod in items if pod["metadata"].get("owner") == name]
    for pod in missing(job, pods):
        await client.call("POST", "pods", pod)
    done = [pod for pod in pods if pod.get("status", {}).get("phase") == "Succeeded"]
    status = {"succeeded": len(done), "complete": len(done) == job["spec"]["completions"]}
    if job.get("status") != status:
        await client.call("PUT", f"jobs/{name}", {**job, "status": status})


# ── kubelet: pods become processes
class Runtime:
    """Starts a process for every pod that has none, and writes down how it ended."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(self) -> None:
        """Watch pods until cancelled."""
        seen: set[str] = set()
        async with asyncio.TaskGroup() as group:
            async for event in self._client.watch("pods"):
                pod = event["object"]
                if event["type"] == "ADDED" and pod["metadata"]["name"] not in seen:
                    seen.add(pod["metadata"]["name"])
                    group.create_task(self._run(pod))

    async def _run(self, pod: Object) -> None:
        process = await asyncio.create_subprocess_exec(
            *pod["spec"]["command"], stdout=asyncio.subprocess.PIPE
        )
        pod = await self._write(pod, {"phase": "Running", "pid": process.pid})
        output, _ = await process.communicate()
        phase = "Failed" if process.returncode else "Succeeded"
        await self._write(pod, {"phase": phase, "log": output.decode().strip()})

    async def _write(self, pod: Object, status: Object) -> Object:
        return await self._client.call(
            "PUT", f"pods/{pod['metadata']['name']}", {**pod, "status": status}
        )


# ── embedded: all of it in one process
@contextlib.asynccontextmanager
async def platform() -> AsyncIterator[Client]:
    """Run everything; yields a client."""
    runner = web.AppRunner(api(Store()), shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        client = Client(session)
        tasks = [
            asyncio.create_task(Controller(client, reconcile).run("jobs", "pods")),
            asyncio.create_task(Runtime(client).run()),
        ]
        try:
            yield client
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    await runner.cleanup()


async def main() -> None:
    """Run a job of three pods and tell what happens."""
    command = [sys.executable, "-S", "-c", "import os; print('hello from process', os.getpid())"]
    job = {"metadata": {"name": "hello"}, "spec": {"completions": 3, "command": command}}
    async with platform() as client:
        await client.call("POST", "jobs", job)
        async for event in client.watch("jobs"):
            status = event["object"].get("status", {})
            print(f"{event['type']:8} job hello: {status or 'no status yet'}")
            if status.get("complete"):
                break
        for pod in (await client.call("GET", "pods"))["items"]:
            print(f"   pod {pod['metadata']['name']}: {pod['status']['log']}")


if __name__ == "__main__":
    asyncio.run(main())
