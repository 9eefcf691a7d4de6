"""How far steps say that they are: read while they run, and once they have ended.

Beside a step that writes its progress there is a container which says what the file does. What it has said last
counts; without it the annotation of the pod.
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from wherry.client.client import Client
from wherry.controller.clock import Clock
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, progress
from wherry.pipelines.workflows.controller.engine import WorkflowEngine
from wherry.pipelines.workflows.progress import Progress
from wherry.pipelines.workflows.steps import reporting

_SECONDS_A_POD: Final = 0.02
"""Of many pods each is asked less often."""
_AT_ONCE: Final = 8
_MOST: Final = 4096
"""Bytes of an answer that are read."""
_TRIES_SECONDS: Final = 10.0


class Progressing:
    """Reads how far steps are."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """Take what it works with.

        Args:
            client: Reads what containers say.
            clock: Tells when it is time to look again.
        """
        self._client = client
        self._clock = clock
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def look(self, engine: WorkflowEngine, pods: Mapping[str, Object]) -> None:
        """Ask the steps of a workflow that run, if it is time.

        Args:
            engine: What is known of the workflow.
            pods: Those of steps that run.
        """
        asked = [
            pod
            for row in engine.running.values()
            if (pod := pods.get(row.pod)) is not None and _runs(pod) and reporting.reports(pod)
        ]
        if not asked:
            engine.asks_at = None
            return
        now = self._clock.monotonic()
        if engine.asks_at is None or now >= engine.asks_at:
            engine.asks_at = now + max(reporting.SECONDS, len(asked) * _SECONDS_A_POD)
            found = await asyncio.gather(*(self._said(pod) for pod in asked))
            for pod, each in zip(asked, found, strict=True):
                if each is not None:
                    engine.progress[metadata.name(pod)] = each

    async def last(self, pod: Object) -> Progress | None:
        """Return how far a step was whose pod has ended; None: it has not said."""
        said = await self._said(pod) if reporting.reports(pod) else None
        return said or annotated(pod)

    async def _said(self, pod: Object) -> Progress | None:
        name, namespace = metadata.name(pod), metadata.namespace(pod)
        said = bytearray()
        try:
            async with self._at_once, asyncio.timeout(_TRIES_SECONDS):
                chunks = self._client.log(name, namespace, container=reporting.CONTAINER, tail=1)
                async for chunk in chunks:
                    said += chunk
                    if len(said) > _MOST:
                        break
        except (errors.ApiError, OSError, TimeoutError):
            # It is asked again, and what it says is no reason for a workflow to wait.
            return None
        return progress.read(said.decode(errors="replace"))


def annotated(pod: Object | None) -> Progress | None:
    """Return the progress that the annotation of a pod tells; None: none."""
    return progress.read(metadata.annotations(pod or {}).get(kinds.PROGRESS_ANNOTATION))


def _runs(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running"
