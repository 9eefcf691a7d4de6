"""Whether anyone has to be asked before a write, and whom.

Most clusters have neither policies nor webhooks, so a write must find out at once that nobody is to
be asked: `Admission.plan` compares the identity of a few lists of the store, and that is all.
"""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from wherry.apiserver.admission import node_restriction, pod_security
from wherry.apiserver.admission.attributes import Attributes, is_exempt
from wherry.apiserver.admission.pod_security import PodSecurity
from wherry.apiserver.admission.quota import Quotas
from wherry.apiserver.admission.webhook_client import WebhookClient
from wherry.apiserver.admission.webhooks import Dispatcher, Webhook, webhooks_of
from wherry.apiserver.call import Call
from wherry.apiserver.resources import ResourceMap, Served
from wherry.objects import kinds
from wherry.objects.requests import Object
from wherry.store import Key, Record, Store

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]

SYSTEM_USER: Final = "system:apiserver"
"""Whose own deletions nobody may stop, or definitions could never go."""
_WATCHED: Final = (
    kinds.MUTATING_WEBHOOK_CONFIGURATIONS.key,
    kinds.VALIDATING_WEBHOOK_CONFIGURATIONS.key,
    kinds.VALIDATING_ADMISSION_POLICIES.key,
    kinds.VALIDATING_ADMISSION_POLICY_BINDINGS.key,
    kinds.MUTATING_ADMISSION_POLICIES.key,
    kinds.MUTATING_ADMISSION_POLICY_BINDINGS.key,
)


class PolicyCheck(Protocol):
    """All policies; `policies` knows more of them."""

    def check(self, asked: Attributes, warnings: list[str]) -> None:
        """Hold a write to the policies.

        Raises:
            ApiError: One refuses it.
        """
        ...


class Mutations(Protocol):
    """All mutating policies; `mutation_policies` knows more of them."""

    def apply(self, asked: Attributes, *, again: bool = False) -> Object:
        """Return the object as the policies leave it.

        Raises:
            ApiError: One cannot be applied.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Who may have to be asked about a write.

    Attributes:
        operation: What the write does.
        mutating: Webhooks that may change the object, in their order.
        validating: Webhooks that may refuse it.
        policies: Rules that may refuse it; None without any.
        mutations: Rules that may change the object, before the webhooks; None without any.
    """

    operation: Operation
    mutating: Sequence[Webhook]
    validating: Sequence[Webhook]
    policies: PolicyCheck | None
    mutations: Mutations | None = None


class Admission:
    """What stands between a write and the store, beyond the rules of the kind.

    Args:
        store: The committed state.
        resources: What is served.
        clock: Current time, aware.

    Attributes:
        quotas: Counted last, with the store's next step.
        pod_security: The levels that namespaces ask for.
        client: Calls webhooks.
    """

    def __init__(
        self, store: Store, resources: ResourceMap, clock: Callable[[], datetime.datetime]
    ) -> None:
        self.quotas = Quotas(store, clock)
        self.pod_security = PodSecurity(store)
        self.client = WebhookClient(store)
        self._store = store
        self._resources = resources
        self._seen: list[Sequence[Record]] = []
        self._revision = -1
        self._mutating: Sequence[Webhook] = ()
        self._validating: Sequence[Webhook] = ()
        self._policies: PolicyCheck | None = None
        self._mutations: Mutations | None = None

    @property
    def configured(self) -> bool:
        """Whether there is any webhook, so that writes may have to wait."""
        self._refresh()
        return bool(self._mutating or self._validating)

    def plan(self, call: Call, served: Served, operation: Operation) -> Plan | None:
        """Return who is to be asked about a write; None where nobody is."""
        self._refresh()
        if not (self._mutating or self._validating or self._policies or self._mutations):
            return None
        if call.user.name == SYSTEM_USER or is_exempt(served.resource):
            return None
        return Plan(operation, self._mutating, self._validating, self._policies, self._mutations)

    def settle(
        self, call: Call, served: Served, key: Key, objects: tuple[Object, Object | None]
    ) -> None:
        """Take the last step before the store: nodes, pod security, then quotas. Nothing may wait after it.

        Args:
            call: What is asked.
            served: What is written.
            key: Where it will be stored.
            objects: What will be stored, and what it replaces.

        Raises:
            ForbiddenError: One of them does not allow it.
        """
        obj, old = objects
        node_restriction.restrict(call.user, served.resource.plural, obj, old)
        if key.namespace:
            if served.resource.key in pod_security.TEMPLATES:
                self.pod_security.check(call, served, obj, old)
            self.quotas.charge(key, obj, old, dry_run=call.dry_run)

    def dispatcher(self, warnings: list[str]) -> Dispatcher:
        """Return what asks webhooks about one write.

        Args:
            warnings: What they want the client to be told is added.
        """
        return Dispatcher(self._store, self._resources, self.client, warnings)

    async def close(self) -> None:
        """Close the connections to webhooks. Idempotent."""
        await self.client.close()

    def _refresh(self) -> None:
        if self._revision == self._store.revision:
            return
        self._revision = self._store.revision
        seen = self._seen
        now = [self._store.list(key).records for key in _WATCHED]
        if len(seen) == len(now) and all(a is b for a, b in zip(seen, now, strict=True)):
            return
        self._seen = now
        self._mutating = webhooks_of(now[0])
        self._validating = webhooks_of(now[1])
        self._policies = self._judges(now[2], now[3]) if now[3] else None
        self._mutations = self._changers(now[4], now[5]) if now[5] else None

    def _judges(self, found: Sequence[Record], bound: Sequence[Record]) -> PolicyCheck | None:
        # Most clusters have no policies, and their language is a few megabytes.
        from wherry.apiserver.admission import policies  # noqa: PLC0415 - CEL is loaded when used

        every = policies.Policies(self._store, self._resources, found, bound)
        return every if every.bound else None

    def _changers(self, found: Sequence[Record], bound: Sequence[Record]) -> Mutations | None:
        from wherry.apiserver.admission import (  # noqa: PLC0415 - CEL is loaded when used
            mutation_policies,
        )

        every = mutation_policies.MutatingPolicies(self._store, self._resources, found, bound)
        return every if every.bound else None
