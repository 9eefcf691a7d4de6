"""What a picture says of each task: what it runs, when, and over what. Pure."""

import json
from collections.abc import Iterable
from typing import Final

from wherry.pipelines.definition import Pipeline
from wherry.pipelines.graph.model import Graph, Node
from wherry.pipelines.ir.messages import Task
from wherry.pipelines.picture import drawing
from wherry.pipelines.picture.tallies import Seen

_LONGEST: Final = 500
_CHANNEL: Final = "pipelinechannel--"


def picture(pipeline: Pipeline, *, title: str = "", seen: Iterable[Seen] | None = None) -> str:
    """Return the picture of a pipeline, or of a run of it, as SVG.

    Args:
        pipeline: What is drawn.
        title: Stands above; empty: the pipeline's name.
        seen: What has become of its tasks in a run; None: the pipeline itself is drawn.
    """
    shown = title or pipeline.spec.pipeline_info.display_name or pipeline.name

    def describe(graph: Graph, node: Node) -> str:
        words = _about(pipeline, pipeline.task(graph, node.name), node)
        return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"

    return drawing.svg(pipeline.graph, describe, title=shown, seen=seen)


def _about(pipeline: Pipeline, task: Task, node: Node) -> str:
    condition = task.trigger_policy.condition
    if condition:
        return f"if {plain(condition)}"
    if task.parameter_iterator is not None:
        return f"for each of {_items(task)}"
    if task.artifact_iterator is not None:
        return f"for each of {_name(task.artifact_iterator.items.input_artifact)}"
    if node.graph is not None:
        return ""
    executor = pipeline.step(node.component).executor
    if executor.importer is not None:
        uri = executor.importer.artifact_uri.constant
        return f"import {uri.json}" if uri is not None else "import"
    return executor.container.image if executor.container is not None else ""


def plain(condition: str) -> str:
    """Return a condition for a reader: ``flip.Output == 'heads'``."""
    words = condition.replace("inputs.parameter_values['", "").replace("']", "")
    return words.replace(_CHANNEL, "")


def _items(task: Task) -> str:
    items = task.parameter_iterator.items if task.parameter_iterator is not None else None
    if items is None:
        return ""
    if items.input_parameter is not None:
        return _name(items.input_parameter)
    return f"{len(json.loads(items.raw or '[]'))} items"


def _name(channel: str) -> str:
    return channel.removeprefix(_CHANNEL)
