"""update: the optimistic lock, what a writer may not touch, and the generation."""

from typing import Any

from wherry.apiserver import intake, object_meta, writing
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors, kinds
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.store import Record

_APART = frozenset({"apiVersion", "kind", "metadata", "status"})


async def update(core: Core, call: Call) -> One:
    """Replace an object, or the part of it that a subresource stands for.

    Raises:
        NotFoundError: There is none.
        ConflictError: It has changed since, or is another one of that name.
        InvalidError: A rule is broken.
        BadRequestError: The body cannot be read as an object of the kind.
    """
    served = core.served(call)
    obj = intake.body(served, call)
    record = core.head(served, call.request.name or "", call.request.namespace)
    if not served.strategy.unconditional_update and not obj["metadata"].get("resourceVersion"):
        cause = Cause(
            "metadata.resourceVersion", 'Invalid value: "": must be specified for an update'
        )
        raise writing.invalid(served, obj, [cause])
    return await replace(core, call, served, record, obj)


async def replace(core: Core, call: Call, served: Served, record: Record, obj: Object) -> One:
    """Store ``obj`` on top of ``record``, as far as the request may.

    Args:
        core: The state.
        call: The circumstances; its subresource tells which part is written.
        served: What is written.
        record: The head that ``obj`` was made from.
        obj: The wanted state; consumed.

    Raises:
        ApiError: As `update`.
    """
    old = served.from_storage(record.value())
    _check_same(served, obj["metadata"], record, old)
    intake.decode(served, call, obj)
    context = core.context(call, served)
    obj = _confined(served, call.request.subresource, obj, old)
    object_meta.keep_owned(obj, old)
    writing.shape(served, obj)
    served.strategy.prepare_update(obj, old, context)
    _count_generation(served, obj, old)
    writing.judge(core, call, served, obj, old)
    if call.dry_run:
        obj["metadata"]["resourceVersion"] = str(record.revision)
        return writing.preview(served, obj)
    if finished(served, obj):
        gone = await core.store_gone(served, record, obj)
        served.strategy.release(obj, context)
        return writing.answer(served, gone)
    return writing.answer(served, await core.store_changed(served, record, obj))


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
    part = "spec" if subresource in {"finalize", "ephemeralcontainers", "resize"} else "status"
    confined = old | {"metadata": dict(old["metadata"])}
    _take(confined, obj, part)
    if not served.custom:
        for name in ("labels", "annotations"):
            _take(confined["metadata"], obj["metadata"], name)
    return confined


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
