"""Writes other than apply: who writes owns what the write has changed, and nobody else does.

Source: `Updater.Update` of structured-merge-diff, and the managers around it in apimachinery.
"""

import functools
from typing import Final

import orjson

from wherry.objects.managed_fields import fields, managers, reading, zero
from wherry.objects.managed_fields.comparison import Comparison, compare, drop
from wherry.objects.managed_fields.fields import Fields
from wherry.objects.managed_fields.managers import UPDATE, Identity, Manager, Managers
from wherry.objects.managed_fields.views import View, Write
from wherry.objects.requests import Object
from wherry.objects.schemas import Node

MAX_UPDATERS: Final = 10
"""How many entries of updates an object keeps; older ones are merged."""
_REMEMBERED: Final = 256
_MAX_REMEMBERED_BYTES: Final = 8192
_MAX_NAMES: Final = 32
_SCALARS: Final = frozenset({str, int, float, bool})
_ANCIENT: Final = "ancient-changes"
_IDENTIFYING: Final = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
)
_Shape = tuple[tuple[str, tuple[str, ...] | None], ...]
_TYPE: Final = frozenset({"f:apiVersion", "f:kind"})
_UNOWNED: Final = frozenset({fields.SELF, *(f"f:{name}" for name in _IDENTIFYING)})


def owned(found: Fields) -> Fields:
    """Return a set without what nobody owns, because it tells which object it is."""
    made: Fields = {}
    for name, below in found.items():
        if name != "f:metadata":
            if name not in _TYPE:
                made[name] = below
        elif left := drop(below, _UNOWNED):
            made[name] = left
    return made


def create(new: View, write: Write) -> Managers:
    """Return the managers of an object that did not exist: its creator owns all of it."""
    mine = owned(drop(_created(new.obj, new.node), write.ignored))
    identity = managers.updater(write.manager, new.version, write.subresource)
    return {identity: Manager(mine, new.version, write.time)} if mine else {}


def _created(obj: Object, node: Node) -> Fields:
    """Return what an object has beyond what its kind has from the start."""
    if (shape := _shape(obj)) is not None:
        return _of_shape(node, shape)
    empty, spec = zero.value(node), obj.get("spec")
    raw = orjson.dumps(spec) if type(spec) is dict else b""
    if not raw or len(raw) > _MAX_REMEMBERED_BYTES:
        return compare(empty, obj, node).touched
    others = obj | {"spec": empty.get("spec")}
    if "spec" not in empty:
        del others["spec"]
    return fields.union(compare(empty, others, node).touched, _of_spec(node, raw))


def _shape(obj: Object) -> _Shape | None:
    """Return the names in a small object of scalars and objects of scalars, such as an Event; else None.

    What its creator owns depends on nothing else.
    """
    shape: list[tuple[str, tuple[str, ...] | None]] = []
    for name, value in obj.items():
        if type(value) in _SCALARS:
            shape.append((name, None))
        elif type(value) is dict and _SCALARS.issuperset(map(type, value.values())):
            shape.append((name, tuple(value)))
        else:
            return None
    found = tuple(shape)
    return found if sum(len(names or ()) for _, names in found) <= _MAX_NAMES else None


@functools.lru_cache(maxsize=_REMEMBERED)
def _of_shape(node: Node, shape: _Shape) -> Fields:
    """Return what an object of a shape has; there are few shapes, and many Events of each."""
    obj = {name: True if names is None else dict.fromkeys(names, True) for name, names in shape}
    return compare(zero.value(node), obj, node).touched


@functools.lru_cache(maxsize=_REMEMBERED)
def _of_spec(node: Node, raw: bytes) -> Fields:
    """Return what a spec has; controllers make many objects with the same one."""
    empty = {name: value for name, value in zero.value(node).items() if name == "spec"}
    return compare(empty, {"spec": orjson.loads(raw)}, node).touched


def update(old: View, new: View, before: Managers, write: Write) -> Managers:
    """Return the managers after a write.

    Args:
        old: The object as it was.
        new: The object as the writer leaves it, defaults included.
        before: The managers as they were; not changed.
        write: The circumstances.

    Returns:
        ``before`` itself where the write changes nothing that it reaches.
    """
    changes = compare(old.obj, new.obj, new.node).without(write.ignored)
    if not (changes.removed or changes.modified or changes.added):
        return before
    seen = Changes(old, new, changes, write)
    after = seen.taken(current(before, old, write))
    mine = owned(changes.touched)
    if mine:
        identity = managers.updater(write.manager, new.version, write.subresource)
        if (previous := after.get(identity)) is not None:
            mine = fields.union(previous.fields, mine)
        after[identity] = Manager(mine, new.version, write.time)
    return _capped(after)


def current(before: Managers, live: View, write: Write) -> Managers:
    """Return managers whose sets follow the schema where a definition has changed since."""
    if live.node.native:
        return before
    after: Managers = {}
    for identity, manager in before.items():
        same = manager.api_version == live.version
        shown = live if same else write.convert(live.obj, manager.api_version)
        if shown is not None:
            found = reading.reconciled(shown.node, manager.fields)
            after[identity] = manager.owning(found)
    return after


class Changes:
    """A change to an object, as each version of its kind sees it."""

    def __init__(self, old: View, new: View, changes: Comparison, write: Write) -> None:
        self._old, self._new, self._write = old, new, write
        self._by_version: dict[str, Comparison | None] = {new.version: changes}

    def seen_in(self, version: str) -> Comparison | None:
        """Return the change in a version; None for one that is not served any more."""
        if version not in self._by_version:
            found = None
            old = self._write.convert(self._old.obj, version)
            new = self._write.convert(self._new.obj, version)
            if old is not None and new is not None:
                found = compare(old.obj, new.obj, new.node).without(self._write.ignored)
            self._by_version[version] = found
        return self._by_version[version]

    def contested(self, before: Managers, applying: Identity) -> dict[Identity, Fields]:
        """Return what others than the applier own of the fields that have changed."""
        found: dict[Identity, Fields] = {}
        for identity, manager in before.items():
            changes = None if identity == applying else self.seen_in(manager.api_version)
            if changes is not None:
                common = fields.intersection(manager.fields, changes.touched)
                if common:
                    found[identity] = common
        return found

    def taken(self, before: Managers, applying: Identity | None = None) -> Managers:
        """Return the managers without what has changed or gone, but for the applier's own."""
        after: Managers = {}
        for identity, manager in before.items():
            if identity == applying:
                after[identity] = manager
                continue
            changes = self.seen_in(manager.api_version)
            if changes is None:
                continue
            lost = fields.union(changes.touched, changes.removed)
            left = fields.difference(manager.fields, lost)
            if left == manager.fields:
                after[identity] = manager
            elif left:
                after[identity] = manager.owning(left)
        return after


def _capped(after: Managers) -> Managers:
    """Merge the oldest updaters of each version, until there are no more than `MAX_UPDATERS`."""
    updaters = [identity for identity in after if identity.operation == UPDATE]
    excess = len(updaters) - MAX_UPDATERS
    if excess <= 0:
        return after
    updaters.sort(key=lambda identity: (after[identity].time, identity))
    first: dict[str, Identity] = {}
    for identity in updaters:
        if excess <= 0:
            break
        manager = after[identity]
        bucket = managers.updater(_ANCIENT, manager.api_version, "")
        oldest = first.setdefault(manager.api_version, identity)
        if oldest == identity:
            continue
        if bucket not in after:
            after[bucket] = after.pop(oldest)
        together = fields.union(manager.fields, after[bucket].fields)
        if identity != bucket:
            del after[identity]
        after[bucket] = Manager(together, manager.api_version, manager.time)
        excess -= 1
    return after


def stripped(after: Managers, identity: Identity) -> Managers:
    """Return managers without what one of them cannot own, and without that one if nothing is left."""
    manager = after.get(identity)
    if manager is None:
        return after
    mine = owned(manager.fields)
    rest = {each: found for each, found in after.items() if each != identity}
    return rest | {identity: manager.owning(mine)} if mine else rest
