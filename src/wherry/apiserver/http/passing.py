"""One request's way through the gate: it may be let in once, and gives back what it held once."""

from collections.abc import Mapping

from wherry.apiserver.audit.events import Audited
from wherry.apiserver.call import Call
from wherry.apiserver.core import Core
from wherry.apiserver.fairness.classification import Asked
from wherry.apiserver.fairness.gate import Flow, Gate
from wherry.apiserver.identity import User
from wherry.objects.requests import Request

_READING = frozenset({"get", "list", "watch"})
_NONE: Mapping[str, str] = {}


class Passing:
    """The seats of one request."""

    __slots__ = ("_changes", "_flow", "_gate", "_inside", "_items", "audited", "impersonator")

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._flow: Flow | None = None
        self._inside = False
        self._items = 0
        self._changes = False
        self.audited: Audited | None = None
        """What the audit log keeps of the request; None for nothing."""
        self.impersonator = ""
        """Who has sent the request in another's name."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What tells the client where its request was put."""
        headers = _NONE if self._flow is None else self._flow.headers
        return headers if self.audited is None else {**headers, "Audit-Id": self.audited.id}

    def of_resource(self, user: User, request: Request) -> None:
        """Put a request for a resource into its flow."""
        resource, below = request.resource, request.subresource
        plural = f"{resource.plural}/{below}" if below else resource.plural
        self._changes = request.verb not in _READING
        asked = Asked(request.verb, resource.group, plural, request.namespace or "")
        self._flow = self._gate.flow(user, asked)

    def of_path(self, user: User, method: str, path: str) -> None:
        """Put a request for something else into its flow."""
        self._flow = self._gate.flow(user, Asked(method.lower(), path=path))

    async def enter(self, items: int = 0) -> None:
        """Go in, at once or when it is the request's turn.

        Args:
            items: How many objects it will go through.

        Raises:
            TooManyRequestsError: There is no room for it.
        """
        assert self._flow is not None
        self._items = items
        if not self._gate.enter(self._flow, items):
            await self._gate.wait(self._flow, items)
        self._inside = True
        self._gate.inflight[self._changes] += 1

    def leave(self) -> None:
        """Give back what is held. Idempotent."""
        if self._inside:
            self._inside = False
            assert self._flow is not None
            self._gate.leave(self._flow, self._items)
            self._gate.inflight[self._changes] -= 1


def items(core: Core, call: Call) -> int:
    """Return how many objects a request will go through, as far as that can be told cheaply.

    Raises:
        ApiError: The resource is not served, or the limit is no whole number.
    """
    request = call.request
    verb, options = request.verb, request.options
    from_state = verb == "watch" and options.get("resourceVersion", "") in {"", "0"}
    if verb not in {"list", "deletecollection"} and not from_state:
        return 0
    served = core.served(call)
    namespace = request.namespace if served.resource.namespaced else ""
    # What is listed is kept until it changes, so that asking first costs nothing.
    found = len(core.store.list(served.storage.key, namespace).records)
    limit = call.number("limit")
    return min(found, limit) if limit else found
