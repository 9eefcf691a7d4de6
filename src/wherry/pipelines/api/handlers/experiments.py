"""Experiments: groups of runs, which are kept in the history."""

from collections.abc import Mapping
from typing import Final

from wherry.metadata.errors import DuplicateError, UnstorableError
from wherry.objects import errors
from wherry.objects.requests import Object
from wherry.pipelines.api import listing, showing
from wherry.pipelines.api.call import Call, Handler
from wherry.pipelines.history.query import EXPERIMENT_KEYS
from wherry.pipelines.history.records import Experiment


async def create_experiment(call: Call, request: Object) -> Object:
    """Make one; its display name is its namespace's only one."""
    given = request.get("experiment", {})
    namespace = call.namespace(given)
    await call.check(namespace)
    name = given.get("display_name", "")
    if not name.strip():
        raise errors.BadRequestError("experiment.display_name: is wanted")
    wanted = Experiment(
        namespace=namespace, display_name=name, description=given.get("description", "")
    )
    try:
        return showing.experiment(await call.services.history.create_experiment(wanted))
    except DuplicateError as error:
        raise errors.AlreadyExistsError(
            f"experiment.display_name: {name!r}: namespace {namespace!r} has one of this name already"
        ) from error
    except UnstorableError as error:
        raise errors.BadRequestError(f"experiment: {error}") from error


async def get_experiment(call: Call, request: Object) -> Object:
    """Return one."""
    return showing.experiment(await found(call, request.get("experiment_id", "")))


async def list_experiments(call: Call, request: Object) -> Object:
    """List those of a namespace; that for callers who name none always has the experiment Default."""
    namespace = call.namespace(request)
    await call.check(namespace)
    query = listing.query(request, EXPERIMENT_KEYS, namespaces=(namespace,))
    if namespace == call.services.namespace:
        await call.services.history.default_experiment(namespace)
    page = await call.services.history.experiments(query)
    return {
        "experiments": [showing.experiment(each) for each in page.items],
        "total_size": page.total,
        "next_page_token": listing.token(request, page.after),
    }


async def archive_experiment(call: Call, request: Object) -> Object:
    """Archive one with its runs; its recurring runs start no more."""
    experiment = await found(call, request.get("experiment_id", ""))
    await call.services.history.archive_experiment(experiment.experiment_id)
    await call.services.schedules.disable_of(experiment.namespace, experiment.experiment_id)
    return {}


async def unarchive_experiment(call: Call, request: Object) -> Object:
    """Take one back; its runs stay archived, and its recurring runs disabled."""
    experiment = await found(call, request.get("experiment_id", ""))
    await call.services.history.unarchive_experiment(experiment.experiment_id)
    return {}


async def delete_experiment(call: Call, request: Object) -> Object:
    """Delete one; its runs stay."""
    experiment = await found(call, request.get("experiment_id", ""))
    await call.services.history.delete_experiment(experiment.experiment_id)
    return {}


async def found(call: Call, experiment_id: str) -> Experiment:
    """Return an experiment to which the caller may do what the call does.

    Raises:
        NotFoundError: there is none, as far as the caller may know.
        ForbiddenError: the caller may see it, and no more.
    """
    missing = errors.NotFoundError(f"there is no experiment {experiment_id[:80]!r}")
    experiment = await call.services.history.experiment(experiment_id)
    if experiment is None:
        raise missing
    await call.check_found(experiment.namespace, missing)
    return experiment


HANDLERS: Final[Mapping[str, Handler]] = {
    "ExperimentService.CreateExperiment": create_experiment,
    "ExperimentService.GetExperiment": get_experiment,
    "ExperimentService.ListExperiments": list_experiments,
    "ExperimentService.ArchiveExperiment": archive_experiment,
    "ExperimentService.UnarchiveExperiment": unarchive_experiment,
    "ExperimentService.DeleteExperiment": delete_experiment,
}
