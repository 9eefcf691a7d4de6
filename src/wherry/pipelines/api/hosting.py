"""What answers the calls of the service, put together."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from wherry.pipelines.api import http
from wherry.pipelines.api.answering import Answering
from wherry.pipelines.api.call import Handler, Services, StreamHandler
from wherry.pipelines.api.handlers import (
    artifacts,
    cache,
    experiments,
    lineage,
    pipelines,
    recurring_runs,
    reported_metrics,
    reports,
    runs,
    service,
    steps,
    tasks,
    uploads,
    v1beta1,
    versions,
    visualizations,
)
from wherry.pipelines.api.identity import Identity
from wherry.pipelines.api.mlmd.door import Door

HANDLERS: Final[tuple[Mapping[str, Handler], ...]] = (
    service.HANDLERS,
    experiments.HANDLERS,
    runs.HANDLERS,
    pipelines.HANDLERS,
    versions.HANDLERS,
    uploads.HANDLERS,
    recurring_runs.HANDLERS,
    v1beta1.HANDLERS,
    lineage.HANDLERS,
    cache.HANDLERS,
    steps.HANDLERS,
    artifacts.HANDLERS,
    visualizations.HANDLERS,
    reports.HANDLERS,
    reported_metrics.HANDLERS,
    tasks.HANDLERS,
)
STREAMS: Final[tuple[Mapping[str, StreamHandler], ...]] = (artifacts.STREAMS, steps.STREAMS)


def application(at_hand: Services, secret: str) -> web.Application:
    """Return what answers over HTTP.

    Args:
        at_hand: What calls are answered with.
        secret: By which a front proves that it may say who calls.
    """
    identity = Identity(at_hand.client, secret)
    door = Door(at_hand.metadata, at_hand.access, identity, namespace=at_hand.namespace)
    return http.application(Answering(at_hand, HANDLERS, STREAMS), identity, door)
