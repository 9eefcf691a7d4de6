"""apply: a patch that says what its sender wants, and is held to nothing else.

The configuration is merged into the head, or becomes the object where there is none; from there on
it is an update or a create like any other.
"""

from typing import Any

from wherry.apiserver import converting, creating, intake, managed_fields, updating, writing
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors
from wherry.objects import managed_fields as engine
from wherry.objects.managed_fields import FieldConflictsError, Managers, TypingError
from wherry.objects.requests import Object, Request


async def apply(core: Core, call: Call) -> One:
    """Apply a configuration to an object, or create it from one.

    Raises:
        ConflictError: Others own fields that would change; or the configuration names another
            resource version or uid than the object's.
        BadRequestError: The configuration cannot be read, or not as an object of the kind.
        InvalidError: The options or the result break a rule.
        NotFoundError: There is none, and a subresource cannot create it.
        ForbiddenError: There is none, and the user may not create it.
    """
    managed_fields.check_options(call)
    write = writing.Write.of(core, call)
    served = write.served
    config = _configuration(served, call)
    name, namespace = call.request.name or "", call.request.namespace
    record = core.store.head(core.key(served, name, namespace))
    if record is None:
        return await _create(write, config)
    live = await converting.complete(lambda: served.from_storage(record.value()))
    merged, managers = await merge(write, live, config)
    return await updating.replace(write, record, merged, managers=managers)


async def _create(write: writing.Write, config: Object) -> One:
    core, call, served = write.core, write.call, write.served
    request, name = call.request, call.request.name or ""
    if request.subresource:
        raise errors.not_found(served.resource.plural, name, served.resource.group)
    if uid := config["metadata"].get("uid"):
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise errors.conflict(served.resource.plural, name, why, served.resource.group)
    if call.check is not None:
        call.check(_creation(request))
    nothing: Object = {"apiVersion": config["apiVersion"], "kind": config["kind"]}
    obj, managers = await merge(write, nothing, config)
    return await creating.store(core, call, obj, managers=managers)


def _creation(request: Request) -> Request:
    return Request("create", request.resource, namespace=request.namespace, options=request.options)


async def merge(write: writing.Write, live: Object, config: Object) -> tuple[Object, Managers]:
    """Return the object and its managers after an apply.

    Args:
        write: The circumstances; ``force`` is one of its options.
        live: The object; no more than its type where there is none.
        config: What is applied.

    Raises:
        ConflictError: Others own fields that would change; one cause for each.
        BadRequestError: Lists of the configuration cannot be told apart item by item.
    """
    served, force = write.served, write.call.flag("force")
    managers = managed_fields.of(live) if "metadata" in live else {}
    view, circumstances = managed_fields.view(served, live), managed_fields.circumstances(write)
    try:
        return await converting.complete(
            lambda: engine.apply(view, config, managers, circumstances, force=force)
        )
    except FieldConflictsError as error:
        causes = [cause.to_dict() for cause in error.causes]
        raise errors.ConflictError(str(error), {"causes": causes}) from None
    except TypingError as error:
        raise _untyped(served, config, str(error)) from None


def _configuration(served: Served, call: Call) -> Object:
    """Return the body as a configuration of the kind, decoded."""
    body = call.request.body
    if not isinstance(body, dict):
        raise errors.BadRequestError(
            f"error decoding YAML: the body must be one {served.resource.kind} object"
        )
    resource = served.resource
    if (body.get("apiVersion"), body.get("kind")) != (resource.api_version, resource.kind):
        raise errors.BadRequestError(f"invalid object type: {_type(body)}")
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise errors.BadRequestError("metadata.managedFields must be nil")
    config = intake.body(served, call)
    try:
        unknown = served.schema().decode(config)
    except errors.BadRequestError as error:
        raise _untyped(served, config, error.message) from error
    if not isinstance(config.get("metadata"), dict):
        raise _untyped(served, config, ".metadata: expected map")
    if unknown:
        texts = [f".{path}: field not declared in schema" for path in unknown]
        raise _untyped(served, config, "\n".join(texts))
    _speak_of_duplicates(call)
    return config


def _speak_of_duplicates(call: Call) -> None:
    wrong = [f'duplicate field "{path}"' for path in call.duplicates]
    if wrong and call.field_validation == "Strict":
        raise errors.BadRequestError(f"error decoding YAML: {', '.join(wrong)}")
    if call.field_validation == "Warn":
        call.warnings += wrong


def _type(body: Object) -> str:
    group, _, version = f"{body.get('apiVersion') or ''!s:.260}".rpartition("/")
    return f"{group}/{version}, Kind={body.get('kind') or ''!s:.260}"


def _untyped(served: Served, config: Object, why: str) -> errors.BadRequestError:
    metadata: Any = config.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    where = f"{known.get('namespace') or ''!s:.260}/{known.get('name') or ''!s:.260}"
    return errors.BadRequestError(
        f"failed to create typed patch object ({where}; {_type(config)}): {why}"
    )
