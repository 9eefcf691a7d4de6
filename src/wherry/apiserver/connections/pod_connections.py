"""The way into pods: which protocol a request speaks, whether it may, and who carries it out."""

import asyncio
import dataclasses
import urllib.parse
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from aiohttp import web

from wherry.apiserver import access, pod_streams
from wherry.apiserver.call import Call
from wherry.apiserver.connections import (
    byte_streams,
    command_sockets,
    command_spdy,
    fronting,
    options,
    port_channels,
    port_forward,
    proxying,
    spdy_requests,
    targets,
)
from wherry.apiserver.identity import Authorizer
from wherry.apiserver.pod_streams import NodePages, PodNode, Session
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.store import Store

_STOP_SECONDS = 3.0


class PodConnections:
    """Carries out exec, attach, port-forward and proxy."""

    def __init__(self, store: Store, authorizer: Authorizer) -> None:
        """Take what it works with.

        Args:
            store: For the endpoints of services.
            authorizer: For the second right that upgraded reads need.
        """
        self.node: PodNode | None = None
        """Set once there is one."""
        self.pages: NodePages | None = None
        """Set once there is a node."""
        self.fronted: Mapping[tuple[str, int], str] = {}
        """Places that are told who calls, and the secret by which they believe it; set once known."""
        self._store = store
        self._authorizer = authorizer
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[web.StreamResponse]] = set()
        self._stopping = asyncio.Event()

    async def connect(
        self, request: web.BaseRequest, call: Call, obj: Object
    ) -> web.StreamResponse:
        """Carry out a connection to its end; see `wherry.apiserver.pod_streams.PodConnections`."""
        if self._stopping.is_set():
            raise errors.ServiceUnavailableError("the server is stopping")
        task = asyncio.create_task(self._connect(request, call, obj))
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                task.cancel()
                raise
            return byte_streams.Done()
        finally:
            self._tasks.discard(task)

    async def close(self) -> None:
        """End all connections."""
        self._stopping.set()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            _, slow = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _connect(
        self, request: web.BaseRequest, call: Call, obj: Object
    ) -> web.StreamResponse:
        node, subresource = self.node, call.request.subresource
        if node is None:
            raise errors.ServiceUnavailableError("the node is starting; try again in a moment")
        if subresource == "proxy":
            return await self._proxy(request, call, obj)
        websocket = byte_streams.is_upgrade(request, "websocket")
        if not websocket and not byte_streams.is_upgrade(request, spdy_requests.PROTOCOL):
            raise errors.BadRequestError("Upgrade request required")
        if call.request.verb == "get":
            # A read by its method only; since Kubernetes 1.35 it takes the right to create, too.
            creation = dataclasses.replace(call.request, verb="create")
            access.check(self._authorizer, call.user, creation)
        if not obj["spec"].get("nodeName"):
            raise errors.BadRequestError(f"pod {metadata.name(obj)} does not have a host assigned")
        if subresource == "portforward":
            return await _forward(request, obj, node, websocket=websocket)
        wishes = options.command_options(request, call)
        begin = _beginning(call, obj, node, wishes)
        serve = command_sockets.serve if websocket else command_spdy.serve
        return await serve(request, wishes, begin)

    async def _page(self, request: web.BaseRequest, node: str) -> web.StreamResponse:
        """Answer with what a node tells of itself: it has no port of its own."""
        if self.pages is None:
            raise errors.ServiceUnavailableError("the node is starting; try again in a moment")
        if request.method not in {"GET", "HEAD"}:
            raise errors.MethodNotAllowedError(
                "a node is only read here: commands and ports are served by pods/exec, pods/attach "
                "and pods/portforward"
            )
        # /api/v1/nodes/NAME/proxy/…
        below = request.raw_path.partition("?")[0].split("/", 6)[6:]
        body, media_type = await self.pages.page(node, urllib.parse.unquote("".join(below)))
        return web.Response(body=body, headers={"Content-Type": media_type})

    async def _proxy(self, request: web.BaseRequest, call: Call, obj: Object) -> web.StreamResponse:
        asked = call.request
        named = targets.parse(asked.name or "")
        if asked.resource.plural == "nodes":
            return await self._page(request, named.name)
        if asked.resource.plural == "services":
            place = targets.service_place(self._store, obj, named.port)
        else:
            host = str((obj.get("status") or {}).get("podIP") or "")
            if not host:
                raise errors.ServiceUnavailableError(
                    f"address of pod {named.name} is not known yet"
                )
            place = targets.Place(host, targets.pod_port(obj, named.port))
        if self._session is None:
            self._session = proxying.new_session()
        parts = request.raw_path.partition("?")[0].split("/")
        prefix = "/".join(parts[: parts.index("proxy", 6) + 1])
        told = fronting.headers(call.user, self.fronted.get((place.host, place.port), ""))
        target = proxying.Target(named.scheme, place.host, place.port, prefix, told)
        return await proxying.serve(request, target, self._session)


def _beginning(
    call: Call, pod: Object, node: PodNode, wishes: options.CommandOptions
) -> Callable[[], Awaitable[Session]]:
    """Return what starts the session; what is wrong with the pod is known before."""
    container = pod_streams.container_of(pod, call.request.options.get("container", ""))
    node.check(pod, container)
    if call.request.subresource == "attach":
        return lambda: node.attach(pod, container, stdin=wishes.stdin)
    return lambda: node.execute(
        pod, container, wishes.command, stdin=wishes.stdin, terminal=wishes.tty
    )


async def _forward(
    request: web.BaseRequest, pod: Object, node: PodNode, *, websocket: bool
) -> web.StreamResponse:
    async def dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await node.open_port(pod, port)

    if not websocket:
        return await port_forward.serve(request, dial)
    if port_forward.TUNNEL in request.headers.get("Sec-WebSocket-Protocol", ""):
        return await port_forward.serve_tunnel(request, dial)
    return await port_channels.serve(request, options.ports(request), dial)
