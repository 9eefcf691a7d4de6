"""A step that is to begin: from cache, at once, or by a pod that is to be made."""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply
from wherry.controller.clock import Clock
from wherry.controller.errors import ForeignOwnerError
from wherry.metadata import records
from wherry.metadata.artifacts.uris import UriError
from wherry.metadata.records import Execution
from wherry.metadata.store import Metadata
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import caching
from wherry.pipelines.controller import claims, importing
from wherry.pipelines.controller.engine import ended, milliseconds
from wherry.pipelines.controller.pipeline_engine import PipelineEngine
from wherry.pipelines.controller.roots import FILES, RootError, Roots
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import Start, State
from wherry.pipelines.staging import importer_pod
from wherry.pipelines.steps import platform
from wherry.pipelines.steps import pod as pods
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.steps.order import Order

_REFUSALS: Final = (StepError, UnresolvedError, UriError, RootError)


class Starter:
    """Begins steps."""

    def __init__(self, client: Client, store: Metadata, roots: Roots, clock: Clock) -> None:
        """Take what it works with.

        Args:
            client: Makes pods and claims.
            store: Knows earlier results.
            roots: Where artifacts go.
            clock: Tells when steps begin.
        """
        self._client = client
        self._store = store
        self._roots = roots
        self._clock = clock

    async def plan(self, engine: PipelineEngine, run: Object, start: Start) -> Execution:
        """Return the row of a step that is to begin: running, or ended already.

        Raises:
            MetadataError: the database cannot be asked.
        """
        order = engine.order(run, start.path, engine.number(start))
        order = dataclasses.replace(order, inputs=start.inputs)
        importer = order.step.executor.importer
        type_ = records.CONTAINER_EXECUTION if importer is None else records.IMPORTER_EXECUTION
        row = engine.begun(start, metadata.namespace(run), self._clock.now(), type_)
        try:
            if importer is not None and importer.download_to_workspace:
                return self._of_import(engine, order, row)
            if importer is not None:
                found = await importing.perform(self._store, order)
                return ended(row, State.SUCCEEDED, self._clock.now(), outputs=found)
            if order.container.image in claims.IMAGES:
                return row
            return await self._of_pod(engine, order, row)
        except _REFUSALS as error:
            return ended(row, State.FAILED, self._clock.now(), error=str(error), final=True)

    def _of_import(self, engine: PipelineEngine, order: Order, row: Execution) -> Execution:
        """Return the row of an importer that has a pod bring its artifact into the workspace."""
        wanted = importing.artifact(order)
        stage = self._roots.stage(engine.root)
        folder = self._roots.folder(order) if self._roots.here else None
        engine.pods[order.path] = importer_pod.make(order, wanted, stage, folder)
        return dataclasses.replace(row, pod=metadata.name(engine.pods[order.path]))

    async def _of_pod(self, engine: PipelineEngine, order: Order, row: Execution) -> Execution:
        places = self._roots.places(engine.root, order)
        made = pods.make(order, places, here=self._roots.here)
        row = dataclasses.replace(row, pod=metadata.name(made.pod))
        enabled = order.run["spec"].get("enableCache")
        if enabled is None:
            enabled = order.task.caching_options.enable_cache
        if not enabled:
            row = dataclasses.replace(row, cache_reason=caching.OFF)
        else:
            mounted = platform.claim_names(order.step.settings, order.resolve)
            if pods.needs_workspace(order, made.executor_input):
                mounted.append(order.workspace)
            row = dataclasses.replace(
                row,
                fingerprint=caching.fingerprint(order, made.executor_input, mounted),
                properties={**row.properties, **caching.notes(order, made.executor_input, mounted)},
                cache_reason="done again",
            )
            if order.attempt == 0:
                row = await self._cached(order, row)
        if row.state == State.RUNNING:
            engine.pods[order.path] = made.pod
        return row

    async def _cached(self, order: Order, row: Execution) -> Execution:
        """Return the row with the result of an earlier run, or with why there is none."""
        now = self._clock.now()
        expiry = order.run["spec"].get("cacheExpirySeconds")
        since = 0 if expiry is None else milliseconds(now) - int(expiry) * 1000
        found = await self._store.cached(row.namespace, row.pipeline, row.fingerprint, since=since)
        why = caching.NONE
        if (
            not found
            and since
            and await self._store.cached(row.namespace, row.pipeline, row.fingerprint, limit=1)
        ):
            why = f"the latest result is older than {expiry} s"
        for each in found:
            if not await self._roots.still_there(each):
                why = f"artifacts of execution {each.id} are gone"
                continue
            reason = f"execution {each.id}, of run {each.run}"
            row = dataclasses.replace(
                row,
                pod="",
                cached_from=each.id,
                cache_reason=reason,
                properties={**row.properties, **_files(each)},
            )
            return ended(row, State.SUCCEEDED, now, outputs=each.outputs)
        return dataclasses.replace(row, cache_reason=why)

    async def perform(
        self, engine: PipelineEngine, run: Object, rows: Sequence[Execution]
    ) -> list[Execution]:
        """Make the pods of steps that run, and do what needs none.

        Returns:
            The rows of those that have ended with it, not stored yet.
        """
        done = await asyncio.gather(*(self._perform(engine, run, row) for row in rows))
        return [row for row in done if row is not None]

    async def _perform(
        self, engine: PipelineEngine, run: Object, row: Execution
    ) -> Execution | None:
        order = engine.order(run, row.path, row.attempt)
        try:
            if not row.pod:
                given = await claims.perform(self._client, order)
                return ended(row, State.SUCCEEDED, self._clock.now(), outputs=given)
            await self._make(engine, order)
        except errors.ForbiddenError as error:
            # A quota, perhaps: there may be room later.
            engine.troubles[row.path] = error.message
            return None
        except (
            *_REFUSALS,
            errors.InvalidError,
            errors.BadRequestError,
            ForeignOwnerError,
        ) as error:
            told = str(getattr(error, "message", error))
            return ended(row, State.FAILED, self._clock.now(), error=told, final=True)
        engine.troubles.pop(row.path, None)
        return None

    async def _make(self, engine: PipelineEngine, order: Order) -> None:
        wanted = engine.pods.get(order.path) or self._made_again(engine, order)
        await self._roots.prepare(engine.root, order)
        try:
            await self._client.create(core.PODS, wanted)
        except errors.AlreadyExistsError:
            await apply.create_if_absent(self._client, None, core.PODS, wanted)

    def _made_again(self, engine: PipelineEngine, order: Order) -> Object:
        """Return the pod that was to be made before a restart: the same."""
        row = engine.rows[order.path]
        if order.step.executor.importer is not None:
            self._of_import(engine, order, row)
        else:
            places = self._roots.places(engine.root, order)
            engine.pods[order.path] = pods.make(order, places, here=self._roots.here).pod
        return engine.pods[order.path]


def _files(execution: Execution) -> Mapping[str, Any]:
    """Return what is kept of an earlier result's files."""
    return {key: each for key, each in execution.properties.items() if key == FILES}
