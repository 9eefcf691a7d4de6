"""One platform, from an empty folder to a Node that takes pods, and back.

The order matters: the store before the API, the API before what it is born with, that before the
controllers and the node. Stopping goes the other way round, and leaves containers running: the
launcher keeps them for the next start.
"""

import asyncio
import contextlib
import errno
import ipaddress
import json
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

import wherry
from wherry import components
from wherry.apiserver import pod_streams
from wherry.apiserver.audit.auditor import Auditor
from wherry.apiserver.audit.log import AuditLog
from wherry.apiserver.audit.policy import Policy, PolicyError
from wherry.apiserver.connections.pod_connections import PodConnections
from wherry.apiserver.server import ApiServer, Extensions
from wherry.builtin import component
from wherry.builtin.gangs import component as gangs
from wherry.builtin.garbage_collector import GarbageCollector
from wherry.builtin.service_proxy import ServiceProxy
from wherry.builtin.settings import BuiltinSettings
from wherry.client import kubeconfig
from wherry.client.client import Client
from wherry.client.connections import Connection
from wherry.controller.component import Component
from wherry.controller.manager import Manager
from wherry.controller.surroundings import Surroundings
from wherry.embedded import products
from wherry.embedded.bootstrapping import bootstrap_cluster
from wherry.embedded.identity import CONTROL_PLANE, Identity, utc_now
from wherry.embedded.settings import DEFAULT_PORT, Settings
from wherry.embedded.usage import LateUsage
from wherry.kubelet.agent import Agent
from wherry.kubelet.settings import ImageSettings, KubeletSettings, WarmSettings
from wherry.kubelet.usage.metrics import NodeUsage, PodUsage
from wherry.objects import conditions, errors, kinds
from wherry.store import Store

_LOG = logging.getLogger("wherry.embedded")
_READY_SECONDS = 60.0


class StartError(Exception):
    """The platform cannot start; the message says why and what would help."""


class _Logs:
    """Passes log requests on to the node, once there is one."""

    def __init__(self) -> None:
        self.node: Agent | None = None

    async def logs(
        self, namespace: str, pod: str, container: str, options: pod_streams.LogOptions
    ) -> AsyncIterator[bytes]:
        if self.node is None:
            raise errors.ServiceUnavailableError("the node is starting; try again in a moment")
        async for chunk in self.node.logs.logs(namespace, pod, container, options):
            yield chunk


class Platform:
    """An API, its controllers and a node in this process.

    Attributes:
        settings: As it was set up.
        client: A client with all rights, in process.
        server: The API server.
        failed: Set when a part that should run for ever has ended with an error.
    """

    def __init__(self, settings: Settings) -> None:
        """Take the settings; nothing happens before `start`.

        Raises:
            StartError: they name a product that there is not.
        """
        self.settings = settings
        self._components = (gangs.COMPONENT, *_chosen(settings))
        self._logs = _Logs()
        self._usage = (LateUsage(NodeUsage), LateUsage(PodUsage))
        self._proxy = ServiceProxy()
        self._stack = contextlib.AsyncExitStack()
        self.failed = asyncio.Event()
        self._doing = "starting"
        self._manager: Manager | None = None
        self._identity: Identity
        self.server: ApiServer
        self.client: Client

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"https://{self._reachable_host()}:{self.server.port}"

    @property
    def connection(self) -> Connection:
        """The administrator's way in over HTTPS."""
        pki = self._identity.pki
        return Connection(
            server=self.url,
            certificate_authority=pki.authority.certificate,
            client_certificate=pki.admin.certificate,
            client_key=pki.admin.key,
            source=str(self.settings.kubeconfig),
        )

    async def __aenter__(self) -> "Platform":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start everything; return when the node takes pods.

        Raises:
            StartError: the port is taken, or the node did not come up.
            StoreOpenError: the state is in use by another process, damaged or unreadable.
            CertificateError: a key or certificate is damaged.
        """
        started = time.monotonic()
        try:
            await self._start_api()
            manager = await self._start_controllers()
            await self._wait_until_ready(manager)
            self._announce()
        except OSError as error:
            await self._stack.aclose()
            raise StartError(f"{self._doing}: {error}") from error
        except BaseException:
            await self._stack.aclose()
            raise
        _LOG.info("ready at %s after %.2f s", self.url, time.monotonic() - started)

    async def stop(self) -> None:
        """Stop everything but the containers. Idempotent."""
        await self._stack.aclose()

    async def _start_api(self) -> None:
        settings = self.settings
        self._doing = f"opening {settings.directory}"
        settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = Store.open(settings.directory / "store", settings=settings.store)
        await self._stack.enter_async_context(store)
        addresses = (self._reachable_host(), self._service_address())
        self._identity = Identity.load(settings.directory, store, addresses)
        self._connections = PodConnections(store, self._identity.authorizer)
        self.server = ApiServer(
            store,
            authenticator=self._identity.authenticator,
            authorizer=self._identity.authorizer,
            ssl_context=self._identity.pki.ssl_context(),
            extensions=Extensions(
                strategies=self._identity.strategies,
                hooks=products.hooks(self._components),
                pod_hooks=products.pod_hooks(self._components),
                virtuals=self._identity.virtuals,
                computed=self._usage,
                checks={"informer-sync": self._unsynced},
                auditor=self._auditor(),
                documents=self._identity.documents(lambda: self.url),
                pod_streams=self._logs,
                pod_connections=self._connections,
            ),
            service_range=settings.service_range,
        )
        self._stack.push_async_callback(self.server.stop)
        self._doing = "starting the API server"
        await self._listen()
        self.client = Client(self.server.transport(CONTROL_PLANE), field_manager="wherry")
        await bootstrap_cluster(
            self.client,
            address=self._service_address(),
            host=self._reachable_host(),
            port=self.server.port,
            extra=component.bootstrap_objects(),
        )

    async def _listen(self) -> None:
        wanted = self.settings.port
        remembered = _remembered_port(self.settings.state_file.with_suffix(".port"))
        # A kubeconfig that was given out stays right as long as the port is to be had.
        choices = [wanted] if wanted is not None else [remembered or DEFAULT_PORT, 0]
        for port in choices:
            try:
                await self.server.start(self.settings.host, port)
            except OSError as error:
                if port is choices[-1]:
                    raise StartError(_listen_failure(self.settings.host, port, error)) from error
                continue
            break
        self.settings.state_file.with_suffix(".port").write_text(str(self.server.port))

    async def _start_controllers(self) -> Manager:
        settings = self.settings
        around = Surroundings(home=settings.products, options=settings.options, local=True)
        self._connections.fronted = around.fronted
        manager = Manager(self.client, surroundings=around)
        settings.volumes.mkdir(mode=0o700, exist_ok=True)
        builtin = BuiltinSettings(
            volumes_directory=settings.volumes,
            certificate_authority=self._identity.pki.authority.certificate.decode(),
            cpu_overcommit=settings.cpu_overcommit,
        )
        self._stack.push_async_callback(self._proxy.close)
        for controller in component.controllers(manager, builtin, self._proxy):
            manager.add(controller)
        legacy = settings.legacy_service_account_tokens
        for controller in self._identity.controllers(manager, legacy_tokens=legacy):
            manager.add(controller)
        await products.add(self._components, manager)
        node = KubeletSettings(
            data=settings.directory,
            node_name=settings.node_name,
            pod_cidr=settings.pod_cidr,
            api_host=self._reachable_host(),
            api_port=self.server.port,
            isolate=settings.isolate,
            warm=WarmSettings(enabled=settings.warm_start),
            max_pods=settings.max_pods,
            cpu_overcommit=settings.cpu_overcommit,
            gpus=settings.gpus,
            pod_pids_limit=settings.pod_pids_limit,
            memory_rlimit=settings.memory_rlimit,
            images=ImageSettings(
                runtime=settings.image_runtime,
                engine=settings.image_engine,
                insecure_registries=settings.insecure_registries,
            ),
        )
        self._doing = f"starting the node, whose launcher runs {sys.executable}"
        agent = await Agent.start(manager, node)
        self._logs.node, self._connections.node = agent, agent.streams
        self._connections.pages = agent.pages
        self._usage[0].source, self._usage[1].source = agent.node_usage, agent.pod_usage
        self._stack.push_async_callback(agent.close)
        self._stack.push_async_callback(self._connections.close)
        self._run(GarbageCollector(manager).run(), "garbage collector")
        self._run(manager.run(), "manager")
        self._manager = manager
        self.server.metrics.sources.append(manager.metrics)
        self._stack.push_async_callback(manager.stop)
        return manager

    def _auditor(self) -> Auditor | None:
        path, policy = self.settings.audit_log, self.settings.audit_policy
        if path is None:
            return None
        self._doing = f"opening the audit log {path}"
        log = AuditLog(path)
        self._stack.callback(log.close)
        try:
            return Auditor(log, Policy.load(policy) if policy else None, utc_now)
        except PolicyError as error:
            raise StartError(str(error)) from error

    def _unsynced(self) -> str:
        ready = self._manager is not None and self._manager.ready.is_set()
        return "" if ready else "the controllers have not seen all objects yet"

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something for as long as the platform lives; its failure is logged, and ends it."""
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._stack.push_async_callback(_cancel, task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _LOG.critical("the %s has failed", task.get_name(), exc_info=task.exception())
            self.failed.set()

    async def _wait_until_ready(self, manager: Manager) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await manager.ready.wait()
                await self._node_ready()
        except TimeoutError as error:
            message = f"the node did not become ready within {_READY_SECONDS:g} s; see the log"
            raise StartError(message) from error

    async def _node_ready(self) -> None:
        watch = self.client.watch(kinds.NODES)
        try:
            async for event in watch:
                if event.type != "BOOKMARK" and conditions.is_true(event.object, "Ready"):
                    return
        finally:
            # Ends the watch now rather than when the iterator is collected.
            if isinstance(watch, AsyncGenerator):
                await watch.aclose()

    def _announce(self) -> None:
        """Leave behind how to reach the platform, for the command line and for people."""
        settings = self.settings
        entry = kubeconfig.entry("wherry", self.connection)
        kubeconfig.write(settings.kubeconfig, entry)
        state = {
            "pid": os.getpid(),
            "url": self.url,
            "version": wherry.__version__,
            "started": time.time(),
        }
        settings.state_file.write_text(json.dumps(state))
        self._stack.callback(settings.state_file.unlink, missing_ok=True)

    def _reachable_host(self) -> str:
        unspecified = self.settings.host in {"0.0.0.0", "::", ""}  # noqa: S104 - compared, not bound
        return "127.0.0.1" if unspecified else self.settings.host

    def _service_address(self) -> str:
        return str(ipaddress.ip_network(self.settings.service_range)[1])


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


def _remembered_port(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _listen_failure(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken by another program; choose one with --port"
    return f"cannot listen on {host}:{port}: {error.strerror}"


def _chosen(settings: Settings) -> Sequence[Component]:
    wanted = settings.components
    if wanted == ():
        return ()
    try:
        return components.named(wanted or ())
    except ValueError as error:
        raise StartError(str(error)) from error
