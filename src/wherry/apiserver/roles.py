"""Roles and bindings as the authorizer wants them, straight from the store."""

from collections.abc import Sequence
from typing import Final

from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.store import Record, Store

_KEYS: Final = (
    kinds.CLUSTER_ROLES.key,
    kinds.CLUSTER_ROLE_BINDINGS.key,
    kinds.ROLES.key,
    kinds.ROLE_BINDINGS.key,
)


class StoredRoles:
    """The committed roles and bindings of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: list[Sequence[Record]] = []
        self._revision = 0
        self._looked_at = -1
        self._parsed: dict[str, dict[Record, Object]] = {}

    def revision(self) -> int:
        """Return a number that is another one after any role or binding has changed.

        The store hands out the very same list until one of its objects changes: a write of anything
        else costs the next request four identity tests.
        """
        if self._store.revision == self._looked_at:
            return self._revision
        self._looked_at = self._store.revision
        now = [self._store.list(key).records for key in _KEYS]
        same = len(self._seen) == len(now) and all(
            before is after for before, after in zip(self._seen, now, strict=True)
        )
        if not same:
            self._seen = now
            self._revision += 1
        return self._revision

    def list(self, resource: str) -> Sequence[Object]:
        """Return all objects of a resource key; they are shared, and not to be changed."""
        # One binding more must not cost reading all those that were there before.
        before = self._parsed.get(resource, {})
        now: dict[Record, Object] = {}
        for record in self._store.list(resource).records:
            known = before.get(record)
            now[record] = known if known is not None else record.value()
        self._parsed[resource] = now
        return list(now.values())
