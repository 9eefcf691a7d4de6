"""What a user writes of a JobSet, and what it says of itself.

Source: kubernetes-sigs/jobset ``api/jobset/v1alpha2/jobset_types.go``. What is behind a feature gate
there that is off by default (InPlaceRestart, RestartJob, ElasticJobSet) is not declared: the schema
names what is accepted instead.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared import published
from wherry.objects.declared.fields import about
from wherry.objects.declared.structural import CONDITIONS
from wherry.objects.resources import Resource

GROUP: Final = "jobset.x-k8s.io"
VERSION: Final = "v1alpha2"
JOB_SETS: Final = Resource(
    group=GROUP,
    version=VERSION,
    plural="jobsets",
    kind="JobSet",
    singular="jobset",
    categories=("wherry",),
    subresources=("status",),
)

CONTROLLER: Final = "jobset.sigs.k8s.io/jobset-controller"
ALL, ANY = "All", "Any"
READY, COMPLETE = "Ready", "Complete"
ANY_ORDER, IN_ORDER = "AnyOrder", "InOrder"
RECREATE, BLOCKING_RECREATE = "Recreate", "BlockingRecreate"
FAIL, RESTART = "FailJobSet", "RestartJobSet"
RESTART_UNCOUNTED = "RestartJobSetAndIgnoreMaxRestarts"
DELETE, RETAIN = "Delete", "Retain"
INDEXED: Final = "Indexed"

COMPLETED: Final = "Completed"
FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"
RESTARTING: Final = "RestartingJobSet"
STARTUP_IN_PROGRESS: Final = "StartupPolicyInProgress"
STARTUP_COMPLETED: Final = "StartupPolicyCompleted"

JOB_FAILURE_REASONS: Final = (
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "FailedIndexes",
    "MaxFailedIndexesExceeded",
    "PodFailurePolicy",
)
_BY_NAME: Final[dict[str, Any]] = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
}
_ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}
_PATTERNS: Final = 64


@dataclass(frozen=True, slots=True)
class DependsOn:
    """What has to be so before the Jobs of a replicated job are made."""

    name: str = about("A replicated job that stands before this one.", "", required=True)
    status: str = about(
        "Ready: its Jobs are ready or have ended; Complete: they have ended well.",
        "",
        required=True,
        enum=[READY, COMPLETE],
    )


@dataclass(frozen=True, slots=True)
class ReplicatedJob:
    """Jobs from one template."""

    name: str = about(
        "Part of the names of its Jobs: <jobset>-<name>-<index>.", "", required=True, maxLength=63
    )
    group_name: str = about("The group that its Jobs are counted in.", filled="default")
    template: dict[str, Any] = about(
        "The Job.", dict, required=True, published=published.JOB_TEMPLATE
    )
    replicas: int = about("How many Jobs.", filled=1, minimum=0)
    depends_on: tuple[DependsOn, ...] = about(
        "What has to be so before its Jobs are made. Immutable.", (), maxItems=5, **_BY_NAME
    )


@dataclass(frozen=True, slots=True)
class Network:
    """How the pods find one another."""

    enable_dns_hostnames: bool | None = about(
        "Whether pods have names: <jobset>-<replicated job>-<job index>-<pod index>.<subdomain>; "
        "they do by default.",
        name="enableDNSHostnames",
    )
    subdomain: str = about("Name of the headless Service; the JobSet's by default.", "")
    publish_not_ready_addresses: bool | None = about(
        "Whether pods are found before they are ready; they are by default."
    )


@dataclass(frozen=True, slots=True)
class SuccessPolicy:
    """When the whole has succeeded."""

    operator: str = about(
        "Whether All of the Jobs have to complete, or Any.", ALL, required=True, enum=[ALL, ANY]
    )
    target_replicated_jobs: tuple[str, ...] = about(
        "The replicated jobs that count; all by default.", (), maxItems=100, **_ATOMIC
    )


@dataclass(frozen=True, slots=True)
class FailureRule:
    """What a failed Job of some kind leads to."""

    name: str = about("Its name; failurePolicyRule<index> by default.", "")
    action: str = about("What is done.", "", required=True, enum=[FAIL, RESTART, RESTART_UNCOUNTED])
    on_job_failure_reasons: tuple[str, ...] = about(
        "Reasons of the Job's failure, one of which it has to have; any by default.",
        (),
        maxItems=len(JOB_FAILURE_REASONS),
    )
    on_job_failure_message_patterns: tuple[str, ...] = about(
        "Regular expressions, one of which has to be found in the message of the Job's failure.",
        (),
        maxItems=_PATTERNS,
    )
    target_replicated_jobs: tuple[str, ...] = about(
        "The replicated jobs that the rule is about; all by default.", (), maxItems=100, **_ATOMIC
    )


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """What a failed Job leads to; without one, the whole fails."""

    max_restarts: int = about("How often the whole is started anew before it fails.", 0, minimum=0)
    restart_strategy: str = about(
        "Recreate: each Job is made anew as soon as its last attempt is gone; BlockingRecreate: "
        "none is before all are gone.",
        filled=RECREATE,
        enum=[RECREATE, BLOCKING_RECREATE],
    )
    rules: tuple[FailureRule, ...] = about(
        "The first that fits is heeded; without one that fits the whole is restarted.",
        (),
        maxItems=100,
    )


@dataclass(frozen=True, slots=True)
class StartupPolicy:
    """In which order replicated jobs start."""

    startup_policy_order: str = about(
        "InOrder: each starts when the one before it is ready. Deprecated: write dependsOn.",
        ANY_ORDER,
        required=True,
        enum=[ANY_ORDER, IN_ORDER],
    )


@dataclass(frozen=True, slots=True)
class Coordinator:
    """The pod that the others are told of."""

    replicated_job: str = about("The replicated job that it is of.", "", required=True)
    job_index: int = about("Index of its Job.", 0, minimum=0)
    pod_index: int = about("Its completion index.", 0, minimum=0)


@dataclass(frozen=True, slots=True)
class VolumeRetentionPolicy:
    """What becomes of the claims."""

    when_deleted: str = about(
        "Whether the claims go with the JobSet.", filled=DELETE, enum=[DELETE, RETAIN]
    )


@dataclass(frozen=True, slots=True)
class VolumeClaimPolicy:
    """Claims that the Jobs share; a container that mounts one by its name gets it."""

    templates: tuple[dict[str, Any], ...] = about(
        "The claims; they are called <name>-<jobset>.",
        (),
        published=published.CLAIM,
        maxItems=50,
        **_ATOMIC,
    )
    retention_policy: VolumeRetentionPolicy | None = about("What becomes of them.")


@dataclass(frozen=True, slots=True)
class JobSetSpec:
    """Jobs that make up one piece of work."""

    replicated_jobs: tuple[ReplicatedJob, ...] = about(
        "The Jobs, by template. Immutable, but for what schedules pods while it is suspended.",
        (),
        maxItems=100,
        **_BY_NAME,
    )
    network: Network | None = about("How the pods find one another. Immutable.")
    success_policy: SuccessPolicy | None = about(
        "When the whole has succeeded: by default when all Jobs have. Immutable."
    )
    failure_policy: FailurePolicy | None = about("What a failed Job leads to. Immutable.")
    startup_policy: StartupPolicy | None = about("In which order Jobs start. Immutable.")
    suspend: bool | None = about("Whether its Jobs are suspended.")
    coordinator: Coordinator | None = about(
        "The pod whose address all Jobs and pods bear as a label."
    )
    managed_by: str = about(
        "Who runs it; one that another controller manages is left to it. Immutable.", ""
    )
    ttl_seconds_after_finished: int | None = about(
        "After how many seconds a finished JobSet is deleted; never by default.", minimum=0
    )
    volume_claim_policies: tuple[VolumeClaimPolicy, ...] = about(
        "Claims that the Jobs share. Immutable.", (), maxItems=50, **_ATOMIC
    )


@dataclass(frozen=True, slots=True)
class ReplicatedJobStatus:
    """How the Jobs of a replicated job are doing."""

    name: str = about("The replicated job.", "", required=True)
    ready: int = about("Jobs all of whose pods are ready or have ended well.", 0, required=True)
    succeeded: int = about("Jobs that are complete.", 0, required=True)
    failed: int = about("Jobs that have failed.", 0, required=True)
    active: int = about("Jobs that have pods.", 0, required=True)
    suspended: int = about("Jobs that are suspended.", 0, required=True)


@dataclass(frozen=True, slots=True)
class JobSetStatus:
    """How far it is."""

    conditions: tuple[dict[str, Any], ...] = about(
        "Completed, Failed, Suspended, RestartingJobSet, StartupPolicyInProgress …",
        (),
        **CONDITIONS,
    )
    restarts: int = about("How often the whole was started anew.", 0)
    restarts_count_towards_max: int = about("How many of these count towards maxRestarts.", 0)
    terminal_state: str = about("Completed or Failed, once it has ended.", "")
    replicated_jobs_status: tuple[ReplicatedJobStatus, ...] = about(
        "By replicated job.", (), **_BY_NAME
    )
