"""What all verbs stand on: the store, the served resources, the clock, and reading by key.

Everything here is synchronous: it looks at memory. Waiting happens only where a verb writes.
"""

import asyncio
import datetime
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from wherry.apiserver.admission.gate import Admission
from wherry.apiserver.call import Call
from wherry.apiserver.resources import ResourceMap, Served
from wherry.apiserver.strategy import Allocator, Context
from wherry.objects import errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.store import (
    InvalidValueError,
    Key,
    KeyExistsError,
    KeyMissingError,
    Record,
    RevisionConflictError,
    Store,
    StoreClosedError,
    StoreError,
    StoreWriteError,
)

_REMEMBERED_FIELDS = 8192


def utc_now() -> datetime.datetime:
    """Return the current time."""
    return datetime.datetime.now(datetime.UTC)


def timestamp(moment: datetime.datetime) -> str:
    """Return a time as `metav1.Time` prints it."""
    return metadata.format_time(moment)


@dataclass(slots=True)
class Core:
    """The state that the verbs share.

    Attributes:
        store: Objects and revisions.
        resources: What is served.
        cluster_ips: Service addresses.
        node_ports: Service ports of nodes.
        clock: Current time, aware, UTC.
        admission: Quotas, policies and webhooks.
    """

    store: Store
    resources: ResourceMap
    cluster_ips: Allocator
    node_ports: Allocator
    clock: Callable[[], datetime.datetime] = utc_now
    written: dict[str, Callable[[Record | None, Record | None], None]] = field(default_factory=dict)
    """By resource key: told of each committed write, as (before, after), before its writer is."""
    admission: Admission = field(init=False)
    _fields: OrderedDict[tuple[Served, int], Mapping[str, str]] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.admission = Admission(self.store, self.resources, self.clock)

    def served(self, call: Call) -> Served:
        """Return how the resource of a call is served.

        Raises:
            NotFoundError: it is not.
        """
        resource = call.request.resource
        served = self.resources.by_path(resource.group, resource.version, resource.plural)
        if served is None:
            raise errors.NotFoundError("the server could not find the requested resource")
        if served.definition is None:
            return served
        if served.deprecation and served.deprecation not in call.warnings:
            call.warnings.append(served.deprecation)
        return served

    def key(self, served: Served, name: str, namespace: str | None) -> Key:
        """Return where an object is stored."""
        return Key(
            served.storage.key, (namespace or "") if served.resource.namespaced else "", name
        )

    def committed(self, served: Served, name: str, namespace: str | None) -> Record:
        """Return the object as it is on disk.

        Raises:
            NotFoundError: there is none.
        """
        record = self.store.get(self.key(served, name, namespace))
        if record is None:
            raise errors.not_found(served.resource.plural, name, served.resource.group)
        return record

    def head(self, served: Served, name: str, namespace: str | None) -> Record:
        """Return the object as a writer must see it: on disk or on its way there.

        Raises:
            NotFoundError: there is none.
        """
        record = self.store.head(self.key(served, name, namespace))
        if record is None:
            raise errors.not_found(served.resource.plural, name, served.resource.group)
        return record

    def context(self, call: Call, served: Served) -> Context:
        """Return the circumstances of a write for the kind's strategy."""
        return Context(
            resource=served.resource,
            user=call.user,
            lookup=self,
            cluster_ips=self.cluster_ips,
            node_ports=self.node_ports,
            clock=self.clock,
            subresource=call.request.subresource,
            dry_run=call.dry_run,
        )

    def get(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """Return a copy of an object for a strategy, in the version it is stored in."""
        place = namespace if resource.namespaced else ""
        record = self.store.head(Key(kinds.stored_as(resource).key, place, name))
        return record.value() if record else None

    def list(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """Return copies of all objects of a resource, in the version they are stored in."""
        snapshot = self.store.list(kinds.stored_as(resource).key, namespace)
        return [record.value() for record in snapshot.records]

    def names(self, resource: Resource) -> Sequence[str]:
        """Return the names of all objects of a resource."""
        snapshot = self.store.list(kinds.stored_as(resource).key)
        return [record.key.name for record in snapshot.records]

    async def store_new(self, served: Served, key: Key, obj: Object) -> Record:
        """Create in the store and tell whoever keeps a derived state.

        Args:
            served: What is written.
            key: Where it goes.
            obj: As it is to be stored, its type in front: `writing.stored`.

        Raises:
            ApiError: The store refused.
        """
        return await self._committed(served, key, None, self.store.create(key, obj))

    async def store_changed(self, served: Served, before: Record, obj: Object) -> Record:
        """Replace in the store, on top of ``before``, and tell whoever keeps a derived state.

        Args:
            served: What is written.
            before: What is replaced.
            obj: As it is to be stored, its type in front: ``before.value()`` or `writing.stored`.

        Raises:
            ApiError: The store refused.
        """
        write = self.store.update(before.key, obj, expected=before.revision)
        return await self._committed(served, before.key, before, write)

    async def store_gone(self, served: Served, before: Record, final: Object | None) -> Record:
        """Remove from the store and tell whoever keeps a derived state.

        Args:
            served: What is removed.
            before: What there was.
            final: Its last state, as `store_changed` takes it.

        Raises:
            ApiError: The store refused.
        """
        write = self.store.delete(before.key, final, expected=before.revision)
        return await self._committed(served, before.key, before, write, gone=True)

    async def _committed(
        self,
        served: Served,
        key: Key,
        before: Record | None,
        write: Coroutine[None, None, Record],
        *,
        gone: bool = False,
    ) -> Record:
        told = self.written.get(key.resource)
        try:
            if told is None:
                return await write
            # A writer that is cancelled is still written: whoever follows must hear of it.
            return await asyncio.shield(asyncio.ensure_future(_telling(write, told, before, gone)))
        except StoreError as error:
            raise from_store(error, served, key.name) from error

    def fields(self, served: Served, record: Record) -> Mapping[str, str]:
        """Return what a field selector may look at, besides the name and the namespace.

        Parsing is the cost of field selectors, and watchers ask for one record many times.
        """
        found = self._fields.get((served, record.revision))
        if found is None:
            found = self._remember(served, record, served.from_storage(record.value()))
        return found

    def foresee_fields(self, served: Served, records: Sequence[Record]) -> None:
        """Look at the fields of many records at once, where it takes asking somebody.

        Raises:
            UnconvertedError: As `Served.convert`.
        """
        if not served.asks:
            return
        unknown = [each for each in records if (served, each.revision) not in self._fields]
        raws = served.all_in_version(each.raw for each in unknown)
        for record, raw in zip(unknown, raws, strict=True):
            self._remember(served, record, orjson.loads(raw))

    def _remember(self, served: Served, record: Record, obj: Object) -> Mapping[str, str]:
        found = served.strategy.selectable_fields(obj)
        self._fields[served, record.revision] = found
        if len(self._fields) > _REMEMBERED_FIELDS:
            self._fields.popitem(last=False)
        return found


async def _telling(
    write: Coroutine[None, None, Record],
    told: Callable[[Record | None, Record | None], None],
    before: Record | None,
    gone: bool,  # noqa: FBT001 (what the write does)
) -> Record:
    record = await write
    if before is None or record.revision != before.revision:
        told(before, None if gone else record)
    return record


def from_store(error: StoreError, served: Served, name: str) -> errors.ApiError:
    """Return the API's answer for what the store refused."""
    plural, group = served.resource.plural, served.resource.group
    answer: errors.ApiError
    if isinstance(error, KeyExistsError):
        answer = errors.already_exists(plural, name, group)
    elif isinstance(error, KeyMissingError):
        answer = errors.not_found(plural, name, group)
    elif isinstance(error, RevisionConflictError):
        answer = errors.conflict(plural, name, group=group)
    elif isinstance(error, InvalidValueError):
        answer = errors.RequestEntityTooLargeError(str(error))
    elif isinstance(error, StoreWriteError | StoreClosedError):
        answer = errors.ServiceUnavailableError(f"nothing was stored: {error}")
    else:
        answer = errors.InternalError(str(error))
    return answer
