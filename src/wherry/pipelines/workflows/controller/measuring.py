"""What workflows and templates want measured is told when they begin and when they end.

Source: argoproj/argo-workflows v4, ``computeMetrics`` in ``workflow/controller/operator.go``.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.controller.events import Recorder
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.workflows import conditions, nodes, reading, variables
from wherry.pipelines.workflows.controller.engine import WorkflowEngine
from wherry.pipelines.workflows.controller.measures import Measures
from wherry.pipelines.workflows.controller.telling import FINAL, Seen, phase
from wherry.pipelines.workflows.scopes import Scope
from wherry.pipelines.workflows.surroundings import Metrics, Prometheus

_GROUPS: Final = frozenset({"StepGroup", "TaskGroup", "Skipped"})
_DURATION: Final = "{{duration}}"
_WHOLE: Final = "{{workflow.duration}}"
_OF_NODE: Final = {
    "duration": "0", "status": "Pending", "resourcesDuration.cpu": "0", "resourcesDuration.memory": "0",
}  # fmt: skip


class Measurer:
    """Measures workflows."""

    def __init__(self, measures: Measures, recorder: Recorder) -> None:
        """Take what it works with.

        Args:
            measures: Keep the numbers.
            recorder: Tells people what could not be measured.
        """
        self._measures = measures
        self._recorder = recorder
        self._told: dict[str, set[str]] = {}

    def forget(self, uid: str) -> None:
        """Tell nothing more of what goes on in a workflow."""
        self._measures.forget(uid)
        self._told.pop(uid, None)

    async def look(self, engine: WorkflowEngine, workflow: Object, seen: Seen) -> None:
        """Measure what has begun or ended since a workflow's status was last written.

        Args:
            engine: What is known of it.
            workflow: Its object as it was before.
            seen: What its status says now.
        """
        whole = engine.language.spec.metrics
        if whole is None and not engine.measured:
            return
        before, now = nodes.stored(workflow), nodes.stored({"status": seen.more})
        look = _Look(self._measures, engine, workflow)
        for key, template in engine.measured.items():
            node = now.get(key, {})
            if template.metrics and node.get("type") not in _GROUPS:
                look.tell(template.metrics, node, ended_before=_has_ended(before.get(key, {})))
        if whole is not None:
            # It has ended when its exit handlers have, and its first node before that.
            node = {**now.get(engine.name, {}), "phase": seen.phase}
            look.tell(whole, node, ended_before=phase(workflow) in FINAL)
        if seen.phase in FINAL:
            self._measures.forget(engine.uid)
        told = self._told.setdefault(engine.uid, set())
        for words in {*look.errors} - told:
            told.add(words)
            await self._recorder.event(workflow, "Warning", "MetricsError", words)


class _Look:
    def __init__(self, measures: Measures, engine: WorkflowEngine, workflow: Object) -> None:
        self.errors: list[str] = []
        self._measures = measures
        self._engine = engine
        self._began = str((workflow.get("status") or {}).get("startedAt") or "")

    def tell(self, metrics: Metrics, node: Object, *, ended_before: bool) -> None:
        """Measure a node that runs, or has just ended."""
        ended = _has_ended(node)
        if ended_before or not (ended or node.get("phase") == "Running"):
            return
        scope = self._engine.language.scope().over(dict(_variables(node)))
        for metric in metrics.prometheus:
            realtime = metric.gauge is not None and metric.gauge.realtime is True
            if not (ended or realtime):
                continue
            try:
                self._one(metric, node, scope)
            except (ValueError, UnresolvedError) as error:
                self.errors.append(f"metric {metric.name}: {error}"[:1000])

    def _one(self, metric: Prometheus, node: Object, scope: Scope) -> None:
        filled = _filled(metric, scope)
        if not conditions.holds(filled.when):
            return
        told = metric.gauge or metric.counter or metric.histogram
        value = told.value if told is not None else ""
        if metric.gauge is None or not metric.gauge.realtime:
            self._measures.add(filled, reading.any_text(variables.fill(value, scope, strict=True)))
            return
        began = {_DURATION: str(node.get("startedAt") or ""), _WHOLE: self._began}.get(
            value.replace(" ", "")
        )
        if began is None:
            raise ValueError(f"{value!r}: in real time there are {_DURATION} and {_WHOLE}")
        if began:
            since = metadata.parse_time(began).timestamp()
            took = _seconds(node) if value.replace(" ", "") == _DURATION else None
            self._measures.follow(filled, self._engine.uid, since, took)


def _filled(metric: Prometheus, scope: Scope) -> Prometheus:
    """Return a metric with its variables filled in, but for its value's."""

    def filled(text: str) -> str:
        return reading.any_text(variables.fill(text, scope, strict=True))

    labels = tuple(
        dataclasses.replace(each, key=filled(each.key), value=filled(each.value))
        for each in metric.labels
    )
    name, help_, when = filled(metric.name), filled(metric.help), filled(metric.when)
    return dataclasses.replace(metric, name=name, help=help_, when=when, labels=labels)


def _variables(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what metrics of a node may ask for besides the variables of the workflow."""
    yield from _OF_NODE.items()
    yield "status", str(node.get("phase") or "")
    seconds = _seconds(node)
    if seconds is not None:
        yield "duration", f"{seconds:f}"
    if node.get("children"):
        yield "retries", str(len(node["children"]) - 1)
    for name, took in (node.get("resourcesDuration") or {}).items():
        yield f"resourcesDuration.{name}", str(took)
    for side in ("inputs", "outputs"):
        for each in (node.get(side) or {}).get("parameters") or ():
            yield f"{side}.parameters.{each['name']}", reading.any_text(each.get("value", ""))
    outputs = node.get("outputs") or {}
    if "result" in outputs:
        yield "outputs.result", str(outputs["result"])
    if "exitCode" in outputs:
        yield "exitCode", str(outputs["exitCode"])


def _has_ended(node: Mapping[str, Any]) -> bool:
    return node.get("phase") in FINAL


def _seconds(node: Mapping[str, Any]) -> float | None:
    """Return how long a node took that has ended."""
    began, ended = node.get("startedAt"), node.get("finishedAt")
    if not (began and ended and _has_ended(node)):
        return None
    return (metadata.parse_time(str(ended)) - metadata.parse_time(str(began))).total_seconds()
