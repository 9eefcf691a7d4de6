"""Rows of the ``coordination.k8s.io`` group."""

import datetime
from typing import Any

from wherry.apiserver.tables.layout import column, named
from wherry.objects.requests import Object


def _lease(obj: Object, now: datetime.datetime) -> list[Any]:
    return [(obj.get("spec") or {}).get("holderIdentity") or ""]


TABLES = {
    "leases.coordination.k8s.io": named(column("Holder", "Who has the lease."), cells_of=_lease),
}
