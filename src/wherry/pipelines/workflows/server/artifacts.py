"""What is in the artifacts of nodes."""

import functools
from collections.abc import Mapping
from typing import Final, Literal

from wherry.metadata.records import Artifact, Execution
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows import names, node_values, nodes, operations
from wherry.pipelines.workflows.artifacts import finding, stores
from wherry.pipelines.workflows.artifacts.locations import STORES
from wherry.pipelines.workflows.server import workflows
from wherry.pipelines.workflows.server.calls import Answer, Call, Handler

_ATTEMPTS: Final = 100
Side = Literal["inputs", "outputs"]


async def _by_name(side: Side, call: Call) -> Answer:
    await call.check("get")
    return await _sent(call, await workflows.find(call), side)


async def _by_uid(side: Side, call: Call) -> Answer:
    return await _sent(call, await workflows.archived(call, call.named["uid"]), side)


async def of_file(call: Call) -> Answer:
    """Send an artifact by the path that upstream's pages use."""
    side = _side(call.named["side"])
    match call.named["kind"]:
        case "workflow" | "workflows":
            await call.check("get")
            found = await workflows.find(call)
        case "archived-workflows":
            found = await workflows.archived(call, call.named["name"])
        case other:
            raise errors.BadRequestError(f"{other[:50]!r}: want workflows or archived-workflows")
    return await _sent(call, found, side)


def _side(text: str) -> Side:
    match text:
        case "inputs" | "outputs":
            return text
    raise errors.BadRequestError(f"{text[:50]!r}: want inputs or outputs")


async def _sent(call: Call, workflow: Object, side: Side) -> Answer:
    artifact = await _artifact(call, workflow, side)
    at_hand = call.services
    try:
        config = await _stores(call, workflow, artifact)
    except StepError as error:
        raise errors.BadRequestError(f"the artifact's store: {error}") from error
    opened = await at_hand.contents.open(artifact, config)
    return await at_hand.streaming.send(call.request, opened, call.user)


async def _stores(call: Call, workflow: Object, artifact: Artifact) -> Mapping[str, str] | None:
    """Return what is said of an artifact's store: by itself, or by the repository of its workflow.

    None: nothing of these; it is where pipelines have theirs.

    Raises:
        StepError: it cannot be read.
    """
    place = node_values.location(artifact)
    kind = next((each for each in STORES if each in place), "")
    if not kind:
        return None
    config = await call.services.contents.config(artifact.namespace)
    root = Root(artifact.uri, config)
    spec = (workflow.get("status") or {}).get("storedWorkflowTemplateSpec") or workflow["spec"]
    repository = await finding.find(call.services.client, root, workflow, spec)
    own = place[kind]
    store = own if own.get("bucket") else {**repository.store.get(kind, {}), **own}
    return stores.config_of_bucket(root, {kind: store}) if store.get("bucket") else None


async def _artifact(call: Call, workflow: Object, side: Side) -> Artifact:
    """Return what a path names.

    Raises:
        NotFoundError: the workflow has no such node, or its pod no such artifact.
    """
    key, name = call.named["node"], call.named["artifact"]
    node = nodes.stored(workflow).get(key)
    if node is None:
        raise errors.NotFoundError(f"the workflow has no node {key[:200]!r}")
    rows = await call.services.tasks.of_run(operations.run_id(workflow))
    row = _row(workflow, node, rows)
    if row is None:
        raise errors.NotFoundError(
            f"node {key[:200]!r} has had no pod; artifacts are those of nodes of type Pod"
        )
    values = row.inputs if side == "inputs" else row.outputs
    found = values.artifacts.get(name)
    if not found:
        present = ", ".join(sorted(values.artifacts)) or "none"
        raise errors.NotFoundError(
            f"node {key[:200]!r} has no artifact {name[:200]!r} among its {side}; it has {present}"
        )
    return found[0]


def _row(workflow: Object, node: Object, rows: list[Execution]) -> Execution | None:
    """Return the row of the step that a node is: what they share is the pod's name."""
    template = node.get("templateName") or (node.get("templateRef") or {}).get("template") or ""
    given = metadata.name(workflow), str(node.get("name")), str(template)
    pods = {names.pod(*given, attempt=attempt) for attempt in range(_ATTEMPTS)}
    return next((row for row in rows if row.pod in pods), None)


def _handlers(prefix: str, side: Side) -> Mapping[tuple[str, str], Handler]:
    below = "{node}/{artifact}"
    return {
        ("GET", f"/{prefix}artifacts/{{namespace}}/{{name}}/{below}"): functools.partial(
            _by_name, side
        ),
        ("GET", f"/{prefix}artifacts-by-uid/{{uid}}/{below}"): functools.partial(_by_uid, side),
    }


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **_handlers("", "outputs"),
    **_handlers("input-", "inputs"),
    ("GET", "/artifact-files/{namespace}/{kind}/{name}/{node}/{side}/{artifact}"): of_file,
}
