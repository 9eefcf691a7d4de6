"""What is cleared up of a workflow: pods as it says, claims, at last itself."""

import datetime
from collections.abc import Mapping
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply, owners
from wherry.objects import errors, metadata, selectors
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.controller.pods import Pods
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows.controller.engine import DAEMON, WorkflowEngine
from wherry.pipelines.workflows.surroundings import PodGCStrategy

_AT_ONCE: Final = frozenset({PodGCStrategy.ON_POD_COMPLETION, PodGCStrategy.ON_POD_SUCCESS})


async def after_pods(client: Client, engine: WorkflowEngine, pods: Pods, workflow: Object) -> None:
    """Delete the pods of steps that have ended, where the workflow wants that."""
    told = engine.language.spec.pod_gc
    if told is None or told.strategy not in _AT_ONCE:
        return
    namespace = metadata.namespace(workflow)
    for row in engine.rows.values():
        if not row.pod or row.properties.get(DAEMON) or not State(row.state).final:
            continue
        if told.strategy is PodGCStrategy.ON_POD_SUCCESS and row.state != State.SUCCEEDED:
            continue
        pod = pods.get(namespace, row.pod)
        if (
            pod is not None
            and not metadata.is_deleting(pod)
            and _is_chosen(pod, told.label_selector)
        ):
            await apply.delete_if_present(client, core.PODS, pod)


async def clear(client: Client, workflow: Object, spec: Object, pods: Mapping[str, Object]) -> None:
    """Delete the pods, claims and budget of a workflow that has ended, as it says."""
    well = (workflow.get("status") or {}).get("phase") == "Succeeded"
    gc: Mapping[str, Any] = spec.get("podGC") or {}
    strategy = gc.get("strategy")
    if (
        strategy == PodGCStrategy.ON_WORKFLOW_COMPLETION
        or strategy in _AT_ONCE
        or (strategy == PodGCStrategy.ON_WORKFLOW_SUCCESS and well)
    ):
        for pod in pods.values():
            failed = (pod.get("status") or {}).get("phase") == "Failed"
            if failed and strategy == PodGCStrategy.ON_POD_SUCCESS:
                continue
            if not metadata.is_deleting(pod) and _is_chosen(pod, gc.get("labelSelector")):
                await apply.delete_if_present(client, core.PODS, pod)
    if spec.get("podDisruptionBudget") is not None:
        await _clear_budget(client, workflow)
    always = (spec.get("volumeClaimGC") or {}).get("strategy") == "OnWorkflowCompletion"
    if well or always:
        await _clear_claims(client, workflow)


async def _clear_budget(client: Client, workflow: Object) -> None:
    where = metadata.namespaced_name(workflow)
    try:
        found = await client.get(core.POD_DISRUPTION_BUDGETS, where.name, where.namespace)
    except errors.NotFoundError:
        return
    if owners.is_controlled_by(found, workflow) and not metadata.is_deleting(found):
        await apply.delete_if_present(client, core.POD_DISRUPTION_BUDGETS, found)


async def _clear_claims(client: Client, workflow: Object) -> None:
    for each in (workflow.get("status") or {}).get("persistentVolumeClaims") or ():
        name = (each.get("persistentVolumeClaim") or {}).get("claimName")
        claim = {"metadata": {"name": name, "namespace": metadata.namespace(workflow)}}
        if name:
            await apply.delete_if_present(client, core.PERSISTENT_VOLUME_CLAIMS, claim)


def _is_chosen(pod: Object, selector: Mapping[str, Any] | None) -> bool:
    if not selector:
        return True
    return selectors.from_object(selector).matches(metadata.labels(pod))


def seconds_to_live(workflow: Object, spec: Object, now: datetime.datetime) -> float | None:
    """Return how long a workflow that has ended still stays; None: for ever."""
    told: Mapping[str, Any] = spec.get("ttlStrategy") or {}
    status: Mapping[str, Any] = workflow.get("status") or {}
    well = status.get("phase") == "Succeeded"
    special = told.get("secondsAfterSuccess" if well else "secondsAfterFailure")
    seconds = special if special is not None else told.get("secondsAfterCompletion")
    ended = status.get("finishedAt")
    if seconds is None or not ended:
        return None
    return float(seconds) - (now - metadata.parse_time(str(ended))).total_seconds()
