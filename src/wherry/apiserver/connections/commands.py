"""Between a client and a session: input one way, output the other, and in the end how it went.

Clients differ in how they carry the streams; here they do not.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol

from wherry.apiserver.connections import byte_streams, statuses
from wherry.apiserver.pod_streams import Session
from wherry.objects import errors
from wherry.objects.requests import Object

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
"""Channels, as clients number them."""

_MOST_RESIZE_BYTES = 1024


class Input(NamedTuple):
    """Something from the client.

    Attributes:
        channel: `STDIN` or `RESIZE`.
        data: None where the channel ends.
    """

    channel: int
    data: bytes | None


class Peer(Protocol):
    """The client's side of a session."""

    @property
    def gone(self) -> bool:
        """Whether the client is known to have gone."""
        ...

    def inputs(self) -> AsyncIterator[Input]:
        """Yield what the client sends, until it has gone."""
        ...

    async def send(self, channel: int, data: bytes) -> None:
        """Send output, waiting while the client is behind.

        Raises:
            ConnectionError: It has gone.
        """
        ...


async def carry(session: Session, peer: Peer, wanted: frozenset[int]) -> Object | None:
    """Carry a session to its end, and close it.

    Args:
        session: At the node.
        peer: The client.
        wanted: The outputs that the client wants to see.

    Returns:
        The status to be sent; None if the client has gone.
    """
    feeding = asyncio.create_task(_feed(session, peer))
    showing = asyncio.create_task(_show(session, peer, wanted))
    try:
        await byte_streams.first_done((feeding, showing), lambda: peer.gone)
        return showing.result() if showing.done() else None
    except ConnectionError:
        return None
    finally:
        for task in (feeding, showing):
            task.cancel()
        await asyncio.gather(feeding, showing, return_exceptions=True)
        await session.close()


async def _show(session: Session, peer: Peer, wanted: frozenset[int]) -> Object:
    async with contextlib.aclosing(session.output()) as pieces:
        async for channel, data in pieces:
            if channel in wanted:
                await peer.send(channel, data)
    try:
        return statuses.of(await session.wait())
    except errors.ApiError as error:
        return error.to_status()
    except Exception as error:  # noqa: BLE001 - the node's own errors are not known here
        return statuses.failure(str(error))


async def _feed(session: Session, peer: Peer) -> None:
    """Pass on the client's input; returns when the client has gone."""
    async for each in peer.inputs():
        if each.channel == RESIZE and each.data is not None:
            _resize(session, each.data)
        elif each.channel == STDIN and each.data is None:
            session.end_input()
        elif each.channel == STDIN and each.data:
            await session.write(each.data)


def _resize(session: Session, data: bytes) -> None:
    """Read ``{"Width": 80, "Height": 24}``; what cannot be read is not worth ending a session for."""
    try:
        size: Any = json.loads(data[:_MOST_RESIZE_BYTES])
        session.resize(int(size["Width"]), int(size["Height"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return
