"""A call as handlers see it: who calls, and what is at hand to answer it."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from wherry.client.client import Client
from wherry.metadata.store import Metadata
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api.access import Access, User
from wherry.pipelines.api.methods import Method
from wherry.pipelines.contents.content import Content
from wherry.pipelines.contents.opening import Contents
from wherry.pipelines.contents.signing import Signer
from wherry.pipelines.definitions.downloads import Downloads
from wherry.pipelines.definitions.store import Definitions
from wherry.pipelines.history.listening import Listener
from wherry.pipelines.history.operations import Operations
from wherry.pipelines.history.store import History
from wherry.pipelines.schedules.store import Schedules

NAMESPACE_OPTION: Final = "pipelines-default-namespace"
"""Option: whose experiments, runs and schedules are meant where a caller names no namespace."""
SHARED: Final = "kubeflow"
"""Namespace of the pipelines that everyone may use, whose namespace is empty in the API."""
_GET: Final = "get"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers work with.

    Attributes:
        client: With the rights of the service, not the caller's: see `Call.check`.
        metadata: Executions and artifacts.
        history: Experiments and runs.
        operations: Ends runs, takes them up again, deletes them.
        listener: Reads what steps say.
        contents: Opens what is in artifacts.
        signer: Signs URLs of them.
        access: Who may do what.
        definitions: Pipelines that are kept by name, and their versions.
        downloads: Pipelines that are elsewhere.
        schedules: Recurring runs.
        namespace: Whose things are meant where a caller names none.
    """

    client: Client
    metadata: Metadata
    history: History
    operations: Operations
    listener: Listener
    contents: Contents
    signer: Signer
    access: Access
    definitions: Definitions
    downloads: Downloads
    schedules: Schedules
    namespace: str


@dataclass(slots=True, kw_only=True)
class Call:
    """One call of a method.

    Attributes:
        method: Which.
        user: Who calls.
        services: What to answer it with.
        checked: Whether the caller's right to it was looked at; without that nothing is answered.
        is_open: Whether it takes none.
    """

    method: Method
    user: User
    services: Services
    checked: bool = field(default=False, init=False)
    is_open: bool = field(default=False, init=False)

    def namespace(self, request: Object) -> str:
        """Return the namespace that a request names, or the one that is meant where it names none."""
        return str(request.get("namespace") or self.services.namespace)

    async def check(self, namespace: str, *, resource: str = "", verb: str = "") -> None:
        """Have the call go on only where its caller may do this in a namespace that they named.

        Args:
            namespace: As they named it.
            resource: Of the right; by default the method's.
            verb: Likewise.

        Raises:
            UnauthorizedError: nobody has said who calls, and not everybody may.
            ForbiddenError: the caller may not.
        """
        self.checked = True
        if await self.allowed(namespace, resource=resource, verb=verb):
            return
        resource, verb = resource or self.method.resource, verb or self.method.verb
        told = f"{verb} {resource}.pipelines.kubeflow.org in namespace {namespace!r}"
        if self.user.is_anonymous:
            raise errors.UnauthorizedError(f"nobody has said who calls; send a token to {told}")
        raise errors.ForbiddenError(f"user {self.user.name!r} may not {told}")

    async def check_found(self, namespace: str, missing: errors.ApiError) -> None:
        """Have the call go on only where its caller may do this to a thing that was found by its id.

        Args:
            namespace: Where it was found, which the caller may not know.
            missing: What is raised where it is not found: who may not read it is told the same.

        Raises:
            ApiError: ``missing``, or as `check` does for who may read it.
        """
        self.checked = True
        if not await self.allowed(namespace):
            if self.method.verb == _GET or not await self.allowed(namespace, verb=_GET):
                raise missing
            await self.check(namespace)

    def open_to_all(self) -> None:
        """Note that whoever calls is let."""
        self.checked = self.is_open = True

    async def allowed(self, namespace: str, *, resource: str = "", verb: str = "") -> bool:
        """Return whether the caller may do something; by default what the method does."""
        return await self.services.access.allowed(
            self.user,
            namespace=namespace,
            resource=resource or self.method.resource,
            verb=verb or self.method.verb,
        )

    async def allowed_in(self, namespaces: Collection[str]) -> frozenset[str]:
        """Return in which of some namespaces the caller may do what the method does."""
        return await self.services.access.allowed_in(
            self.user, namespaces, resource=self.method.resource, verb=self.method.verb
        )


StreamHandler = Callable[[Call, Object], Awaitable[Content]]
"""Answers a method that answers with bytes; else as `Handler`. What it opens is closed by who sends it."""
Handler = Callable[[Call, Object], Awaitable[Object]]
"""Answers a method.

Both are JSON as protocol buffers have it, by the names of `messages`: what is not set is left out of a
request and may be left out of an answer (an empty text, 0, false, an empty list say the same). Times
are texts such as ``2026-01-31T12:00:00Z``, enumerations names; whole numbers are `int`, also those of
64 bits. What is in the path or the query of a REST call is in the request like the rest. Errors are
those of `wherry.objects.errors`. A handler calls `check` or `check_found` (or `open_to_all`) first.
"""
