"""JSON patch (RFC 6902): a list of operations, all or none of which are done."""

import copy
from collections.abc import Mapping
from typing import Any

import jsonpatch
import jsonpointer

from wherry.objects import errors
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.schemas.node import refuse_deep

MAX_OPERATIONS = 10_000
"""As many as kube-apiserver takes."""

_NEEDS = {
    "add": "value",
    "copy": "from",
    "move": "from",
    "remove": "",
    "replace": "value",
    "test": "value",
}


def json_patch(obj: Object, operations: Any) -> Object:
    """Return ``obj`` with all operations done, in order.

    Args:
        obj: The object; not changed.
        operations: The decoded patch: a list of operations as RFC 6902 has them.

    Raises:
        BadRequestError: ``operations`` is no JSON patch, or the result nests too deep.
        RequestEntityTooLargeError: there are more than `MAX_OPERATIONS`.
        InvalidError: an operation cannot be done (its path leads nowhere, its test fails); the
            message names it.
    """
    if not isinstance(operations, list):
        raise errors.BadRequestError("a JSON patch must be a list of operations")
    if len(operations) > MAX_OPERATIONS:
        raise errors.RequestEntityTooLargeError(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, "
            f"got {len(operations)}"
        )
    result: Any = copy.deepcopy(obj)
    for index, operation in enumerate(operations):
        _validate(index, operation)
        result = _perform(index, operation, result)
        if operation["op"] in {"copy", "move"}:
            # Copies of copies double the object each time.
            _refuse_growth(index, operation, result)
    if not isinstance(result, dict):
        raise _refusal(-1, {"op": "replace", "path": ""}, "the result must be an object")
    refuse_deep(result)
    return result
