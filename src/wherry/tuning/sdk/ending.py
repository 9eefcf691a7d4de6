"""Ends a search before its time: no more trials, and those that run are ended."""

import asyncio
from typing import Final

from wherry.client.clusters import Api
from wherry.client.resources import Resources
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.tuning import kinds
from wherry.tuning.sdk import results
from wherry.tuning.sdk.errors import TuningError

_TRIES: Final = 150
_PAUSE_SECONDS: Final = 0.2
_OPEN: Final = frozenset({kinds.CREATED, kinds.RUNNING, kinds.PENDING})


async def end(api: Api, name: str, namespace: str) -> None:
    """End a search: what its trials run is deleted, which makes them Killed; all else stays.

    Args:
        api: The cluster.
        name: Of the Experiment.
        namespace: Where.

    Raises:
        TuningError: it has no trial yet, or goes on in spite of all.
    """
    resources = Resources(api.transport)
    for _ in range(_TRIES):
        experiment = await api.client.get(kinds.EXPERIMENTS, name, namespace)
        if results.progress(experiment).ended:
            return
        trials = await _trials(api, name, namespace)
        if not trials:
            raise TuningError(f"search {name} has no trial yet; deleting it ends it")
        try:
            await _bound(api, experiment, len(trials))
            for trial in trials:
                await _end_trial(api, resources, trial)
        except (errors.InvalidError, errors.ConflictError, errors.NotFoundError):
            pass  # a trial came or went meanwhile: look again
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TuningError(f"search {name} goes on in spite of all; are its controllers running?")


async def _trials(api: Api, name: str, namespace: str) -> list[Object]:
    labels = f"{kinds.EXPERIMENT_LABEL}={name}"
    return (await api.client.list(kinds.TRIALS, namespace, labels=labels)).items


async def _bound(api: Api, experiment: Object, made: int) -> None:
    """Have as many trials as there are be all there may be."""
    spec = experiment["spec"]
    if spec.get("maxTrialCount") == made:
        return
    change = {"maxTrialCount": made, "parallelTrialCount": min(made, spec["parallelTrialCount"])}
    where = metadata.namespaced_name(experiment)
    await api.client.patch(kinds.EXPERIMENTS, where.name, {"spec": change}, where.namespace)


async def _end_trial(api: Api, resources: Resources, trial: Object) -> None:
    held = (trial.get("status") or {}).get("conditions") or ()
    ended = any(each.get("status") == "True" and each.get("type") not in _OPEN for each in held)
    if ended:
        return
    run = trial["spec"]["runSpec"]
    resource = await resources.by_kind(run["apiVersion"], run["kind"])
    where = metadata.namespaced_name(trial)
    try:
        await api.client.delete(
            resource, where.name, where.namespace, propagation_policy="Background"
        )
    except errors.NotFoundError:
        return  # it is to be made yet: the next look ends it
