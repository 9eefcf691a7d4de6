"""`meta.k8s.io/v1` Tables: what `kubectl get` prints.

Which columns a kind has is told by a `Printer` (built-in kinds: `tables/`; custom resources: their
definition). This module knows only the envelope: rows, the part of the object a row carries, and
the way a Table appears in a list and in a watch event.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from wherry.objects.requests import Object
from wherry.objects.resources import Resource

IncludeObject = Literal["None", "Metadata", "Object"]

Column = dict[str, Any]
"""`TableColumnDefinition`: name, type, format, description, priority."""


class Printer(Protocol):
    """The columns of kinds. The module `wherry.apiserver.tables` is one."""

    def columns(
        self, resource: Resource, crd_columns: Sequence[dict[str, Any]] | None
    ) -> list[Column]:
        """Return the column definitions.

        Args:
            resource: What is listed.
            crd_columns: `additionalPrinterColumns` of a custom resource's version; None for built-in kinds.
        """
        ...

    def cells(
        self,
        resource: Resource,
        obj: Object,
        now: datetime.datetime,
        crd_columns: Sequence[dict[str, Any]] | None,
    ) -> list[Any]:
        """Return one value per column, in their order. ``obj`` is not to be changed."""
        ...


@dataclass(frozen=True, slots=True)
class TableForm:
    """How Tables are wanted.

    Attributes:
        version: ``v1`` or ``v1beta1``.
        include: Which part of the object each row carries.
    """

    version: str = "v1"
    include: IncludeObject = "Metadata"


def partial(obj: Object) -> Object:
    """Return the `PartialObjectMetadata` of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": obj.get("metadata", {}),
    }


def _row(obj: Object, cells: list[Any], include: IncludeObject) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": cells}
    if include == "Metadata":
        row["object"] = partial(obj)
    elif include == "Object":
        row["object"] = obj
    return row


def table(
    columns: Sequence[Column],
    rows: Sequence[tuple[Object, list[Any]]],
    metadata: dict[str, Any],
    form: TableForm,
) -> Object:
    """Return a Table.

    Args:
        columns: Column definitions; empty leaves them out, as all watch events but the first do.
        rows: Objects with their cells.
        metadata: `ListMeta` of the Table.
        form: Version, and what each row carries.
    """
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{form.version}",
        "metadata": metadata,
        "columnDefinitions": list(columns),
        "rows": [_row(obj, cells, form.include) for obj, cells in rows],
    }
