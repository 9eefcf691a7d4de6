"""Files of comma-separated values as pages. Pure."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.pipelines.pages import metrics, page

_MOST_ROWS: Final = 1_000_000
_SCORES: Final = "true_score_column"
_CLASS: Final = "trueclass"
_TARGET: Final = "target"


class TableError(ValueError):
    """A file, or what is said of it, is not what it should be; the message says why."""


def table(content: bytes, arguments: Mapping[str, Any]) -> str:
    """Return a page of a table.

    Args:
        content: Of the file; its first row has the names, unless ``headers`` does.
        arguments: ``headers``, a list of texts.

    Raises:
        TableError: it is no such file.
    """
    rows = _rows(content)
    headers = arguments.get("headers")
    if headers is None or headers is False:
        headers, rows = rows[0] if rows else [], rows[1:]
    if not isinstance(headers, list):
        raise TableError("headers: want a list of texts")
    return page.page("Table", page.table(headers, rows))


def roc_curve(content: bytes, arguments: Mapping[str, Any]) -> str:
    """Return a page of a ROC curve.

    Args:
        content: With ``is_generated``: three columns without names, false positive rate, true positive
            rate and threshold. Else rows with names, of which ``target`` says which class it was, and
            another one how sure the model was that it is the class that is meant.
        arguments: ``is_generated``; ``trueclass``, the class that is meant, by default ``true``;
            ``true_score_column``, by default ``true``.

    Raises:
        TableError: it is no such file, or code is to be run to read it.
    """
    if arguments.get("target_lambda"):
        raise TableError("target_lambda: is code, which is not run here; give trueclass")
    rows = _rows(content)
    points = _given(rows) if arguments.get("is_generated") else _counted(rows, arguments)
    return page.page("ROC curve", page.heading("ROC curve"), metrics.roc(points))


def _rows(content: bytes) -> list[list[str]]:
    try:
        rows = [*csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))]
    except (csv.Error, UnicodeDecodeError) as error:
        raise TableError(f"the source is no file of comma-separated values: {error}") from error
    if len(rows) > _MOST_ROWS:
        raise TableError(f"the source has {len(rows)} rows; at most {_MOST_ROWS} are read")
    return [row for row in rows if row]


def _given(rows: Sequence[Sequence[str]]) -> list[tuple[float, float, float]]:
    points = []
    for at, row in enumerate(rows):
        found = [metrics.number(each) for each in row[:2]]
        if len(found) < 2 or found[0] is None or found[1] is None:
            raise TableError(
                f"row {at + 1}: want false positive rate, true positive rate, threshold"
            )
        points.append((found[0], found[1], 0.0))
    return points


def _counted(
    rows: Sequence[Sequence[str]], arguments: Mapping[str, Any]
) -> list[tuple[float, float, float]]:
    """Return the points of a curve that are found by counting."""
    heads = [*rows[0]] if rows else []
    scores, meant = str(arguments.get(_SCORES, "true")), str(arguments.get(_CLASS, "true"))
    for name in (_TARGET, scores):
        if name not in heads:
            raise TableError(
                f"there is no column {name[:80]!r}; there are {', '.join(heads)[:500]}"
            )
    target, score = heads.index(_TARGET), heads.index(scores)
    found = []
    for at, row in enumerate(rows[1:]):
        sure = metrics.number(row[score]) if len(row) == len(heads) else None
        if sure is None:
            raise TableError(f"row {at + 2}: want a number in column {scores[:80]!r}")
        found.append((sure, row[target] == meant))
    right = sum(is_meant for _, is_meant in found)
    wrong = len(found) - right
    if not right or not wrong:
        raise TableError(f"want rows of class {meant[:80]!r} and others in column {_TARGET!r}")
    points, hits, misses = [(0.0, 0.0, 0.0)], 0, 0
    found.sort(reverse=True)
    for at, (sure, is_meant) in enumerate(found):
        hits, misses = hits + is_meant, misses + (not is_meant)
        if at + 1 == len(found) or found[at + 1][0] != sure:
            points.append((misses / wrong, hits / right, sure))
    return points
