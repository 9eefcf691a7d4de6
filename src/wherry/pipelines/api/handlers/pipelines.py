"""Pipelines that are kept by name: they are `Pipeline` objects."""

from collections.abc import Mapping
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds as kinds_of_runs
from wherry.pipelines import workflow_runs
from wherry.pipelines.api import kept, listing, object_lists, sources
from wherry.pipelines.api.call import SHARED, Call, Handler
from wherry.pipelines.definitions import kinds, naming
from wherry.pipelines.definitions.store import Draft
from wherry.pipelines.history.query import Page
from wherry.pipelines.ir.documents import Documents
from wherry.pipelines.runs import Wish

_READING: Final = frozenset({"get", "list"})


async def create_pipeline(call: Call, request: Object) -> Object:
    """Make one, without a version."""
    given = request.get("pipeline", {})
    namespace = given.get("namespace") or SHARED
    await call.check(namespace)
    return kept.pipeline(
        await call.services.definitions.create(namespace, draft(given, "pipeline"))
    )


async def create_pipeline_and_version(call: Call, request: Object) -> Object:
    """Make one with its first version."""
    given, version = request.get("pipeline", {}), request.get("pipeline_version", {})
    namespace = given.get("namespace") or SHARED
    await call.check(namespace)
    wanted = draft(given, "pipeline", filename=_url(version))
    given_documents = await documents(call, version, namespace)
    # As upstream has it: the version is called as its pipeline is.
    first = Draft(
        name=wanted.name,
        display_name=wanted.display_name,
        description=wanted.description,
        tags=version.get("tags") or {},
        code_source_url=version.get("code_source_url", ""),
        uri=_url(version),
    )
    made = call.services.definitions.create_both(namespace, wanted, first, given_documents)
    return kept.pipeline(await made)


async def get_pipeline(call: Call, request: Object) -> Object:
    """Return one."""
    return kept.pipeline(await found(call, request.get("pipeline_id", "")))


async def get_pipeline_by_name(call: Call, request: Object) -> Object:
    """Return one by its name."""
    namespace = request.get("namespace") or SHARED
    await check(call, namespace)
    return kept.pipeline(await call.services.definitions.named(namespace, request.get("name", "")))


async def list_pipelines(call: Call, request: Object) -> Object:
    """List those of a namespace; without one the shared ones."""
    page = await listed(call, request)
    return {
        "pipelines": [kept.pipeline(row.object) for row in page.items],
        "total_size": page.total,
        "next_page_token": listing.token(request, page.after),
    }


async def listed(call: Call, request: Object) -> Page[object_lists.Row]:
    """Return the part of a list that a request asks for, which the caller may see."""
    namespace = request.get("namespace") or SHARED
    await check(call, namespace)
    query = listing.query(request, kept.PIPELINE_KEYS, namespaces=(namespace,))
    rows = map(kept.pipeline_row, await call.services.definitions.pipelines(namespace))
    return object_lists.page(rows, query, kept.PIPELINE_KEYS)


async def update_pipeline(call: Call, request: Object) -> Object:
    """Change what people call one, and its tags."""
    given = request.get("pipeline", {})
    pipeline = await found(call, given.get("pipeline_id", ""))
    return kept.pipeline(await changed(call, pipeline, given))


async def delete_pipeline(call: Call, request: Object) -> Object:
    """Delete one; its versions with it only where this is said."""
    pipeline = await found(call, request.get("pipeline_id", ""))
    definitions = call.services.definitions
    if not request.get("cascade") and (there := await definitions.versions(pipeline)):
        raise errors.BadRequestError(
            f"pipeline {naming.name_of(pipeline)!r} has {len(there)} versions; delete them first, or "
            "say cascade=true"
        )
    await definitions.delete(pipeline)
    return {}


async def found(call: Call, pipeline_id: str) -> Object:
    """Return the pipeline of an id, to which the caller may do what the call does.

    Raises:
        NotFoundError: there is none, as far as the caller may know.
        ForbiddenError: the caller may see it, and no more.
    """
    missing = errors.NotFoundError(f"there is no pipeline {pipeline_id[:80]!r}")
    try:
        pipeline = await call.services.definitions.pipeline(pipeline_id)
    except errors.NotFoundError as error:
        raise missing from error
    namespace = metadata.namespace(pipeline)
    if namespace == SHARED and not call.user.is_anonymous:
        await check(call, namespace)
    else:
        await call.check_found(namespace, missing)
    return pipeline


def draft(given: Object, path: str, *, filename: str = "") -> Draft:
    """Return what is to be made.

    Args:
        given: The message.
        path: Of the message, for errors.
        filename: What it is called where nothing else is said.

    Raises:
        BadRequestError: it is not called anything, or by too long a name.
    """
    name = given.get("name") or given.get("display_name") or filename.rpartition("/")[2]
    most = kinds.MAX_NAME if path == "pipeline" else kinds.MAX_VERSION_NAME
    if not name.strip() or len(name) > most:
        raise errors.BadRequestError(f"{path}.name: {name[:80]!r}: want 1 to {most} characters")
    return Draft(
        name=name,
        display_name=given.get("display_name", ""),
        description=given.get("description", ""),
        tags=given.get("tags") or {},
        code_source_url=given.get("code_source_url", ""),
        uri=_url(given),
    )


async def check(call: Call, namespace: str) -> None:
    """Have the call go on where its caller may; what is shared may be read by whoever is known."""
    if _is_open(call, namespace):
        call.open_to_all()
    else:
        await call.check(namespace)


def _is_open(call: Call, namespace: str) -> bool:
    return namespace == SHARED and call.method.verb in _READING and not call.user.is_anonymous


async def changed(call: Call, obj: Object, given: Object) -> Object:
    """Return a pipeline or a version with the name for people and the tags that are given."""
    return await call.services.definitions.change(
        obj, display_name=given.get("display_name", ""), tags=given.get("tags")
    )


async def documents(call: Call, given: Object, namespace: str) -> Documents:
    """Return what a version runs: what comes with it, or what its URL leads to."""
    if given.get("pipeline_spec"):
        found = sources.documents(given["pipeline_spec"], "pipeline_version")
        return await checked(call, found, namespace)
    url = _url(given)
    if not url:
        raise errors.BadRequestError(
            "pipeline_version.package_url.pipeline_url: say where the pipeline is, or give it as "
            "pipeline_version.pipeline_spec"
        )
    data = await call.services.downloads.read(url)
    found = await call.services.definitions.read(url.rpartition("/")[2], data)
    return await checked(call, found, namespace)


async def checked(call: Call, found: Documents, namespace: str) -> Documents:
    """Return a pipeline that could be run; one of version 1 is checked as the Workflow that it would be.

    Raises:
        BadRequestError: it could not.
    """
    if workflow_runs.is_workflow(found.spec):
        wanted = workflow_runs.make(found.spec, Wish(), namespace=namespace)
        _fill(wanted["spec"])
        try:
            await call.services.client.create(kinds_of_runs.WORKFLOWS, wanted, dry_run=True)
        except errors.InvalidError as error:
            raise errors.BadRequestError(f"the pipeline is not right: {error.message}") from error
    return found


def _fill(spec: Object) -> None:
    """Give parameters without a value one, in place: whoever runs it will."""
    for each in (spec.get("arguments") or {}).get("parameters") or ():
        if not each.keys() & {"value", "valueFrom", "default"}:
            each["value"] = ""


def _url(given: Object) -> str:
    return str((given.get("package_url") or {}).get("pipeline_url", ""))


HANDLERS: Final[Mapping[str, Handler]] = {
    "PipelineService.CreatePipeline": create_pipeline,
    "PipelineService.CreatePipelineAndVersion": create_pipeline_and_version,
    "PipelineService.GetPipeline": get_pipeline,
    "PipelineService.GetPipelineByName": get_pipeline_by_name,
    "PipelineService.ListPipelines": list_pipelines,
    "PipelineService.UpdatePipeline": update_pipeline,
    "PipelineService.DeletePipeline": delete_pipeline,
}
