"""v1beta1: every call is one of v2beta1 in other words."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines import workflow_runs
from wherry.pipelines.api import kept, listing, showing, v1beta1
from wherry.pipelines.api.call import SHARED, Call, Handler
from wherry.pipelines.api.handlers import (
    experiments,
    pipelines,
    recurring_runs,
    runs,
    service,
    uploads,
    versions,
)
from wherry.pipelines.history.records import Run

_Given = Callable[[Object], Object]


def _by_id(handler: Handler, field: str, answer: _Given, *, own: str = "id") -> Handler:
    """Return the handler of a method that is about one thing.

    Args:
        handler: Of v2beta1.
        field: That has the id there.
        answer: Puts what it gives into v1beta1.
        own: That has the id here.
    """

    async def answered(call: Call, request: Object) -> Object:
        return answer(await handler(call, {field: request.get(own, "")}))

    return answered


def _made(handler: Handler, field: str, translate: _Given, answer: _Given) -> Handler:
    """Return the handler of a method that makes what its request holds, and nothing else.

    Args:
        handler: Of v2beta1.
        field: That holds it there.
        translate: Puts it into v2beta1.
        answer: Puts what was made into v1beta1.
    """

    async def answered(call: Call, request: Object) -> Object:
        given: Object = next(iter(request.values()), {})
        return answer(await handler(call, {field: translate(given)}))

    return answered


def _listed(handler: Handler, field: str, answer: _Given, own: str) -> Handler:
    """Return the handler of a method that lists."""

    async def answered(call: Call, request: Object) -> Object:
        found = await handler(call, v1beta1.page(request))
        return {**found, own: [answer(each) for each in found.get(field) or ()]}

    return answered


def _same(given: Object) -> Object:
    return given


def _new_experiment(given: Object) -> Object:
    return {
        "display_name": given.get("name", ""),
        "description": given.get("description", ""),
        "namespace": v1beta1.reference(given, "NAMESPACE"),
    }


async def healthz(call: Call, request: Object) -> Object:
    """Tell what kind of service this is."""
    found = await service.healthz(call, request)
    return {"multi_user": found["multi_user"]}


async def create_pipeline(call: Call, request: Object) -> Object:
    """Make a pipeline of what a URL leads to."""
    given = request.get("pipeline") or {}
    name, package = given.get("name", ""), given.get("url") or {}
    described = {"display_name": name, "description": given.get("description", "")}
    namespace = v1beta1.reference(given, "NAMESPACE")
    wanted = {
        "pipeline": {**described, "name": name, "namespace": namespace},
        "pipeline_version": {**described, "package_url": package},
    }
    return await _pipeline(call, await pipelines.create_pipeline_and_version(call, wanted))


async def get_pipeline(call: Call, request: Object) -> Object:
    """Return a pipeline with its default version."""
    asked = {"pipeline_id": request.get("id", "")}
    return await _pipeline(call, await pipelines.get_pipeline(call, asked))


async def get_pipeline_by_name(call: Call, request: Object) -> Object:
    """Return a pipeline; a dash stands for the namespace that all share."""
    namespace = request.get("namespace", "")
    asked = {**request, "namespace": "" if namespace == "-" else namespace}
    return await _pipeline(call, await pipelines.get_pipeline_by_name(call, asked))


async def list_pipelines(call: Call, request: Object) -> Object:
    """List pipelines, each with its default version."""
    asked = v1beta1.page(request)
    page = await pipelines.listed(call, asked)
    return {
        "pipelines": await asyncio.gather(*(_shown(call, row.object) for row in page.items)),
        "total_size": page.total,
        "next_page_token": listing.token(asked, page.after),
    }


async def upload_pipeline(call: Call, request: Object) -> Object:
    """Make a pipeline of a file."""
    return await _pipeline(call, await uploads.upload_pipeline(call, request))


async def get_template(call: Call, request: Object) -> Object:
    """Return what the default version of a pipeline runs."""
    pipeline = await pipelines.found(call, request.get("id", ""))
    default = await call.services.definitions.default(pipeline)
    if default is None:
        raise errors.NotFoundError("the pipeline has no version")
    return v1beta1.template(kept.version(default, metadata.uid(pipeline)))


async def set_default_version(call: Call, request: Object) -> Object:
    """Choose the version of a pipeline that is meant where none is named; without that the latest is."""
    pipeline = await pipelines.found(call, request.get("pipeline_id", ""))
    version = await call.services.definitions.version(pipeline, request.get("version_id", ""))
    await call.services.definitions.set_default(pipeline, metadata.uid(version))
    return {}


async def create_run(call: Call, request: Object) -> Object:
    """Start a run."""
    wanted = await _with_default(call, v1beta1.new_run(request.get("run") or {}))
    return await _detail(call, await runs.create_run(call, {"run": wanted}))


async def create_job(call: Call, request: Object) -> Object:
    """Make a recurring run."""
    wanted = await _with_default(call, v1beta1.new_job(request.get("job") or {}))
    made = await recurring_runs.create_recurring_run(call, {"recurring_run": wanted})
    return await _job(call, made)


async def get_job(call: Call, request: Object) -> Object:
    """Return a recurring run."""
    asked = {"recurring_run_id": request.get("id", "")}
    return await _job(call, await recurring_runs.get_recurring_run(call, asked))


async def list_jobs(call: Call, request: Object) -> Object:
    """List recurring runs."""
    found = await recurring_runs.list_recurring_runs(call, v1beta1.page(request))
    jobs = await asyncio.gather(*(_job(call, each) for each in found["recurringRuns"]))
    return {**found, "jobs": jobs}


async def get_run(call: Call, request: Object) -> Object:
    """Return a run with what was reported of it."""
    return await _detail(call, await runs.get_run(call, request))


async def list_runs(call: Call, request: Object) -> Object:
    """List runs, each with what it runs and what was reported of it."""
    asked = v1beta1.page(request)
    page = await runs.listed(call, asked, specs=True)
    reported = await call.services.history.metrics([each.run_id for each in page.items])
    return {
        "runs": [
            v1beta1.run(_with_source(call, each), reported.get(each.run_id, ()))
            for each in page.items
        ],
        "total_size": page.total,
        "next_page_token": listing.token(asked, page.after),
    }


async def create_version(call: Call, request: Object) -> Object:
    """Make a version of a pipeline."""
    given = request.get("version") or {}
    kept = ("description", "code_source_url", "package_url")
    wanted = {
        "display_name": given.get("name", ""),
        **{name: given[name] for name in kept if name in given},
    }
    asked = {"pipeline_id": v1beta1.reference(given, "PIPELINE"), "pipeline_version": wanted}
    return v1beta1.version(await versions.create_version(call, asked))


async def get_version(call: Call, request: Object) -> Object:
    """Return a version of a pipeline."""
    return v1beta1.version(await versions.get_version(call, await _of_version(call, request)))


async def list_versions(call: Call, request: Object) -> Object:
    """List the versions of a pipeline."""
    asked = {**v1beta1.page(request), "pipeline_id": v1beta1.reference(request, "PIPELINE")}
    found = await versions.list_versions(call, asked)
    return {**found, "versions": [v1beta1.version(each) for each in found["pipeline_versions"]]}


async def delete_version(call: Call, request: Object) -> Object:
    """Delete a version of a pipeline."""
    return await versions.delete_version(call, await _of_version(call, request))


async def get_version_template(call: Call, request: Object) -> Object:
    """Return what a version of a pipeline runs."""
    return v1beta1.template(await versions.get_version(call, await _of_version(call, request)))


async def upload_version(call: Call, request: Object) -> Object:
    """Make a version of a pipeline of a file."""
    return v1beta1.version(await uploads.upload_version(call, request))


async def delete_pipeline(call: Call, request: Object) -> Object:
    """Delete a pipeline; in v1beta1 its versions go with it."""
    asked = {"pipeline_id": request.get("id", ""), "cascade": True}
    return await pipelines.delete_pipeline(call, asked)


async def _pipeline(call: Call, given: Object) -> Object:
    return await _shown(call, await pipelines.found(call, given["pipeline_id"]))


async def _shown(call: Call, pipeline: Object) -> Object:
    """Return a pipeline with its default version, of which hardly anything is kept: it may be large."""
    default = await call.services.definitions.default(pipeline)
    version = None if default is None else kept.version(default, metadata.uid(pipeline))
    return v1beta1.pipeline(kept.pipeline(pipeline), version)


async def _detail(call: Call, found: Object) -> Object:
    """Return a run with what was reported of it, and with the Workflow that it is, if it is one."""
    run_id = found["run_id"]
    reported = await call.services.history.metrics([run_id])
    run = await call.services.history.run(run_id)
    if run is None:
        return v1beta1.run_detail(found, reported.get(run_id, ()))
    workflow = await call.services.operations.workflow(run)
    return v1beta1.run_detail(_with_source(call, run), reported.get(run_id, ()), workflow)


def _with_source(call: Call, run: Run) -> Object:
    """Return a run with what it runs, also that of a version that is kept, and how that is called."""
    shown = {**showing.run(run), "namespace": run.namespace}
    if run.pipeline_spec:
        shown["pipeline_spec"] = showing.documents(run.pipeline_spec, run.platform_spec)
    version = call.services.definitions.known_version(run.pipeline_version_id)
    # Objects may name versions of others, which its callers may not read.
    if version is not None and metadata.namespace(version) in (run.namespace, SHARED):
        shown["pipeline_name"] = kept.name_of_version(version)
    return shown


async def _job(call: Call, found: Object) -> Object:
    """Return a recurring run; one of a kept package with what it runs, which these clients read."""
    reference = found.get("pipeline_version_reference") or {}
    version = await call.services.definitions.version_if_there(
        reference.get("pipeline_id", ""), reference.get("pipeline_version_id", "")
    )
    # Objects may name versions of others, which its callers may not read.
    if version is None or metadata.namespace(version) not in (found["namespace"], SHARED):
        return v1beta1.job(found)
    named = {**found, "pipeline_name": kept.name_of_version(version)}
    shown = kept.version(version, "")["pipeline_spec"]
    if workflow_runs.is_workflow(shown):
        named["pipeline_spec"] = shown
    return v1beta1.job(named)


async def _with_default(call: Call, wanted: Object) -> Object:
    """Return what is to be made, with the version that was chosen where only a pipeline is named."""
    reference = wanted.get("pipeline_version_reference") or {}
    if reference.get("pipeline_id") and not reference.get("pipeline_version_id"):
        # Whether the caller may use it is asked where it is read.
        with contextlib.suppress(errors.NotFoundError):
            pipeline = await call.services.definitions.pipeline(reference["pipeline_id"])
            wanted["pipeline_version_reference"] = {
                **reference,
                "pipeline_version_id": metadata.uid(
                    await call.services.definitions.chosen(pipeline)
                ),
            }
    return wanted


async def _of_version(call: Call, request: Object) -> Object:
    """Return how v2beta1 asks for a version: by its pipeline too, of which its caller may not know."""
    version_id = request.get("version_id", "")
    missing = errors.NotFoundError(f"there is no version {version_id[:80]!r}")
    try:
        pipeline = await call.services.definitions.pipeline_of(version_id)
    except errors.NotFoundError as error:
        raise missing from error
    if metadata.namespace(pipeline) != SHARED:
        await call.check_found(metadata.namespace(pipeline), missing)
    return {"pipeline_id": metadata.uid(pipeline), "pipeline_version_id": version_id}


HANDLERS: Final[Mapping[str, Handler]] = {
    "HealthzService.GetHealthzV1": healthz,
    "AuthService.AuthorizeV1": service.authorize,
    "ExperimentService.CreateExperimentV1": _made(
        experiments.create_experiment,
        "experiment",
        _new_experiment,
        v1beta1.experiment,
    ),
    "ExperimentService.GetExperimentV1": _by_id(
        experiments.get_experiment, "experiment_id", v1beta1.experiment
    ),
    "ExperimentService.ListExperimentsV1": _listed(
        experiments.list_experiments, "experiments", v1beta1.experiment, "experiments"
    ),
    "ExperimentService.ArchiveExperimentV1": _by_id(
        experiments.archive_experiment, "experiment_id", _same
    ),
    "ExperimentService.UnarchiveExperimentV1": _by_id(
        experiments.unarchive_experiment, "experiment_id", _same
    ),
    "ExperimentService.DeleteExperimentV1": _by_id(
        experiments.delete_experiment, "experiment_id", _same
    ),
    "RunService.CreateRunV1": create_run,
    "RunService.GetRunV1": get_run,
    "RunService.ListRunsV1": list_runs,
    "RunService.ArchiveRunV1": _by_id(runs.archive_run, "run_id", _same),
    "RunService.UnarchiveRunV1": _by_id(runs.unarchive_run, "run_id", _same),
    "RunService.DeleteRunV1": _by_id(runs.delete_run, "run_id", _same),
    "RunService.TerminateRunV1": _by_id(runs.terminate_run, "run_id", _same, own="run_id"),
    "RunService.RetryRunV1": _by_id(runs.retry_run, "run_id", _same, own="run_id"),
    "JobService.CreateJob": create_job,
    "JobService.GetJob": get_job,
    "JobService.ListJobs": list_jobs,
    "JobService.EnableJob": _by_id(recurring_runs.enable_recurring_run, "recurring_run_id", _same),
    "JobService.DisableJob": _by_id(
        recurring_runs.disable_recurring_run, "recurring_run_id", _same
    ),
    "JobService.DeleteJob": _by_id(recurring_runs.delete_recurring_run, "recurring_run_id", _same),
    "PipelineService.CreatePipelineV1": create_pipeline,
    "PipelineService.GetPipelineV1": get_pipeline,
    "PipelineService.GetPipelineByNameV1": get_pipeline_by_name,
    "PipelineService.ListPipelinesV1": list_pipelines,
    "PipelineService.DeletePipelineV1": delete_pipeline,
    "PipelineService.GetTemplate": get_template,
    "PipelineService.UpdatePipelineDefaultVersionV1": set_default_version,
    "PipelineService.CreatePipelineVersionV1": create_version,
    "PipelineService.GetPipelineVersionV1": get_version,
    "PipelineService.ListPipelineVersionsV1": list_versions,
    "PipelineService.DeletePipelineVersionV1": delete_version,
    "PipelineService.GetPipelineVersionTemplate": get_version_template,
    "PipelineUploadService.UploadPipelineV1": upload_pipeline,
    "PipelineUploadService.UploadPipelineVersionV1": upload_version,
}
