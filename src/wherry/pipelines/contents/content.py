"""Bytes that are there to be read, as a whole or in part."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

BYTES: Final = "application/octet-stream"
ARCHIVE: Final = "application/gzip"
TEXT: Final = "text/plain; charset=utf-8"


class Reading(Protocol):
    """What gives bytes, in pieces that end anywhere."""

    def __call__(self, start: int, length: int | None) -> AsyncGenerator[bytes, None]:
        """Yield bytes.

        Args:
            start: The first one, from 0.
            length: How many; None: to the end.

        Raises:
            ApiError: they cannot be read.
        """
        ...


async def _nothing() -> None:
    """Close what holds nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes that can be read once, and are closed then.

    Attributes:
        read: Gives them.
        media_type: Of them.
        size: How many there are; None: that is known at the end, and only the whole can be read.
        tag: Another one where they have changed; empty: that cannot be seen.
        name: For a file that they are stored in; empty: they are shown where they come.
        close: Gives back what is held. Idempotent.
    """

    read: Reading
    media_type: str = BYTES
    size: int | None = None
    tag: str = ""
    name: str = ""
    close: Callable[[], Awaitable[None]] = _nothing
