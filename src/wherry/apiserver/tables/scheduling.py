"""Rows of the ``scheduling.k8s.io`` and ``node.k8s.io`` groups."""

import datetime
from typing import Any

from wherry.apiserver.tables import texts
from wherry.apiserver.tables.layout import AGE, NAME, Layout, column, named
from wherry.objects.requests import Object


def _priority_class(obj: Object, now: datetime.datetime) -> list[Any]:
    return [
        obj["metadata"]["name"],
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        texts.age(obj, now),
        obj.get("preemptionPolicy") or "",
    ]


def _runtime_class(obj: Object, now: datetime.datetime) -> list[Any]:
    return [obj.get("handler", "")]


TABLES = {
    "priorityclasses.scheduling.k8s.io": Layout(
        (
            NAME,
            column("Value", "Higher goes first.", kind="integer"),
            column("Global-Default", "Whether pods get it unasked.", kind="boolean"),
            AGE,
            column("PreemptionPolicy", "Whether it may push others out."),
        ),
        _priority_class,
    ),
    "runtimeclasses.node.k8s.io": named(
        column("Handler", "What runs its containers."), cells_of=_runtime_class
    ),
}
