"""Webhooks as they are configured, and the questions that are put to them.

Source: `pkg/admission/plugin/webhook` of apiserver.
"""

import asyncio
import copy
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.apiserver import converting
from wherry.apiserver.admission.attributes import Attributes
from wherry.apiserver.admission.matching import ConditionError, Conditions, Match
from wherry.apiserver.admission.webhook_client import WebhookCallError, WebhookClient
from wherry.apiserver.resources import ResourceMap
from wherry.objects import errors, patches
from wherry.objects.requests import Object
from wherry.store import Record, Store

_MAX_WARNING = 256


@dataclass(frozen=True, slots=True)
class Webhook:
    """One entry of a webhook configuration.

    Attributes:
        name: Its name.
        spec: The entry.
        match: Which writes it is asked about.
        conditions: Its `matchConditions`.
    """

    name: str
    spec: Mapping[str, Any]
    match: Match
    conditions: Conditions

    @property
    def fails_closed(self) -> bool:
        """Whether a write is refused when the webhook cannot be asked."""
        return self.spec.get("failurePolicy") != "Ignore"


@functools.lru_cache(maxsize=256)
def _compiled(record: Record) -> tuple[Webhook, ...]:
    return tuple(
        Webhook(
            str(spec["name"]), spec, Match.of(spec), Conditions(spec.get("matchConditions") or ())
        )
        for spec in record.value().get("webhooks") or ()
    )


def webhooks_of(records: Sequence[Record]) -> tuple[Webhook, ...]:
    """Return the webhooks of all configurations, in the order in which they are asked."""
    return tuple(hook for record in records for hook in _compiled(record))


class Dispatcher:
    """Asks webhooks about one write.

    Args:
        store: Namespaces and their labels.
        resources: What is served.
        client: Calls.
        warnings: What the webhooks want the client to be told is added.
    """

    def __init__(
        self, store: Store, resources: ResourceMap, client: WebhookClient, warnings: list[str]
    ) -> None:
        self._store = store
        self._resources = resources
        self._client = client
        self._warnings = warnings

    async def mutate(self, hooks: Sequence[Webhook], asked: Attributes) -> Object:
        """Return the object as the webhooks leave it.

        Webhooks with `reinvocationPolicy: IfNeeded` are asked once more if a later one has
        changed the object.

        Raises:
            ApiError: A webhook refuses, or cannot be asked.
        """
        obj = copy.deepcopy(asked.obj)
        assert obj is not None
        seen: list[tuple[Webhook, Object]] = []
        for hook in hooks:
            changed = await self._apply(hook, asked.with_object(obj))
            if changed is not None:
                obj = changed
                seen.append((hook, obj))
        for hook, left in seen:
            again = hook.spec.get("reinvocationPolicy") == "IfNeeded"
            if again and left != obj:
                obj = await self._apply(hook, asked.with_object(obj)) or obj
        return obj

    async def _apply(self, hook: Webhook, asked: Attributes) -> Object | None:
        """Return what a webhook makes of the object; None where it is not concerned."""
        response = await self._ask(hook, asked)
        if response is None:
            return None
        patch = response.get("patch")
        if patch is None or asked.obj is None:
            return asked.obj
        try:
            matched = await self._matched(hook, asked) or asked
            assert matched.obj is not None
            patched = patches.json_patch(matched.obj, patch)
        except errors.ApiError as error:
            raise errors.InternalError(
                f'admission webhook "{hook.name}" sent a patch that cannot be applied: {error.message}'
            ) from error
        if matched is asked:
            return patched
        version = asked.served.resource.api_version
        back = await converting.complete(lambda: asked.served.convert([patched], version))
        return back[0]

    async def _matched(self, hook: Webhook, asked: Attributes) -> Attributes | None:
        """Return the write in the version that a webhook wants; None where it is not concerned."""
        store, resources = self._store, self._resources
        return await converting.complete(lambda: hook.match.applies(asked, store, resources))

    async def validate(self, hooks: Sequence[Webhook], asked: Attributes) -> None:
        """Ask all webhooks at once.

        Raises:
            ApiError: One refuses, or cannot be asked: the first in their order.
        """
        answers = await asyncio.gather(
            *(self._ask(hook, asked) for hook in hooks), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    async def _ask(self, hook: Webhook, asked: Attributes) -> dict[str, Any] | None:
        """Return a webhook's consent; None where it is not concerned, or may be passed over.

        Raises:
            ApiError: It refuses, or cannot be asked.
        """
        matched = await self._matched(hook, asked)
        if matched is None:
            return None
        request = matched.request()
        try:
            if not hook.conditions.hold(matched.values(request)):
                return None
        except ConditionError as error:
            if not hook.fails_closed:
                return None
            raise errors.ForbiddenError(
                f'admission webhook "{hook.name}": the matchConditions cannot be evaluated: {error}'
            ) from error
        if matched.dry_run and hook.spec.get("sideEffects") not in {"None", "NoneOnDryRun"}:
            raise errors.BadRequestError(
                f'admission webhook "{hook.name}" does not support dry run'
            )
        request["object"], request["oldObject"] = matched.obj, matched.old
        try:
            response = await self._client.call(hook.spec, request)
        except WebhookCallError as error:
            if not hook.fails_closed:
                return None
            raise errors.InternalError(
                f'Internal error occurred: failed calling webhook "{hook.name}": {error}'
            ) from error
        self._warnings += [str(each)[:_MAX_WARNING] for each in response.get("warnings") or ()]
        if response.get("allowed") is not True:
            raise _refusal(hook.name, response.get("status"))
        return response


def _refusal(name: str, status: Any) -> errors.ApiError:
    given = status if isinstance(status, dict) else {}
    code = given.get("code")
    if not isinstance(code, int) or not 400 <= code < 600:
        code = errors.ForbiddenError.code if not given else errors.BadRequestError.code
    said = given.get("message") or given.get("reason")
    text = f'admission webhook "{name}" denied the request'
    message = f"{text}: {said}" if said else f"{text} without explanation"
    return errors.from_status({**given, "message": message, "code": code}, code)
