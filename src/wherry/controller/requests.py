"""What a controller is asked and what it answers.

A request is a name, never an event: whatever was missed, coalesced or repeated, the reconciler
reads the present state and takes one step towards the wanted one.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Request(NamedTuple):
    """Which object to look at; the namespace is empty for cluster-scoped kinds.

    A named tuple rather than a dataclass because queues hash and compare it for every event.
    """

    namespace: str
    name: str

    @property
    def path(self) -> str:
        """``namespace/name``, or the name alone: for logs."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Result:
    """What is to happen after a reconcile that went well.

    Attributes:
        requeue_after_seconds: Look again after this long even if nothing changes; None waits for
            the next change.
    """

    requeue_after_seconds: float | None = None
