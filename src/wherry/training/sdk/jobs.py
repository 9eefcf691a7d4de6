"""A training as an object of the cluster, whatever its kind: its pods, and how far it is."""

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.client.clusters import Api
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource
from wherry.training import frameworks
from wherry.training.sdk import shapes
from wherry.training.sdk.errors import TrainingError

_SUCCEEDED: Final = ("Succeeded", "Complete")
_SELECTORS: Final = ("training.kubeflow.org/job-name", "jobset.sigs.k8s.io/jobset-name")
_CONTAINERS: Final = frozenset(each.container for each in frameworks.ALL) | {"node", "chainer"}


@dataclass(frozen=True, slots=True)
class State:
    """How far a training is.

    Attributes:
        phase: `Pending`, `Created`, `Running`, `Restarting`, `Suspended`, `Succeeded` or `Failed`.
        message: What the job says of it.
        replicas: Pods by type and by `active`, `succeeded` and `failed`.
        started: When it began.
        completed: When it ended.
    """

    phase: str
    message: str
    replicas: Mapping[str, Mapping[str, int]]
    started: datetime.datetime | None
    completed: datetime.datetime | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.phase in {"Succeeded", "Failed"}

    def __str__(self) -> str:
        return f"{self.phase}: {self.message}" if self.message else self.phase


@dataclass(frozen=True, slots=True)
class Job:
    """One job.

    Attributes:
        resource: Its kind.
        name: Of the object.
        namespace: Where.
    """

    resource: Resource
    name: str
    namespace: str

    async def get(self, api: Api) -> Object:
        """Return the object."""
        return await api.client.get(self.resource, self.name, self.namespace)

    async def pods(self, api: Api) -> list[Object]:
        """Return its pods, in the order of their names."""
        key = _SELECTORS[self.resource.kind == "TrainJob"]
        found = await api.client.list(kinds.PODS, self.namespace, labels=f"{key}={self.name}")
        return sorted(found.items, key=metadata.name)

    def rank(self, pod: Object) -> str:
        """Return a pod's name without the job's: ``worker-0``."""
        return metadata.name(pod).removeprefix(f"{self.name}-")

    @staticmethod
    def container(pod: Object) -> str:
        """Return the container that trains: by its name, else the first."""
        names = [str(each["name"]) for each in pod["spec"]["containers"]]
        return next((name for name in names if name in _CONTAINERS), names[0])

    def waits_for(self, pods: Iterable[Object]) -> str:
        """Return what pods that have not begun wait for, as node and scheduler tell it; or nothing."""
        for pod in pods:
            if why := _obstacle(pod):
                return f"{self.rank(pod)} waits: {why}"
        return ""

    @staticmethod
    def state(obj: Object) -> State:
        """Return how far it is."""
        status: Mapping[str, Any] = obj.get("status") or {}
        held = [each for each in status.get("conditions") or () if each.get("status") == "True"]
        phase, message = "Pending", "no controller has seen it yet"
        if held:
            last = held[-1]
            phase, message = str(last["type"]), str(last.get("message", ""))
        for done, types in (("Failed", ("Failed",)), ("Succeeded", _SUCCEEDED)):
            for type_ in types:
                found = conditions.get(obj, type_)
                if found is not None and found["status"] == "True":
                    phase, message = done, str(found.get("message", ""))
        replicas = {
            type_: {key: int(each.get(key) or 0) for key in ("active", "succeeded", "failed")}
            for type_, each in (status.get("replicaStatuses") or {}).items()
        }
        times = (_time(status.get(key)) for key in ("startTime", "completionTime"))
        return State(phase, message, replicas, *times)


def _obstacle(pod: Object) -> str:
    status = pod.get("status") or {}
    placed = conditions.get(pod, "PodScheduled") or {}
    if placed.get("status") == "False":
        return f"{placed.get('reason')}: {placed.get('message')}"
    for each in (status.get(field) for field in ("initContainerStatuses", "containerStatuses")):
        for one in each or ():
            waiting = (one.get("state") or {}).get("waiting") or {}
            if waiting.get("message"):
                return f"{waiting.get('reason')}: {waiting['message']}"
    return ""


def _time(text: Any) -> datetime.datetime | None:
    return metadata.parse_time(text) if text else None


async def find(api: Api, name: str, namespace: str) -> Job:
    """Return the training of a name, of whichever kind.

    Args:
        api: The cluster.
        name: Of it, or ``kind/name``, such as ``pytorchjob/mnist``.
        namespace: Where.

    Raises:
        TrainingError: there is none, or there are several.
    """
    kind, _, own = name.rpartition("/")
    asked = [
        each for each in shapes.resources() if kind.lower() in {"", each.singular, each.plural}
    ]
    if not asked:
        raise TrainingError(
            f"{name!r}: {kind!r} is no kind of training; want e.g. pytorchjob/{own}"
        )
    found = []
    for resource in asked:
        try:
            await api.client.get(resource, own, namespace)
        except errors.NotFoundError:
            continue
        found.append(resource)
    if not found:
        raise TrainingError(f"there is no training {name!r} in namespace {namespace!r}")
    if len(found) > 1:
        words = ", ".join(f"{each.singular}/{own}" for each in found)
        raise TrainingError(f"there are several trainings {name!r}: choose one of {words}")
    return Job(found[0], own, namespace)


async def every(api: Api, namespace: str | None) -> list[tuple[Job, Object]]:
    """Return all trainings of a namespace, the newest first; None: of all namespaces."""
    made: list[tuple[Job, Object]] = []
    for resource in shapes.resources():
        try:
            listed = await api.client.list(resource, namespace)
        except errors.NotFoundError:
            continue  # a cluster need not have every kind
        made += [
            (Job(resource, metadata.name(obj), metadata.namespace(obj)), obj) for obj in listed
        ]
    return sorted(
        made, key=lambda each: str(each[1]["metadata"]["creationTimestamp"]), reverse=True
    )
