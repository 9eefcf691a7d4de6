"""Versions of pipelines: they are `PipelineVersion` objects."""

from collections.abc import Mapping
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines.api import kept, listing, object_lists
from wherry.pipelines.api.call import Call, Handler
from wherry.pipelines.api.handlers import pipelines


async def create_version(call: Call, request: Object) -> Object:
    """Make a version of one."""
    given = request.get("pipeline_version", {})
    pipeline_id = request.get("pipeline_id") or given.get("pipeline_id", "")
    pipeline = await pipelines.found(call, pipeline_id)
    wanted = pipelines.draft(given, "pipeline_version")
    documents = await pipelines.documents(call, given, metadata.namespace(pipeline))
    made = await call.services.definitions.create_version(pipeline, wanted, documents)
    return kept.version(made, metadata.uid(pipeline))


async def get_version(call: Call, request: Object) -> Object:
    """Return a version of one."""
    pipeline, version = await _found_version(call, request)
    return kept.version(version, metadata.uid(pipeline))


async def list_versions(call: Call, request: Object) -> Object:
    """List the versions of one."""
    pipeline = await pipelines.found(call, request.get("pipeline_id", ""))
    query = listing.query(request, kept.VERSION_KEYS, namespaces=(metadata.namespace(pipeline),))
    definitions = call.services.definitions
    rows = map(kept.version_row, await definitions.versions(pipeline))
    page = object_lists.page(rows, query, kept.VERSION_KEYS)
    found = await definitions.whole_ones([row.object for row in page.items])
    return {
        "pipeline_versions": [kept.version(each, metadata.uid(pipeline)) for each in found],
        "total_size": page.total,
        "next_page_token": listing.token(request, page.after),
    }


async def update_version(call: Call, request: Object) -> Object:
    """Change what people call a version, and its tags."""
    given = request.get("pipeline_version", {})
    pipeline, version = await _found_version(call, given)
    return kept.version(await pipelines.changed(call, version, given), metadata.uid(pipeline))


async def delete_version(call: Call, request: Object) -> Object:
    """Delete a version of one."""
    _, version = await _found_version(call, request)
    await call.services.definitions.delete_version(version)
    return {}


async def _found_version(call: Call, given: Object) -> tuple[Object, Object]:
    pipeline = await pipelines.found(call, given.get("pipeline_id", ""))
    version_id = given.get("pipeline_version_id", "")
    return pipeline, await call.services.definitions.version(pipeline, version_id)


HANDLERS: Final[Mapping[str, Handler]] = {
    "PipelineService.CreatePipelineVersion": create_version,
    "PipelineService.GetPipelineVersion": get_version,
    "PipelineService.ListPipelineVersions": list_versions,
    "PipelineService.UpdatePipelineVersion": update_version,
    "PipelineService.DeletePipelineVersion": delete_version,
}
