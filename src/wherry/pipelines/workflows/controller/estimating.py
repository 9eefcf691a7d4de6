"""How long a workflow and its nodes may take: as long as in the last one of the same origin that has succeeded.

Source: argo-workflows after 4.1.2, ``workflow/controller/estimation``.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.controller.cache import Cache
from wherry.metadata.errors import DatabaseError
from wherry.objects import metadata, selectors
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, nodes
from wherry.pipelines.workflows.archive.records import Wanted
from wherry.pipelines.workflows.archive.store import Archive

logger = logging.getLogger("wherry.pipelines.workflows.estimating")

_BY_ORIGIN: Final = "workflows that have succeeded, by what they were made of"
_SUCCEEDED: Final = "Succeeded"
_MOST_ARCHIVED: Final = 1000
"""So many of the newest in the archive are looked at: a workflow waits for it."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """How long a workflow and its nodes may take, in seconds.

    Attributes:
        whole: The workflow; 0: nobody knows.
        nodes: Its nodes, by their names without the workflow's.
    """

    whole: int = 0
    nodes: Mapping[str, int] = field(default_factory=dict)


class Estimator:
    """Looks for workflows of the same origin."""

    def __init__(self, workflows: Cache, archive: Archive) -> None:
        """Take where they are found.

        Args:
            workflows: Those whose objects are there.
            archive: Those that have ended.
        """
        workflows.add_index(_BY_ORIGIN, _succeeded)
        self._workflows = workflows
        self._archive = archive

    async def of(self, workflow: Object) -> Estimates:
        """Return how long a workflow may take that is to begin, or goes on."""
        origin = next(_origins(workflow), None)
        found = None if origin is None else await self._last(metadata.namespace(workflow), *origin)
        if found is None:
            return Estimates()
        # Those of a large workflow have to be unpacked.
        return await asyncio.to_thread(_estimates, found)

    async def _last(self, namespace: str, label: str, name: str) -> Object | None:
        present = self._workflows.by_index(_BY_ORIGIN, f"{namespace}/{label}={name}")
        if present:
            return max(present, key=_made)
        if not self._archive.is_there():
            return None
        wanted = {"matchLabels": {label: name, kinds.PHASE_LABEL: _SUCCEEDED}}
        try:
            found = await self._archive.list(
                Wanted(
                    namespace=namespace,
                    labels=selectors.from_object(wanted),
                    limit=1,
                    most=_MOST_ARCHIVED,
                )
            )
        except (DatabaseError, ValueError) as error:
            # A workflow goes on without.
            logger.warning("how long workflows of %s=%s took is not known: %s", label, name, error)
            return None
        return next(iter(found.workflows), None)


def _origins(workflow: Object) -> Iterator[tuple[str, str]]:
    """Yield what a workflow was made of: labels with their values, those of upstream in its order."""
    labels = metadata.labels(workflow)
    ref: Mapping[str, Any] = workflow["spec"].get("workflowTemplateRef") or {}
    # The label is there only once the workflow has begun.
    told = {
        kinds.CLUSTER_WORKFLOW_TEMPLATE_LABEL
        if ref.get("clusterScope")
        else kinds.WORKFLOW_TEMPLATE_LABEL: str(ref.get("name") or "")
    }
    for label in (
        kinds.WORKFLOW_TEMPLATE_LABEL,
        kinds.CLUSTER_WORKFLOW_TEMPLATE_LABEL,
        kinds.CRON_WORKFLOW_LABEL,
    ):
        value = labels.get(label) or told.get(label)
        if value:
            yield label, value


def _succeeded(workflow: Object) -> Iterable[str]:
    if (workflow.get("status") or {}).get("phase") != _SUCCEEDED:
        return ()
    namespace = metadata.namespace(workflow)
    return [f"{namespace}/{label}={value}" for label, value in _origins(workflow)]


def _made(workflow: Object) -> str:
    return str(workflow["metadata"].get("creationTimestamp") or "")


def _estimates(workflow: Object) -> Estimates:
    name = metadata.name(workflow)
    found = {
        str(each.get("name") or "").removeprefix(name): _seconds(each)
        for each in nodes.stored(workflow).values()
    }
    return Estimates(
        _seconds(workflow["status"]), {key: each for key, each in found.items() if each}
    )


def _seconds(told: Mapping[str, Any]) -> int:
    """Return how long something took, at least a second: what is shorter is not known; 0: it has not ended."""
    began, ended = told.get("startedAt"), told.get("finishedAt")
    if not (began and ended):
        return 0
    took = metadata.parse_time(str(ended)) - metadata.parse_time(str(began))
    return max(1, int(took.total_seconds()))
