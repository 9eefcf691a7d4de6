"""What a StatefulSet does next: which pods to make and which to let go, and what it says. Pure.

Source: `defaultStatefulSetControl` of Kubernetes (`pkg/controller/statefulset`). Differs on
purpose: a pod that is not ready and is to be replaced anyway is replaced at once, so that a broken
template is mended by applying a better one (there it takes deleting the pod by hand).
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from wherry.builtin import placement, replicas, rollout, stateful_pods
from wherry.objects import metadata
from wherry.objects.requests import Object


@dataclasses.dataclass(frozen=True)
class Scene:
    """What there is to decide on.

    Attributes:
        stateful_set: The set.
        current: Name of the revision that was rolled out last.
        update: Name of the revision of the present template.
        pods: By ordinal.
        now: Current time, aware.
    """

    stateful_set: Object
    current: str
    update: str
    pods: Mapping[int, Object]
    now: datetime.datetime

    @property
    def ordered(self) -> bool:
        """Whether one pod waits for the one before it."""
        policy = self.stateful_set["spec"].get("podManagementPolicy", "OrderedReady")
        return bool(policy == "OrderedReady")

    def is_healthy(self, pod: Object) -> bool:
        """Return whether a pod is ready, long enough, and not on its way out."""
        minimum = self.stateful_set["spec"].get("minReadySeconds", 0)
        wait = replicas.available_in(pod, minimum, self.now)
        return replicas.is_active(pod) and wait is not None and wait <= 0

    def wanted_revision(self, ordinal: int) -> str:
        """Return the name of the revision that a new pod of an ordinal is made from."""
        rolling = stateful_pods.is_rolling(self.stateful_set)
        kept = rolling and ordinal < stateful_pods.partition(self.stateful_set)
        return self.current if kept else self.update

    def is_outdated(self, ordinal: int, pod: Object) -> bool:
        """Return whether a pod is to be replaced to update it."""
        return (
            stateful_pods.is_rolling(self.stateful_set)
            and ordinal >= stateful_pods.partition(self.stateful_set)
            and stateful_pods.revision_of(pod) != self.update
        )


@dataclasses.dataclass
class Plan:
    """One step.

    Attributes:
        create: Ordinals to make pods for.
        delete: Pods to delete.
    """

    create: list[int] = dataclasses.field(default_factory=list)
    delete: list[Object] = dataclasses.field(default_factory=list)


def plan(scene: Scene) -> Plan:
    """Return the next step."""
    step = Plan()
    if _fill(scene, step) and _shrink(scene, step):
        _update(scene, step)
    return step


def _fill(scene: Scene, step: Plan) -> bool:
    """Make missing pods; return whether the step may go on."""
    for ordinal in stateful_pods.ordinals(scene.stateful_set):
        pod = scene.pods.get(ordinal)
        if pod is None:
            step.create.append(ordinal)
        elif _is_lost(scene, ordinal, pod):
            step.delete.append(pod)
        elif scene.is_healthy(pod):
            continue
        if scene.ordered:
            return False
    return True


def _is_lost(scene: Scene, ordinal: int, pod: Object) -> bool:
    """Return whether nothing is to be expected of a pod, so that another one takes its place."""
    if metadata.is_deleting(pod):
        return False
    unhelpful = not replicas.is_ready(pod) and scene.is_outdated(ordinal, pod)
    return placement.is_finished(pod) or unhelpful


def _shrink(scene: Scene, step: Plan) -> bool:
    """Let go of pods beyond the wanted number, the highest first; return whether to go on."""
    wanted = stateful_pods.ordinals(scene.stateful_set)
    condemned = sorted((one for one in scene.pods if one not in wanted), reverse=True)
    unhealthy = [one for one in condemned if not scene.is_healthy(scene.pods[one])]
    for ordinal in condemned:
        pod = scene.pods[ordinal]
        # One that is not healthy must not take the chance of a lower one to be the last that is.
        waits = ordinal in unhealthy and ordinal != unhealthy[-1]
        if not metadata.is_deleting(pod) and not (scene.ordered and waits):
            step.delete.append(pod)
        if scene.ordered:
            return False
    return True


def _update(scene: Scene, step: Plan) -> None:
    stateful_set = scene.stateful_set
    wanted = stateful_pods.ordinals(stateful_set)
    healthy = [one for one in wanted if one in scene.pods and scene.is_healthy(scene.pods[one])]
    budget = _max_unavailable(stateful_set) - (len(wanted) - len(healthy))
    for ordinal in reversed(healthy):
        if budget > 0 and scene.is_outdated(ordinal, scene.pods[ordinal]):
            step.delete.append(scene.pods[ordinal])
            budget -= 1


def _max_unavailable(stateful_set: Object) -> int:
    rolling = (stateful_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    total = stateful_set["spec"].get("replicas", 1)
    return max(1, rollout.resolve(rolling.get("maxUnavailable", 1), total, up=True))


def status(scene: Scene, pods: Sequence[Object]) -> Object:
    """Return the whole status.

    Args:
        scene: As it was before the step.
        pods: All pods of the set.
    """
    stateful_set = scene.stateful_set
    active = [pod for pod in pods if replicas.is_active(pod)]
    made_from = [stateful_pods.revision_of(pod) for pod in active]
    ready = sum(map(replicas.is_ready, active))
    updated = made_from.count(scene.update)
    minimum = stateful_set["spec"].get("minReadySeconds", 0)
    wanted = len(stateful_pods.ordinals(stateful_set))
    rolling = stateful_pods.is_rolling(stateful_set)
    complete = rolling and updated == ready == len(pods) == wanted
    current = scene.update if complete else scene.current
    result = {
        "observedGeneration": stateful_set["metadata"].get("generation", 1),
        "replicas": len(pods),
        "readyReplicas": ready,
        "currentReplicas": made_from.count(current),
        "updatedReplicas": updated,
        "availableReplicas": replicas.count_available(active, minimum, scene.now),
        "currentRevision": current,
        "updateRevision": scene.update,
        "collisionCount": 0,
    }
    kept = {"replicas", "availableReplicas", "collisionCount"}
    return {name: value for name, value in result.items() if value or name in kept}
