"""What every write ends with: defaults, the kind's own preparation, every rule, then the store.

Between reading `head` and handing the new state to the store nothing waits, so no other write can
come between: an update needs no retry. A conflict is always one that the client asked to be told of.
"""

import orjson

from wherry.apiserver import object_meta
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.store import Record


def shape(served: Served, obj: Object) -> None:
    """Apply the defaults of schema and kind, in place, to an object that the schema allows.

    Raises:
        InvalidError: The schema does not allow it.
    """
    schema = served.schema()
    schema.default(obj)
    if causes := schema.check(obj):
        raise invalid(served, obj, causes)
    served.strategy.default(obj)


def judge(core: Core, call: Call, served: Served, obj: Object, old: Object | None) -> None:
    """Check every rule beyond the schema, and collect warnings.

    Raises:
        InvalidError: One cause for each rule that is broken.
    """
    causes = object_meta.check(obj, served.resource)
    if old is not None:
        causes += object_meta.check_update(obj, old)
    causes += served.strategy.validate(obj, old, core.context(call, served))
    if causes:
        raise invalid(served, obj, causes)
    call.warnings += served.strategy.warnings(obj)


def invalid(served: Served, obj: Object, causes: list[Cause]) -> errors.InvalidError:
    """Return ``Pod "x" is invalid: …``."""
    resource = served.resource
    name = str(obj["metadata"].get("name") or "")
    return errors.invalid(resource.kind, name, causes, resource.group)


def preview(served: Served, obj: Object, code: int = 200) -> One:
    """Return an object as it would be stored: the answer of a dry run."""
    return One(served.in_version(orjson.dumps(served.to_storage(obj))), served, code)


def answer(served: Served, record: Record, code: int = 200) -> One:
    """Return a stored object."""
    return One(served.in_version(record.raw), served, code)
