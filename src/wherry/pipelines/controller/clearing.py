"""Pods that have been harvested are let go; runs that are over go when their time has come."""

import asyncio
import contextlib
import datetime
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.client.client import Client
from wherry.controller import apply, finalizers
from wherry.controller.requests import Result
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines import kinds
from wherry.pipelines.controller.engine import Engine

_BATCH: Final = 64
_GRACE_SECONDS: Final = 30


async def release(
    client: Client, pods: Mapping[str, Object], engine: Engine, finalizer: str = kinds.FINALIZER
) -> None:
    """Let go of the pods whose tasks' rows are written."""
    await release_all(client, (pod for pod in pods.values() if _harvested(pod, engine)), finalizer)


async def release_all(
    client: Client, pods: Iterable[Object], finalizer: str = kinds.FINALIZER
) -> None:
    """Let go of pods: nothing more is wanted of them."""
    held = [
        pod for pod in pods if "uid" in pod["metadata"] and finalizers.has_finalizer(pod, finalizer)
    ]
    for start in range(0, len(held), _BATCH):
        batch = held[start : start + _BATCH]
        await asyncio.gather(*(_release(client, pod, finalizer) for pod in batch))


async def _release(client: Client, pod: Object, finalizer: str) -> None:
    # Pods of workflows have the label; others do not get it.
    labels = (
        {kinds.COMPLETED_LABEL: "true"} if kinds.COMPLETED_LABEL in metadata.labels(pod) else None
    )
    # One that has changed since is looked at again for that change.
    with contextlib.suppress(errors.ConflictError):
        await finalizers.remove_finalizer(client, core.PODS, pod, finalizer, labels=labels)


async def end(client: Client, pod: Object) -> None:
    """End a step that runs, and what is beside it, soon."""
    where = metadata.namespaced_name(pod)
    # A pod that brings outputs away may take very long to end by itself.
    with contextlib.suppress(errors.NotFoundError, errors.ConflictError):
        await client.delete(
            core.PODS,
            where.name,
            where.namespace,
            grace_period_seconds=_GRACE_SECONDS,
            uid=metadata.uid(pod),
        )


async def after_end(
    client: Client, run: Object, pods: Mapping[str, Object], now: datetime.datetime
) -> Result | None:
    """Clear up after a run that has ended; return when there is more to do."""
    await release_all(client, pods.values())
    age = (now - metadata.parse_time(run["status"]["completionTime"])).total_seconds()
    spec: Mapping[str, Any] = run["spec"]
    waits = []
    seconds = _seconds_to_live(run)
    if seconds is not None:
        if age >= seconds:
            await apply.delete_if_present(client, kinds.PIPELINE_RUNS, run)
            return None
        waits.append(seconds - age)
    pod_seconds = spec.get("podTTLSecondsAfterFinished")
    if pod_seconds is not None and pods:
        if age >= pod_seconds:
            for pod in pods.values():
                await apply.delete_if_present(client, core.PODS, pod)
        else:
            waits.append(pod_seconds - age)
    return Result(requeue_after_seconds=min(waits)) if waits else None


def _seconds_to_live(run: Object) -> float | None:
    """Return how long a run stays after its end: as it says itself, else as it was compiled."""
    own = run["spec"].get("ttlSecondsAfterFinished")
    if own is not None:
        return float(own)
    platforms = (run["spec"].get("platformSpec") or {}).get("platforms") or {}
    config = (platforms.get("kubernetes") or {}).get("pipelineConfig") or {}
    by_state = {kinds.SUCCEEDED: "resourceTtlOnSuccess", kinds.FAILED: "resourceTtlOnFailure"}
    special = config.get(by_state.get(run["status"]["state"], ""))
    compiled = special or config.get("resourceTtlOnCompletion") or config.get("resourceTtl")
    return float(compiled) if compiled else None


def _harvested(pod: Object, engine: Engine) -> bool:
    notes = metadata.annotations(pod)
    row = engine.rows.get(notes.get(kinds.PATH_ANNOTATION, ""))
    if row is None:
        return False
    number = int(notes.get(kinds.ATTEMPT_ANNOTATION) or 0)
    return row.attempt > number or not engine.holds(row)
