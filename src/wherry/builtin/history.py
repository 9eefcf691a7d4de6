"""Keeps the history of StatefulSets and DaemonSets: records, re-numbers and prunes revisions."""

from collections.abc import Collection
from typing import NamedTuple

from wherry.builtin import revisions
from wherry.builtin.adoption import Claimant
from wherry.controller.apply import delete_if_present
from wherry.controller.cache import Cache
from wherry.controller.manager import Manager
from wherry.objects import kinds, metadata, selectors
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


class Past(NamedTuple):
    """An owner's history.

    Attributes:
        update: The revision of the present template.
        revisions: All, oldest first.
    """

    update: Object
    revisions: list[Object]


class History:
    """Keeps the revisions of one kind of owners."""

    def __init__(self, manager: Manager, owners: Resource) -> None:
        self._client = manager.client
        self._cache: Cache = manager.cache(kinds.CONTROLLER_REVISIONS)
        self._claimant = Claimant(manager.client, owners, self._cache)

    async def sync(self, owner: Object) -> Past:
        """Return the owner's history, having recorded its present template as the newest.

        Raises:
            AlreadyExistsError: the cache was behind; reconcile again.
        """
        selector = selectors.from_object(owner["spec"]["selector"])
        found = sorted(await self._claimant.claim(owner, selector), key=_place)
        newest = found[-1]["revision"] if found else 0
        wanted = revisions.data_of(owner["spec"]["template"])
        equal = next((one for one in reversed(found) if one["data"] == wanted), None)
        if equal is None:
            made = revisions.new_revision(owner, newest + 1)
            equal = await self._client.create(kinds.CONTROLLER_REVISIONS, made)
            return Past(equal, [*found, equal])
        if equal["revision"] < newest:
            # A rollback makes an old template the newest.
            namespace, name = metadata.namespaced_name(equal)
            patch = {
                "metadata": {"resourceVersion": equal["metadata"]["resourceVersion"]},
                "revision": newest + 1,
            }
            found = [one for one in found if one is not equal]
            equal = await self._client.patch(kinds.CONTROLLER_REVISIONS, name, patch, namespace)
            found.append(equal)
        return Past(equal, found)

    async def prune(self, owner: Object, past: Past, live: Collection[str]) -> None:
        """Delete revisions beyond the owner's history limit that no pod needs."""
        limit = owner["spec"].get("revisionHistoryLimit")
        for one in revisions.surplus(past.revisions, live, limit):
            await delete_if_present(self._client, kinds.CONTROLLER_REVISIONS, one)


def _place(revision: Object) -> tuple[int, str, str]:
    return (
        revision["revision"],
        revision["metadata"].get("creationTimestamp", ""),
        metadata.name(revision),
    )
