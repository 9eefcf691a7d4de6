"""From what a client sent to an object of its kind: type, place, unknown and duplicate fields."""

import json
from typing import Any, Final

from wherry.apiserver.call import Call
from wherry.apiserver.resources import Served
from wherry.objects import errors
from wherry.objects.errors import Cause
from wherry.objects.requests import STRATEGIC_MERGE_PATCH, Object
from wherry.objects.schemas.decoding import WrongTypeError

_SHOWN_CHARACTERS: Final = 200
"""Of a patch that is refused."""


def body(served: Served, call: Call) -> Object:
    """Return the request's body as an object of the resource.

    Raises:
        BadRequestError: It is no object, or one of another kind, place or shape.
    """
    obj = call.request.body
    if not isinstance(obj, dict):
        raise errors.BadRequestError(
            f"the body must be one {served.resource.kind} object, not {_json_type(obj)}"
        )
    _check_type(served, obj)
    metadata = obj.setdefault("metadata", {})
    if metadata is None:
        metadata = obj["metadata"] = {}
    if not isinstance(metadata, dict):
        decode(served, call, obj)  # which refuses it, in the words of the kind
    _check_place(served, call, metadata)
    return obj


def decode(served: Served, call: Call, obj: Object) -> None:
    """Bring the object into the shape of its kind, in place; speak of the fields that it does not know.

    Raises:
        BadRequestError: A field has the wrong type, or (with ``fieldValidation=Strict``) is unknown or
            there twice.
    """
    resource = served.resource
    subject = (
        f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}'
    )
    try:
        unknown = served.schema().decode(obj)
    except errors.BadRequestError as error:
        if call.request.verb == "patch" and call.request.content_type == STRATEGIC_MERGE_PATCH:
            raise _unfit_patch(call.request.body, error) from error
        raise errors.BadRequestError(f"{subject}: {error.message}") from error
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise errors.BadRequestError(
            f"{subject}: metadata must be an object, not {_json_type(metadata)}"
        )
    wrong = [f'unknown field "{path}"' for path in unknown]
    wrong += [f'duplicate field "{path}"' for path in call.duplicates]
    if not wrong:
        return
    mode = call.field_validation
    if mode == "Strict":
        text = f"strict decoding error: {', '.join(wrong)}"
        raise errors.BadRequestError(text if served.custom else f"{subject}: {text}")
    if mode == "Warn":
        call.warnings += wrong


def _unfit_patch(patch: object, error: errors.BadRequestError) -> errors.InvalidError:
    """Return the answer to a patch whose result is no object of the kind: it is the patch that is wrong."""
    why = error.message
    if isinstance(error, WrongTypeError):
        found, wanted = error.found, error.go_type
        what = (
            "map" if wanted.startswith("map[") else "slice" if wanted.startswith("[]") else wanted
        )
        why = f"cannot restore {what} from {found}"
    shown = json.dumps(patch, default=str)[:_SHOWN_CHARACTERS]
    return errors.invalid("", "", [Cause("patch", f"Invalid value: {shown}: {why}")])


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _check_type(served: Served, obj: Object) -> None:
    """Fill in `apiVersion` and `kind`, which some clients leave out; refuse others than expected."""
    # Anything may stand there, also what has no hash: hence tuples, not sets.
    resource = served.resource
    api_version, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
    if api_version not in ("", resource.api_version):
        raise errors.BadRequestError(
            f"the API version in the data ({api_version!s:.100}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind not in ("", resource.kind):
        raise errors.BadRequestError(
            f"the kind in the data ({kind!s:.100}) does not match the expected kind ({resource.kind})"
        )
    obj["apiVersion"], obj["kind"] = resource.api_version, resource.kind


def _check_place(served: Served, call: Call, metadata: dict[str, Any]) -> None:
    request = call.request
    name = metadata.get("name")
    if request.name and request.verb != "create":
        if name not in (None, "", request.name):
            raise errors.BadRequestError(
                f"the name of the object ({name!s:.260}) does not match the name on the URL ({request.name})"
            )
        metadata["name"] = request.name
    if not served.resource.namespaced:
        if metadata.get("namespace"):
            raise errors.BadRequestError("namespace may not be set on a cluster-scoped object")
        metadata.pop("namespace", None)
        return
    if metadata.get("namespace") not in (None, "", request.namespace):
        raise errors.BadRequestError(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    metadata["namespace"] = request.namespace
