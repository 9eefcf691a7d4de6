"""Has the artifacts of a Workflow go that are to go; how far that has come stands in its status.

Source: argoproj/argo-workflows v4, ``status.artifactGCStatus``.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from wherry.client.client import Client
from wherry.controller.events import Recorder
from wherry.metadata.records import Execution
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import RootError, Roots
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.controller.beginning import Beginner
from wherry.pipelines.workflows.steps import collecting
from wherry.pipelines.workflows.steps.collecting import CollectionError, Collector, Progress

_STATUS: Final = "artifactGCStatus"
_PODS: Final = "podsRecouped"
_TIMES: Final = "strategiesProcessed"
_FAILURES: Final = (
    PipelineError, UnresolvedError, RootError, StepError, ValueError, CollectionError,
)  # fmt: skip
Rows = Callable[[Object], Awaitable[Sequence[Execution]]]


class Remover:
    """Has artifacts go."""

    def __init__(
        self,
        client: Client,
        roots: Roots,
        rows: Rows,
        *,
        beginner: Beginner,
        recorder: Recorder,
    ) -> None:
        """Take what it works with.

        Args:
            client: Writes the status.
            roots: Where artifacts are.
            rows: Finds the rows of a workflow, which name its artifacts.
            beginner: Knows what a workflow runs, and its repository.
            recorder: Tells people what stays.
        """
        self._client = client
        self._rows = rows
        self._beginner = beginner
        self._recorder = recorder
        self._collector = Collector(client, roots)

    async def is_done(self, workflow: Object, when: str) -> bool:
        """Have artifacts go that are to go now; return whether that is done, or given up.

        Args:
            workflow: The object.
            when: As `collecting.due`.

        Raises:
            ApiError: the API cannot be asked.
        """
        if (_told(workflow).get(_TIMES) or {}).get(when):
            return True
        try:
            done, asked = await self._collect(workflow, when)
        except _FAILURES as error:
            await self._tell(workflow, str(error))
            # Whoever deletes a workflow wants it gone; what stays was said.
            done, asked = True, True
        if done and asked and when == collecting.ON_COMPLETION:
            await self._note(workflow, {_TIMES: {when: True}})
        return done

    async def _collect(self, workflow: Object, when: str) -> tuple[bool, bool]:
        """Return whether it is done, and whether there was anything."""
        spec = self._beginner.spec_or_own(workflow)
        if "artifactGC" not in json.dumps(spec):
            return True, False
        made = [
            each
            for row in await self._rows(workflow)
            if row.pod
            for some in row.outputs.artifacts.values()
            for each in some
        ]
        if not collecting.due(spec, made, when):
            return True, False

        async def note(pods: Sequence[str]) -> None:
            await self._note(workflow, {_PODS: dict.fromkeys(pods, True)})

        async def trouble(message: str) -> None:
            await self._tell(workflow, message)

        repository = await self._beginner.repository(workflow)
        done = [name for name, is_done in (_told(workflow).get(_PODS) or {}).items() if is_done]
        progress = Progress(done=done, note=note, trouble=trouble)
        collected = await self._collector.collect(
            workflow, spec, repository, artifacts=made, when=when, progress=progress
        )
        return collected, True

    async def _note(self, workflow: Object, told: Object) -> None:
        """Add to the status; what else was written there meanwhile stays."""
        change = {"metadata": {"uid": metadata.uid(workflow)}, "status": {_STATUS: told}}
        await self._client.patch(
            kinds.WORKFLOWS,
            metadata.name(workflow),
            change,
            metadata.namespace(workflow),
        )

    async def _tell(self, workflow: Object, message: str) -> None:
        await self._recorder.event(workflow, "Warning", "ArtifactGCFailed", message)


def _told(workflow: Object) -> Object:
    found: Object = (workflow.get("status") or {}).get(_STATUS) or {}
    return found
