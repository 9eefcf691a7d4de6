"""What the verbs return, before anyone decides in which form it travels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wherry.apiserver.resources import Served
from wherry.objects.requests import EventType


@dataclass(frozen=True, slots=True)
class One:
    """One object.

    Attributes:
        raw: The object as JSON.
        served: What the object is; None for `Status`, `Scale` and reviews, which have one form only.
        code: HTTP status of success.
    """

    raw: bytes
    served: Served | None = None
    code: int = 200


@dataclass(frozen=True, slots=True)
class Many:
    """A list.

    Attributes:
        served: What is listed.
        items: The objects as JSON, in the version asked for.
        revision: `metadata.resourceVersion`.
        continue_token: `metadata.continue`; empty on the last page.
        remaining: `metadata.remainingItemCount`; None where it is not known.
    """

    served: Served
    items: Sequence[bytes]
    revision: int
    continue_token: str = ""
    remaining: int | None = None

    def list_meta(self) -> dict[str, Any]:
        """Return the list's `metadata`."""
        metadata: dict[str, Any] = {"resourceVersion": str(self.revision)}
        if self.continue_token:
            metadata["continue"] = self.continue_token
        if self.remaining is not None:
            metadata["remainingItemCount"] = self.remaining
        return metadata


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a watch.

    Attributes:
        type: ``ADDED`` …
        raw: The object as JSON, in the version asked for.
        revision: With ``type`` it names the event: equal ones have equal objects.
    """

    type: EventType
    raw: bytes
    revision: int
