"""Which pods of a set to keep, to make and to let go; and what counts as available. Pure.

Source: `pkg/controller/controller_utils.go` of Kubernetes (ActivePodsWithRanks) and `pkg/api/v1/pod`.
"""

import datetime
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from wherry.builtin import placement
from wherry.objects import conditions, metadata, names
from wherry.objects.requests import Object

_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def is_active(pod: Object) -> bool:
    """Return whether a pod still does its work or is about to."""
    return not placement.is_finished(pod) and not metadata.is_deleting(pod)


def is_ready(pod: Object) -> bool:
    """Return whether the pod's Ready condition is true."""
    return conditions.is_true(pod, "Ready")


def available_in(pod: Object, minimum_seconds: int, now: datetime.datetime) -> float | None:
    """Return in how many seconds a ready pod counts as available, 0 or less if it does already.

    Args:
        pod: Any pod.
        minimum_seconds: `minReadySeconds`: for how long it must have been ready.
        now: Current time, aware.

    Returns:
        None for a pod that is not ready.
    """
    condition = conditions.get(pod, "Ready")
    if condition is None or condition.get("status") != "True":
        return None
    if minimum_seconds <= 0 or not condition.get("lastTransitionTime"):
        return 0
    since = metadata.parse_time(condition["lastTransitionTime"])
    return minimum_seconds - (now - since).total_seconds()


def next_available(
    pods: Iterable[Object], minimum_seconds: int, now: datetime.datetime
) -> float | None:
    """Return in how many seconds the next ready pod becomes available; None where none is waiting."""
    waits = [available_in(pod, minimum_seconds, now) for pod in pods]
    return min((wait for wait in waits if wait is not None and wait > 0), default=None)


def count_available(pods: Iterable[Object], minimum_seconds: int, now: datetime.datetime) -> int:
    """Return how many pods are available."""
    waits = (available_in(pod, minimum_seconds, now) for pod in pods)
    return sum(wait is not None and wait <= 0 for wait in waits)


def surplus(pods: Sequence[Object], count: int) -> list[Object]:
    """Return the ``count`` pods to delete first.

    Those that do least go first: without a node, not running, not ready, of lower deletion cost,
    ready for a shorter time, restarted more often, younger.
    """
    return sorted(pods, key=_worth)[:count]


def _worth(pod: Object) -> tuple[object, ...]:
    status = pod.get("status") or {}
    phases = {"Pending": 0, "Unknown": 1, "Running": 2}
    ready = conditions.get(pod, "Ready") or {}
    since = ready.get("lastTransitionTime", "") if is_ready(pod) else ""
    restarts = max(
        (one.get("restartCount", 0) for one in status.get("containerStatuses") or ()), default=0
    )
    return (
        bool(pod["spec"].get("nodeName")),
        phases.get(status.get("phase", "Pending"), 1),
        is_ready(pod),
        _deletion_cost(pod),
        _later_first(since),
        -restarts,
        _later_first(pod["metadata"].get("creationTimestamp", "")),
        metadata.name(pod),
    )


def _later_first(time: str) -> float:
    return -metadata.parse_time(time).timestamp() if time else 0.0


def _deletion_cost(pod: Object) -> int:
    try:
        return int(metadata.annotations(pod).get(_DELETION_COST, "0"))
    except ValueError:
        return 0


def fresh_names(owner: Object, is_taken: Callable[[str], bool], start: int = 0) -> Iterator[str]:
    """Yield names for new pods of an owner, the same ones for the same state of the world.

    A controller that is killed between two writes and starts again proposes the same names, so no
    pod can be made twice.

    Args:
        owner: The set that makes the pods.
        is_taken: Whether any pod of the namespace has a name now.
        start: How many names to pass over: as many as the owner has pods saves looking at theirs.
    """
    prefix = metadata.name(owner)[:57]
    for number in itertools.count(start):
        name = f"{prefix}-{names.suffix(f'{metadata.uid(owner)}/{number}')}"
        if not is_taken(name):
            yield name


def pod_from_template(owner: Object, template: Object, name: str) -> Object:
    """Return the pod that a template describes, controlled by ``owner``, in its namespace."""
    fields = template.get("metadata") or {}
    result: Object = {
        "name": name,
        "namespace": metadata.namespace(owner),
        "ownerReferences": [metadata.owner_reference(owner)],
    }
    for field in ("labels", "annotations", "finalizers"):
        if fields.get(field):
            result[field] = fields[field]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": result, "spec": template["spec"]}
