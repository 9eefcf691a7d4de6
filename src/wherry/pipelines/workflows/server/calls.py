"""A call as handlers see it: who calls, what they sent, and what is at hand to answer it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from wherry.client.client import Client
from wherry.metadata.store import Metadata
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api.access import Access, User
from wherry.pipelines.api.streaming import Streaming
from wherry.pipelines.contents.opening import Contents
from wherry.pipelines.history.logs import Logs
from wherry.pipelines.workflows.archive.store import Archive

GROUP: Final = "argoproj.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What handlers work with.

    Attributes:
        client: With the rights of the service, not the caller's: see `Call.check`.
        access: Who may do what.
        archive: Workflows that have ended.
        tasks: Which pods workflows had.
        logs: What these have said.
        contents: What is in artifacts.
        streaming: Sends it.
    """

    client: Client
    access: Access
    archive: Archive
    tasks: Metadata
    logs: Logs
    contents: Contents
    streaming: Streaming


@dataclass(slots=True, kw_only=True)
class Call:
    """One call.

    Attributes:
        user: Who calls.
        services: What to answer it with.
        request: As it came.
        named: What the path says, by the names in it.
        body: What was sent; empty: nothing.
        checked: Whether the caller's right to it was looked at; without that nothing is answered.
    """

    user: User
    services: Services
    request: web.Request
    named: Mapping[str, str]
    body: Object
    checked: bool = field(default=False, init=False)

    @property
    def namespace(self) -> str:
        """The namespace that the path names; empty: all."""
        return self.named.get("namespace", "")

    @property
    def name(self) -> str:
        """The name that the path names."""
        return self.named.get("name", "")

    def option(self, name: str, default: str = "") -> str:
        """Return what the query says."""
        return self.request.query.get(name, default)

    def switched(self, name: str) -> bool:
        """Return whether the query switches something on."""
        return self.option(name).lower() in {"true", "1"}

    def number(self, name: str) -> int:
        """Return a whole number of the query, 0 where there is none.

        Raises:
            BadRequestError: it is none.
        """
        text = self.option(name) or "0"
        if not text.isdecimal() or len(text) > 12:
            raise errors.BadRequestError(f"{name}: {text[:50]!r}: want a whole number from 0")
        return int(text)

    def sent(self, name: str, kind: type = dict) -> Any:
        """Return a field of the body, or what there is nothing of.

        Raises:
            BadRequestError: it is of another type.
        """
        value = self.body.get(name)
        if value is None:
            return kind()
        if not isinstance(value, kind):
            raise errors.BadRequestError(
                f"{name}: {str(value)[:50]!r}: want {_WORDS.get(kind, kind.__name__)}"
            )
        return value

    async def check(
        self,
        verb: str,
        resource: str = "workflows",
        *,
        namespace: str | None = None,
        group: str = GROUP,
    ) -> None:
        """Have the call go on only where its caller may do this.

        Args:
            verb: Of the right, such as ``list``.
            resource: Likewise, such as ``workflows`` or ``pods/log``.
            namespace: Where; by default the path's; empty: everywhere.
            group: Of the resource.

        Raises:
            UnauthorizedError: nobody has said who calls, and not everybody may.
            ForbiddenError: the caller may not.
        """
        self.checked = True
        where = self.namespace if namespace is None else namespace
        access = self.services.access
        if await access.allowed(
            self.user, namespace=where, resource=resource, verb=verb, group=group
        ):
            return
        told = f"{verb} {resource}{'.' if group else ''}{group}"
        told += f" in namespace {where!r}" if where else " in all namespaces"
        if self.user.is_anonymous:
            raise errors.UnauthorizedError(f"nobody has said who calls; send a token to {told}")
        raise errors.ForbiddenError(f"user {self.user.name!r} may not {told}")

    def open_to_all(self) -> None:
        """Note that whoever calls is let."""
        self.checked = True


_WORDS: Final = {dict: "a map", list: "a list", str: "a text", bool: "true or false"}

Answer = Object | web.StreamResponse
Handler = Callable[[Call], Awaitable[Answer]]
"""Answers a call: with JSON, or with a response that it has begun itself. It calls `Call.check` first."""
