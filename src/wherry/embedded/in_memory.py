"""The API in memory, without node and network: what controllers are tried against.

It is the real one: schemas, admission, watches and all. Only what is written is gone with it.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wherry.apiserver import bootstrap
from wherry.apiserver.identity import Attributes, Decision, User
from wherry.apiserver.pod_streams import PodStreams
from wherry.apiserver.reviews import AccessReview
from wherry.apiserver.server import ApiServer, Extensions
from wherry.client.client import Client
from wherry.controller.component import Component
from wherry.embedded import products
from wherry.embedded.identity import Identity
from wherry.objects import kinds
from wherry.store import Store

HOST = "127.0.0.1"

ADMIN = User("admin", groups=("system:masters", "system:authenticated"))


class _NobodyByHttp:
    async def authenticate(
        self, headers: Mapping[str, str], peer_certificate: dict[str, Any] | None
    ) -> User | None:
        del headers, peer_certificate
        return None


class _AllowAll:
    def authorize(self, attributes: Attributes) -> Decision:
        del attributes
        return Decision(allowed=True)


@contextlib.asynccontextmanager
async def api(
    components: Sequence[Component] = (),
    extensions: Extensions | None = None,
    logs: PodStreams | None = None,
) -> AsyncIterator[ApiServer]:
    """Run an API in memory while the block runs.

    Args:
        components: Products whose defaults and rules it applies; their kinds are not installed.
        extensions: What else is added to the server; in place of the products'.
        logs: Where the logs of pods are read.
    """
    may_all = _AllowAll()
    added = extensions or Extensions(
        virtuals={kinds.SUBJECT_ACCESS_REVIEWS.key: AccessReview(may_all)},
        hooks=products.hooks(components),
        pod_hooks=products.pod_hooks(components),
        pod_streams=logs,
    )
    async with Store.in_memory() as store:
        server = ApiServer(
            store, authenticator=_NobodyByHttp(), authorizer=may_all, extensions=added
        )
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def served(
    directory: Path, components: Sequence[Component] = ()
) -> AsyncIterator[tuple[ApiServer, Identity]]:
    """Run an API in memory that is reached over HTTPS, with users and their rights.

    Args:
        directory: Where keys and certificates are kept.
        components: Products whose defaults and rules it applies.
    """
    async with Store.in_memory() as store:
        identity = Identity.load(directory, store, (HOST,))
        server = ApiServer(
            store,
            authenticator=identity.authenticator,
            authorizer=identity.authorizer,
            ssl_context=identity.pki.ssl_context(),
            extensions=Extensions(
                strategies=identity.strategies,
                virtuals=identity.virtuals,
                hooks=products.hooks(components),
                pod_hooks=products.pod_hooks(components),
            ),
        )
        await server.start(HOST)
        try:
            client = Client(server.transport(ADMIN))
            for obj in (*bootstrap.roles(), *bootstrap.role_bindings()):
                resource = kinds.by_kind(obj["apiVersion"], obj["kind"])
                assert resource is not None
                await client.create(resource, obj)
            yield server, identity
        finally:
            await server.stop()
