"""Artifacts that a Workflow leaves and that are to go: when it has ended, or when it is deleted.

Those in a folder of the node go at once. For those in stores a pod is made, which has the keys. What was
put to a server by HTTP stays, and that is told.

Source: argoproj/argo-workflows v4, ``workflow/controller/artifact_gc.go``.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply
from wherry.metadata.artifacts import uris
from wherry.metadata.records import Artifact
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import RootError, Roots
from wherry.pipelines.staging.staged import Stage
from wherry.pipelines.steps import ending
from wherry.pipelines.steps.draft import Draft, StepError
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.artifacts import locations, stores
from wherry.pipelines.workflows.artifacts.locations import Location
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.steps import patching

ON_COMPLETION: Final = "OnWorkflowCompletion"
ON_DELETION: Final = "OnWorkflowDeletion"
NEVER: Final = "Never"
COMPONENT: Final = "artifact-gc"
_MOST_TOLD: Final = 100_000
"""Characters of URIs that fit into a variable of a pod."""
MOST_AT_ONCE: Final = 500
"""Artifacts that one pod removes."""
_PODS_AT_ONCE: Final = 2
_LONGEST: Final = 1000


class CollectionError(Exception):
    """Artifacts could not be removed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the removing has come, and who is told of it.

    Attributes:
        done: Names of the pods that have ended and were noted.
        note: Keeps the names of more of them, for whoever goes on with this.
        trouble: Tells why a pod has not removed everything.
    """

    done: Collection[str]
    note: Callable[[Sequence[str]], Awaitable[None]]
    trouble: Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one pod removes.

    Attributes:
        pod: Its name: always the same for the same artifacts.
        uris: Of what it removes.
        location: How they are reached, in upstream's form; empty: as the root says.
    """

    pod: str
    uris: tuple[str, ...]
    location: Location


def due(spec: Object, artifacts: Iterable[Artifact], when: str) -> list[Artifact]:
    """Return the artifacts that go at a time.

    Args:
        spec: What the Workflow runs; its ``artifactGC`` counts for artifacts that say nothing.
        artifacts: What its nodes have made.
        when: `ON_COMPLETION` or `ON_DELETION`.
    """
    usual = (spec.get("artifactGC") or {}).get("strategy") or NEVER
    # What should have gone at the end goes with the Workflow at the latest.
    times = {ON_COMPLETION, ON_DELETION} if when == ON_DELETION else {when}
    return [each for each in artifacts if (_told(each).get("strategy") or usual) in times]


def _told(artifact: Artifact) -> Mapping[str, Any]:
    kept: Mapping[str, Any] = artifact.metadata.get(locations.FIELD) or {}
    return kept.get("artifactGC") or {}


class Collector:
    """Removes artifacts of Workflows."""

    def __init__(self, client: Client, roots: Roots) -> None:
        """Take what it works with.

        Args:
            client: Makes pods.
            roots: Where artifacts are.
        """
        self._client = client
        self._roots = roots

    async def collect(
        self,
        workflow: Object,
        spec: Object,
        repository: Repository,
        *,
        artifacts: Sequence[Artifact],
        when: str,
        progress: Progress,
    ) -> bool:
        """Remove what is due; return whether that is done. It is to be asked again until it is.

        Args:
            workflow: Whose they are.
            spec: What it runs.
            repository: Where its artifacts go.
            artifacts: All that its nodes have made.
            when: `ON_COMPLETION` or `ON_DELETION`.
            progress: How far it has come.

        Raises:
            CollectionError: some are still there, and will stay.
            ApiError: the API cannot be asked.
        """
        gone = due(spec, artifacts, when)
        going = {id(each) for each in gone}
        # Two artifacts of one path are one file where nothing is copied.
        keep = {each.uri for each in artifacts if id(each) not in going}
        here = sorted({each.uri for each in gone if uris.is_of_node(each.uri)} - keep)
        try:
            await self._roots.remove(metadata.namespace(workflow), here, sorted(keep))
        except (OSError, ValueError) as error:
            raise CollectionError(str(error)) from error
        web = [each for each in gone if _is_of_web(each)]
        away = [each for each in gone if not (uris.is_of_node(each.uri) or _is_of_web(each))]
        left = [each for each in _batches(workflow, away) if each.pod not in progress.done]
        ended: list[Object] = []
        for batch in left[:_PODS_AT_ONCE]:
            pod = await self._pod_of(workflow, spec, repository, batch)
            end = ending.of(pod) if pod is not None else None
            if pod is not None and end is not None:
                ended.append(pod)
                if not end.succeeded:
                    await progress.trouble(end.message)
        if ended:
            # Noted first: a pod that is gone and not noted would be made again.
            await progress.note([metadata.name(each) for each in ended])
        for pod in ended:
            await apply.delete_if_present(self._client, core.PODS, pod)
        is_done = len(ended) == len(left)
        if is_done and web:
            # Once, when there is nothing else to do.
            names = ", ".join(f"{each.name} at {each.uri.partition('?')[0]}" for each in web)
            await progress.trouble(f"HTTP knows no way to delete artifacts: {names}"[:_LONGEST])
        return is_done

    async def _pod_of(
        self, workflow: Object, spec: Object, repository: Repository, batch: Batch
    ) -> Object | None:
        """Return the pod that removes a batch; None: it was only now made."""
        try:
            return await self._client.get(core.PODS, batch.pod, metadata.namespace(workflow))
        except errors.NotFoundError:
            pass
        try:
            made = self._pod(workflow, spec, repository, batch)
            await self._client.create(core.PODS, made)
        except errors.AlreadyExistsError:
            # The look before this one has made it.
            return None
        except (RootError, StepError) as error:
            raise CollectionError(str(error)) from error
        except (errors.InvalidError, errors.ForbiddenError) as error:
            raise CollectionError(error.message) from error
        return None

    def _pod(self, workflow: Object, spec: Object, repository: Repository, batch: Batch) -> Object:
        draft = Draft({})
        stage = Stage(self._roots.agent, stores.of_bucket(repository.root, batch.location))
        stage.remove_alone(draft, batch.uris, ())
        asked: Mapping[str, Any] = spec.get("artifactGC") or {}
        account = asked.get("serviceAccountName") or spec.get("serviceAccountName")
        if account:
            draft.spec["serviceAccountName"] = account
        marks: Mapping[str, Any] = asked.get("podMetadata") or {}
        return {
            "apiVersion": core.PODS.api_version,
            "kind": core.PODS.kind,
            "metadata": {
                "name": batch.pod,
                "namespace": metadata.namespace(workflow),
                "labels": {**(marks.get("labels") or {}), kinds.COMPONENT_LABEL: COMPONENT},
                "annotations": {**(marks.get("annotations") or {}), **draft.annotations},
                "ownerReferences": [metadata.owner_reference(workflow)],
            },
            "spec": patching.patched(draft.spec, [asked.get("podSpecPatch") or ""]),
        }


def _is_of_web(artifact: Artifact) -> bool:
    return locations.HTTP in (artifact.metadata.get(locations.FIELD) or {})


def _batches(workflow: Object, away: Iterable[Artifact]) -> list[Batch]:
    """Return what each pod removes: what is reached in one way, and fits into its variables."""
    found: dict[str, set[str]] = {}
    ways: dict[str, Location] = {}
    for each in away:
        location = locations.only(each.metadata.get(locations.FIELD) or {})
        way = locations.at_key(location, "") if locations.kind(location, each.name) else {}
        ways[json.dumps(way, sort_keys=True)] = way
        found.setdefault(json.dumps(way, sort_keys=True), set()).add(each.uri)
    return [
        Batch(_name(workflow, part), part, ways[key])
        for key in sorted(found)
        for part in _parts(sorted(found[key]))
    ]


def _parts(wanted: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield URIs, as many at a time as one pod is told."""
    part: list[str] = []
    told = 0
    for each in wanted:
        size = len(json.dumps(each)) + 2
        if part and (len(part) == MOST_AT_ONCE or told + size > _MOST_TOLD):
            yield tuple(part)
            part, told = [], 0
        part.append(each)
        told += size
    if part:
        yield tuple(part)


def _name(workflow: Object, gone: Sequence[str]) -> str:
    digest = hashlib.sha256("\0".join([metadata.uid(workflow), *gone]).encode()).hexdigest()[:16]
    return f"{metadata.name(workflow)[:40].rstrip('-.')}-artgc-{digest}"
