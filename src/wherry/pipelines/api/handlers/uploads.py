"""Pipelines that are uploaded as files."""

import json
from collections.abc import Mapping
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.api import kept
from wherry.pipelines.api.call import SHARED, Call, Handler
from wherry.pipelines.api.handlers import pipelines
from wherry.pipelines.definitions.store import Draft
from wherry.pipelines.ir.documents import Documents


async def upload_pipeline(call: Call, request: Object) -> Object:
    """Make a pipeline with its first version, which is called as the pipeline is."""
    namespace = request.get("namespace") or SHARED
    await call.check(namespace)
    wanted = _draft(request, "pipeline")
    documents = await _documents(call, request, namespace)
    made = call.services.definitions.create_both(namespace, wanted, wanted, documents)
    return kept.pipeline(await made)


async def upload_version(call: Call, request: Object) -> Object:
    """Make a version of a pipeline."""
    pipeline_id = request.get("pipelineid", "")
    if not pipeline_id:
        raise errors.BadRequestError("pipelineid: say which pipeline the version is of")
    pipeline = await pipelines.found(call, pipeline_id)
    wanted = _draft(request, "pipeline_version")
    documents = await _documents(call, request, metadata.namespace(pipeline))
    made = await call.services.definitions.create_version(pipeline, wanted, documents)
    return kept.version(made, pipeline_id)


async def _documents(call: Call, request: Object, namespace: str) -> Documents:
    name, data = request.get("filename", ""), request["uploadfile"]
    found = await call.services.definitions.read(name, data)
    return await pipelines.checked(call, found, namespace)


def _draft(request: Object, path: str) -> Draft:
    given = {**request, "tags": _tags(request.get("tags", ""))}
    return pipelines.draft(given, path, filename=request.get("filename", ""))


def _tags(text: str) -> Mapping[str, str]:
    """Return tags, which a query has as JSON.

    Raises:
        BadRequestError: they are none.
    """
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise errors.BadRequestError(
            f'tags: {text[:80]!r}: want JSON of texts, such as {{"team": "red"}}'
        )
    return found


HANDLERS: Final[Mapping[str, Handler]] = {
    "PipelineUploadService.UploadPipeline": upload_pipeline,
    "PipelineUploadService.UploadPipelineVersion": upload_version,
}
