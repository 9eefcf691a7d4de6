"""Writes down what becomes of runs, so that it is known when their objects are gone."""

from typing import Final

from wherry.client.client import Client
from wherry.controller.controller import Controller
from wherry.controller.manager import Manager
from wherry.controller.requests import Request, Result
from wherry.objects import errors, metadata
from wherry.objects.metadata import NamespacedName
from wherry.objects.resources import Resource
from wherry.pipelines import kinds
from wherry.pipelines.history import recording
from wherry.pipelines.history.records import Run
from wherry.pipelines.history.store import History

NAME: Final = "pipelinerun-history"
OF_WORKFLOWS: Final = "workflow-history"


class Recorder:
    """Keeps the history's rows as the objects say."""

    def __init__(
        self, manager: Manager, history: History, resource: Resource = kinds.PIPELINE_RUNS
    ) -> None:
        """Take what it works with.

        Args:
            manager: Gives client and caches.
            history: Is written to.
            resource: What runs are.
        """
        self._client: Client = manager.client
        self._resource = resource
        self._runs = manager.cache(resource)
        self._history = history
        self._told: dict[Request, tuple[object, ...]] = {}
        """What was last written of runs that go on."""

    async def reconcile(self, request: Request) -> Result | None:
        """Write down what one object says."""
        run = self._runs.get(*request)
        if run is None:
            self._told.pop(request, None)
            await self._lost(NamespacedName(*request))
            return None
        seen = recording.seen(run)
        told = _told(seen)
        if self._told.get(request) == told:
            return None
        await self._history.record(seen)
        if seen.state in kinds.FINAL_STATES:
            self._told.pop(request, None)
        else:
            self._told[request] = told
        return None

    async def _lost(self, where: NamespacedName) -> None:
        """Note that an object is gone; one that the cache does not know yet is not."""
        try:
            present = await self._client.get(self._resource, where.name, where.namespace)
        except errors.NotFoundError:
            await self._history.lost(where, kind=self._resource.kind)
        else:
            await self._history.lost(where, but=metadata.uid(present), kind=self._resource.kind)


def _told(seen: Run) -> tuple[object, ...]:
    """Return what of a run makes a difference; counts of tasks change all the time."""
    changing = (seen.state, seen.error, seen.finished_at, seen.retries, seen.display_name)
    return (seen.object_uid, *changing, dict(seen.labels), dict(seen.annotations))


def controller(manager: Manager, history: History) -> Controller:
    """Return the controller that writes the history."""
    return Controller(
        name=NAME, resource=kinds.PIPELINE_RUNS, reconciler=Recorder(manager, history)
    )
