"""What goes around the running of templates: retries, locks, results that are kept, clearing away, metrics."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.pipelines.workflows.locations import ArtifactGC, Metadata
from wherry.pipelines.workflows.scalars import IntOrText, Object


class RetryPolicy(enum.StrEnum):
    """After what ends a template is tried again."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    ON_ERROR = "OnError"
    ON_TRANSIENT_ERROR = "OnTransientError"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long is waited before the next attempt."""

    duration: str = ""
    factor: IntOrText | None = None
    max_duration: str = ""
    cap: str = ""


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """How often, when and after what a template is tried again."""

    limit: IntOrText | None = None
    retry_policy: RetryPolicy | None = None
    backoff: Backoff | None = None
    affinity: Object | None = None
    expression: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseRef:
    """A limit that is kept in a database."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class Semaphore:
    """A limit of how many hold it at once."""

    config_map_key_ref: Object | None = None
    namespace: str = ""
    database: DatabaseRef | None = None


@dataclass(frozen=True, slots=True)
class Mutex:
    """A lock that one holds at a time."""

    name: str = ""
    namespace: str = ""
    database: bool = False


@dataclass(frozen=True, slots=True)
class Synchronization:
    """The locks that are wanted, all at once; ``semaphore`` and ``mutex`` are of earlier versions."""

    semaphores: tuple[Semaphore, ...] = ()
    mutexes: tuple[Mutex, ...] = ()
    semaphore: Semaphore | None = None
    mutex: Mutex | None = None

    @property
    def all_semaphores(self) -> tuple[Semaphore, ...]:
        """Those of the list, and the one of earlier versions."""
        return self.semaphores if self.semaphore is None else (*self.semaphores, self.semaphore)

    @property
    def all_mutexes(self) -> tuple[Mutex, ...]:
        """Those of the list, and the one of earlier versions."""
        return self.mutexes if self.mutex is None else (*self.mutexes, self.mutex)


@dataclass(frozen=True, slots=True)
class ObjectName:
    """The name of an object."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Cache:
    """Where results are kept."""

    config_map: ObjectName | None = None


@dataclass(frozen=True, slots=True)
class Memoize:
    """What a template gave before is given again for the same key, for ``max_age``."""

    key: str = ""
    cache: Cache | None = None
    max_age: str = ""


@dataclass(frozen=True, slots=True)
class TTLStrategy:
    """How long a workflow is kept after its end, in seconds."""

    seconds_after_completion: int | None = None
    seconds_after_success: int | None = None
    seconds_after_failure: int | None = None


class PodGCStrategy(enum.StrEnum):
    """When pods are deleted."""

    ON_POD_COMPLETION = "OnPodCompletion"
    ON_POD_SUCCESS = "OnPodSuccess"
    ON_WORKFLOW_COMPLETION = "OnWorkflowCompletion"
    ON_WORKFLOW_SUCCESS = "OnWorkflowSuccess"


@dataclass(frozen=True, slots=True)
class PodGC:
    """Which pods are deleted, and when."""

    strategy: PodGCStrategy | None = None
    label_selector: Object | None = None
    delete_delay_duration: str = ""


class VolumeClaimGCStrategy(enum.StrEnum):
    """When claims that were made for a workflow are deleted."""

    ON_WORKFLOW_COMPLETION = "OnWorkflowCompletion"
    ON_WORKFLOW_SUCCESS = "OnWorkflowSuccess"


@dataclass(frozen=True, slots=True)
class VolumeClaimGC:
    """When claims that were made for a workflow are deleted."""

    strategy: VolumeClaimGCStrategy | None = None


@dataclass(frozen=True, slots=True)
class WorkflowArtifactGC(ArtifactGC):
    """When artifacts are deleted that do not say so themselves."""

    force_finalizer_removal: bool = False
    pod_spec_patch: str = ""


@dataclass(frozen=True, slots=True)
class LabelValueFrom:
    """An expression that gives the value of a label."""

    expression: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowMetadata(Metadata):
    """Labels and annotations that a workflow gets when it starts."""

    labels_from: Mapping[str, LabelValueFrom] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricLabel:
    """A label of a metric."""

    key: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Gauge:
    """A number that goes up and down."""

    value: str = ""
    realtime: bool | None = None
    operation: str = ""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Numbers that are counted by their size."""

    value: str = ""
    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Counter:
    """A number that goes up."""

    value: str = ""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A metric."""

    name: str = ""
    labels: tuple[MetricLabel, ...] = ()
    help: str = ""
    when: str = ""
    gauge: Gauge | None = None
    histogram: Histogram | None = None
    counter: Counter | None = None


@dataclass(frozen=True, slots=True)
class Metrics:
    """Metrics that are told of a workflow or template."""

    prometheus: tuple[Prometheus, ...] = ()
