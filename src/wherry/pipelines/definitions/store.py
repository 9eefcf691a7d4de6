"""Pipelines and versions as objects of the API: made, found, changed, deleted."""

import asyncio
import contextlib
import datetime
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from wherry.client.client import Client
from wherry.controller import finalizers
from wherry.controller.apply import delete_if_present
from wherry.controller.cache import Cache
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.definitions import kinds, naming, uploads
from wherry.pipelines.definitions.finding import Finder
from wherry.pipelines.definitions.index import Index, is_of
from wherry.pipelines.ir.documents import Documents

MOST_VERSIONS: Final = 1000
"""Of one pipeline."""
_READ_AT_ONCE: Final = 2
"""Files: each takes a thread, and some hundred megabytes while it is read."""
_FETCHED_AT_ONCE: Final = 8
"""Versions: each may have a megabyte."""
_Known = TypeVar("_Known")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A pipeline or a version that is to be made.

    Attributes:
        name: What it is called.
        display_name: What people call it; empty: its name.
        description: What it is for.
        tags: Words to find it by.
        code_source_url: Where a version's source is.
        uri: Where a version was taken from.
    """

    name: str
    display_name: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    code_source_url: str = ""
    uri: str = ""


class Definitions:
    """Finds and keeps pipelines and their versions. For one event loop."""

    def __init__(self, client: Client, pipelines: Cache, versions: Index) -> None:
        """Take where they are.

        Args:
            client: Reads and writes them.
            pipelines: Cache of pipelines.
            versions: Knows of all versions.
        """
        self._client = client
        self._versions = versions
        self._pipelines = Finder(client, pipelines, "pipeline")
        self._reading = asyncio.Semaphore(_READ_AT_ONCE)
        self._fetching = asyncio.Semaphore(_FETCHED_AT_ONCE)

    async def read(self, filename: str, data: bytes) -> Documents:
        """Read a file that was handed in, beside the event loop; see `uploads.read`.

        Raises:
            BadRequestError: there is no pipeline in it, or one that is not right.
            RequestEntityTooLargeError: it is too large.
        """
        async with self._reading:
            return await asyncio.to_thread(uploads.read, filename, data)

    async def pipeline(self, uid: str) -> Object:
        """Return a pipeline.

        Raises:
            NotFoundError: there is none.
        """
        return await self._pipelines.by_uid(uid)

    async def named(self, namespace: str, name: str) -> Object:
        """Return a pipeline by what it is called.

        Raises:
            NotFoundError: there is none.
        """
        missing = errors.NotFoundError(f"there is no pipeline {name!r} in {namespace!r}")
        try:
            found = await self._client.get(kinds.PIPELINES, naming.object_name(name), namespace)
        except errors.NotFoundError:
            raise missing from None
        if metadata.is_deleting(found) or naming.name_of(found) != name:
            raise missing
        return found

    async def pipelines(self, namespace: str) -> Sequence[Object]:
        """Return the pipelines of a namespace."""
        listed = await self._client.list(kinds.PIPELINES, namespace)
        return [each for each in listed if not metadata.is_deleting(each)]

    async def versions(self, pipeline: Object) -> Sequence[Object]:
        """Return the versions of a pipeline, without what they run, the oldest first; see `whole`.

        They are shared: not to be changed.
        """
        return await self._versions.of(pipeline)

    async def whole(self, version: Object) -> Object:
        """Return a version with what it runs, as it is now.

        Raises:
            NotFoundError: it is gone.
        """
        return await self._versions.whole(version)

    async def whole_ones(self, versions: Sequence[Object]) -> Sequence[Object]:
        """Return versions with what they run, as they are now; one that is gone is left out."""
        found = await asyncio.gather(*(self._if_there(self.whole, each) for each in versions))
        return [each for each in found if each is not None]

    async def version(self, pipeline: Object, uid: str) -> Object:
        """Return a version of a pipeline.

        Raises:
            NotFoundError: there is none.
        """
        found = await self._versions.by_uid(uid)
        if found is None or not is_of(found, pipeline):
            raise errors.NotFoundError(
                f"pipeline {metadata.uid(pipeline)!r} has no version {uid[:64]!r}"
            )
        return await self.whole(found)

    async def latest(self, pipeline: Object) -> Object:
        """Return the version of a pipeline that was made last.

        Raises:
            NotFoundError: it has none.
        """
        found = await self.versions(pipeline)
        if not found:
            raise errors.NotFoundError(f"pipeline {naming.name_of(pipeline)!r} has no version")
        return await self.whole(found[-1])

    async def chosen(self, pipeline: Object) -> Object:
        """Return the version of a pipeline that was noted as the default one; see `set_default`.

        Raises:
            NotFoundError: none was, or it is gone.
        """
        noted = metadata.annotations(pipeline).get(kinds.DEFAULT_VERSION_ANNOTATION, "")
        return await self.version(pipeline, noted)

    async def default(self, pipeline: Object) -> Object | None:
        """Return the version of a pipeline that was chosen, else its latest; None: it has none."""
        return await self._if_there(self._default, pipeline)

    async def _default(self, pipeline: Object) -> Object:
        with contextlib.suppress(errors.NotFoundError):
            return await self.chosen(pipeline)
        return await self.latest(pipeline)

    async def _if_there(
        self, find: Callable[[_Known], Awaitable[Object]], known: _Known
    ) -> Object | None:
        async with self._fetching:
            with contextlib.suppress(errors.NotFoundError):
                return await find(known)
        return None

    async def version_of(self, pipeline_id: str, version_id: str) -> Object:
        """Return a version, where its id is empty the latest one.

        Args:
            pipeline_id: Of its pipeline; may be empty where the version's is not.
            version_id: Of the version.

        Raises:
            NotFoundError: there is none.
        """
        if pipeline_id:
            pipeline = await self.pipeline(pipeline_id)
            given = await self.version(pipeline, version_id) if version_id else None
            return given or await self.latest(pipeline)
        return await self.whole(await self._version_anywhere(version_id))

    def known_version(self, uid: str) -> Object | None:
        """Return a version without what it runs, if it is known here. Shared: not to be changed."""
        return self._versions.known(uid)

    async def version_if_there(self, pipeline_id: str, version_id: str) -> Object | None:
        """Return what `version_of` does; None: there is none, as where no pipeline is named."""
        return await self._if_there(self._version_of, (pipeline_id, version_id))

    async def _version_of(self, ids: tuple[str, str]) -> Object:
        if not ids[0]:
            raise errors.NotFoundError("a version of no pipeline")
        return await self.version_of(*ids)

    async def pipeline_of(self, version_id: str) -> Object:
        """Return the pipeline of a version.

        Raises:
            NotFoundError: there is no such version.
        """
        version = await self._version_anywhere(version_id)
        return await self._client.get(
            kinds.PIPELINES, version["spec"]["pipelineName"], metadata.namespace(version)
        )

    async def _version_anywhere(self, uid: str) -> Object:
        found = await self._versions.by_uid(uid)
        if found is None:
            raise errors.NotFoundError(f"there is no pipeline version {uid[:64]!r}")
        return found

    async def create(self, namespace: str, draft: Draft) -> Object:
        """Make a pipeline.

        Raises:
            AlreadyExistsError: there is one of that name.
            InvalidError: there is something wrong with it.
        """
        name = naming.object_name(draft.name)
        spec = {
            "displayName": draft.display_name or draft.name,
            "description": draft.description,
            "tags": dict(draft.tags),
        }
        made = _object(kinds.PIPELINES.kind, name, namespace, spec)
        made["metadata"]["annotations"] = _notes(draft.name, name)
        try:
            return await self._client.create(kinds.PIPELINES, made)
        except errors.AlreadyExistsError:
            raise errors.AlreadyExistsError(
                f"pipeline {draft.name!r} is there already; add a version to it, or choose another name"
            ) from None

    async def create_version(self, pipeline: Object, draft: Draft, documents: Documents) -> Object:
        """Make a version of a pipeline.

        Raises:
            AlreadyExistsError: it has one of that name.
            InvalidError: there is something wrong with it.
            ForbiddenError: it has too many.
        """
        there = await self.versions(pipeline)
        taken = errors.AlreadyExistsError(
            f"pipeline {naming.name_of(pipeline)!r} has a version {draft.name!r} already; choose "
            "another name"
        )
        if any(naming.name_of_version(each) == draft.name for each in there):
            raise taken
        if len(there) >= MOST_VERSIONS:
            raise errors.ForbiddenError(
                f"pipeline {naming.name_of(pipeline)!r} has {len(there)} versions, as many as it may"
            )
        made = _version(pipeline, draft, documents)
        try:
            stored = await self._client.create(kinds.PIPELINE_VERSIONS, made)
        except errors.AlreadyExistsError:
            if await self._is_taken(made, pipeline):
                raise taken from None
            # Another pipeline's, whose names give the same when they are put together.
            made["metadata"]["name"] = naming.other_name(metadata.name(pipeline), draft.name)
            try:
                stored = await self._client.create(kinds.PIPELINE_VERSIONS, made)
            except errors.AlreadyExistsError:
                raise taken from None
        await self._versions.written(stored)
        return stored

    async def _is_taken(self, wanted: Object, pipeline: Object) -> bool:
        """Return whether the name of a version's object is that of another of its pipeline."""
        where = metadata.namespaced_name(wanted)
        try:
            found = await self._client.get(kinds.PIPELINE_VERSIONS, where.name, where.namespace)
        except errors.NotFoundError:
            return False
        return is_of(found, pipeline)

    async def create_both(
        self, namespace: str, draft: Draft, first: Draft, documents: Documents
    ) -> Object:
        """Make a pipeline with its first version, or neither; return the pipeline.

        Raises:
            AlreadyExistsError: there is one of that name.
            InvalidError: there is something wrong with one of them.
        """
        pipeline = await self.create(namespace, draft)
        try:
            await self.create_version(pipeline, first, documents)
        except BaseException:
            await self.delete(pipeline)
            raise
        return pipeline

    async def change(
        self, obj: Object, *, display_name: str = "", tags: Mapping[str, str] | None = None
    ) -> Object:
        """Change a pipeline or a version.

        Args:
            obj: As it was read.
            display_name: What people are to call it; empty: as before.
            tags: Its tags from now on; None: as before.

        Raises:
            ConflictError: there is another one of its name by now.
            InvalidError: there is something wrong with a tag.
        """
        spec: dict[str, Any] = {"displayName": display_name} if display_name else {}
        if tags is not None:
            gone = dict.fromkeys((obj.get("spec") or {}).get("tags") or {})
            spec["tags"] = {**gone, **tags}
        is_pipeline = obj["kind"] == kinds.PIPELINES.kind
        resource = kinds.PIPELINES if is_pipeline else kinds.PIPELINE_VERSIONS
        where = metadata.namespaced_name(obj)
        patch = {"metadata": {"uid": metadata.uid(obj)}, "spec": spec}
        changed = await self._client.patch(resource, where.name, patch, where.namespace)
        if not is_pipeline:
            await self._versions.written(changed)
        return changed

    async def set_default(self, pipeline: Object, version_id: str) -> None:
        """Note which version of a pipeline clients of the first version of the API mean by default.

        Raises:
            ConflictError: there is another pipeline of its name by now.
        """
        chosen = {kinds.DEFAULT_VERSION_ANNOTATION: version_id}
        patch = {"metadata": {"uid": metadata.uid(pipeline), "annotations": chosen}}
        where = metadata.namespaced_name(pipeline)
        await self._client.patch(kinds.PIPELINES, where.name, patch, where.namespace)

    async def delete(self, pipeline: Object) -> None:
        """Delete a pipeline with its versions; that they are gone is fine."""
        for each in await self._versions.look(pipeline):
            await self.delete_version(each)
        # Where somebody has changed it meanwhile, the controller lets it go.
        with contextlib.suppress(errors.ConflictError):
            await finalizers.remove_finalizer(
                self._client, kinds.PIPELINES, pipeline, kinds.FINALIZER
            )
        await delete_if_present(self._client, kinds.PIPELINES, pipeline)

    async def delete_version(self, version: Object) -> None:
        """Delete a version; that it is gone is fine."""
        await delete_if_present(self._client, kinds.PIPELINE_VERSIONS, version)
        await self._versions.deleted(version)


def documents_of(version: Object) -> Documents:
    """Return what a version runs."""
    spec = version["spec"]
    return Documents(spec.get("pipelineSpec") or {}, spec.get("platformSpec") or None)


def _object(kind: str, name: str, namespace: str, spec: Mapping[str, Any]) -> Object:
    return {
        "apiVersion": kinds.API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in spec.items() if value},
    }


def _notes(called: str, name: str) -> dict[str, str]:
    """Return what is noted of a thing that is made now: by its name, and when."""
    now = metadata.format_micro_time(datetime.datetime.now(datetime.UTC))
    return {**naming.annotations(called, name), kinds.CREATED_ANNOTATION: now}


def _version(pipeline: Object, draft: Draft, documents: Documents) -> Object:
    parent, version_name = metadata.name(pipeline), naming.version_name(draft.name)
    spec = {
        "pipelineName": parent,
        "versionName": version_name,
        "displayName": draft.display_name or draft.name,
        "description": draft.description,
        "codeSourceURL": draft.code_source_url,
        "pipelineSpecURI": draft.uri,
        "tags": dict(draft.tags),
        "pipelineSpec": dict(documents.spec),
        "platformSpec": dict(documents.platform or {}),
    }
    name = naming.version_object_name(parent, draft.name)
    made = _object(kinds.PIPELINE_VERSIONS.kind, name, metadata.namespace(pipeline), spec)
    made["metadata"] |= {
        "annotations": _notes(draft.name, version_name),
        "labels": {kinds.PIPELINE_ID_LABEL: metadata.uid(pipeline)},
        "ownerReferences": [metadata.owner_reference(pipeline, controller=False)],
    }
    return made
