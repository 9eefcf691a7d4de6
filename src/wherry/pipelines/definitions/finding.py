"""Objects by their uid: what the REST API calls an id."""

from collections.abc import Iterable
from typing import Final

from wherry.client.client import Client
from wherry.controller.cache import Cache
from wherry.objects import errors, metadata
from wherry.objects.requests import Object

_INDEX: Final = "uid"


class Finder:
    """Finds objects of one kind."""

    def __init__(self, client: Client, cache: Cache, what: str) -> None:
        """Take where it looks.

        Args:
            client: Reads them as they are now.
            cache: Knows what they are called; what it does not know yet is looked for.
            what: What people call one.
        """
        self._client = client
        self._cache = cache
        self._what = what
        cache.add_index(_INDEX, _uids)

    async def by_uid(self, uid: str) -> Object:
        """Return an object as it is now.

        Raises:
            NotFoundError: there is none, or it is being deleted.
        """
        for known in self._cache.by_index(_INDEX, uid) or await self._look(uid):
            where = metadata.namespaced_name(known)
            try:
                found = await self._client.get(self._cache.resource, where.name, where.namespace)
            except errors.NotFoundError:
                continue
            if metadata.uid(found) == uid and not metadata.is_deleting(found):
                return found
        raise self.missing(uid)

    def missing(self, uid: str) -> errors.NotFoundError:
        """Return the error that there is no such object."""
        return errors.NotFoundError(f"there is no {self._what} {uid[:64]!r}")

    async def _look(self, uid: str) -> Iterable[Object]:
        everything = await self._client.list(self._cache.resource) if uid else ()
        return [each for each in everything if metadata.uid(each) == uid]


def _uids(obj: Object) -> Iterable[str]:
    return (metadata.uid(obj),)
