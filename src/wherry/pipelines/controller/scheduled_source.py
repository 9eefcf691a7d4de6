"""What a schedule runs: the pipeline that stands in it, or a version of one that is kept by name."""

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.definitions import kinds, naming, packages
from wherry.pipelines.definitions.store import Definitions, documents_of
from wherry.pipelines.schedules.making import Source


async def source(definitions: Definitions, schedule: Object) -> Source:
    """Return what the next run of a schedule runs.

    Raises:
        NotFoundError: there is no such pipeline, or no such version.
        PipelineError: the pipeline in the schedule is none.
    """
    spec = schedule["spec"]
    embedded = (spec.get("workflow") or {}).get("spec")
    if embedded:
        return Source(documents=packages.read(embedded))
    pipeline = await _pipeline(definitions, schedule)
    version = await _version(definitions, spec, pipeline)
    return Source(
        documents=documents_of(version),
        pipeline_id=metadata.uid(pipeline),
        version_id=metadata.uid(version),
    )


async def _pipeline(definitions: Definitions, schedule: Object) -> Object:
    spec, namespace = schedule["spec"], metadata.namespace(schedule)
    version_id = spec.get("pipelineVersionId") or ""
    if spec.get("pipelineId"):
        found = await definitions.pipeline(spec["pipelineId"])
    elif spec.get("pipelineName") and not _is_path(spec["pipelineName"]):
        return await _named(definitions, namespace, spec["pipelineName"])
    else:
        found = await definitions.pipeline_of(version_id)
    if metadata.namespace(found) not in {namespace, kinds.SHARED}:
        raise errors.NotFoundError(
            f"there is no pipeline {metadata.uid(found)!r} in namespace {namespace!r}, and it is not shared"
        )
    return found


def _is_path(name: str) -> bool:
    """Return whether a name is what upstream's service writes beside ids: ``pipelines/<id>``."""
    return "/" in name


async def _named(definitions: Definitions, namespace: str, name: str) -> Object:
    try:
        return await definitions.named(namespace, name)
    except errors.NotFoundError:
        if namespace == kinds.SHARED:
            raise
    try:
        return await definitions.named(kinds.SHARED, name)
    except errors.NotFoundError:
        raise errors.NotFoundError(
            f"there is no pipeline {name!r} in namespace {namespace!r}, and none is shared"
        ) from None


async def _version(definitions: Definitions, spec: Object, pipeline: Object) -> Object:
    if spec.get("pipelineVersionId"):
        return await definitions.version(pipeline, spec["pipelineVersionId"])
    name = spec.get("pipelineVersionName")
    if not name:
        return await definitions.latest(pipeline)
    for each in await definitions.versions(pipeline):
        if name in {naming.name_of_version(each), metadata.name(each)}:
            return await definitions.whole(each)
    raise errors.NotFoundError(f"pipeline {naming.name_of(pipeline)!r} has no version {name!r}")
