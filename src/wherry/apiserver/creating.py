"""create: names, the metadata that the system gives, and the namespace that must be there."""

import uuid

from wherry.apiserver import admitting, intake, managed_fields, writing
from wherry.apiserver import core as cores
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors, kinds, names
from wherry.objects.errors import Cause
from wherry.objects.managed_fields import Managers
from wherry.objects.requests import Object
from wherry.store import Key

_GENERATE_ATTEMPTS = 8


async def create(core: Core, call: Call) -> One:
    """Create an object.

    Raises:
        AlreadyExistsError: There is one of that name.
        NotFoundError: There is no such namespace.
        ForbiddenError: The namespace is being deleted.
        InvalidError: A rule is broken.
        BadRequestError: The body cannot be read as an object of the kind.
    """
    managed_fields.check_options(call)
    return await store(core, call, intake.body(core.served(call), call))


async def store(core: Core, call: Call, obj: Object, managers: Managers | None = None) -> One:
    """Create an object that the request's body has become.

    Args:
        core: The state.
        call: The request.
        obj: The object; consumed.
        managers: Who owns its fields; None for the writer.

    Raises:
        ApiError: As `create`.
    """
    write = writing.Write.of(core, call)
    served = write.served
    intake.decode(served, call, obj)
    if obj["metadata"].get("resourceVersion"):
        raise errors.BadRequestError("resourceVersion should not be set on objects to be created")
    if served.resource.namespaced:
        check_namespace(core, served, obj)
    _check_serving(served)
    key = _name(core, served, obj)
    _own(core, served, obj)
    writing.shape(served, obj, None)
    if managers is None:
        managed_fields.track_create(write, obj)
    else:
        managed_fields.put(obj, managers)
    try:
        kept = await _admitted(write, key, obj)
        record = None if call.dry_run else await core.store_new(served, key, kept)
    except errors.ApiError:
        # Not when the caller is cancelled: the object may be on its way to disk.
        write.release(obj)
        raise
    if record is not None:
        return await writing.answer(served, record, 201)
    write.release(obj)
    return await writing.preview(served, kept, 201)


async def _admitted(write: writing.Write, key: Key, obj: Object) -> Object:
    """Return the object as it is to be stored, once everybody has agreed. Nothing may wait after it."""
    core, call, served = write.core, write.call, write.served
    served.strategy.prepare_create(obj, write.context)
    plan = core.admission.plan(call, served, "CREATE")
    if plan is not None:
        await admitting.mutate(write, plan, obj, None)
    writing.judge(write, obj, None)
    if core.store.head(key) is not None:
        raise errors.already_exists(served.resource.plural, key.name, served.resource.group)
    if plan is not None:
        await admitting.approve(write, plan, obj, None)
    kept = await writing.stored(served, obj)
    if served.resource.namespaced and (plan is not None or served.asks):
        check_namespace(core, served, obj)
    core.admission.settle(call, served, key, (obj, None))
    return kept


def check_namespace(core: Core, served: Served, obj: Object) -> None:
    """Refuse objects whose namespace is missing or on its way out.

    Raises:
        NotFoundError: There is no such namespace.
        ForbiddenError: It is being deleted.
    """
    name = str(obj["metadata"]["namespace"] or "")
    if not name:
        raise errors.BadRequestError("an empty namespace may not be set during creation")
    record = core.store.head(Key(kinds.NAMESPACES.key, "", name))
    if record is None:
        raise errors.not_found("namespaces", name)
    # Few namespaces are being deleted at any time: only those are worth parsing.
    if b'"deletionTimestamp"' not in record.raw:
        return
    if "deletionTimestamp" not in record.value()["metadata"]:
        return
    resource = served.resource
    why = f"unable to create new content in namespace {name} because it is being terminated"
    error = errors.forbidden(
        resource.plural, str(obj["metadata"].get("name") or ""), why, resource.group
    )
    cause = Cause(
        "metadata.namespace", f"namespace {name} is being terminated", "NamespaceTerminating"
    )
    error.details["causes"] = [cause.to_dict()]
    raise error


def _check_serving(served: Served) -> None:
    if served.definition is not None and served.definition.get("terminating"):
        raise errors.MethodNotAllowedError(
            "create not allowed while custom resource definition is terminating"
        )


def _name(core: Core, served: Served, obj: Object) -> Key:
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    if metadata.get("name"):
        return core.key(served, metadata["name"], namespace)
    prefix = metadata.get("generateName")
    if not prefix:
        cause = Cause(
            "metadata.name",
            "Required value: name or generateName is required",
            "FieldValueRequired",
        )
        raise writing.invalid(served, obj, [cause])
    for _ in range(_GENERATE_ATTEMPTS):
        key = core.key(served, names.generate(prefix), namespace)
        if core.store.head(key) is None:
            metadata["name"] = key.name
            return key
    raise errors.AlreadyExistsError(
        f'{errors.group_resource(served.resource.plural, served.resource.group)} "{prefix}" already '
        f"exists, the server was not able to generate a unique name for the object"
    )


def _own(core: Core, served: Served, obj: Object) -> None:
    """Set the metadata that belongs to the system."""
    metadata = obj["metadata"]
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"):
        metadata.pop(name, None)
    metadata.pop("resourceVersion", None)
    metadata.pop("generation", None)
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = cores.timestamp(core.clock())
    strategy = served.strategy
    if served.custom or "spec" in obj:
        metadata["generation"] = 1
    if strategy.has_status(served.resource) and not strategy.status_on_create:
        obj.pop("status", None)
        if not served.custom:
            # Go prints an empty status; clients that compare would else see a difference.
            obj["status"] = {}
