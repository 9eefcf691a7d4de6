"""Quotas at the moment of a write.

What is used is counted from the store itself, not read from `status.used`, which lags; writes that
are on their way to disk are counted too. So a burst cannot get past a quota, and a deletion makes
room at once.

Source: admission plugin ResourceQuota (`pkg/quota/v1`, `plugin/pkg/admission/resourcequota`).
Differs on purpose: a new quota holds from its creation, not from its controller's first look.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from wherry.objects import errors, kinds, quantities, quotas
from wherry.objects.requests import Object
from wherry.store import Key, Record, Store

_CHANGING = frozenset({kinds.SERVICES.key, kinds.PERSISTENT_VOLUME_CLAIMS.key, kinds.PODS.key})
"""What may come to count for more after its creation."""
_MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Reservation:
    """A write that was let through and may not be on disk yet."""

    uid: str
    essence: Object


@dataclass(frozen=True, slots=True)
class _Charge:
    """A write that asks for room.

    Attributes:
        key: Where.
        obj: What.
        grown: By how much more it counts than before.
        now: When.
    """

    key: Key
    obj: Object
    grown: Mapping[str, Decimal]
    now: datetime.datetime


class Quotas:
    """Lets writes through as far as the quotas of their namespace allow.

    Args:
        store: What is counted.
        clock: Current time, aware.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime.datetime]) -> None:
        self._store = store
        self._clock = clock
        self._reserved: dict[Key, _Reservation] = {}
        self._parsed: dict[tuple[Key, int], Object] = {}
        """Essences by place and revision."""
        self._all: Sequence[Record] = ()
        self._by_namespace: dict[str, list[Object]] = {}

    def charge(self, key: Key, obj: Object, old: Object | None, *, dry_run: bool = False) -> None:
        """Count an object that is about to be stored; nothing may wait between this and the store.

        Args:
            key: Where it will be stored.
            obj: What will be stored, in its storage version; not to be changed afterwards.
            old: What it replaces.
            dry_run: It will not be stored.

        Raises:
            ForbiddenError: A quota would be exceeded, or demands what the object leaves out.
        """
        found = self._of(key.namespace)
        if not found or (old is not None and key.resource not in _CHANGING):
            return
        now = self._clock()
        after = quotas.measure(key.resource, obj, now)
        before = quotas.measure(key.resource, old, now) if old is not None else {}
        grown = {
            name: amount - before.get(name, Decimal(0))
            for name, amount in after.items()
            if amount > before.get(name, Decimal(0))
        }
        if not grown:
            return
        charge = _Charge(key, obj, grown, now)
        for quota in found:
            self._check(quota, charge)
        if not dry_run:
            essence = quotas.essence(key.resource, obj)
            self._reserved[key] = _Reservation(obj["metadata"]["uid"], essence)

    def _of(self, namespace: str) -> list[Object]:
        records = self._store.list(kinds.RESOURCE_QUOTAS.key).records
        if records is not self._all:
            self._all = records
            self._by_namespace = {}
            for record in records:
                self._by_namespace.setdefault(record.key.namespace, []).append(record.value())
        return self._by_namespace.get(namespace, [])

    def _check(self, quota: Object, charge: _Charge) -> None:
        key, obj, grown = charge.key, charge.obj, charge.grown
        hard = (quota.get("spec") or {}).get("hard") or {}
        names = [name for name in hard if quotas.counted_in(name) == key.resource]
        if not names or not quotas.concerns(quota, key.resource, obj):
            return
        if key.resource == kinds.PODS.key and (missing := quotas.unspecified(obj, hard)):
            why = f"failed quota: {quota['metadata']['name']}: must specify {missing}"
            raise _forbidden(key, why)
        wanted = [name for name in names if name in grown]
        if not wanted:
            return
        used = quotas.total(
            (quotas.measure(key.resource, each, charge.now) for each in self._present(quota, key)),
            wanted,
        )
        over = sorted(
            name for name in wanted if used[name] + grown[name] > quantities.parse(hard[name])
        )
        if over:
            text = ", ".join(
                f"{title}: {_listed({name: amounts[name] for name in over}, hard)}"
                for title, amounts in (("requested", grown), ("used", used))
            )
            limited = ",".join(f"{name}={quantities.canonical(hard[name])}" for name in over)
            why = f"exceeded quota: {quota['metadata']['name']}, {text}, limited: {limited}"
            raise _forbidden(key, why)

    def _present(self, quota: Object, key: Key) -> Iterator[Object]:
        """Yield what counts already: the stored objects, and those on their way."""
        flying = self._flying(key)
        for record in self._store.list(key.resource, key.namespace).records:
            if record.key not in flying:
                obj = self._essence(record)
                if quotas.concerns(quota, key.resource, obj):
                    yield obj
        for reservation in flying.values():
            if quotas.concerns(quota, key.resource, reservation.essence):
                yield reservation.essence

    def _flying(self, key: Key) -> dict[Key, _Reservation]:
        """Return the writes that are not on disk yet, and forget the others."""
        flying = {}
        for place, reservation in list(self._reserved.items()):
            head = self._store.head(place)
            if head is None or head.uid != reservation.uid or self._store.get(place) is head:
                del self._reserved[place]
            elif place.resource == key.resource and place.namespace == key.namespace:
                flying[place] = reservation
        return flying

    def _essence(self, record: Record) -> Object:
        place = (record.key, record.revision)
        found = self._parsed.get(place)
        if found is None:
            if len(self._parsed) >= _MAX_REMEMBERED:
                self._parsed.clear()
            found = quotas.essence(record.key.resource, record.value())
            self._parsed[place] = found
        return found


def _listed(amounts: Mapping[str, Decimal], hard: Mapping[str, str]) -> str:
    return ",".join(
        f"{name}={quantities.format(amount, hard[name])}" for name, amount in amounts.items()
    )


def _forbidden(key: Key, why: str) -> errors.ForbiddenError:
    plural, _, group = key.resource.partition(".")
    return errors.forbidden(plural, key.name, why, group)
