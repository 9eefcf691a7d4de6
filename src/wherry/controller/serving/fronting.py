"""A server for callers of whom a front of this process tells who they are."""

import contextlib
import functools
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from wherry.controller.serving import listening
from wherry.controller.serving.services import Place
from wherry.controller.surroundings import Surroundings

Make = Callable[[str], web.Application]
"""Makes what answers, of the secret by which a front proves that it may say who calls."""


@contextlib.asynccontextmanager
async def serving(
    around: Surroundings, make: Make, place: Place, secret: str
) -> AsyncIterator[tuple[str, int]]:
    """Serve while the block runs, and give the address and the port.

    What answers is made for the first who calls. The front of this process, if it has one, gets to know
    the secret as long.

    Args:
        around: Where this process runs.
        make: Makes what answers.
        place: Where to listen.
        secret: By which fronts prove themselves.

    Raises:
        OSError: the port is taken, or the address not this machine's.
    """
    async with listening.late(functools.partial(make, secret), *place) as found:
        around.fronted[found] = secret
        try:
            yield found
        finally:
            del around.fronted[found]
