"""Visualizations of files, as upstream's first version has them."""

import asyncio
from collections.abc import Mapping
from typing import Final

from wherry.metadata.artifacts import uris
from wherry.metadata.lists import Filter
from wherry.metadata.records import Artifact
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import visualizing
from wherry.pipelines.api.call import Call, Handler


async def create_visualization(call: Call, request: Object) -> Object:
    """Return a page of an artifact that is a file of comma-separated values."""
    namespace = call.namespace(request)
    await call.check(namespace)
    wanted = request.get("visualization", {})
    visualizing.check(wanted)
    # What is in artifacts takes a right of its own.
    await call.check(namespace, resource="runs", verb="readArtifact")
    artifact = await _source(call, namespace, wanted["source"])
    content = await call.services.contents.whole(artifact, visualizing.MOST_BYTES)
    # A long table takes its time; other calls do not wait for it.
    return await asyncio.to_thread(visualizing.of_file, wanted, content)


async def _source(call: Call, namespace: str, source: str) -> Artifact:
    """Return the artifact of the namespace that is meant: nothing else is read for who asks.

    Raises:
        NotFoundError: there is none.
    """
    metadata = call.services.metadata
    chosen = Filter(namespace=namespace, uri=uris.normal(source))
    for artifact in (await metadata.artifacts(chosen, limit=1)).items:
        return artifact
    raise errors.NotFoundError(
        f"visualization.source: {source[:500]!r}: namespace {namespace!r} has no artifact with this URI"
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "VisualizationService.CreateVisualizationV1": create_visualization,
    "VisualizationServiceV1.CreateVisualization": create_visualization,
}
