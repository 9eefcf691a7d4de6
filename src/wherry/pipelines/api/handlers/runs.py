"""Runs: they are `PipelineRun` objects, and what is told of them comes from the history."""

import datetime
import uuid
from collections.abc import Mapping
from typing import Final

from wherry.metadata.lists import Filter
from wherry.metadata.records import PIPELINE_RUN
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines import accounts, kinds, runs, workflow_runs
from wherry.pipelines.api import listing, showing, sources
from wherry.pipelines.api.call import Call, Handler
from wherry.pipelines.api.handlers import experiments
from wherry.pipelines.api.sources import Source
from wherry.pipelines.history import recording, tasks
from wherry.pipelines.history.query import RUN_KEYS, Operation, Page, Predicate
from wherry.pipelines.history.records import ARCHIVED, Experiment, Run
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.runs import Wish
from wherry.pipelines.schedules import macros

_MOST_DESCRIPTION: Final = 8 * 1024


async def create_run(call: Call, request: Object) -> Object:
    """Start one, in the namespace of its experiment."""
    given = request.get("run", {})
    experiment = await experiment_for(
        call, given.get("experiment_id") or request.get("experiment_id")
    )
    name = given.get("display_name", "")
    if not name.strip():
        raise errors.BadRequestError("run.display_name: is wanted")
    if given.get("plugins_output"):
        raise errors.BadRequestError("run.plugins_output: is said here, not by the caller")
    if len(given.get("description", "")) > _MOST_DESCRIPTION:
        raise errors.BadRequestError(
            f"run.description: is longer than {_MOST_DESCRIPTION} characters"
        )
    source = await sources.source(call, given, "run")
    made = await _made(call, _object(given, experiment, source))
    run = await call.services.history.record(recording.seen(made))
    return showing.run(run or recording.seen(made))


async def _made(call: Call, wanted: Object) -> Object:
    """Make the object of a run."""
    client = call.services.client
    if workflow_runs.is_workflow(wanted):
        return await client.create(kinds.WORKFLOWS, await accounts.present(client, wanted))
    return await client.create(kinds.PIPELINE_RUNS, wanted)


async def get_run(call: Call, request: Object) -> Object:
    """Return one, with its tasks and its pipeline."""
    run = await found(call, request, specs=True)
    metadata = call.services.metadata
    executions = await metadata.of_run(run.run_id)
    own = Filter(namespace=run.namespace, type=PIPELINE_RUN, name=run.run_id)
    context = next(iter((await metadata.contexts(own, limit=1)).items), None)
    return showing.run(run, tasks.of(run, executions), context)


async def list_runs(call: Call, request: Object) -> Object:
    """List those of an experiment, or of a namespace; without their tasks and pipelines."""
    page = await listed(call, request)
    return {
        "runs": [showing.run(each) for each in page.items],
        "total_size": page.total,
        "next_page_token": listing.token(request, page.after),
    }


async def listed(call: Call, request: Object, *, specs: bool = False) -> Page[Run]:
    """Return the part of a list that a request asks for, which the caller may see.

    Args:
        call: The call.
        request: As that of `list_runs`.
        specs: Whether with the runs' pipelines.
    """
    namespace = call.namespace(request)
    where: tuple[Predicate, ...] = ()
    if request.get("experiment_id"):
        experiment = await experiments.found(call, request["experiment_id"])
        namespace = experiment.namespace
        where = (Predicate("experiment_id", Operation.EQUALS, experiment.experiment_id),)
    else:
        await call.check(namespace)
    query = listing.query(request, RUN_KEYS, namespaces=(namespace,), where=where)
    return await call.services.history.runs(query, specs=specs)


async def archive_run(call: Call, request: Object) -> Object:
    """Archive one: it goes on, and is out of the way."""
    run = await found(call, request)
    await call.services.history.archive_run(run.run_id)
    return {}


async def unarchive_run(call: Call, request: Object) -> Object:
    """Take one back; that of an archived experiment only with it."""
    run = await found(call, request)
    experiment = await call.services.history.experiment(run.experiment_id)
    if experiment is not None and experiment.storage_state == ARCHIVED:
        raise errors.BadRequestError(
            f"run {run.run_id} is in experiment {experiment.display_name!r}, which is archived: "
            "take that back first"
        )
    await call.services.history.unarchive_run(run.run_id)
    return {}


async def delete_run(call: Call, request: Object) -> Object:
    """Delete one, and what it has left."""
    run = await found(call, request)
    await call.services.operations.delete(run.run_id)
    return {}


async def terminate_run(call: Call, request: Object) -> Object:
    """End one."""
    run = await found(call, request)
    await call.services.operations.terminate(run.run_id)
    return {}


async def retry_run(call: Call, request: Object) -> Object:
    """Take one up again where it failed."""
    run = await found(call, request)
    await call.services.operations.retry(run.run_id)
    return {}


async def found(call: Call, request: Object, *, specs: bool = False) -> Run:
    """Return the run of a request, to which its caller may do what the call does.

    Raises:
        NotFoundError: there is none, as far as the caller may know.
        ForbiddenError: the caller may see it, and no more.
    """
    run_id = request.get("run_id", "")
    missing = errors.NotFoundError(f"there is no run {run_id[:80]!r}")
    run = await call.services.history.run(run_id, specs=specs)
    if run is None:
        raise missing
    await call.check_found(run.namespace, missing)
    return run


async def experiment_for(call: Call, experiment_id: str | None) -> Experiment:
    """Return the experiment in which a run is to be made, where the caller may make it.

    Raises:
        NotFoundError: there is none, as far as the caller may know.
        ForbiddenError: the caller may not make it there.
        BadRequestError: it is archived.
    """
    if not experiment_id:
        namespace = call.services.namespace
        await call.check(namespace)
        return await call.services.history.default_experiment(namespace)
    experiment = await experiments.found(call, experiment_id)
    if experiment.storage_state == ARCHIVED:
        raise errors.BadRequestError(
            f"experiment_id: experiment {experiment.display_name!r} is archived"
        )
    return experiment


def _object(given: Object, experiment: Experiment, source: Source) -> Object:
    """Return the object of a run that is made."""
    config = given.get("runtime_config") or {}
    now = macros.Moment(now=datetime.datetime.now(datetime.UTC))
    wish = Wish(
        parameters=macros.filled(config.get("parameters") or {}, now),
        root=config.get("pipeline_root", ""),
        display_name=given["display_name"],
        service_account=given.get("service_account", ""),
    )
    made = _of(source.documents, wish, experiment.namespace)
    labels = {
        kinds.EXPERIMENT_LABEL: experiment.experiment_id,
        kinds.PIPELINE_LABEL: source.pipeline_id,
        kinds.PIPELINE_VERSION_LABEL: source.version_id,
    }
    notes = {kinds.DESCRIPTION_ANNOTATION: given.get("description", "")}
    for field, more in (("labels", labels), ("annotations", notes)):
        said = {key: value for key, value in more.items() if value}
        made["metadata"][field] = {**(made["metadata"].get(field) or {}), **said}
    return made


def _of(documents: Documents, wish: Wish, namespace: str) -> Object:
    """Return the run of a compiled pipeline, as an object of its own kind."""
    if workflow_runs.is_workflow(documents.spec):
        try:
            return workflow_runs.make(documents.spec, wish, namespace=namespace)
        except PipelineError as error:
            raise errors.BadRequestError(f"run.runtime_config.{error}") from error
    info = documents.spec.get("pipelineInfo")
    pipeline = str(info.get("name", "")) if isinstance(info, dict) else ""
    name = runs.name_of(pipeline, uuid.uuid4().hex)
    return runs.manifest(documents, wish, name=name, namespace=namespace)


HANDLERS: Final[Mapping[str, Handler]] = {
    "RunService.CreateRun": create_run,
    "RunService.GetRun": get_run,
    "RunService.ListRuns": list_runs,
    "RunService.ArchiveRun": archive_run,
    "RunService.UnarchiveRun": unarchive_run,
    "RunService.DeleteRun": delete_run,
    "RunService.TerminateRun": terminate_run,
    "RunService.RetryRun": retry_run,
}
