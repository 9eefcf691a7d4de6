"""Tables of the server, as text."""

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from wherry.objects import metadata
from wherry.objects.requests import Object

ACCEPT = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_GAP = "   "
_ESCAPE = "\x1b"
"""What begins commands to a terminal."""


def cell(value: Any) -> str:
    """Return a cell's text on one line."""
    if value is None or value == "":
        return "<none>" if value is None else ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("\n", "\\n").replace("\t", " ").replace("\r", "\\r")


def shown(table: Object, *, wide: bool) -> tuple[list[str], list[list[str]]]:
    """Return the headings and rows of a Table.

    Args:
        table: As the server sent it.
        wide: Whether columns of lower priority are shown too.
    """
    definitions = table.get("columnDefinitions") or []
    places = [
        place for place, each in enumerate(definitions) if wide or not each.get("priority", 0)
    ]
    headings = [str(definitions[place]["name"]).upper() for place in places]
    rows = [[cell(row["cells"][place]) for place in places] for row in table.get("rows") or []]
    return headings, rows


def lines(rows: Iterable[Sequence[str]], widths: list[int]) -> list[str]:
    """Return rows as lines with columns below one another.

    Args:
        rows: Headings are a row like any other.
        widths: Of the columns so far; widened in place, so that rows printed later line up.
    """
    # What others have written does not move the cursor of whoever looks at it, as with kubectl.
    rows = [[text.replace(_ESCAPE, "^[") for text in row] for row in rows]
    for row in rows:
        widths += [0] * (len(row) - len(widths))
        for place, text in enumerate(row):
            widths[place] = max(widths[place], len(text))
    return [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]


def newest_first(
    found: Iterable[Object],
    headings: Sequence[str],
    row: Callable[[Object, datetime.datetime], Sequence[str]],
    *,
    everywhere: bool,
) -> list[str]:
    """Return objects as a table, the newest at its top.

    Args:
        found: The objects.
        headings: Of the columns.
        row: Makes an object's columns, given the time.
        everywhere: Whether they are of several namespaces, which stand first then.
    """
    now = datetime.datetime.now(datetime.UTC)
    ordered = sorted(
        found, key=lambda each: str(each["metadata"]["creationTimestamp"]), reverse=True
    )
    rows = [list(headings), *(list(row(each, now)) for each in ordered)]
    if everywhere:
        namespaces = ["NAMESPACE", *(metadata.namespace(each) for each in ordered)]
        rows = [[first, *rest] for first, rest in zip(namespaces, rows, strict=True)]
    return lines(rows, [])


def span(age: datetime.timedelta) -> str:
    """Return an age in one unit, the largest of which there are two at least: ``90s``, ``3h``."""
    seconds = max(0, int(age.total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
