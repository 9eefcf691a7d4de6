"""Workflows: made, listed, read, checked, deleted."""

from collections.abc import AsyncIterator, Mapping
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds, submitting
from wherry.pipelines.workflows.archive import records
from wherry.pipelines.workflows.archive.records import Wanted
from wherry.pipelines.workflows.server import listing
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler
from wherry.pipelines.workflows.server.fields import Fields
from wherry.pipelines.workflows.server.streaming import stream

_GIVEN: Final = frozenset({"uid", "creationTimestamp", "generation", "managedFields"})


async def create(call: Call) -> Answer:
    """Make a workflow that was sent."""
    await call.check("create")
    if call.sent("createOptions").get("dryRun"):
        return await _looked_at(call, call.sent("workflow"))
    return await _created(call, call.sent("workflow"), dry_run=call.sent("serverDryRun", bool))


async def lint(call: Call) -> Answer:
    """Check a workflow that was sent, and return it."""
    await call.check("create")
    return await _looked_at(call, call.sent("workflow"))


async def submit(call: Call) -> Answer:
    """Make a workflow of a template, or as a schedule would."""
    await call.check("create")
    resource = submitting.source(call.sent("resourceKind", str), "resourceKind")
    namespace = call.namespace if resource.namespaced else ""
    await call.check("get", resource.plural, namespace=namespace)
    name = call.sent("resourceName", str)
    if not name:
        raise errors.BadRequestError("resourceName: want the name of what is submitted")
    source = await call.services.client.get(resource, name, namespace or None)
    made = submitting.made_of(resource, source)
    options = call.sent("submitOptions")
    made = submitting.with_options(made, options)
    if options.get("dryRun"):
        return await _looked_at(call, made)
    return await _created(call, made, dry_run=bool(options.get("serverDryRun")))


async def _looked_at(call: Call, workflow: Object) -> Object:
    """Check a workflow; what it would have been given is not told, as upstream has it."""
    found = await _created(call, workflow, dry_run=True)
    head = {key: value for key, value in found["metadata"].items() if key not in _GIVEN}
    return {**found, "metadata": head}


async def _created(call: Call, workflow: Object, *, dry_run: bool) -> Object:
    head = workflow.get("metadata")
    if not isinstance(head, dict) or not isinstance(workflow.get("spec"), dict):
        raise errors.BadRequestError("workflow: want an object with metadata and spec")
    if head.get("namespace") not in {None, "", call.namespace}:
        raise errors.BadRequestError(
            f"workflow.metadata.namespace: {str(head['namespace'])[:100]!r}: "
            f"want {call.namespace!r}, as the path says"
        )
    labels = {**(head.get("labels") or {}), kinds.CREATOR_LABEL: _creator(call)}
    made = {
        "apiVersion": kinds.WORKFLOWS.api_version,
        "kind": kinds.WORKFLOWS.kind,
        "metadata": {**head, "namespace": call.namespace, "labels": labels},
        "spec": workflow["spec"],
    }
    client = call.services.client
    return listing.shown(await client.create(kinds.WORKFLOWS, made, dry_run=dry_run))


def _creator(call: Call) -> str:
    """Return who calls, as a label may say it; upstream's form for accounts is their end."""
    text = "".join(each if each.isalnum() or each in "-_." else "-" for each in call.user.name)
    return text[-63:].strip("-_.")


async def get(call: Call) -> Answer:
    """Return a workflow; one whose object is gone as the archive has it."""
    await call.check("get")
    found: Object = Fields(call.option("fields")).of(listing.shown(await find(call)))
    return found


async def find(call: Call) -> Object:
    """Return the workflow that a path names.

    Raises:
        NotFoundError: there is none, and none was kept.
    """
    uid = call.option("uid")
    try:
        found = await call.services.client.get(kinds.WORKFLOWS, call.name, call.namespace)
        if uid in {"", metadata.uid(found)}:
            return found
    except errors.NotFoundError:
        pass
    archive = call.services.archive
    kept = None
    if archive.is_there():
        kept = await (archive.get(uid) if uid else archive.named(call.namespace, call.name))
    place = (call.namespace, call.name)
    if kept is None or (metadata.namespace(kept), metadata.name(kept)) != place:
        raise errors.NotFoundError(f'workflows.argoproj.io "{call.name}" not found')
    return kept


async def archived(call: Call, uid: str) -> Object:
    """Return the kept workflow of a uid, where its caller may read it.

    Raises:
        NotFoundError: none is kept; whoever may not read it is told the same.
    """
    missing = errors.NotFoundError(f"no workflow of uid {uid[:100]!r} is kept")
    found = await call.services.archive.get(uid)
    if found is None:
        call.open_to_all()
        raise missing
    try:
        await call.check("get", namespace=metadata.namespace(found))
    except errors.ApiError:
        raise missing from None
    return found


async def list_(call: Call) -> Answer:
    """List workflows: those that there are, and on the first page those that are kept."""
    await call.check("list")
    fits, selector = listing.fitting(call), listing.labels(call)
    client = call.services.client
    found = await client.list(kinds.WORKFLOWS, call.namespace or None, labels=str(selector))
    chosen = {metadata.uid(each): each for each in found if fits(records.head(each))}
    page = listing.page(call)
    if call.services.archive.is_there():
        kept = await call.services.archive.list(
            Wanted(namespace=call.namespace, fits=fits, labels=selector, limit=page)
        )
        for each in kept.workflows:
            live = chosen.get(metadata.uid(each))
            # What is kept says so, as upstream has it; one that goes on again is as it is now.
            if live is None or kinds.ARCHIVING_LABEL in metadata.labels(live):
                chosen[metadata.uid(each)] = each
    after, before = call.option("createdAfter"), call.option("finishedBefore")
    items = [each for each in listing.newest_first(chosen.values()) if _within(each, after, before)]
    skipped = call.number("listOptions.continue")
    more = str(skipped + page) if len(items) > skipped + page else ""
    fields = Fields(call.option("fields"))
    shown = [
        fields.below("items").of(listing.shown(each)) for each in items[skipped : skipped + page]
    ]
    return listing.answer(shown, revision=found.resource_version, more=more)


def _within(workflow: Object, after: str, before: str) -> bool:
    created = str(workflow["metadata"].get("creationTimestamp") or "")
    finished = str((workflow.get("status") or {}).get("finishedAt") or "")
    return (not after or created > after) and (not before or ("" < finished < before))


async def delete(call: Call) -> Answer:
    """Delete a workflow; what the archive has of it stays."""
    await call.check("delete")
    await call.services.client.delete(kinds.WORKFLOWS, call.name, call.namespace)
    return {}


async def watch(call: Call) -> Answer:
    """Tell what becomes of workflows as it happens."""
    await call.check("watch")
    fits, selector = listing.named(call), listing.labels(call)
    fields = Fields(call.option("fields")).below("result.object")

    async def events() -> AsyncIterator[Object]:
        watching = call.services.client.watch(
            kinds.WORKFLOWS,
            call.namespace or None,
            labels=str(selector),
            resource_version=listing.resource_version(call),
            bookmarks=False,
        )
        async for event in watching:
            if fits(metadata.name(event.object)):
                yield {"type": event.type, "object": fields.of(listing.shown(event.object))}

    return await stream(call.request, events())


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    ("POST", "/api/v1/workflows/{namespace}"): create,
    ("GET", "/api/v1/workflows/{namespace:[^/]*}"): list_,
    ("POST", "/api/v1/workflows/{namespace}/lint"): lint,
    ("POST", "/api/v1/workflows/{namespace}/submit"): submit,
    ("GET", "/api/v1/workflows/{namespace}/{name}"): get,
    ("DELETE", "/api/v1/workflows/{namespace}/{name}"): delete,
    ("GET", "/api/v1/workflow-events/{namespace:[^/]*}"): watch,
}
