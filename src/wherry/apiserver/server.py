"""The API server assembled: store, verbs, access and HTTP."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from wherry.apiserver import allocators, computing, forms, table, tables
from wherry.apiserver import strategies as builtin_strategies
from wherry.apiserver.audit.auditor import Auditor
from wherry.apiserver.core import Core
from wherry.apiserver.crds.custom_resources import CustomResources
from wherry.apiserver.crds.hooks import Hooks
from wherry.apiserver.crds.serving import Known
from wherry.apiserver.crds.strategy import DefinitionStrategy
from wherry.apiserver.fairness import metrics as flow_metrics
from wherry.apiserver.fairness.gate import Gate
from wherry.apiserver.http.handler import Handler, Parts
from wherry.apiserver.http.limits import Connections, Limits
from wherry.apiserver.http.metrics import Metrics
from wherry.apiserver.http.site import Check, Site
from wherry.apiserver.identity import Authenticator, Authorizer, User
from wherry.apiserver.inprocess import InProcessTransport
from wherry.apiserver.pod_streams import PodConnections, PodStreams
from wherry.apiserver.registry import Registry
from wherry.apiserver.resources import ResourceMap
from wherry.apiserver.strategies import pod_hooks, pods
from wherry.apiserver.strategy import Strategy
from wherry.apiserver.virtual import Virtuals
from wherry.objects import kinds
from wherry.objects.declared.pods import PodHook
from wherry.objects.requests import Object
from wherry.store import Store

_GRACE_SECONDS = 5.0
"""How long requests under way may take when the server stops."""


@dataclass(frozen=True, slots=True)
class Extensions:
    """What can be added to a server.

    Attributes:
        strategies: By resource key; for custom resources whose kinds are known here.
        hooks: By resource key, e.g. ``experiments.kubeflow.org``: defaults, rules and conversions of
            custom kinds as pure functions. A kind with a strategy has none.
        pod_hooks: What products change in new pods.
        virtuals: Handlers of access reviews, token requests and their like.
        computed: What can be read and is not stored.
        checks: Health checks by name.
        documents: JSON documents by path.
        pod_streams: Reads logs.
        pod_connections: Carries out exec, attach, port-forward and proxy.
        printer: Columns of Tables.
        limits: Bounds on connections.
        auditor: Keeps the audit log; None where there is none.
    """

    strategies: Mapping[str, Strategy] = field(default_factory=dict)
    hooks: Mapping[str, Hooks] = field(default_factory=dict)
    pod_hooks: Sequence[PodHook] = ()
    virtuals: Virtuals = field(default_factory=dict)
    computed: Sequence[computing.Computed] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    documents: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    pod_streams: PodStreams | None = None
    pod_connections: PodConnections | None = None
    printer: table.Printer = tables
    limits: Limits = field(default_factory=Limits)
    auditor: Auditor | None = None


_TLS_END_SECONDS = 2.0
"""How long a closed connection waits for the client to agree; a gone client never does."""


class ApiServer:
    """An API server over a store that is open and started.

    The registry works from construction on, so that an in-process transport can be used before and
    without listening.

    Attributes:
        registry: The verbs.
        resources: What is served.
        port: Where it listens; 0 while it does not.
        gate: Whose request goes first.
        metrics: What `/metrics` tells.
        connections: Those of the clients, and their bounds.
    """

    def __init__(
        self,
        store: Store,
        *,
        authenticator: Authenticator,
        authorizer: Authorizer,
        ssl_context: ssl.SSLContext | None = None,
        extensions: Extensions | None = None,
        service_range: str = allocators.DEFAULT_SERVICE_RANGE,
    ) -> None:
        extensions = extensions or Extensions()
        self.port = 0
        self._stopping = False
        self._store = store
        self._authorizer = authorizer
        self._pod_streams = extensions.pod_streams
        self._ssl_context = ssl_context
        definitions = DefinitionStrategy()
        strategies = {
            **builtin_strategies.BUILTIN,
            kinds.PODS.key: pod_hooks.hooked(pods.RULES, extensions.pod_hooks),
            **extensions.strategies,
            kinds.CUSTOM_RESOURCE_DEFINITIONS.key: definitions,
        }
        self.resources = ResourceMap.of_builtin(strategies)
        for each in extensions.computed:
            self.resources.add(computing.served(each))
        cluster_ips = allocators.ClusterIPs(service_range)
        node_ports = allocators.NodePorts()
        allocators.occupy(store, cluster_ips, node_ports)
        self.core = Core(store, self.resources, cluster_ips, node_ports)
        self.registry = Registry(self.core, extensions.virtuals, extensions.computed)
        known = Known(extensions.strategies, extensions.hooks)
        self._custom_resources = CustomResources(self.core, known)
        self._custom_resources.load()
        self.gate = Gate(self._flow_control)
        for resource in (kinds.FLOW_SCHEMAS, kinds.PRIORITY_LEVEL_CONFIGURATIONS):
            self.core.written[resource.key] = lambda _before, _after: self.gate.changed()
        self.connections = Connections(extensions.limits)
        self.metrics = metrics = self._measured(extensions)
        checks = {"shutdown": self._stopping_because, **extensions.checks}
        self._site = Site(self.resources, metrics, checks, extensions.documents)
        self._handler = Handler(
            Parts(
                registry=self.registry,
                renderer=forms.Renderer(extensions.printer, self.core.clock),
                authenticator=authenticator,
                authorizer=authorizer,
                site=self._site,
                metrics=metrics,
                gate=self.gate,
                connections=self.connections,
                auditor=extensions.auditor,
                pod_streams=extensions.pod_streams,
                pod_connections=extensions.pod_connections,
            )
        )
        self._server: web.Server | None = None
        self._listener: asyncio.Server | None = None

    def _measured(self, extensions: Extensions) -> Metrics:
        made = Metrics()
        if extensions.auditor is not None:
            made.sources.append(extensions.auditor.log.metrics)
        made.sources.append(lambda: flow_metrics.lines(self.gate))
        return made

    def transport(self, user: User) -> InProcessTransport:
        """Return a way in without HTTP, for a user."""
        return InProcessTransport(self.registry, user, self._authorizer, self._pod_streams)

    def _stopping_because(self) -> str:
        return "the server is stopping" if self._stopping else ""

    def _flow_control(self) -> tuple[list[Object], list[Object]]:
        """Return the flow schemas and priority levels as they are now."""
        lists = (kinds.FLOW_SCHEMAS, kinds.PRIORITY_LEVEL_CONFIGURATIONS)
        schemas, levels = (self.core.list(resource) for resource in lists)
        return schemas, levels

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen.

        Args:
            host: Address to listen on.
            port: Port; 0 for any free one, which `port` then tells.

        Raises:
            OSError: The port is in use, or the address not this machine's.
        """
        self._stopping = False
        self._custom_resources.start()
        self._server = web.Server(self._handler)
        limits = self.connections.limits
        self._listener = await asyncio.get_running_loop().create_server(
            self.connections.factory(self._server),
            host,
            port,
            ssl=self._ssl_context,
            ssl_handshake_timeout=limits.handshake_seconds if self._ssl_context else None,
            ssl_shutdown_timeout=_TLS_END_SECONDS if self._ssl_context else None,
            backlog=1024,
        )
        self.port = self._listener.sockets[0].getsockname()[1]
        self._site.address = f"{host}:{self.port}"

    async def stop(self) -> None:
        """End watches, let requests finish, close connections. Idempotent; the store stays open."""
        self._stopping = True
        if self._listener is not None:
            self._listener.close()
        self.connections.close()
        self._handler.end_watches()
        if self._server is not None:
            # Idle keep-alive connections are closed at once; the grace is for requests under way.
            self._server.pre_shutdown()
            await self._server.shutdown(_GRACE_SECONDS)
        await self._custom_resources.stop()
        await self.core.admission.close()
        self._listener = self._server = None
        self.port = 0
