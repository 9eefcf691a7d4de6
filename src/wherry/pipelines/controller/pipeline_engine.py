"""A run of a compiled pipeline as far as it has come."""

from typing import Any

from wherry.metadata.artifacts import uris
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import naming, placeholders
from wherry.pipelines.controller.engine import Engine
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.definition import MISSING, Pipeline
from wherry.pipelines.graph.model import Node
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.ir.messages import TaskParameter
from wherry.pipelines.steps import executor_input
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.platform import Resolve


class PipelineEngine(Engine):
    """One run of a compiled pipeline.

    Attributes:
        pipeline: What is run.
        root: The pipeline root.
    """

    def __init__(self, run: Object, pipeline: Pipeline, walk: Walk, root: Root) -> None:
        super().__init__(naming.run_id(run), pipeline.name, walk)
        self.pipeline = pipeline
        self.root = root

    def order(self, run: Object, path: str, number: int) -> Order:
        """Return an attempt of a step, to be made or harvested."""
        known, scope = self.walk.known(path), self.walk.scope(path)
        node = known.node
        assert node is not None, f"{path} is no task"
        return Order(
            run=run,
            path=path,
            attempt=number,
            inputs=known.inputs,
            step=self.pipeline.step(node.component),
            task=self.pipeline.task(scope.graph, node.name),
            facts=self._facts(run, path, node),
            task_root=naming.task_root(
                self.root.uri, self.pipeline.name, self.uid, path, attempt=number
            ),
            resolve=self._resolve(path),
            workspace=naming.workspace(run) if self.pipeline.config.workspace else "",
        )

    def _resolve(self, path: str) -> Resolve:
        scope = self.walk.scope(path)

        def resolve(source: TaskParameter) -> Any:
            value = self.pipeline.parameter(scope, source)
            return None if value is MISSING else value

        return resolve

    def _facts(self, run: Object, path: str, node: Node) -> placeholders.Facts:
        created = str(run["metadata"].get("creationTimestamp") or "")
        return placeholders.Facts(
            job_name=str(run["spec"].get("displayName") or metadata.name(run)),
            job_resource_name=naming.job(run, self.pipeline.name),
            job_uuid=self.uid,
            task_name=node.name,
            task_uuid=naming.claim(run, path),
            pipeline_root=uris.seen(self.root.uri),
            create_time=created,
            schedule_time=created,
            workspace_path=executor_input.WORKSPACE_PATH,
        )
