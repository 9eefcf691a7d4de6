"""Workflows that are runs of KFP: what becomes of them is written down, and what their steps measured."""

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.metadata.errors import DuplicateError
from wherry.metadata.records import Execution
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming, workflow_runs
from wherry.pipelines.contents import packing
from wherry.pipelines.contents.opening import Contents
from wherry.pipelines.controller import recorder
from wherry.pipelines.controller.kept import Kept
from wherry.pipelines.controller.recorder import Recorder
from wherry.pipelines.graph.model import State
from wherry.pipelines.history.records import Metric
from wherry.pipelines.workflows import nodes

METRICS: Final = "mlpipeline-metrics"
"""What steps of version 1 of KFP call the artifact in which they tell what they measured."""
_MOST_BYTES: Final = 1024 * 1024
_MOST_METRICS: Final = 50
"""Of one step, as upstream has it."""
_LONGEST_NAME: Final = 128
_FORMATS: Final = frozenset({"RAW", "PERCENTAGE"})
logger = logging.getLogger("wherry.pipelines.workflows")


class RunHistory:
    """Keeps the history of Workflows that are runs."""

    def __init__(self, manager: Manager, kept: Kept, contents: Contents) -> None:
        """Take what it works with.

        Args:
            manager: Gives client and caches.
            kept: Is written to.
            contents: Reads what steps measured.
        """
        self._client = manager.client
        self._workflows = manager.cache(kinds.WORKFLOWS)
        self._recorder = Recorder(manager, kept.history, kinds.WORKFLOWS)
        self._history = kept.history
        self._tasks = kept.tasks
        self._contents = contents
        self._told: dict[Request, set[str]] = {}
        """Ids of nodes whose metrics are kept, of workflows that go on."""

    async def reconcile(self, request: Request) -> Result | None:
        """Write down what one object says."""
        workflow = self._workflows.get(*request)
        if workflow is None:
            self._told.pop(request, None)
            if self._history.is_there():
                return await self._recorder.reconcile(request)
            return None
        if not workflow_runs.is_run(workflow):
            return None
        told = self._told.setdefault(request, set())
        fresh = [node for node in measured(workflow) if node not in told]
        if fresh:
            # Before its end is told: whoever waits for that reads what was measured.
            await self._report(workflow, fresh)
            told.update(fresh)
        await self._label(workflow)
        return await self._recorder.reconcile(request)

    async def _label(self, workflow: Object) -> None:
        """Have a workflow say which run it is, by the label that clients look for."""
        told = naming.label(naming.run_id(workflow))
        if metadata.labels(workflow).get(kinds.UPSTREAM_RUN_LABEL) == told:
            return
        change = {
            "metadata": {
                "uid": metadata.uid(workflow),
                "labels": {kinds.UPSTREAM_RUN_LABEL: told},
            }
        }
        where = metadata.namespaced_name(workflow)
        with contextlib.suppress(errors.NotFoundError, errors.ConflictError):
            await self._client.patch(kinds.WORKFLOWS, where.name, change, where.namespace)

    async def _report(self, workflow: Object, fresh: list[str]) -> None:
        run_id = naming.run_id(workflow)
        for row in await self._tasks.of_run(run_id):
            node = workflow_runs.node_id(metadata.name(workflow), row.pod)
            if node in fresh and row.state == State.SUCCEEDED:
                for metric in await self._measured(row, run_id, node):
                    with contextlib.suppress(DuplicateError):  # reported before a restart
                        await self._history.add_metric(metric)

    async def _measured(self, row: Execution, run_id: str, node: str) -> list[Metric]:
        artifacts = row.outputs.artifacts.get(METRICS, ())
        try:
            contents = [await self._contents.whole(each, _MOST_BYTES) for each in artifacts]
            files = [await asyncio.to_thread(packing.first, each, _MOST_BYTES) for each in contents]
            return [each for file in files for each in read(file, run_id, node)]
        except (errors.ApiError, ValueError) as error:
            # They are the step's own, as upstream has it: the run goes on without them.
            logger.warning("metrics of node %s of run %s are left out: %s", node, run_id, error)
            return []


def measured(workflow: Object) -> Iterator[str]:
    """Yield the ids of nodes that have succeeded and told what they measured."""
    for key, node in nodes.stored(workflow).items():
        artifacts = (node.get("outputs") or {}).get("artifacts") or ()
        has_ended = node.get("phase") == "Succeeded" and node.get("type") == "Pod"
        if has_ended and any(each.get("name") == METRICS for each in artifacts):
            yield key


def read(content: bytes, run_id: str, node: str) -> list[Metric]:
    """Return metrics out of what a step has written; those that are none are left out.

    Args:
        content: JSON: ``{"metrics": [{"name": …, "numberValue": …, "format": …}]}``.
        run_id: Of the run.
        node: Id of the step's node.

    Raises:
        ValueError: it is no such JSON.
    """
    try:
        listed = json.loads(content)["metrics"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError('want an object with "metrics"') from error
    if not isinstance(listed, list):
        raise ValueError("metrics: want a list")
    return [metric for each in listed[:_MOST_METRICS] if (metric := _metric(each, run_id, node))]


def _metric(given: Any, run_id: str, node: str) -> Metric | None:
    if not isinstance(given, Mapping):
        return None
    name, number = given.get("name"), given.get("numberValue", given.get("number_value"))
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if not -sys.float_info.max <= number <= sys.float_info.max:
        return None
    told = given.get("format")
    return Metric(
        run_id=run_id,
        node_id=node[:_LONGEST_NAME],
        name=name,
        number=float(number),
        format=told if told in _FORMATS else "",
    )


def controller(manager: Manager, kept: Kept, contents: Contents) -> Controller:
    """Return the controller that writes the history of Workflows."""
    return Controller(
        name=recorder.OF_WORKFLOWS,
        resource=kinds.WORKFLOWS,
        reconciler=RunHistory(manager, kept, contents),
    )
