"""Versions of pipelines without what they run: all that lists and names need of them.

A version may have a megabyte, and a pipeline a thousand versions; who wants one of them whole asks for it.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

from wherry.client.client import Client
from wherry.controller.cache import Cache
from wherry.controller.manager import Manager
from wherry.objects import errors, metadata, selectors
from wherry.objects.requests import Object
from wherry.pipelines.definitions import kinds
from wherry.pipelines.naming import label

_UID: Final = "uid"
_PIPELINE: Final = "pipeline of a version"
_PAGE: Final = 20
_SEEN_SECONDS: Final = 10.0


class Index:
    """Knows all versions. For one event loop."""

    def __init__(self, client: Client, cache: Cache) -> None:
        """Take where it looks.

        Args:
            client: Reads versions as they are now.
            cache: Knows of all of them, but for what they run.
        """
        self._client = client
        self._cache = cache
        cache.add_index(_UID, lambda version: (metadata.uid(version),))
        cache.add_index(_PIPELINE, _pipelines)

    @classmethod
    def of_manager(cls, manager: Manager) -> "Index":
        """Return one that a manager keeps."""
        return cls(manager.client, manager.cache(kinds.PIPELINE_VERSIONS, without=kinds.LARGE))

    async def of(self, pipeline: Object) -> Sequence[Object]:
        """Return the versions of a pipeline, the oldest first. Shared: not to be changed."""
        known = self._cache.by_index(_PIPELINE, _key(pipeline))
        found = [each for each in known if is_of(each, pipeline)]
        return sorted(found, key=age) if found else await self.look(pipeline)

    async def look(self, pipeline: Object) -> Sequence[Object]:
        """Return the versions of a pipeline as the API has them now, the oldest first."""
        chosen = selectors.from_labels({kinds.PIPELINE_LABEL: label(metadata.name(pipeline))})
        listed = await self._listed(metadata.namespace(pipeline), str(chosen))
        return sorted((each for each in listed if is_of(each, pipeline)), key=age)

    async def by_uid(self, uid: str) -> Object | None:
        """Return a version by its id; None where there is none, or it is being deleted."""
        if not uid:
            return None
        for each in self._cache.by_index(_UID, uid) or await self._listed(None, ""):
            if metadata.uid(each) == uid and not metadata.is_deleting(each):
                return each
        return None

    def known(self, uid: str) -> Object | None:
        """Return a version by its id, if it is known here. Shared: not to be changed."""
        found = self._cache.by_index(_UID, uid) if uid else ()
        return next((each for each in found if not metadata.is_deleting(each)), None)

    async def whole(self, version: Object) -> Object:
        """Return a version with what it runs, as it is now.

        Raises:
            NotFoundError: it is gone.
        """
        where = metadata.namespaced_name(version)
        found = await self._client.get(kinds.PIPELINE_VERSIONS, where.name, where.namespace)
        if metadata.uid(found) != metadata.uid(version) or metadata.is_deleting(found):
            raise errors.not_found(kinds.PIPELINE_VERSIONS.plural, where.name)
        return found

    async def written(self, version: Object) -> None:
        """Wait until a version that was made or changed is known as it is: who writes it reads it."""
        if self._cache.synced.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SEEN_SECONDS):
                    await self._cache.wait_until(metadata.resource_version(version))

    async def deleted(self, version: Object) -> None:
        """Wait until it is known that a version is gone."""
        if self._cache.synced.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SEEN_SECONDS):
                    while self._is_known(version):
                        await self._cache.wait_until(self._cache.revision + 1)

    def _is_known(self, version: Object) -> bool:
        known = self._cache.by_index(_UID, metadata.uid(version))
        return any(not metadata.is_deleting(each) for each in known)

    async def _listed(self, namespace: str | None, labels: str) -> list[Object]:
        """Return what the API has now; a few at a time, since they are large."""
        found: list[Object] = []
        pages = self._client.pages(kinds.PIPELINE_VERSIONS, namespace, labels=labels, limit=_PAGE)
        async for page in pages:
            found += map(_small, page)
        return found


def is_of(version: Object, pipeline: Object) -> bool:
    """Return whether a version is of this pipeline, not of an earlier one of its name."""
    if metadata.is_deleting(version):
        return False
    uids = [
        reference["uid"]
        for reference in metadata.owner_references(version)
        if reference.get("kind") == kinds.PIPELINES.kind
    ]
    named = version["spec"].get("pipelineName") == metadata.name(pipeline)
    return named and (not uids or metadata.uid(pipeline) in uids)


def age(version: Object) -> tuple[str, str, str]:
    """Return what versions are sorted by, the oldest first."""
    # The API tells seconds; what the service makes is told apart within one.
    created = version["metadata"].get("creationTimestamp", "")
    told = metadata.annotations(version).get(kinds.CREATED_ANNOTATION, "")
    return created, told, metadata.name(version)


def _small(version: Object) -> Object:
    spec = {name: value for name, value in version["spec"].items() if name not in kinds.LARGE}
    return {**version, "spec": spec}


def _key(pipeline: Object) -> str:
    return f"{metadata.namespace(pipeline)}/{metadata.name(pipeline)}"


def _pipelines(version: Object) -> Iterable[str]:
    return (f"{metadata.namespace(version)}/{version['spec'].get('pipelineName')}",)
