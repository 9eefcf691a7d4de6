"""Metrics of artifacts, as their metadata has them. Pure.

Source: kubeflow/pipelines 2.17, ``sdk/python/kfp/dsl/types/artifact_types.py``: what `log_metric`,
`log_roc_curve`, `log_confusion_matrix` and the likes of slices leave behind. The database of upstream puts
lists into ``{"list": …}`` and objects into ``{"struct": …}``.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.pages import page

_MOST_POINTS: Final = 10_000
_MOST_SLICES: Final = 50
_ROC: Final = "confidenceMetrics"
_MATRIX: Final = "confusionMatrix"


def plain(metadata: Mapping[str, Any]) -> tuple[Object, list[str]]:
    """Return the metrics that are single values, as data and as parts of a page."""
    found = {
        name: value
        for name, value in metadata.items()
        if isinstance(value, str | int | float) and name != "display_name"
    }
    return {"metrics": found}, [page.table(("metric", "value"), [*found.items()])]


def classification(metadata: Mapping[str, Any]) -> tuple[Object, list[str]]:
    """Return ROC curve and confusion matrix, those that there are, as data and as parts of a page."""
    data: Object = {}
    parts: list[str] = []
    points = [*_points(_inner(metadata.get(_ROC)))]
    if points:
        data["roc"] = [
            {"fpr": fpr, "tpr": tpr, "threshold": threshold} for fpr, tpr, threshold in points
        ]
        parts += [page.heading("ROC curve"), roc(points)]
    matrix = _matrix(_inner(metadata.get(_MATRIX)))
    if matrix is not None:
        names, rows = matrix
        data["confusion_matrix"] = {"labels": names, "rows": rows}
        told = [[name, *row] for name, row in zip(names, rows, strict=False)]
        parts += [page.heading("Confusion matrix"), page.table(["true \\ predicted", *names], told)]
    return data, parts or [page.text("there is no curve and no matrix")]


def sliced(metadata: Mapping[str, Any]) -> tuple[Object, list[str]]:
    """Return what `classification` does, for each slice."""
    slices = _inner(metadata.get("evaluationSlices"))
    data: list[Object] = []
    parts: list[str] = []
    for each in slices[:_MOST_SLICES] if isinstance(slices, list) else ():
        if isinstance(each, Mapping):
            name = str(each.get("slice", ""))
            held, shown = classification(_mapping(each.get("sliceClassificationMetrics")))
            data.append({"slice": name, **held})
            parts += [page.heading(f"Slice {name}"), *shown]
    return {"slices": data}, parts or [page.text("there are no slices")]


def roc(points: list[tuple[float, float, float]]) -> str:
    """Return a ROC curve as a part of a page.

    Args:
        points: False positive rate, true positive rate and threshold of each.
    """
    ordered = sorted((fpr, tpr) for fpr, tpr, _ in points)
    return page.curve(ordered, across="false positive rate", up="true positive rate")


def number(value: Any) -> float | None:
    """Return a finite number; None: it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _points(listed: Any) -> Iterator[tuple[float, float, float]]:
    for each in listed[:_MOST_POINTS] if isinstance(listed, list) else ():
        told = _mapping(each)
        fpr, tpr = number(told.get("falsePositiveRate")), number(told.get("recall"))
        if fpr is not None and tpr is not None:
            # The first threshold of scikit-learn's is infinite.
            yield fpr, tpr, number(told.get("confidenceThreshold")) or 0.0


def _matrix(told: Any) -> tuple[list[str], list[list[float]]] | None:
    held = _mapping(told)
    names = [
        str(_mapping(each).get("displayName", ""))
        for each in _list(held.get("annotationSpecs"))[: page.MOST_COLUMNS]
    ]
    rows = [
        [number(value) or 0.0 for value in _list(_mapping(each).get("row"))[: page.MOST_COLUMNS]]
        for each in _list(held.get("rows"))[: page.MOST_COLUMNS]
    ]
    return (names, rows) if names and rows else None


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get("list", value.get("struct", value))
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
