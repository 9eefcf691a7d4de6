"""What every write ends with: defaults, the kind's own preparation, every rule, then the store.

Between reading `head` and handing the new state to the store nothing waits, so no other write can
come between: an update needs no retry. A conflict is always one that the client asked to be told of.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

import orjson

from wherry.apiserver import converting, object_meta, ratcheting
from wherry.apiserver.answers import One
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.apiserver.strategy import Context
from wherry.objects import errors
from wherry.objects.declared.kind import Right
from wherry.objects.errors import Cause
from wherry.objects.requests import Object, Request
from wherry.objects.schemas import Schema
from wherry.store import Record


def shape(
    served: Served, obj: Object, old: Object | None, *, as_stored: Collection[str] = ()
) -> None:
    """Apply the defaults of schema and kind, in place, to an object that the schema allows.

    Args:
        served: What the object is.
        obj: The object, decoded.
        old: What it replaces, if anything.
        as_stored: Its parts that are those of ``old``, which the schema has allowed.

    Raises:
        InvalidError: Schema or metadata break a rule.
    """
    schema = served.schema()
    if obj.get("spec") is None and not served.custom and _always_has_spec(schema):
        obj["spec"] = {}
    schema.default(obj)
    causes = schema.check(obj, apart=as_stored)
    if causes and old is not None and served.structural is not None:
        causes = ratcheting.remaining(causes, obj, old, served.structural())
    causes = object_meta.check(obj, served.resource, old) + causes
    if old is not None:
        causes += object_meta.check_update(obj, old)
    if causes:
        raise invalid(served, obj, causes)
    served.strategy.default(obj)


def _always_has_spec(schema: Schema) -> bool:
    """Return whether a built-in kind has a `spec` even where its writer has left it out."""
    return "spec" in schema.root.properties and "spec" not in schema.root.required


@dataclass(frozen=True, slots=True)
class Write:
    """One write and where it happens.

    Attributes:
        core: The state.
        call: What is asked; its subresource tells which part is written.
        served: What is written.
        context: The circumstances, for the kind's strategy.
    """

    core: Core
    call: Call
    served: Served
    context: Context

    @classmethod
    def of(cls, core: Core, call: Call, served: Served | None = None) -> "Write":
        """Return the write that a call asks for.

        Args:
            core: The state.
            call: What is asked.
            served: What is written, where it is not the call's resource.

        Raises:
            NotFoundError: The resource is not served.
        """
        served = served or core.served(call)
        return cls(core, call, served, core.context(call, served))

    def release(self, obj: Object) -> None:
        """Give back what was allocated for an object that is gone or was never stored."""
        self.served.strategy.release(obj, self.context)


def judge(write: Write, obj: Object, old: Object | None) -> None:
    """Check the kind's own rules, and collect warnings, which are for who writes the object itself.

    Raises:
        InvalidError: One cause for each rule that is broken.
        ForbiddenError: The writer may not do what the object will have done.
    """
    served = write.served
    causes = served.strategy.validate(obj, old, write.context)
    if served.rules is not None:
        causes += served.rules(obj, old)
    if causes:
        raise invalid(served, obj, causes)
    for right in served.strategy.rights(obj, old, write.context):
        _require(write, obj, right)
    if not write.call.request.subresource:
        write.call.warnings += served.strategy.warnings(obj)


def _require(write: Write, obj: Object, right: Right) -> None:
    check = write.call.check
    if check is None:
        return
    made = write.core.resources.by_kind(right.api_version, right.kind)
    wanted = right.unserved() if made is None else made.resource
    try:
        check(Request("create", wanted, namespace=right.namespace))
    except errors.ForbiddenError as error:
        resource, name = write.served.resource, str(obj["metadata"].get("name") or "")
        why = right.lacking(error.message)
        raise errors.forbidden(resource.plural, name, why, resource.group) from None


def invalid(served: Served, obj: Object, causes: list[Cause]) -> errors.InvalidError:
    """Return ``Pod "x" is invalid: …``."""
    resource = served.resource
    name = str(obj["metadata"].get("name") or "")
    return errors.invalid(resource.kind, name, causes, resource.group)


async def stored(served: Served, obj: Object) -> Object:
    """Return an object as it is to be stored. Where that takes asking, other writes go on meanwhile.

    Raises:
        ApiError: It cannot be had in the storage version.
    """
    if served.asks:
        return await converting.complete(partial(served.to_storage, obj))
    return served.to_storage(obj)


async def preview(served: Served, kept: Object, code: int = 200) -> One:
    """Return an object as it would be stored: the answer of a dry run.

    Args:
        served: What it is.
        kept: As `stored` gave it.
        code: HTTP status.

    Raises:
        ApiError: It cannot be had in the version that was asked for.
    """
    return await _shown(served, orjson.dumps(kept), code)


async def answer(served: Served, record: Record, code: int = 200) -> One:
    """Return a stored object.

    Raises:
        ApiError: It cannot be had in the version that was asked for.
    """
    return await _shown(served, record.raw, code)


async def _shown(served: Served, raw: bytes, code: int) -> One:
    if served.asks:
        return One(await converting.complete(partial(served.in_version, raw)), served, code)
    return One(served.in_version(raw), served, code)
