"""The API in memory, without node and network: what controllers are tried against.

It is the real one: schemas, admission, watches and all. Only what is written is gone with it.
"""

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from wherry.apiserver.identity import Attributes, Decision, User
from wherry.apiserver.server import ApiServer, Extensions
from wherry.controller.component import Component
from wherry.embedded import products
from wherry.store import Store

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
    components: Iterable[Component] = (), extensions: Extensions | None = None
) -> AsyncIterator[ApiServer]:
    """Run an API in memory while the block runs.

    Args:
        components: Products whose defaults and rules it applies; their kinds are not installed.
        extensions: What else is added to the server; in place of the products'.
    """
    added = extensions or Extensions(hooks=products.hooks(components))
    async with Store.in_memory() as store:
        server = ApiServer(
            store, authenticator=_NobodyByHttp(), authorizer=_AllowAll(), extensions=added
        )
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
