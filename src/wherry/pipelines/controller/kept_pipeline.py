"""Pipelines that are kept by name: with one go its versions, however they were made."""

from typing import Final

from wherry.controller import finalizers
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request
from wherry.objects import metadata
from wherry.pipelines.definitions import kinds
from wherry.pipelines.definitions.store import Definitions

NAME: Final = "keptpipeline"


class KeptPipelineReconciler:
    """Holds pipelines until their versions are gone."""

    def __init__(self, manager: Manager, definitions: Definitions) -> None:
        """Take what it works with.

        Args:
            manager: Gives client and caches.
            definitions: Finds versions, and deletes them.
        """
        self._client = manager.client
        self._pipelines = manager.cache(kinds.PIPELINES)
        self._definitions = definitions

    async def reconcile(self, request: Request) -> None:
        """Hold a pipeline, or delete the versions of one that goes."""
        pipeline = self._pipelines.get(*request)
        if pipeline is None:
            return
        if metadata.is_deleting(pipeline):
            if finalizers.has_finalizer(pipeline, kinds.FINALIZER):
                await self._definitions.delete(pipeline)
            return
        await finalizers.add_finalizer(self._client, kinds.PIPELINES, pipeline, kinds.FINALIZER)


def controller(manager: Manager, definitions: Definitions) -> Controller:
    """Return the controller."""
    return Controller(NAME, kinds.PIPELINES, KeptPipelineReconciler(manager, definitions))
