"""The settings of the built-in controllers."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class BuiltinSettings:
    """What the built-in controllers need to know of the machine and the cluster."""

    volumes_directory: Path
    """Where the default StorageClass puts volumes, one folder a claim."""

    certificate_authority: str
    """PEM of the API server's authority; each namespace gets it as ConfigMap `kube-root-ca.crt`."""

    cpu_overcommit: float = 16.0
    """By how much the sum of CPU requests may exceed the node's CPUs. Manifests written for clusters
    must run on a laptop, where processes share what there is; 1 schedules as a cluster does."""

    patience_seconds: float = 60.0
    """After how long without a turn room is kept for what waits first in its queue, so that small
    pods cannot pass a large gang for ever."""

    service_account_names: tuple[str, ...] = ("default",)
    """ServiceAccounts that every namespace is given."""

    job_backoff_seconds: float = 10.0
    """The wait after a Job's first failed pod; doubles with each further one, up to 10 minutes."""

    finished_pods: int = 12_500
    """How many finished pods may lie about; beyond that the oldest are deleted."""

    event_seconds: float = 3600.0
    """How long an event is kept after it was told last; seconds. As long as upstream's."""
