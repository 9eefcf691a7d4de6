"""Calls are answered here, however they came: who calls, may they, what do they get."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from wherry.metadata.errors import DatabaseError, UnstorableError
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api.access import User
from wherry.pipelines.api.call import Call, Handler, Services, StreamHandler
from wherry.pipelines.api.methods import METHODS, Method
from wherry.pipelines.contents.content import Content

_LOG = logging.getLogger("wherry.pipelines.api")
T = TypeVar("T")
_Answer = Callable[[Call, Object], Awaitable[T]]


class Answering:
    """Has handlers answer."""

    def __init__(
        self,
        services: Services,
        handlers: Iterable[Mapping[str, Handler]],
        streams: Iterable[Mapping[str, StreamHandler]],
    ) -> None:
        """Take what it works with.

        Args:
            services: What handlers are given.
            handlers: Those there are, by the key of their method.
            streams: Likewise, of those that answer with bytes.

        Raises:
            ValueError: two answer the same method, or one none that there is.
        """
        self._services = services
        self._handlers = _all(handlers, streams=False)
        self._streams = _all(streams, streams=True)

    def methods(self) -> list[Method]:
        """Return the methods that are answered."""
        return [
            method
            for method in METHODS
            if method.key in (self._streams if method.is_stream else self._handlers)
        ]

    async def answer(self, method: Method, user: User, request: Object) -> Object:
        """Return what a handler gives.

        Raises:
            ApiError: it cannot be answered.
        """
        return await self._guarded(method, user, request, self._handlers[method.key])

    async def open(self, method: Method, user: User, request: Object) -> Content:
        """Return the bytes that a handler gives; who takes them closes them.

        Raises:
            ApiError: it cannot be answered.
        """
        return await self._guarded(method, user, request, self._streams[method.key])

    async def _guarded(self, method: Method, user: User, request: Object, handler: _Answer[T]) -> T:
        call = Call(method=method, user=user, services=self._services)
        try:
            answer = await handler(call, request)
        except errors.NotFoundError as error:
            if call.is_open or not user.is_anonymous:
                raise
            # Who calls by no name is told why nothing is found for him, be it there or not.
            raise errors.UnauthorizedError("nobody has said who calls; send a token") from error
        except errors.ApiError:
            raise
        except UnstorableError as error:
            raise errors.BadRequestError(
                "something of the request is larger than what is kept, so nothing can be like it"
            ) from error
        except DatabaseError as error:
            _LOG.error("%s: %s", method.key, error)
            raise errors.ServiceUnavailableError(
                "the database cannot be used now; the service's log has more"
            ) from error
        except Exception as error:
            _LOG.exception("%s has failed", method.key)
            raise errors.InternalError("it has failed; the service's log has more") from error
        if not call.checked:
            if isinstance(answer, Content):
                await answer.close()
            _LOG.error("%s: its handler has not asked whether the caller may", method.key)
            raise errors.InternalError("it has failed; the service's log has more")
        return answer


def _all(given: Iterable[Mapping[str, T]], *, streams: bool) -> dict[str, T]:
    known = {method.key for method in METHODS if method.is_stream is streams}
    found: dict[str, T] = {}
    for some in given:
        for key, handler in some.items():
            if key in found or key not in known:
                raise ValueError(f"handler {key}: twice, or of no method that there is")
            found[key] = handler
    return found
