"""All calls of Argo's server, and what answers them."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from wherry.pipelines.api.identity import Identity
from wherry.pipelines.workflows.server import (
    archived,
    artifacts,
    changes,
    definitions,
    events,
    http,
    info,
    limits,
    logs,
    workflows,
)
from wherry.pipelines.workflows.server.calls import Handler, Services

ROUTES: Final[Mapping[tuple[str, str], Handler]] = {
    **workflows.HANDLERS,
    **changes.HANDLERS,
    **logs.HANDLERS,
    **definitions.HANDLERS,
    **archived.HANDLERS,
    **artifacts.HANDLERS,
    **events.HANDLERS,
    **limits.HANDLERS,
    **info.HANDLERS,
}


def application(at_hand: Services, secret: str) -> web.Application:
    """Return what answers.

    Args:
        at_hand: What calls are answered with.
        secret: By which a front proves that it may say who calls.
    """
    return http.application(at_hand, Identity(at_hand.client, secret), ROUTES)
