"""delete and deletecollection: preconditions, grace, propagation, finalizers.

What a deletion leaves behind is finished by whoever removes the last finalizer: the garbage collector
for ``orphan`` and ``foregroundDeletion``, the namespace controller for ``kubernetes``.
"""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from wherry.apiserver import admitting, converting, list_options, reading, updating, writing
from wherry.apiserver import core as cores
from wherry.apiserver.answers import Many, One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.apiserver.selection import of as selection_of
from wherry.objects import errors, kinds
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.store import Record

_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_POLICIES = ("Background", "Foreground", "Orphan")


@dataclass(frozen=True, slots=True)
class Options:
    """`DeleteOptions`, from the body or the query.

    Attributes:
        raw: As the kind's strategy sees them.
        policy: ``Background``, ``Foreground``, ``Orphan``, or empty for the kind's default.
        uid: Precondition, empty for none.
        version: Precondition on the resource version, empty for none.
        dry_run: Nothing is deleted.
    """

    raw: Mapping[str, Any]
    policy: str
    uid: str
    version: str
    dry_run: bool


def options(call: Call) -> Options:
    """Read the options of a deletion.

    Raises:
        BadRequestError: They cannot be read.
        InvalidError: A value is none of those accepted.
    """
    body = call.request.body if call.request.body is not None else {}
    if not isinstance(body, dict):
        raise errors.BadRequestError("the body of a deletion must be a DeleteOptions object")
    raw = dict(body)
    grace = call.number("gracePeriodSeconds")
    if grace is not None and raw.get("gracePeriodSeconds") is None:
        raw["gracePeriodSeconds"] = grace
    query = call.request.options
    if "orphanDependents" in query and raw.get("orphanDependents") is None:
        raw["orphanDependents"] = call.flag("orphanDependents")
    _check_types(raw)
    policy = raw.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if not policy and raw.get("orphanDependents") is not None:
        policy = "Orphan" if raw["orphanDependents"] else "Background"
    if policy and policy not in _POLICIES:
        text = f'Unsupported value: "{policy:.100}": supported values: "Background", "Foreground", "Orphan"'
        raise _invalid(Cause("propagationPolicy", text, "FieldValueNotSupported"))
    wanted = raw.get("preconditions") or {}
    return Options(
        raw,
        policy,
        str(wanted.get("uid") or ""),
        str(wanted.get("resourceVersion") or ""),
        call.dry_run or raw.get("dryRun") == ["All"],
    )


def _invalid(cause: Cause) -> errors.InvalidError:
    return errors.invalid("DeleteOptions", "", [cause], "meta.k8s.io")


def _check_types(raw: dict[str, Any]) -> None:
    accepted: dict[str, tuple[type, str]] = {
        "gracePeriodSeconds": (int, "a whole number of seconds"),
        "orphanDependents": (bool, "true or false"),
        "propagationPolicy": (str, "a string"),
        "preconditions": (dict, "an object"),
        "dryRun": (list, "a list"),
    }
    for name, (kind, words) in accepted.items():
        value = raw.get(name)
        if value is None:
            raw.pop(name, None)
        elif type(value) is not kind:
            raise errors.BadRequestError(f"DeleteOptions.{name} must be {words}")
    if raw.get("gracePeriodSeconds", 0) < 0:
        text = f"Invalid value: {raw['gracePeriodSeconds']}: must be greater than or equal to 0"
        raise _invalid(Cause("gracePeriodSeconds", text))
    if raw.get("dryRun", []) not in ([], ["All"]):
        text = 'Unsupported value: supported values: "All"'
        raise _invalid(Cause("dryRun", text, "FieldValueNotSupported"))


async def delete(core: Core, call: Call) -> One:
    """Delete an object, or begin to.

    Returns:
        A `Status` with the object's uid when it is gone, else the object with its deletionTimestamp.

    Raises:
        NotFoundError: There is none.
        ConflictError: A precondition fails.
    """
    write = writing.Write.of(core, call)
    wanted = options(call)
    record = core.head(write.served, call.request.name or "", call.request.namespace)
    return await delete_record(write, record, wanted)


async def delete_record(write: writing.Write, record: Record, wanted: Options) -> One:
    """Delete one object.

    Args:
        write: The circumstances.
        record: The object's head.
        wanted: How.

    Raises:
        ConflictError: A precondition fails.
    """
    plan = write.core.admission.plan(write.call, write.served, "DELETE")
    if plan is not None:
        record = await admitting.approve_deletion(write, plan, record, dry_run=wanted.dry_run)
    return await remove(write, record, wanted)


async def remove(write: writing.Write, record: Record, wanted: Options) -> One:
    """Delete one object that others have agreed to let go.

    Args:
        write: The circumstances.
        record: The object's head.
        wanted: How.

    Raises:
        ConflictError: A precondition fails.
    """
    core, served = write.core, write.served
    # As it is stored: a deletion is about metadata alone, which is the same in all versions.
    obj = record.value()
    _check_preconditions(served, record, obj, wanted)
    waits = _mark(core, served, obj, wanted)
    if not waits:
        if not wanted.dry_run:
            await core.store_gone(served, record, obj)
            write.release(obj)
        return _gone(served, obj)
    if wanted.dry_run or obj == record.value():
        return await writing.preview(served, obj)
    return await writing.answer(served, await core.store_changed(served, record, obj))


def _check_preconditions(served: Served, record: Record, old: Object, wanted: Options) -> None:
    resource, name = served.resource, record.key.name
    uid = old["metadata"].get("uid")
    if wanted.uid and wanted.uid != uid:
        why = f"Precondition failed: UID in precondition: {wanted.uid:.100}, UID in object meta: {uid}"
        raise errors.conflict(resource.plural, name, why, resource.group)
    if wanted.version and wanted.version != str(record.revision):
        why = (
            f"Precondition failed: ResourceVersion in precondition: {wanted.version:.100}, "
            f"ResourceVersion in object meta: {record.revision}"
        )
        raise errors.conflict(resource.plural, name, why, resource.group)


def _mark(core: Core, served: Served, obj: Object, wanted: Options) -> bool:
    """Write the deletion into the object, in place; return whether it has to wait for someone."""
    metadata = obj["metadata"]
    _set_propagation(metadata, wanted.policy)
    grace = served.strategy.graceful_deletion_seconds(obj, wanted.raw)
    deleting = "deletionTimestamp" in metadata
    if deleting and metadata.get("deletionGracePeriodSeconds") and grace is not None:
        # A grace that runs may be cut short, never made longer.
        grace = min(grace, metadata["deletionGracePeriodSeconds"])
    if not deleting or metadata.get("deletionGracePeriodSeconds", 0) != (grace or 0):
        moment = core.clock() + datetime.timedelta(seconds=grace or 0)
        metadata["deletionTimestamp"] = cores.timestamp(moment)
        metadata["deletionGracePeriodSeconds"] = grace or 0
        if not deleting and "generation" in metadata:
            metadata["generation"] += 1
    if served.resource.key == kinds.NAMESPACES.key and not deleting:
        obj["status"] = (obj.get("status") or {}) | {"phase": "Terminating"}
    return not updating.finished(served, obj)


def _set_propagation(metadata: dict[str, Any], policy: str) -> None:
    if not policy:
        return
    finalizers = [
        each for each in metadata.get("finalizers") or () if each not in {_ORPHAN, _FOREGROUND}
    ]
    if policy == "Orphan":
        finalizers.append(_ORPHAN)
    elif policy == "Foreground":
        finalizers.append(_FOREGROUND)
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers


def _gone(served: Served, obj: Object) -> One:
    resource = served.resource
    details = {"name": obj["metadata"]["name"], "kind": resource.plural}
    if resource.group:
        details["group"] = resource.group
    details["uid"] = obj["metadata"].get("uid", "")
    return One(success(details))


def success(details: Mapping[str, Any] | None = None, code: int = 0) -> bytes:
    """Return a `Status` that says that something was done.

    Args:
        details: What it was done to.
        code: HTTP status to name in it; 0 for none.
    """
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
    }
    if details:
        status["details"] = dict(details)
    if code:
        status["code"] = code
    return orjson.dumps(status)


async def delete_collection(core: Core, call: Call) -> Many:
    """Delete all objects that the request selects.

    Returns:
        The objects as they were.

    Raises:
        ApiError: An object could not be deleted; those before it are.
    """
    write = writing.Write.of(core, call)
    served = write.served
    wanted = options(call)
    list_options.check(call, watch=False)
    chosen = selection_of(core, served, call)
    listed = await reading.records(core, call)
    raws = [record.raw for record in listed]
    items = await converting.complete(lambda: served.all_in_version(raws))
    for record in listed:
        head = core.store.head(record.key)
        if head is not None and await converting.complete(partial(chosen.matches, head)):
            await delete_record(write, head, wanted)
    return Many(served, items, core.store.revision)
