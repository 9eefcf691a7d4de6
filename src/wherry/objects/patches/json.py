"""JSON patch (RFC 6902): a list of operations, all or none of which are done."""

from typing import Any, Final

import jsonpatch
import jsonpointer
import orjson

from wherry.objects import errors
from wherry.objects.copies import copied
from wherry.objects.requests import Object
from wherry.objects.schemas.node import refuse_deep, show

MAX_OPERATIONS: Final = 10_000
"""As many as kube-apiserver takes."""

MAX_COPIED_BYTES: Final = 3 * 1024 * 1024
"""How much ``copy`` operations may add in all; copies of copies double each time."""

_NEEDS: Final = {
    "add": "value",
    "copy": "from",
    "move": "from",
    "remove": "path",
    "replace": "value",
    "test": "value",
}


def json_patch(obj: Object, operations: Any) -> Object:
    """Return ``obj`` with all operations done, in order.

    Args:
        obj: The object; not changed.
        operations: The decoded patch: a list of operations as RFC 6902 has them.

    Raises:
        BadRequestError: ``operations`` is no JSON patch, or something nests too deep.
        RequestEntityTooLargeError: more than `MAX_OPERATIONS`, or more copied than
            `MAX_COPIED_BYTES`.
        InvalidError: an operation cannot be done (its path leads nowhere, its test fails), or the
            result is no object; the message names it.
    """
    _validate(operations)
    result: Any = copied(obj)
    copied_bytes = 0
    for index, operation in enumerate(copied(operations)):
        try:
            if operation["op"] == "copy":
                source = jsonpointer.resolve_pointer(result, operation["from"])
                copied_bytes += len(orjson.dumps(source))
                _refuse_growth(copied_bytes)
            result = jsonpatch.JsonPatch([operation]).apply(result, in_place=True)
        except jsonpatch.JsonPatchTestFailed as error:
            raise errors.InvalidError(
                f"{_name(index, operation)}: {_untrue(result, operation)}"
            ) from error
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException) as error:
            raise errors.InvalidError(f"{_name(index, operation)}: {error}") from error
        except (TypeError, KeyError, IndexError, ValueError) as error:
            why = "the path leads into a value that is neither an object nor a list"
            raise errors.InvalidError(f"{_name(index, operation)}: {why}") from error
    if not isinstance(result, dict):
        raise errors.InvalidError(f"the JSON patch must leave an object, not {show(result)}")
    refuse_deep(result)
    return result


def _validate(operations: Any) -> None:
    if not isinstance(operations, list):
        raise errors.BadRequestError("a JSON patch must be a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise errors.RequestEntityTooLargeError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, "
            f"got {len(operations)}"
        )
    refuse_deep(operations)
    for index, operation in enumerate(operations):
        if not isinstance(operation, dict):
            raise errors.BadRequestError(f"operation {index} of the JSON patch must be an object")
        needed = _NEEDS.get(str(operation.get("op")))
        if needed is None:
            known = ", ".join(_NEEDS)
            raise errors.BadRequestError(f"{_name(index, operation)}: op must be one of {known}")
        missing = [field for field in ("path", needed) if field not in operation]
        if missing:
            raise errors.BadRequestError(f"{_name(index, operation)}: {missing[0]} is missing")
        for field in ("path", "from"):
            if field in operation and not isinstance(operation[field], str):
                raise errors.BadRequestError(f"{_name(index, operation)}: {field} must be a string")


def _refuse_growth(copied_bytes: int) -> None:
    if copied_bytes > MAX_COPIED_BYTES:
        raise errors.RequestEntityTooLargeError(
            f"the copy operations of the JSON patch copy more than {MAX_COPIED_BYTES} bytes"
        )


def _untrue(result: Any, operation: Any) -> str:
    try:
        found = show(jsonpointer.resolve_pointer(result, operation["path"]))
    except jsonpointer.JsonPointerException:
        found = "missing"
    return f"the test fails: the value is {found}, not {show(operation['value'])}"


def _name(index: int, operation: Any) -> str:
    op, path = show(operation.get("op")).strip('"'), show(operation.get("path"))
    return f"operation {index} of the JSON patch ({op} {path})"
