"""Rows of the ``flowcontrol.apiserver.k8s.io`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import AGE, NAME, Layout, column, named
from wherry.objects.requests import Object

_GROUP = "flowcontrol.apiserver.k8s.io"


def _flow_schema(obj: Object, now: datetime.datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return [
        obj["metadata"]["name"],
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type") or texts.NONE,
        texts.age(obj, now),
        texts.condition_status(status.get("conditions"), "Dangling") or "?",
    ]


def _priority_level(obj: Object, now: datetime.datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    limited = spec.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    return [
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", texts.NONE),
        queuing.get("queues", texts.NONE),
        queuing.get("handSize", texts.NONE),
        queuing.get("queueLengthLimit", texts.NONE),
    ]


TABLES = {
    f"flowschemas.{_GROUP}": Layout(
        (
            NAME,
            column("PriorityLevel", "The priority level it leads to."),
            column("MatchingPrecedence", "Lower ones are tried first."),
            column("DistinguisherMethod", "How flows are told apart."),
            AGE,
            column("MissingPL", "Whether the priority level is missing."),
        ),
        _flow_schema,
    ),
    f"prioritylevelconfigurations.{_GROUP}": named(
        column("Type", "Exempt or Limited."),
        column("NominalConcurrencyShares", "Share of the server's capacity."),
        column("Queues", "Number of queues."),
        column("HandSize", "Queues dealt to a flow."),
        column("QueueLengthLimit", "Most requests in a queue."),
        cells_of=_priority_level,
    ),
}
