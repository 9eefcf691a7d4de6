"""Writes that others are asked about: webhooks may change and refuse them, policies refuse them.

While a webhook is asked, other writes go on. So whoever builds on a stored object looks again
afterwards (`check_unmoved`), and the registry begins anew where that object has changed (`settled`).
"""

import copy
import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from wherry.apiserver import converting, writing
from wherry.apiserver.admission.attributes import Attributes
from wherry.apiserver.admission.gate import Operation, Plan
from wherry.apiserver.admission.webhooks import Webhook
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.resources import Served
from wherry.objects import errors, kinds
from wherry.objects.requests import Object
from wherry.store import Record

_ATTEMPTS = 5
_KEPT = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "managedFields",
)
"""Metadata that a webhook cannot change."""

T = TypeVar("T")
_CHANGING = frozenset({"update", "patch"})


class _MovedError(errors.ConflictError):
    """The object has changed while others were asked about what was built on it."""


async def settled(core: Core, call: Call, run: Callable[[Core, Call], Awaitable[T]]) -> T:
    """Carry out a call; begin anew where an object has changed while webhooks were asked.

    Webhooks of admission and of conversion alike.

    Raises:
        ApiError: As the call.
        ConflictError: The object changes faster than the webhooks answer.
    """
    if call.request.verb not in _CHANGING or not (
        core.admission.configured or core.served(call).asks
    ):
        return await run(core, call)
    said = len(call.warnings)
    for attempt in range(_ATTEMPTS):
        request = dataclasses.replace(call.request, body=copy.deepcopy(call.request.body))
        try:
            return await run(core, dataclasses.replace(call, request=request))
        except _MovedError:
            if attempt == _ATTEMPTS - 1:
                raise
            del call.warnings[said:]
    raise AssertionError("the last attempt returns or raises")


async def mutate(write: writing.Write, plan: Plan, obj: Object, old: Object | None) -> None:
    """Let policies and webhooks change an object, in place; the rules of schema and kind are applied anew.

    Raises:
        ApiError: One refuses or cannot be asked, or its change is no object of the kind.
    """
    if not plan.mutating and plan.mutations is None:
        return
    served = write.served
    changed = await _mutated(write, plan, _attributes(write, plan, obj, old))
    if changed == obj:
        return
    _keep(obj, changed, write)
    obj.clear()
    obj.update(changed)
    served.schema().decode(obj)
    writing.shape(served, obj, old)
    if old is None and served.resource.key == kinds.PODS.key:
        # Containers that a webhook adds get the token's volume and the limits' defaults too.
        served.strategy.prepare_create(obj, write.context)


async def _mutated(write: writing.Write, plan: Plan, asked: Attributes) -> Object:
    """Return what policies and then webhooks make of an object."""
    policies, changed = plan.mutations, asked.obj
    assert changed is not None
    if policies is not None:
        changed = await converting.complete(lambda: policies.apply(asked))
    if not plan.mutating:
        return changed
    before = changed
    dispatcher = write.core.admission.dispatcher(write.call.warnings)
    changed = await dispatcher.mutate(plan.mutating, asked.with_object(before))
    if policies is None or changed == before:
        return changed
    seen = asked.with_object(changed)
    return await converting.complete(lambda: policies.apply(seen, again=True))


async def approve(write: writing.Write, plan: Plan, obj: Object, old: Object | None) -> None:
    """Ask policies, then webhooks, whether an object may be stored.

    Raises:
        ApiError: One refuses, or cannot be asked.
    """
    asked = _attributes(write, plan, obj, old)
    await _hold_to_policies(plan, asked, write.call.warnings)
    await _validate(write, plan.validating, asked)


async def approve_deletion(
    write: writing.Write, plan: Plan, record: Record, *, dry_run: bool
) -> Record:
    """Ask whether an object may be deleted, and return what there then is of it.

    Raises:
        NotFoundError: It has gone meanwhile.
        ApiError: Someone refuses, or cannot be asked.
    """
    old = await converting.complete(lambda: write.served.from_storage(record.value()))
    asked = dataclasses.replace(_attributes(write, plan, old, old), obj=None, dry_run=dry_run)
    await _hold_to_policies(plan, asked, write.call.warnings)
    await _validate(write, (*plan.mutating, *plan.validating), asked)
    return write.core.head(write.served, record.key.name, record.key.namespace)


def check_unmoved(core: Core, served: Served, record: Record) -> None:
    """Check that an object is still what was built on.

    Raises:
        ConflictError: It has changed.
        NotFoundError: It has gone.
    """
    if core.head(served, record.key.name, record.key.namespace) is not record:
        text = errors.conflict(served.resource.plural, record.key.name, group=served.resource.group)
        raise _MovedError(text.message, text.details)


async def admit_body(core: Core, call: Call, operation: Operation, body: Object) -> Object:
    """Ask about what is no object that is stored: a binding, an eviction, a connection.

    Args:
        core: The state.
        call: The request.
        operation: ``CREATE`` or ``CONNECT``.
        body: What was sent, or the options of a connection.

    Returns:
        The body as webhooks leave it.

    Raises:
        ApiError: One refuses, or cannot be asked.
    """
    served, request = core.served(call), call.request
    plan = core.admission.plan(call, served, operation)
    if plan is None:
        return body
    described = kinds.subresource(served.resource, request.subresource or "")
    metadata = body.get("metadata")
    named = metadata.get("name") if isinstance(metadata, dict) else None
    asked = Attributes(
        operation=operation,
        served=served,
        subresource=request.subresource or "",
        name=str(request.name or named or ""),
        namespace=request.namespace or "",
        user=call.user,
        dry_run=call.dry_run,
        obj=body,
        old=None,
        kind=described,
    )
    dispatcher = core.admission.dispatcher(call.warnings)
    if plan.mutating:
        asked = asked.with_object(await dispatcher.mutate(plan.mutating, asked))
    await _hold_to_policies(plan, asked, call.warnings)
    if plan.validating:
        await dispatcher.validate(plan.validating, asked)
    assert asked.obj is not None
    return asked.obj


async def _hold_to_policies(plan: Plan, asked: Attributes, warnings: list[str]) -> None:
    policies = plan.policies
    if policies is None:
        return
    said = len(warnings)

    def check() -> None:
        del warnings[said:]
        policies.check(asked, warnings)

    await converting.complete(check)


async def _validate(write: writing.Write, hooks: Sequence[Webhook], asked: Attributes) -> None:
    if hooks:
        await write.core.admission.dispatcher(write.call.warnings).validate(hooks, asked)


def _attributes(write: writing.Write, plan: Plan, obj: Object, old: Object | None) -> Attributes:
    meta = obj["metadata"]
    return Attributes(
        operation=plan.operation,
        served=write.served,
        subresource=(write.call.request.subresource or "") if plan.operation == "UPDATE" else "",
        name=str(meta.get("name") or ""),
        namespace=str(meta.get("namespace") or ""),
        user=write.call.user,
        dry_run=write.call.dry_run,
        obj=obj,
        old=old,
    )


def _keep(obj: Object, changed: Object, write: writing.Write) -> None:
    """Put back what a webhook cannot change.

    Raises:
        InternalError: It has left no object of the kind.
    """
    served, metadata = write.served, changed.get("metadata")
    if not isinstance(metadata, dict):
        raise errors.InternalError("an admission webhook has left an object without metadata")
    changed["apiVersion"], changed["kind"] = served.resource.api_version, served.resource.kind
    for name in _KEPT:
        if name in obj["metadata"]:
            metadata[name] = obj["metadata"][name]
        else:
            metadata.pop(name, None)
    if served.strategy.has_status(served.resource) and not write.call.request.subresource:
        changed.pop("status", None)
        if "status" in obj:
            changed["status"] = obj["status"]
