"""update: the optimistic lock, what a writer may not touch, and the generation."""

from collections.abc import Collection
from typing import Any, Final

import orjson

from wherry.apiserver import admitting, converting, intake, managed_fields, object_meta, writing
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors, kinds
from wherry.objects.errors import Cause
from wherry.objects.managed_fields import Managers
from wherry.objects.requests import Object
from wherry.store import Record

_SPEC_PARTS: Final = {"finalize": "finalizers", "ephemeralcontainers": "ephemeralContainers"}
"""Subresources that stand for one field of the spec."""
_READ_ALWAYS: Final = frozenset({"apiVersion", "kind", "metadata"})
_APART = frozenset({"apiVersion", "kind", "metadata", "status"})


async def update(core: Core, call: Call) -> One:
    """Replace an object, or the part of it that a subresource stands for.

    Raises:
        NotFoundError: There is none.
        ConflictError: It has changed since, or is another one of that name.
        InvalidError: A rule is broken.
        BadRequestError: The body cannot be read as an object of the kind.
    """
    managed_fields.check_options(call)
    write = writing.Write.of(core, call)
    served = write.served
    obj = intake.body(served, call)
    record = core.head(served, call.request.name or "", call.request.namespace)
    if not served.strategy.unconditional_update and not obj["metadata"].get("resourceVersion"):
        cause = Cause(
            "metadata.resourceVersion", 'Invalid value: "": must be specified for an update'
        )
        raise writing.invalid(served, obj, [cause])
    return await replace(write, record, obj)


async def replace(
    write: writing.Write, record: Record, obj: Object, *, managers: Managers | None = None
) -> One:
    """Store ``obj`` on top of ``record``, as far as the request may.

    Args:
        write: The circumstances.
        record: The head that ``obj`` was made from.
        obj: The wanted state; consumed.
        managers: Who owns its fields; None for the writer, as far as it changes them.

    Raises:
        ApiError: As `update`.
    """
    core, call, served = write.core, write.call, write.served
    old = await converting.complete(lambda: served.from_storage(record.value()))
    _check_same(served, obj["metadata"], record, old)
    sent = managed_fields.taken(obj)
    obj, as_stored = _decoded(served, call, obj, old)
    obj = _confined(served, call.request.subresource, obj, old)
    object_meta.keep_owned(obj, old)
    writing.shape(served, obj, old, as_stored=as_stored)
    if managers is None:
        await managed_fields.track_update(write, obj, old, sent)
    else:
        managed_fields.put(obj, managers)
    served.strategy.prepare_update(obj, old, write.context)
    plan = core.admission.plan(call, served, "UPDATE")
    if plan is not None:
        await admitting.mutate(write, plan, obj, old)
    managed_fields.forget_time(obj, old)
    _count_generation(served, obj, old)
    writing.judge(write, obj, old)
    if plan is not None:
        await admitting.approve(write, plan, obj, old)
    kept = await writing.stored(served, obj)
    if plan is not None or served.asks:
        admitting.check_unmoved(core, served, record)
    core.admission.settle(call, served, record.key, (obj, old))
    if call.dry_run:
        kept["metadata"]["resourceVersion"] = str(record.revision)
        return await writing.preview(served, kept)
    if finished(served, obj):
        gone = await core.store_gone(served, record, kept)
        write.release(obj)
        return await writing.answer(served, gone)
    return await writing.answer(served, await core.store_changed(served, record, kept))


def finished(served: Served, obj: Object) -> bool:
    """Return whether an object that is being deleted waits for nobody any more."""
    metadata = obj["metadata"]
    if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
        return False
    if served.resource.key == kinds.NAMESPACES.key and (obj.get("spec") or {}).get("finalizers"):
        return False
    return not metadata.get("deletionGracePeriodSeconds")


def _check_same(served: Served, metadata: dict[str, Any], record: Record, old: Object) -> None:
    """Refuse a writer who has read another state, or another object of that name.

    Raises:
        ConflictError: The resource version or the uid is another one.
    """
    resource = served.resource
    version = metadata.get("resourceVersion")
    if version and str(version) != str(record.revision):
        if str(version) == "0":
            metadata.pop("resourceVersion")
            return
        raise errors.conflict(resource.plural, record.key.name, group=resource.group)
    uid = metadata.get("uid")
    if uid and uid != old["metadata"].get("uid"):
        why = (
            f"Precondition failed: UID in precondition: {uid}, "
            f"UID in object meta: {old['metadata'].get('uid')}"
        )
        raise errors.conflict(resource.plural, record.key.name, why, resource.group)


def _decoded(
    served: Served, call: Call, obj: Object, old: Object
) -> tuple[Object, Collection[str]]:
    """Return an object decoded, and which of its parts are as they are stored.

    These have been decoded and checked before; mostly they are all but a status.
    """
    same = _as_stored(served, call.request.subresource, obj, old)
    read = {name: part for name, part in obj.items() if name not in same}
    intake.decode(served, call, read)
    found = {
        name: obj[name] if name in same else read[name]
        for name in obj
        if name in same or name in read
    }
    return found, same


def _as_stored(served: Served, subresource: str | None, obj: Object, old: Object) -> set[str]:
    names = (obj.keys() & old.keys()) - _READ_ALWAYS
    if served.custom:
        # Only what the request may not change: the definition may be another by now.
        kept = {"status"} if served.strategy.has_status(served.resource) else set()
        names = names & kept if subresource is None else names - {"status"}
    same = {name for name in names if _same(obj[name], old[name])}
    if subresource == "status":
        same |= old.keys() - obj.keys() - _READ_ALWAYS - {"status"}  # not sent: it stays as it is
    return same


def _same(one: Any, other: Any) -> bool:
    # Not `==`, to which `true` and 1 are the same.
    try:
        return orjson.dumps(one) == orjson.dumps(other)
    except TypeError:  # an integer of more than 64 bits
        return False


def _confined(served: Served, subresource: str | None, obj: Object, old: Object) -> Object:
    """Return what the request may store: its own part from ``obj``, the rest from ``old``."""
    if subresource is None or subresource == "scale":
        if served.strategy.has_status(served.resource):
            _take(obj, old, "status")
        if served.resource.key == kinds.NAMESPACES.key:
            # Only `finalize` may; a namespace would else be gone before its content.
            spec = obj["spec"] = obj.get("spec") or {}
            _take(spec, old.get("spec") or {}, "finalizers")
        return obj
    confined = old | {"metadata": dict(old["metadata"])}
    if part := _SPEC_PARTS.get(subresource):
        spec = confined["spec"] = dict(old.get("spec") or {})
        _take(spec, obj.get("spec") or {}, part)
    elif subresource == "resize":
        confined["spec"] = _resized(old["spec"], obj.get("spec") or {})
    else:
        _take(confined, obj, "status")
    if not served.custom:
        for name in ("labels", "annotations"):
            _take(confined["metadata"], obj["metadata"], name)
    return confined


def _resized(spec: Object, wanted: Object) -> Object:
    """Return a pod's spec with the resources that ``wanted`` gives to the containers it has."""
    resources = {each.get("name"): each.get("resources") for each in wanted.get("containers") or ()}
    containers = [
        each | {"resources": resources.get(each["name"]) or {}}
        if each["name"] in resources
        else each
        for each in spec["containers"]
    ]
    return spec | {"containers": containers}


def _take(target: Object, source: Object, name: str) -> None:
    if name in source:
        target[name] = source[name]
    else:
        target.pop(name, None)


def _count_generation(served: Served, obj: Object, old: Object) -> None:
    """Raise `metadata.generation` when what the user wants has changed."""
    generation = old["metadata"].get("generation")
    if generation is None:
        return
    apart = _APART if served.strategy.has_status(served.resource) else _APART - {"status"}
    names = (obj.keys() | old.keys()) - apart
    if any(obj.get(name) != old.get(name) for name in names):
        obj["metadata"]["generation"] = generation + 1
