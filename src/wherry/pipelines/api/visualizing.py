"""Artifacts as pages and as data, and upstream's visualizations of files. Pure."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from wherry.metadata.records import Artifact
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.pages import metrics, page, tables

MOST_BYTES: Final = 4 * 1024 * 1024
"""Of a file that is shown."""
_HTML: Final = "system.HTML"
_MARKDOWN: Final = "system.Markdown"
_MOST_ARGUMENTS: Final = 64 * 1024
_SHOWN: Final = {
    "system.Metrics": metrics.plain,
    "system.ClassificationMetrics": metrics.classification,
    "system.SlicedClassificationMetrics": metrics.sliced,
}
_OF_FILES: Final[Mapping[str, Callable[[bytes, Mapping[str, Any]], str]]] = {
    "ROC_CURVE": tables.roc_curve,
    "TABLE": tables.table,
}
_REFUSED: Final = {
    "TFDV": "takes TensorFlow Data Validation, which is not here; draw it in a step, as an HTML artifact",
    "TFMA": "takes TensorFlow Model Analysis, which is not here; draw it in a step, as an HTML artifact",
    "CUSTOM": "is code, which would run in the service; run it in a step, and give an HTML artifact",
}


def needs_content(artifact: Artifact) -> bool:
    """Return whether an artifact's file is shown, and not what is known of it."""
    return artifact.type in (_HTML, _MARKDOWN)


def of_artifact(artifact: Artifact, content: bytes) -> Object:
    """Return an artifact as a page, and as data.

    Args:
        artifact: Which.
        content: Of its file, where that is needed.

    Raises:
        BadRequestError: it is of a type that has no picture.
    """
    if needs_content(artifact):
        said = content.decode(errors="replace")
        part = page.foreign(said) if artifact.type == _HTML else page.text(said)
        data: Object = {"text": said}
        parts = [part]
    elif artifact.type in _SHOWN:
        data, parts = _SHOWN[artifact.type](artifact.metadata)
    else:
        known = ", ".join((*_SHOWN, _HTML, _MARKDOWN))
        raise errors.BadRequestError(
            f"artifact {artifact.id} is a {artifact.type[:200]}; shown are {known}"
        )
    return {"html": page.page(artifact.name, *parts), "data": {"type": artifact.type, **data}}


def check(visualization: Object) -> None:
    """Refuse a visualization that cannot be made.

    Raises:
        BadRequestError: it cannot; the message says why.
    """
    kind = _kind(visualization)
    if kind in _REFUSED:
        raise errors.BadRequestError(f"visualization.type: {kind} {_REFUSED[kind]}")
    if not visualization.get("source"):
        raise errors.BadRequestError("visualization.source: is wanted")
    _arguments(visualization)


def of_file(visualization: Object, content: bytes) -> Object:
    """Return a visualization with its page.

    Args:
        visualization: That `check` lets pass.
        content: Of its source.

    Raises:
        BadRequestError: it cannot be made of that.
    """
    try:
        made = _OF_FILES[_kind(visualization)](content, _arguments(visualization))
    except tables.TableError as error:
        raise errors.BadRequestError(f"visualization: {error}") from error
    return {**visualization, "html": made}


def _kind(visualization: Object) -> str:
    return str(visualization.get("type") or "ROC_CURVE")


def _arguments(visualization: Object) -> Mapping[str, Any]:
    text = visualization.get("arguments") or "{}"
    if len(text) > _MOST_ARGUMENTS:
        raise errors.BadRequestError(
            f"visualization.arguments: is longer than {_MOST_ARGUMENTS} characters"
        )
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise errors.BadRequestError("visualization.arguments: want an object, as JSON")
    return found
