"""Rows of the ``policy`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables.layout import column, named
from wherry.objects.requests import Object


def _budget(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        status.get("disruptionsAllowed", 0),
    ]


TABLES = {
    "poddisruptionbudgets.policy": named(
        column("Min Available", "Fewest pods that must be available."),
        column("Max Unavailable", "Most pods that may be unavailable."),
        column("Allowed Disruptions", "Pods that may be evicted now.", kind="integer"),
        cells_of=_budget,
    ),
}
