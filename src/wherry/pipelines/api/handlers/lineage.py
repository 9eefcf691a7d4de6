"""What artifacts came from, and what became of them."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from wherry.metadata.artifacts import uris
from wherry.metadata.lineage import Lineage
from wherry.metadata.lists import Filter
from wherry.metadata.records import Artifact, Execution
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import bounds, executions, naming_runs
from wherry.pipelines.api.call import Call, Handler

_DEPTH: Final = 3
_MOST_DEEP: Final = 50
_LIMIT: Final = 1000
_MOST: Final = 10_000
_STARTS: Final = ("artifact_id", "execution_id", "run_id", "uri")


class _Start(NamedTuple):
    """Where to begin: one of them."""

    artifact: int = 0
    execution: int = 0
    run: str = ""


async def get_lineage(call: Call, request: Object) -> Object:
    """Return what an artifact, an execution or a run has to do with, as far as the caller may see it."""
    given = [name for name in _STARTS if request.get(name)]
    if len(given) != 1:
        raise errors.BadRequestError(f"want one of {', '.join(_STARTS)}")
    start = await _start(call, request, given[0])
    found = await call.services.metadata.lineage(
        artifact=start.artifact,
        execution=start.execution,
        run=start.run,
        up=bounds.within(request, "up", _DEPTH, _MOST_DEEP),
        down=bounds.within(request, "down", _DEPTH, _MOST_DEEP),
        limit=bounds.within(request, "limit", _LIMIT, _MOST) or _LIMIT,
    )
    return await _seen(call, found)


async def _start(call: Call, request: Object, given: str) -> _Start:
    """Return where to begin, which the caller may see.

    Raises:
        ApiError: there is no such thing, or the caller may not see it.
    """
    metadata, asked = call.services.metadata, request[given]
    missing = errors.NotFoundError(f"there is no {given} {asked}")
    if given == "uri":
        namespace = call.namespace(request)
        await call.check(namespace)
        chosen = Filter(namespace=namespace, uri=uris.normal(asked))
        for artifact in (await metadata.artifacts(chosen, limit=1)).items:
            return _Start(artifact=artifact.id)
        raise missing
    if given == "run_id":
        await _check(call, (await metadata.executions(Filter(run=asked), limit=1)).items, missing)
        return _Start(run=asked)
    if given == "artifact_id":
        await _check(call, [await metadata.artifact(asked)], missing)
        return _Start(artifact=asked)
    await _check(call, [await metadata.execution(asked)], missing)
    return _Start(execution=asked)


async def _check(
    call: Call, found: Sequence[Artifact | Execution | None], missing: errors.ApiError
) -> None:
    """Check that something was found, and that the caller may see it."""
    if not found or found[0] is None:
        raise missing
    await call.check_found(found[0].namespace, missing)


async def _seen(call: Call, found: Lineage) -> Object:
    """Return the part of a graph that is in namespaces of which the caller may know."""
    namespaces = {each.namespace for each in found.artifacts.values()}
    namespaces |= {each.namespace for each in found.executions.values()}
    open_ones = await call.allowed_in(namespaces)
    artifacts = {key: each for key, each in found.artifacts.items() if each.namespace in open_ones}
    known = {key: each for key, each in found.executions.items() if each.namespace in open_ones}
    runs = await naming_runs.of(call.services.metadata, known.values())
    return {
        "artifacts": [executions.artifact(each) for each in artifacts.values()],
        "executions": [executions.execution(each, runs) for each in known.values()],
        "events": [
            executions.event(each)
            for each in found.events
            if each.artifact in artifacts and each.execution in known
        ],
        "complete": found.complete,
    }


HANDLERS: Final[Mapping[str, Handler]] = {"LineageService.GetLineage": get_lineage}
