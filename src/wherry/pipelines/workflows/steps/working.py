"""Steps of Workflows, as their controller makes them, and takes in what they leave."""

import asyncio
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from wherry.client.client import Client
from wherry.metadata.records import Artifact
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import RootError, Roots
from wherry.pipelines.steps import ending
from wherry.pipelines.steps.draft import MAIN, StepError
from wherry.pipelines.steps.outputs import OutputError
from wherry.pipelines.workflows.artifacts import finding, on_node, plan
from wherry.pipelines.workflows.artifacts import layout as layouts
from wherry.pipelines.workflows.artifacts.layout import Layout
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.plan import Output
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.artifacts.targets import Target
from wherry.pipelines.workflows.steps import agents, outputs, pod
from wherry.pipelines.workflows.steps.outputs import NodeOutputs

_LONGEST_LOG: Final = 1024**3
"""Bytes of what a container says that become an artifact."""


class Steps:
    """Pods of one platform's Workflows."""

    def __init__(self, client: Client, roots: Roots) -> None:
        """Take what it works with.

        Args:
            client: Reads repositories, and what steps have said.
            roots: Knows where artifacts go that name no store.
        """
        self._client = client
        self._roots = roots

    async def repository(self, workflow: Object, spec: Object) -> Repository:
        """Return where the artifacts of a Workflow go.

        Raises:
            RootError: there is no place for them.
            StepError: what the Workflow names is not there, or cannot be read.
            ApiError: it cannot be asked for.
        """
        root = await self._roots.at(metadata.namespace(workflow))
        return await finding.find(self._client, root, workflow, spec)

    def pod(self, order: Order) -> Object:
        """Return the pod of a node: the same at each call.

        Raises:
            StepError: it cannot be made.
        """
        try:
            return pod.make(order, lambda: self._roots.agent, self._folder(order))
        except RootError as error:
            raise StepError(str(error)) from error

    async def prepare(self, order: Order) -> None:
        """Make what a node's pod counts on; what is there stays.

        Raises:
            StepError: an input is not there, or cannot be put where it should be.
        """
        folder = self._folder(order)
        if folder is None or not order.repository.root.direct or agents.runs(order):
            return
        made = plan.make(order)
        if made.volumes:
            await asyncio.to_thread(on_node.prepare, order, made, folder)

    async def outputs(self, order: Order, ended: Object) -> NodeOutputs:
        """Return what a node's pod has left that has ended; of a failed one what there is.

        Raises:
            OutputError: something is missing, or cannot be read.
            ApiError: it cannot be asked for.
        """
        end = ending.of(ended)
        failed = end is not None and not end.succeeded
        code = outputs.exit_code(ended)
        try:
            if agents.runs(order):
                return await self._of_agent(order, ended, code)
            layout = layouts.make(order)
            told = await self._roots.told(ended) if layout.carries_away else {}
            await self._write_logs(layout, ended)
            collect = functools.partial(_collect, layout, told, self._folder(order), failed=failed)
            left = layout.plan.parameters or layout.targets
            found, artifacts = await asyncio.to_thread(collect) if left else ({}, {})
        except (OutputError, errors.NotFoundError, errors.BadRequestError):
            if not failed:
                raise
            return NodeOutputs(result=await self._result(order, ended), exit_code=code)
        return NodeOutputs(
            parameters=outputs.written_down(order.template) | found,
            artifacts=artifacts,
            result=await self._result(order, ended),
            exit_code=code,
        )

    async def _of_agent(self, order: Order, ended: Object, code: int | None) -> NodeOutputs:
        told = await self._roots.told(ended, MAIN)
        found = outputs.written_down(order.template) | told["parameters"]
        return NodeOutputs(parameters=found, result=told.get("result"), exit_code=code)

    async def _result(self, order: Order, ended: Object) -> str | None:
        if not order.wants_result or agents.runs(order):
            return None
        name, namespace = metadata.name(ended), metadata.namespace(ended)
        said = bytearray()
        try:
            async for chunk in self._client.log(name, namespace, container=MAIN, stream="Stdout"):
                said += chunk
                # The end counts, and a newline after it does not.
                del said[: -outputs.LONGEST_RESULT - 1]
        except (errors.NotFoundError, errors.BadRequestError):
            return None
        return outputs.result(bytes(said))

    async def _write_logs(self, layout: Layout, ended: Object) -> None:
        """Write what containers have said to where it is an artifact, in a folder of the node."""
        folder, logs = self._folder(layout.order), layout.plan.logs
        if folder is None:
            return
        for container, output in logs.items():
            if container in layout.plan.written_logs:
                continue
            path = await asyncio.to_thread(on_node.log, layout.order, output, folder)
            try:
                await self._write_log(ended, container, path)
            except (errors.NotFoundError, errors.BadRequestError):
                continue  # it has never said anything

    async def _write_log(self, ended: Object, container: str, path: Path) -> None:
        name, namespace = metadata.name(ended), metadata.namespace(ended)
        left, draft = _LONGEST_LOG, path.with_name(f".{path.name}")
        try:
            with await asyncio.to_thread(draft.open, "wb") as file:
                async for chunk in self._client.log(name, namespace, container=container):
                    await asyncio.to_thread(file.write, chunk[:left])
                    left -= len(chunk)
                    if left <= 0:
                        break
            await asyncio.to_thread(draft.replace, path)
        finally:
            draft.unlink(missing_ok=True)

    def _folder(self, order: Order) -> Path | None:
        if not self._roots.here:
            if order.repository.root.direct:
                raise StepError(
                    f"pipeline root {order.repository.root.uri}: no folder that all nodes have; "
                    "use pvc:// or a store"
                )
            return None
        return self._roots.own(metadata.namespace(order.workflow))


def _collect(
    layout: Layout, told: Mapping[str, Any], folder: Path | None, *, failed: bool
) -> tuple[dict[str, str], dict[str, Artifact]]:
    """Return parameters and artifacts. Blocking."""

    def written(each: Output) -> str | None:
        if layout.direct and folder is not None:
            return on_node.parameter(layout.order, each, folder)
        content: str | None = told["parameters"].get(each.said["name"])
        return content

    def there(each: Target) -> bool:
        if each.on_node and folder is not None:
            return on_node.keep(layout.order, each, folder)
        return each.name in told["files"]

    return (
        outputs.parameters(layout.plan, written, failed=failed),
        outputs.artifacts(layout.order, layout.targets, there, failed=failed),
    )
