"""Which pods that have failed get a successor, and how often that has happened. Pure.

Source: kubeflow/training-operator 1.9, ``pkg/controller.v1/common/pod.go``: with ExitCode, codes of
128 and more are worth another try. Upstream forgets a pod's restarts when it makes it anew, so that
its backoffLimit never counts them; here they are kept on the job.
"""

import datetime
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.training import kinds
from wherry.training.kinds import ReplicaSpec

ANNOTATION: Final = "wherry.dev/restarts"
RETRYABLE_FROM: Final = 128
_LONGEST_WAIT_SECONDS: Final = 60.0
_BEYOND_CONTROL: Final = frozenset({"Evicted", "NodeLost", "Preempted", "Preempting", "Shutdown"})


@dataclass(frozen=True, slots=True)
class Remembered:
    """The restarts of one replica.

    Attributes:
        uid: Of the pod that was counted last: no pod is counted twice.
        count: Restarts up to and including its end.
    """

    uid: str
    count: int


def is_failed(pod: Object) -> bool:
    """Return whether a pod has failed."""
    return bool((pod.get("status") or {}).get("phase") == "Failed")


def exit_code(pod: Object, container: str) -> int | None:
    """Return the exit code of a container of a pod that has ended; None where nobody knows."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated")
        if status.get("name") == container and ended is not None:
            return int(ended.get("exitCode", 0))
    return None


def is_retried(spec: ReplicaSpec, pod: Object, container: str) -> bool:
    """Return whether a pod that has failed gets a successor.

    Args:
        spec: Of its type.
        pod: With phase Failed.
        container: The one that trains.
    """
    if spec.restart_policy in {kinds.ALWAYS, kinds.ON_FAILURE}:
        return True
    if (pod.get("status") or {}).get("reason") in _BEYOND_CONTROL:
        return spec.restart_policy == kinds.EXIT_CODE
    code = exit_code(pod, container)
    return spec.restart_policy == kinds.EXIT_CODE and code is not None and code >= RETRYABLE_FROM


def in_place(pod: Object) -> int:
    """Return how often a pod's containers were started again within the pod."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return sum(int(status.get("restartCount") or 0) for status in statuses)


def remembered(job: Object) -> dict[str, Remembered]:
    """Return the restarts that are noted on a job, by pod name."""
    try:
        noted = json.loads(metadata.annotations(job).get(ANNOTATION) or "{}")
        return {name: Remembered(str(uid), int(count)) for name, (uid, count) in noted.items()}
    except (ValueError, TypeError, AttributeError):
        # A person's edit: better to count anew than to stand still.
        return {}


def after(
    job: Object, failed: Iterable[Object], replaced: Iterable[Object] = ()
) -> dict[str, Remembered]:
    """Return the restarts of a job's replicas once these pods have successors.

    Args:
        job: With what is noted on it.
        failed: Pods that are made anew for having failed; each counts once.
        replaced: Pods that are made anew for others' sake: only restarts within them count.
    """
    made = remembered(job)
    for pods, more in ((failed, 1), (replaced, 0)):
        for pod in pods:
            name, uid = metadata.name(pod), metadata.uid(pod)
            known = made.get(name)
            count = in_place(pod) + more
            if count and (known is None or known.uid != uid):
                before = 0 if known is None else known.count
                made[name] = Remembered(uid, before + count)
    return made


def written(noted: Mapping[str, Remembered]) -> str:
    """Return restarts as the annotation holds them."""
    return json.dumps({name: [each.uid, each.count] for name, each in sorted(noted.items())})


def total(noted: Mapping[str, Remembered], pods: Mapping[str, Object]) -> int:
    """Return how often a job's replicas were restarted, in place or anew.

    Args:
        noted: What is noted on the job.
        pods: That exist, by name.
    """
    made = sum(each.count for each in noted.values())
    for name, pod in pods.items():
        known = noted.get(name)
        if known is None or known.uid != metadata.uid(pod):
            made += in_place(pod)
    return made


def seconds_to_wait(job: Object, pod: Object, now: datetime.datetime) -> float:
    """Return after how long a pod that has failed may have its successor: 0 the first time.

    Afterwards 1 s from its end, 2 s, 4 s … up to a minute: what fails at once, whatever is done,
    would keep the machine busy with starting it.
    """
    known = remembered(job).get(metadata.name(pod))
    if known is None or known.uid == metadata.uid(pod):
        return 0.0
    over = ended(pod)
    if over is None:
        return 0.0
    wait = min(2.0 ** (known.count - 1), _LONGEST_WAIT_SECONDS)
    return max(0.0, wait - (now - over).total_seconds())


def ended(pod: Object) -> datetime.datetime | None:
    """Return when the last container of a pod ended; None where nobody knows."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    times = [
        metadata.parse_time(over["finishedAt"])
        for status in statuses
        if (over := (status.get("state") or {}).get("terminated")) and over.get("finishedAt")
    ]
    return max(times, default=None)
