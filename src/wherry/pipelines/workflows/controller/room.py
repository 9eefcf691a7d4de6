"""How many workflows of a namespace run at once, where a label of it bounds that.

Those that wait begin in the order of priority, then of their creation.

Source: argo-workflows after 4.1.2, ``workflow/sync/multi_throttler.go``.
"""

from collections.abc import Callable, Iterable
from typing import Final

from wherry.client.client import Client
from wherry.controller.requests import Request
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.controller import telling
from wherry.pipelines.workflows.controller.engine import WorkflowEngine

FULL: Final = (
    "Workflow processing has been postponed because too many workflows are already running"
)
SECONDS: Final = 5.0
"""After which one that waits looks again: the label may have changed. When another has ended, it is woken."""

Rank = tuple[int, str, str]


class Room:
    """Lets workflows begin."""

    def __init__(
        self,
        client: Client,
        own: Callable[[], Iterable[Object]],
        wake: Callable[[Request], None],
    ) -> None:
        """Take what it works with.

        Args:
            client: Reads namespaces.
            own: Returns the workflows that are run here, of all namespaces.
            wake: Is told of the next one when another has ended.
        """
        self._client = client
        self._own = own
        self._wake = wake
        self._let: dict[Request, str] = {}
        self._waiting: dict[Request, Rank] = {}

    async def is_full(self, engine: WorkflowEngine, workflow: Object) -> bool:
        """Tell whether a workflow may not begin yet; one that has begun always goes on.

        Raises:
            ApiError: the namespace cannot be asked for.
        """
        request = _request(workflow)
        if self._let.get(request) != engine.uid and not engine.rows:
            limit = await self._limit(request.namespace)
            rank = _rank(workflow)
            if limit is not None and self._is_full_for(request, rank, limit):
                self._waiting[request] = rank
                return True
        self._waiting.pop(request, None)
        self._let[request] = engine.uid
        return False

    def leave(self, request: Request) -> None:
        """Forget a workflow that has ended, and wake who is next in its namespace. Idempotent."""
        self._let.pop(request, None)
        self._waiting.pop(request, None)
        waiting = [each for each in self._waiting if each.namespace == request.namespace]
        if waiting:
            self._wake(min(waiting, key=self._waiting.__getitem__))

    async def _limit(self, namespace: str) -> int | None:
        try:
            found = await self._client.get(core.NAMESPACES, namespace)
        except errors.NotFoundError:
            return None
        told = metadata.labels(found).get(kinds.PARALLELISM_LABEL, "")
        return int(told) if told.isdecimal() and int(told) else None

    def _is_full_for(self, request: Request, rank: Rank, limit: int) -> bool:
        namespace = request.namespace
        begun = {each for each in self._let if each.namespace == namespace}
        if len(begun) < limit:
            # After a restart not all that run have been looked at.
            begun |= {
                _request(each)
                for each in self._own()
                if metadata.namespace(each) == namespace and telling.phase(each) == telling.RUNNING
            }
        before = [
            other
            for each, other in self._waiting.items()
            if each.namespace == namespace and other < rank
        ]
        return len(begun - {request}) + len(before) >= limit


def _request(workflow: Object) -> Request:
    return Request(metadata.namespace(workflow), metadata.name(workflow))


def _rank(workflow: Object) -> Rank:
    created = str(workflow["metadata"].get("creationTimestamp"))
    return -int(workflow["spec"].get("priority") or 0), created, metadata.name(workflow)
