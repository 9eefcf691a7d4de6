"""The metadata service's calls, over HTTP: who calls, what they may see, what they get.

Protocol buffers and SQLAlchemy are imported with the first call, in the database's thread.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from wherry.metadata.errors import DatabaseError, DuplicateError, UnstorableError
from wherry.metadata.store import Metadata
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import failures, sending
from wherry.pipelines.api.access import Access, User
from wherry.pipelines.api.identity import Identity
from wherry.pipelines.api.mlmd import frames
from wherry.pipelines.api.mlmd.frames import Answer

PATH: Final = f"/{frames.SERVICE}/{{method}}"
_RESOURCE: Final = "runs"
"""Rights to it are rights to what runs leave behind."""
_READ: Final = "get"
_WRITE: Final = "create"
_WRITES: Final = "Put"
"""How methods begin that store something."""
_ACCOUNT: Final = "system:serviceaccount:"
_KEPT_SECONDS: Final = 5.0
_MOST_SECONDS: Final = 20.0
"""Of one call: meanwhile the database does nothing else."""
_SHOWN: Final = 100
_LOG = logging.getLogger("wherry.pipelines.api")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a caller may see, and where what they store goes.

    Attributes:
        namespaces: Those that they may see; None: all.
        home: Of what they store.
    """

    namespaces: frozenset[str] | None
    home: str


class Door:
    """Answers calls. For one event loop."""

    def __init__(
        self, metadata: Metadata, access: Access, identity: Identity, *, namespace: str
    ) -> None:
        """Take what it works with.

        Args:
            metadata: What is asked about.
            access: Who may do what.
            identity: Says who calls.
            namespace: Of what is stored by who has no namespace and names none.
        """
        self._metadata = metadata
        self._access = access
        self._identity = identity
        self._namespace = namespace
        self._used: tuple[float, frozenset[str]] = (0.0, frozenset())

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of gRPC-Web."""
        text = frames.is_text(request.content_type)
        answer = await self._answer(request, text=text)
        return web.Response(
            body=frames.response(answer, text=text),
            content_type=frames.TEXT if text else frames.BINARY,
        )

    async def _answer(self, request: web.Request, *, text: bool) -> Answer:
        method = request.match_info["method"]
        try:
            return Answer(0, message=await self._called(request, method, text=text))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told in the one form
            failed = _failure(method, error)
            return Answer(failures.code(failed).number, failed.message)

    async def _called(self, request: web.Request, method: str, *, text: bool) -> bytes:
        # Before the body: who may not call at all does not make us read it.
        user = await self._identity.user(request.headers)
        sight = await self._sight(user, method, request.headers.get(sending.NAMESPACE, ""))
        message = frames.request(await request.read(), text=text)
        answer = await self._metadata.transaction(lambda at: _answered(at, method, sight, message))
        if method.startswith(_WRITES) and sight.home not in self._used[1]:
            self._used = (0.0, frozenset())
        return answer

    async def _sight(self, user: User, method: str, named: str) -> Sight:
        """Return what a caller may see.

        Raises:
            UnauthorizedError: nobody has said who calls, and not everybody may.
            ForbiddenError: the caller may not see the namespace that they named, or not store there.
        """
        home = named or _own(user) or self._namespace
        if method.startswith(_WRITES):
            await self._check(user, home, _WRITE)
        if named:
            await self._check(user, named, _READ)
            return Sight(namespaces=frozenset((named,)), home=home)
        if await self._allowed(user, "", _READ):
            return Sight(namespaces=None, home=home)
        seen = await self._access.allowed_in(
            user, await self._namespaces() | {home}, resource=_RESOURCE, verb=_READ
        )
        if not seen:
            await self._check(user, home, _READ)
        return Sight(namespaces=seen, home=home)

    async def _namespaces(self) -> frozenset[str]:
        until, used = self._used
        if time.monotonic() >= until:
            used = await self._metadata.transaction(_used)
            self._used = time.monotonic() + _KEPT_SECONDS, used
        return used

    async def _allowed(self, user: User, namespace: str, verb: str) -> bool:
        return await self._access.allowed(user, namespace=namespace, resource=_RESOURCE, verb=verb)

    async def _check(self, user: User, namespace: str, verb: str) -> None:
        if await self._allowed(user, namespace, verb):
            return
        told = f"{verb} {_RESOURCE}.pipelines.kubeflow.org in namespace {namespace!r}"
        if user.is_anonymous:
            raise errors.UnauthorizedError(
                f"nobody has said who calls; send a token (metadata key authorization) to {told}"
            )
        raise errors.ForbiddenError(f"user {user.name!r} may not {told}")


def _own(user: User) -> str:
    """Return the namespace of a service account; empty: it is none."""
    if not user.name.startswith(_ACCOUNT):
        return ""
    return user.name.removeprefix(_ACCOUNT).partition(":")[0]


def _failure(method: str, error: Exception) -> errors.ApiError:
    """Return what is told of an error."""
    match error:
        case errors.ApiError():
            return error
        case web.HTTPRequestEntityTooLarge():
            return errors.RequestEntityTooLargeError(f"the message is too large: {error.text}")
        case DuplicateError():
            return errors.AlreadyExistsError("another call has stored the same at this moment")
        case UnstorableError():
            # Before it is where the database is.
            return errors.BadRequestError(str(error).partition(": ")[2])
        case DatabaseError():
            _LOG.error("%s: %s", method[:_SHOWN], error)
            return errors.ServiceUnavailableError("the database cannot be used now; see the log")
    _LOG.error("%s has failed", method[:_SHOWN], exc_info=error)
    return errors.InternalError("it has failed; the service's log has more")


def _used(at: Any) -> frozenset[str]:
    from wherry.metadata.mlmd import view  # noqa: PLC0415 - see above

    return view.used(at)


def _answered(at: Any, method: str, sight: Sight, message: bytes) -> bytes:
    """Answer a call, in a transaction."""
    from wherry.metadata.mlmd import calls, view  # noqa: PLC0415 - see above
    from wherry.pipelines.api.mlmd import codec  # noqa: PLC0415 - likewise

    call = calls.CALLS.get(method)
    if call is None:
        raise errors.MethodNotAllowedError(
            f"{method[:_SHOWN]}: there is {', '.join(sorted(calls.CALLS))}"
        )
    seen = view.View(
        at=at,
        namespaces=sight.namespaces,
        home=sight.home,
        now=time.time_ns() // 1_000_000,
        until=time.monotonic() + _MOST_SECONDS,
    )
    request: Object = codec.read(f"{method}Request", message)
    return codec.write(f"{method}Response", call(seen, request))
