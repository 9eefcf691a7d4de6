"""Recurring runs: they are `ScheduledWorkflow` objects."""

from collections.abc import Mapping
from typing import Final

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines.api import listing, object_lists, recurring, sources
from wherry.pipelines.api.call import SHARED, Call, Handler
from wherry.pipelines.api.handlers import experiments, runs

_POLICIES: Final = {"FOREGROUND": "Foreground", "BACKGROUND": "Background", "ORPHAN": "Orphan"}


async def create_recurring_run(call: Call, request: Object) -> Object:
    """Make one, in the namespace of its experiment."""
    given = request.get("recurring_run", {})
    experiment = await runs.experiment_for(call, given.get("experiment_id"))
    source = await sources.source(call, given, "recurring_run")
    if source.pipeline_id:
        await _check_near(call, source.pipeline_id, experiment.namespace)
    wanted = recurring.schedule(given, experiment, source)
    return recurring.shown(await call.services.schedules.create(wanted))


async def get_recurring_run(call: Call, request: Object) -> Object:
    """Return one."""
    return recurring.shown(await found(call, request))


async def list_recurring_runs(call: Call, request: Object) -> Object:
    """List those of an experiment, or of a namespace."""
    namespace, experiment_id = call.namespace(request), request.get("experiment_id", "")
    if experiment_id:
        namespace = (await experiments.found(call, experiment_id)).namespace
    else:
        await call.check(namespace)
    query = listing.query(request, recurring.KEYS, namespaces=(namespace,))
    rows = [
        recurring.row(each)
        for each in await call.services.schedules.schedules(namespace)
        if not experiment_id or each["spec"].get("experimentId") == experiment_id
    ]
    page = object_lists.page(rows, query, recurring.KEYS)
    return {
        "recurringRuns": [recurring.shown(each.object) for each in page.items],
        "total_size": page.total,
        "next_page_token": listing.token(request, page.after),
    }


async def enable_recurring_run(call: Call, request: Object) -> Object:
    """Have one make runs."""
    await call.services.schedules.switch(await found(call, request), enabled=True)
    return {}


async def disable_recurring_run(call: Call, request: Object) -> Object:
    """Have one make no more runs; what runs goes on."""
    await call.services.schedules.switch(await found(call, request), enabled=False)
    return {}


async def delete_recurring_run(call: Call, request: Object) -> Object:
    """Delete one; its runs stay in the history."""
    policy = _POLICIES.get(request.get("propagation_policy", ""))
    await call.services.schedules.delete(await found(call, request), policy)
    return {}


async def _check_near(call: Call, pipeline_id: str, namespace: str) -> None:
    """Check that a schedule may run a pipeline by itself: without the rights of whoever makes it."""
    pipeline = await call.services.definitions.pipeline(pipeline_id)
    if metadata.namespace(pipeline) not in {namespace, SHARED}:
        raise errors.BadRequestError(
            f"recurring_run.pipeline_version_reference: pipeline {pipeline_id!r} is in another "
            f"namespace; want one of {namespace!r}, or a shared one"
        )


async def found(call: Call, request: Object) -> Object:
    """Return the recurring run of a request, to which its caller may do what the call does.

    Raises:
        NotFoundError: there is none, as far as the caller may know.
        ForbiddenError: the caller may see it, and no more.
    """
    uid = request.get("recurring_run_id", "")
    missing = errors.NotFoundError(f"there is no recurring run {uid[:80]!r}")
    try:
        schedule = await call.services.schedules.schedule(uid)
    except errors.NotFoundError as error:
        raise missing from error
    await call.check_found(metadata.namespace(schedule), missing)
    return schedule


HANDLERS: Final[Mapping[str, Handler]] = {
    "RecurringRunService.CreateRecurringRun": create_recurring_run,
    "RecurringRunService.GetRecurringRun": get_recurring_run,
    "RecurringRunService.ListRecurringRuns": list_recurring_runs,
    "RecurringRunService.EnableRecurringRun": enable_recurring_run,
    "RecurringRunService.DisableRecurringRun": disable_recurring_run,
    "RecurringRunService.DeleteRecurringRun": delete_recurring_run,
}
