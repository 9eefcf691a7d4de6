"""The artifacts that components are given and make.

What code logs goes into an artifact's metadata, in the form that KFP's pages draw.
"""

import os
import warnings
from typing import Any

WORKSPACE = "/kfp-workspace"
_MOUNTED = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}
_IMAGE, _IMAGES_AT, _MODELS = "oci://", "/oci/", "/models"
_FILE = "file://"
_NO_ROOT = "/tmp/kfp_outputs"  # noqa: S108 - upstream's name for a folder that it does not upload

CONTAINER_TASK_ROOT: Any = None
"""Folder of the task's outputs; set by the executor."""


class Artifact:
    """Something that a step reads or makes.

    Attributes:
        name: Of it.
        uri: Where it is kept.
        metadata: What is known of it, JSON.
        custom_path: The path that the code has chosen; empty: the one that belongs to the URI.
    """

    schema_title = "system.Artifact"
    schema_version = "0.0.1"

    def __init__(self, name: Any = None, uri: Any = None, metadata: Any = None) -> None:
        self.uri = uri or ""
        self.name = name or ""
        self.metadata = metadata or {}
        self.custom_path = ""

    @property
    def path(self) -> str:
        """Where the code reads or writes it."""
        return self._get_path()

    @path.setter
    def path(self, path: str) -> None:
        self.uri = convert_local_path_to_remote_path(path)

    def set_path(self, path: str) -> None:
        """Choose where the code writes it; it is taken from there."""
        self.custom_path = path

    @property
    def own_path(self) -> str:
        """The path that belongs to the URI."""
        return _mounted(self.uri)

    def _get_path(self) -> str:
        found = self.custom_path or self.own_path
        if self.metadata.get("_kfp_workspace") is True:
            return os.path.join(WORKSPACE, ".artifacts", found.lstrip("/"))  # noqa: PTH118 - a string
        return found


def _mounted(uri: str) -> str:
    for prefix, folder in _MOUNTED.items():
        if uri.startswith(prefix):
            return folder + uri[len(prefix) :]
    if uri.startswith(_IMAGE):
        return _IMAGES_AT + uri[len(_IMAGE) :].replace("/", "_")
    return uri.removeprefix(_FILE)


def convert_local_path_to_remote_path(path: str) -> str:
    """Return the URI of a path at which a step sees an artifact."""
    for prefix, folder in _MOUNTED.items():
        if path.startswith(folder):
            return prefix + path[len(folder) :]
    if not path.startswith(_IMAGES_AT):
        return path
    image = path[len(_IMAGES_AT) :].replace("_", "/")
    return _IMAGE + image.removesuffix(_MODELS)


class Model(Artifact):
    """A trained model."""

    schema_title = "system.Model"

    @property
    def framework(self) -> str:
        """What it was made with."""
        return str(self.metadata.get("framework", ""))

    @framework.setter
    def framework(self, framework: str) -> None:
        self.metadata["framework"] = framework

    def _get_path(self) -> str:
        # An image with a model has it in a folder of its own.
        return super()._get_path() + (_MODELS if self.uri.startswith(_IMAGE) else "")


class Dataset(Artifact):
    """Data."""

    schema_title = "system.Dataset"


class Metrics(Artifact):
    """Numbers by name."""

    schema_title = "system.Metrics"

    def log_metric(self, metric: str, value: float) -> None:
        """Keep a number."""
        self.metadata[metric] = value


class ClassificationMetrics(Artifact):
    """How a classifier does: a ROC curve, a confusion matrix."""

    schema_title = "system.ClassificationMetrics"

    def log_roc_data_point(self, fpr: float, tpr: float, threshold: float) -> None:
        """Add a point of the ROC curve.

        Args:
            fpr: False positive rate.
            tpr: True positive rate.
            threshold: Of the classifier.
        """
        points = self.metadata.setdefault("confidenceMetrics", [])
        points.append({"confidenceThreshold": threshold, "recall": tpr, "falsePositiveRate": fpr})

    def log_roc_curve(self, fpr: Any, tpr: Any, threshold: Any) -> None:
        """Add points of the ROC curve: lists of the same length.

        Raises:
            ValueError: they are not.
        """
        if not len(fpr) == len(tpr) == len(threshold):
            raise ValueError(
                "fpr, tpr and threshold must have the same length; they have "
                f"{len(fpr)}, {len(tpr)} and {len(threshold)}"
            )
        for point in zip(fpr, tpr, threshold):  # noqa: B905 - not known to Python 3.9; checked above
            self.log_roc_data_point(*point)

    def set_confusion_matrix_categories(self, categories: Any) -> None:
        """Begin a confusion matrix, with nothing but zeros."""
        names = list(categories)
        self.metadata["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": name} for name in names],
            "rows": [{"row": [0] * len(names)} for _ in names],
        }

    def log_confusion_matrix_row(self, row_category: str, row: Any) -> None:
        """Set a row of the confusion matrix.

        Raises:
            ValueError: the category is not known, or the row has another length.
        """
        names = self._categories()
        if len(row) != len(names):
            raise ValueError(f"the row has {len(row)} values and there are {len(names)} categories")
        rows = self.metadata["confusionMatrix"]["rows"]
        rows[self._place(row_category)] = {"row": row}

    def log_confusion_matrix_cell(self, row_category: str, col_category: str, value: int) -> None:
        """Set a cell of the confusion matrix.

        Raises:
            ValueError: a category is not known.
        """
        row = self.metadata.get("confusionMatrix", {}).get("rows", [])
        at, column = self._place(row_category), self._place(col_category)
        row[at]["row"][column] = value

    def log_confusion_matrix(self, categories: Any, matrix: Any) -> None:
        """Set a whole confusion matrix.

        Raises:
            ValueError: it does not have a row and a column for each category.
        """
        if len(matrix) != len(categories) or any(len(row) != len(categories) for row in matrix):
            raise ValueError(f"the matrix {matrix} does not fit the categories {categories}")
        self.set_confusion_matrix_categories(categories)
        for category, row in zip(categories, matrix):  # noqa: B905 - as above
            self.log_confusion_matrix_row(category, row)

    def _categories(self) -> "list[str]":
        known = self.metadata.get("confusionMatrix", {}).get("annotationSpecs", [])
        return [each["displayName"] for each in known]

    def _place(self, category: str) -> int:
        names = self._categories()
        if category not in names:
            raise ValueError(f"{category!r} is not among the categories: {names}")
        return names.index(category)


class SlicedClassificationMetrics(Artifact):
    """`ClassificationMetrics` for each slice of the data."""

    schema_title = "system.SlicedClassificationMetrics"

    def log_roc_reading(self, slice: str, threshold: float, tpr: float, fpr: float) -> None:  # noqa: A002 - KFP's name
        """Add a point of a slice's ROC curve."""
        self._of(slice).log_roc_data_point(fpr, tpr, threshold)

    def load_roc_readings(self, slice: str, readings: Any) -> None:  # noqa: A002 - KFP's name
        """Add points of a slice's ROC curve: threshold, true and false positive rate each."""
        for threshold, tpr, fpr in readings:
            self.log_roc_reading(slice, threshold, tpr, fpr)

    def set_confusion_matrix_categories(self, slice: str, categories: Any) -> None:  # noqa: A002 - KFP's name
        """Begin a slice's confusion matrix."""
        self._of(slice).set_confusion_matrix_categories(categories)

    def log_confusion_matrix_row(self, slice: str, row_category: str, row: Any) -> None:  # noqa: A002 - KFP's name
        """Set a row of a slice's confusion matrix."""
        self._of(slice).log_confusion_matrix_row(row_category, row)

    def log_confusion_matrix_cell(
        self,
        slice: str,  # noqa: A002 - KFP's name
        row_category: str,
        col_category: str,
        value: int,
    ) -> None:
        """Set a cell of a slice's confusion matrix."""
        self._of(slice).log_confusion_matrix_cell(row_category, col_category, value)

    def load_confusion_matrix(self, slice: str, categories: Any, matrix: Any) -> None:  # noqa: A002 - KFP's name
        """Set a slice's whole confusion matrix."""
        self._of(slice).log_confusion_matrix(categories, matrix)

    def _of(self, name: str) -> ClassificationMetrics:
        slices = self.metadata.setdefault("evaluationSlices", [])
        known = [each for each in slices if each["slice"] == name]
        if not known:
            known = [{"slice": name, "sliceClassificationMetrics": {}}]
            slices.append(known[0])
        found = ClassificationMetrics()
        # The same dictionary: what is logged stands in this artifact's metadata.
        found.metadata = known[0]["sliceClassificationMetrics"]
        return found


class HTML(Artifact):
    """A page."""

    schema_title = "system.HTML"


class Markdown(Artifact):
    """A text in Markdown."""

    schema_title = "system.Markdown"


_ALL = (
    Artifact,
    Model,
    Dataset,
    Metrics,
    ClassificationMetrics,
    SlicedClassificationMetrics,
    HTML,
    Markdown,
)
BY_TITLE = {each.schema_title: each for each in _ALL}
BY_NAME = {each.schema_title.removeprefix("system.").lower(): each for each in _ALL}


def get_uri(suffix: str = "Output") -> str:
    """Return a URI of the task's own, such as for an artifact that it returns.

    Raises:
        RuntimeError: no task is running.
    """
    if CONTAINER_TASK_ROOT is None:
        raise RuntimeError("dsl.get_uri: there is no task here; call it inside a component")
    if CONTAINER_TASK_ROOT == _NO_ROOT:
        warnings.warn(
            "dsl.get_uri: the task's root is not known; give the URI", RuntimeWarning, stacklevel=2
        )
        return ""
    return os.path.join(convert_local_path_to_remote_path(CONTAINER_TASK_ROOT), suffix)  # noqa: PTH118 - a URI
