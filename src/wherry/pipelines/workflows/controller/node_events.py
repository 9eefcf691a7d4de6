"""Events of nodes: that they run, and how they have ended.

Source: argo-workflows after 4.1.2, ``recordNodePhaseChangeEvents`` in ``workflow/controller/operator.go``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.controller.events import EventType, Recorder
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.controller.engine import WorkflowEngine

_MOST: Final = 10
"""So many events of nodes that are well, and so many of others, a workflow has at most: the first ones.

Of one object 25 events are written at once, and those of the workflow itself have to be among them."""
_RUNNING: Final = "Running"
_SUCCEEDED: Final = "Succeeded"
_ENDED: Final = frozenset({_SUCCEEDED, "Failed", "Error"})


class NodeEvents:
    """Tells people what becomes of the nodes of workflows."""

    def __init__(self, recorder: Recorder) -> None:
        """Take who writes events."""
        self._recorder = recorder

    async def look(
        self, engine: WorkflowEngine, workflow: Object, nodes: Mapping[str, Object]
    ) -> None:
        """Tell what has become of nodes since the last look.

        Args:
            engine: What is known of the workflow.
            workflow: Its object.
            nodes: As its status will have them.
        """
        for key, node in nodes.items():
            now, before = str(node.get("phase") or ""), engine.phases.get(key, "")
            if now == before:
                continue
            engine.phases[key] = now
            for phase in _told(before, now):
                type_: EventType = "Normal" if phase in {_RUNNING, _SUCCEEDED} else "Warning"
                engine.events[type_] += 1
                if engine.events[type_] <= _MOST:
                    await self._tell(workflow, node, phase, type_)

    async def _tell(self, workflow: Object, node: Object, phase: str, type_: EventType) -> None:
        message = f"{phase} node {node['name']}"
        if phase in _ENDED and node.get("message"):
            message = f"{message}: {node['message']}"
        await self._recorder.event(
            workflow, type_, f"WorkflowNode{phase}", message, annotations=dict(_notes(node))
        )


def _told(before: str, now: str) -> Iterator[str]:
    """Yield what is told of a node: also that it has run, where it has ended since the last look."""
    if now in _ENDED and before not in {_RUNNING, *_ENDED}:
        yield _RUNNING
    if now == _RUNNING or now in _ENDED:
        yield now


def _notes(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield kinds.NODE_TYPE_ANNOTATION, str(node.get("type") or "")
    yield kinds.NODE_NAME_ANNOTATION, str(node.get("name") or "")
    yield kinds.NODE_ID_ANNOTATION, str(node.get("id") or "")
    if node.get("startedAt"):
        began = metadata.parse_time(str(node["startedAt"]))
        yield kinds.NODE_START_ANNOTATION, str(int(began.timestamp()) * 10**9)
