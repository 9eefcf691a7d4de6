"""Artifacts: which there are, what is in them, and URLs by which others may read them."""

import asyncio
import base64
import time
from collections.abc import Mapping
from typing import Final

from wherry.metadata.artifacts import uris
from wherry.metadata.lists import Filter
from wherry.metadata.records import PIPELINE_RUN, Artifact
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines import kinds as run_kinds
from wherry.pipelines.api import bounds, executions, methods, nodes, visualizing, wire
from wherry.pipelines.api.call import Call, Handler, StreamHandler
from wherry.pipelines.api.handlers import runs
from wherry.pipelines.contents import packing, signing
from wherry.pipelines.contents.content import Content
from wherry.pipelines.history import logs
from wherry.pipelines.history.records import Run

MOST_SENT: Final = 16 * 1024 * 1024
"""Bytes of an artifact in a message."""
_PAGE: Final = 20
_MOST_A_PAGE: Final = 200
_LARGEST_ID: Final = 2**63 - 1
_LOGS: Final = (logs.NAME, "main-logs")
"""What clients call the log of a step among its artifacts; the second is Argo's."""


async def list_artifacts(call: Call, request: Object) -> Object:
    """List the artifacts of a namespace, newest first."""
    namespace = call.namespace(request)
    await call.check(namespace)
    metadata = call.services.metadata
    context = 0
    if request.get("run_id"):
        wanted = Filter(namespace=namespace, type=PIPELINE_RUN, name=request["run_id"])
        of_run = (await metadata.contexts(wanted, limit=1)).items
        if not of_run:
            return {}
        context = of_run[0].id
    chosen = Filter(
        namespace=namespace,
        type=request.get("type", ""),
        name=request.get("name", ""),
        uri=uris.normal(request.get("uri", "")),
        context=context,
    )
    limit = bounds.within(request, "page_size", _PAGE, _MOST_A_PAGE) or _PAGE
    try:
        page = await metadata.artifacts(chosen, limit=limit, more=request.get("page_token", ""))
    except ValueError as error:
        raise errors.BadRequestError(f"page_token: {error}") from error
    return {
        "artifacts": [executions.artifact(each) for each in page.items],
        "next_page_token": page.more,
    }


async def get_artifact(call: Call, request: Object) -> Object:
    """Return what is known of one."""
    return executions.artifact(await found(call, request))


async def get_content(call: Call, request: Object) -> Content:
    """Return what is in one, to who may read it, and to who has a URL that is signed."""
    if not request.get("signature"):
        return await call.services.contents.open(await found(call, request))
    call.open_to_all()
    artifact = await _artifact(call, request)
    refused = errors.ForbiddenError("the URL is not signed for this, or holds no longer")
    signer, expires = call.services.signer, request.get("expires", 0)
    if artifact is None or not await signer.is_signed(
        artifact, expires, request["signature"], now=time.time()
    ):
        raise refused
    return await call.services.contents.open(artifact)


async def sign(call: Call, request: Object) -> Object:
    """Return a URL, relative to the service's, by which whoever has it may read one for a while."""
    artifact = await found(call, request)
    seconds = bounds.within(request, "seconds", signing.USUAL_SECONDS, signing.MOST_SECONDS)
    expires = int(time.time()) + (seconds or signing.USUAL_SECONDS)
    signature = await call.services.signer.sign(artifact, expires)
    path = f"{methods.OWN_PREFIX}/artifacts/{artifact.id}/content"
    return {
        "url": f"{path}?expires={expires}&signature={signature}",
        "expires_at": wire.format_instant(expires * 1000),
    }


async def visualize(call: Call, request: Object) -> Object:
    """Return a picture of one, or of what is known of it, as a page without scripts."""
    artifact = await found(call, request)
    content = b""
    if visualizing.needs_content(artifact):
        content = await call.services.contents.whole(artifact, visualizing.MOST_BYTES)
    return await asyncio.to_thread(visualizing.of_artifact, artifact, content)


async def read_artifact(call: Call, request: Object) -> Object:
    """Return what is in an output of a task of a run, or what the task has said."""
    run = await runs.found(call, request)
    task = await nodes.found(call.services.metadata, run.run_id, request.get("node_id", ""))
    name = request.get("artifact_name", "")
    # What others have made is read by its id, which asks for the right to it.
    listed = [
        each for each in task.outputs.artifacts.get(name, ()) if each.namespace == run.namespace
    ]
    if listed:
        if len(listed) > 1:
            ids = ", ".join(str(each.id) for each in listed[:20])
            raise errors.BadRequestError(
                f"artifact_name: {name!r} is a list of artifacts: read each by its id ({ids})"
            )
        content = await _content(call, run, listed[0])
    elif name in _LOGS:
        content = await _log(call, run, task.path)
    else:
        known = ", ".join(sorted(task.outputs.artifacts)[:20]) or "none"
        raise errors.NotFoundError(
            f"artifact_name: {name[:200]!r}: task {task.path} has made {known}"
        )
    return {"data": base64.b64encode(content).decode()}


async def found(call: Call, request: Object) -> Artifact:
    """Return the artifact of a request, to which its caller may do what the call does.

    Raises:
        NotFoundError: there is none, as far as the caller may know.
        ForbiddenError: the caller may see it, and no more.
    """
    artifact = await _artifact(call, request)
    missing = errors.NotFoundError(f"there is no artifact {request.get('artifact_id', 0)}")
    if artifact is None:
        raise missing
    await call.check_found(artifact.namespace, missing)
    return artifact


async def _artifact(call: Call, request: Object) -> Artifact | None:
    number = request.get("artifact_id", 0)
    return await call.services.metadata.artifact(number) if 0 < number <= _LARGEST_ID else None


async def _content(call: Call, run: Run, artifact: Artifact) -> bytes:
    """Return what is in an artifact; where the run is a Workflow, as Argo keeps it, which its clients unpack."""
    found = await call.services.contents.whole(artifact, MOST_SENT)
    if run.resource is not run_kinds.WORKFLOWS or packing.is_packed(found):
        return found
    name = artifact.uri.rstrip("/").rpartition("/")[2] or artifact.name
    return await asyncio.to_thread(packing.packed, name, found)


async def _log(call: Call, run: Run, path: str) -> bytes:
    pieces = call.services.listener.read(run, path)
    return b"".join([piece async for piece in pieces])


HANDLERS: Final[Mapping[str, Handler]] = {
    "ArtifactService.ListArtifacts": list_artifacts,
    "ArtifactService.GetArtifact": get_artifact,
    "ArtifactService.SignArtifact": sign,
    "ArtifactService.VisualizeArtifact": visualize,
    "RunArtifactService.ReadArtifact": read_artifact,
    "RunArtifactService.ReadArtifactV1": read_artifact,
}
STREAMS: Final[Mapping[str, StreamHandler]] = {"ArtifactService.GetArtifactContent": get_content}
