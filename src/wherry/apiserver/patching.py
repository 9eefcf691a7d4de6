"""patch: the three kinds of patch, applied to the head and then stored as an update."""

from wherry.apiserver import applying, converting, managed_fields, updating, writing
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors, patches
from wherry.objects.errors import Cause
from wherry.objects.requests import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    Object,
)
from wherry.objects.schemas import Schema


async def patch(core: Core, call: Call) -> One:
    """Change an object, or the part of it that a subresource stands for.

    Raises:
        NotFoundError: There is none.
        UnsupportedMediaTypeError: The patch is of a kind the resource does not take.
        InvalidError: The patch cannot be applied, or its result breaks a rule.
        ConflictError: The patch names a resource version or uid that is not the object's.
        BadRequestError: The patch cannot be read.
    """
    if call.request.content_type == APPLY_PATCH:
        return await applying.apply(core, call)
    write = writing.Write.of(core, call)
    served = write.served
    _check_media_type(served, call.request.content_type)
    managed_fields.check_options(call)
    record = core.head(served, call.request.name or "", call.request.namespace)
    obj = await converting.complete(lambda: served.from_storage(record.value()))
    schema = None if served.custom else served.schema()
    patched = apply(call, obj, schema)
    _check_identity(served, obj, patched)
    return await updating.replace(write, record, patched)


def _check_media_type(served: Served, media_type: str) -> None:
    accepted = [JSON_PATCH, MERGE_PATCH, APPLY_PATCH]
    if not served.custom:
        accepted.insert(2, STRATEGIC_MERGE_PATCH)
    if media_type not in accepted:
        raise errors.UnsupportedMediaTypeError(
            "the body of the request was in an unknown format - accepted media types include: "
            + ", ".join(accepted)
        )


def apply(call: Call, obj: Object, schema: Schema | None) -> Object:
    """Return ``obj`` with the request's patch applied; ``obj`` is not changed.

    Args:
        call: Its body is the patch, its content type says of which kind.
        obj: What is patched.
        schema: For a strategic merge patch, the merge keys.

    Raises:
        BadRequestError: The patch cannot be read.
        InvalidError: It cannot be applied to this object.
    """
    body, media_type = call.request.body, call.request.content_type
    if media_type == JSON_PATCH:
        patched = patches.json_patch(obj, body)
    elif media_type == STRATEGIC_MERGE_PATCH and schema is not None:
        patched = patches.strategic_merge(obj, body, schema)
    else:
        patched = patches.merge_patch(obj, body)
    if not isinstance(patched.get("metadata"), dict):
        raise errors.BadRequestError("the patch leaves no object: metadata must stay an object")
    return patched


def _check_identity(served: Served, obj: Object, patched: Object) -> None:
    for name in ("apiVersion", "kind"):
        if patched.get(name) != obj[name]:
            raise errors.BadRequestError(
                f"a patch may not change {name} from {obj[name]!r} to {patched.get(name)!r:.100}"
            )
    for name in ("name", "namespace"):
        before, after = obj["metadata"].get(name), patched["metadata"].get(name)
        if before != after:
            cause = Cause(
                f"metadata.{name}", f'Invalid value: "{after!s:.260}": field is immutable'
            )
            raise writing.invalid(served, obj, [cause])
