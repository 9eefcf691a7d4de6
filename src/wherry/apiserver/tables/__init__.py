"""The tables that ``kubectl get`` prints, one module for each API group.

The package is the `Printer` that `apiserver.table` asks. Kinds without a table of their own show
name and time of creation.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from wherry.apiserver import table
from wherry.apiserver.tables import (
    admissionregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    coordination,
    core,
    custom,
    events,
    extensions,
    flowcontrol,
    layout,
    networking,
    pods,
    policy,
    rbac,
    scheduling,
    services,
    storage,
)
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_GROUPS = (
    admissionregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    coordination,
    core,
    events,
    extensions,
    flowcontrol,
    networking,
    pods,
    policy,
    rbac,
    scheduling,
    services,
    storage,
)

BUILTIN: Mapping[str, layout.Layout] = {
    key: one for group in _GROUPS for key, one in group.TABLES.items()
}
"""Tables by resource key, e.g. ``deployments.apps``."""


def columns(resource: Resource, crd_columns: Sequence[dict[str, Any]] | None) -> list[table.Column]:
    """Return the column definitions of a resource.

    Args:
        resource: What is listed; its version does not matter.
        crd_columns: Printer columns of a custom resource's version, empty where it has none; None
            for built-in kinds.
    """
    if crd_columns is not None:
        return custom.columns(crd_columns)
    return list(BUILTIN.get(resource.key, layout.DEFAULT).columns)


def cells(
    resource: Resource,
    obj: Object,
    now: datetime.datetime,
    crd_columns: Sequence[dict[str, Any]] | None,
) -> list[Any]:
    """Return one value for each of the columns. ``obj`` is not changed."""
    if crd_columns is not None:
        return custom.cells(obj, now, crd_columns)
    return BUILTIN.get(resource.key, layout.DEFAULT).cells(obj, now)
