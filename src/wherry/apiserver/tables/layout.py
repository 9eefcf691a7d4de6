"""What a built-in table is: its columns, and the functions that fill a row."""

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wherry.apiserver import table
from wherry.apiserver.tables import texts
from wherry.objects.requests import Object

Cells = Callable[[Object, datetime.datetime], list[Any]]
"""Returns the cells of an object at an aware time. The object is not to be changed."""


def column(
    name: str, description: str, *, kind: str = "string", form: str = "", priority: int = 0
) -> table.Column:
    """Return a column definition.

    Args:
        name: Heading.
        description: For people.
        kind: OpenAPI type of the cells.
        form: OpenAPI format; ``name`` marks the column that identifies the object.
        priority: 0 is always shown, 1 only with ``-o wide``.
    """
    return {
        "name": name,
        "type": kind,
        "format": form,
        "description": description,
        "priority": priority,
    }


@dataclass(frozen=True, slots=True)
class Layout:
    """The table of one resource.

    Attributes:
        columns: Headings, in order.
        cells: Returns one cell for each column.
    """

    columns: tuple[table.Column, ...]
    cells: Cells


NAME = column("Name", "Name of the object.", form="name")
AGE = column("Age", "Time since creation.")
CREATED_AT = column("Created At", "Time of creation.", kind="date")
CONTAINERS = column("Containers", "Names of the template's containers.", priority=1)
IMAGES = column("Images", "Images of the template's containers.", priority=1)
SELECTOR = column("Selector", "Labels of the objects it is about.", priority=1)


def _default(obj: Object, now: datetime.datetime) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


DEFAULT = Layout((NAME, CREATED_AT), _default)
"""The table of kinds that have none of their own."""


def named(*columns: table.Column, cells_of: Cells) -> Layout:
    """Return a table of the name, the columns that ``cells_of`` fills, and the age."""

    def row(obj: Object, now: datetime.datetime) -> list[Any]:
        return [obj["metadata"]["name"], *cells_of(obj, now), texts.age(obj, now)]

    return Layout((NAME, *columns, AGE), row)
