"""Everything about the node agent that a person may want to set."""

import functools
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class BackOffSettings:
    """How long to wait before something that failed is tried again."""

    initial_seconds: float = 10.0
    """Wait before the second restart of a container (the first is immediate), doubled each time."""

    maximum_seconds: float = 300.0
    """The longest wait; upstream's five minutes."""

    reset_seconds: float = 600.0
    """A container that ran this long starts again with the shortest wait."""

    image_seconds: float = 5.0
    """First wait before an image that could not be had is tried again, doubled up to the maximum."""

    volume_seconds: float = 2.0
    """Wait before volumes that were not ready are tried again; a change of what they need is quicker."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much of a container's output is kept."""

    max_bytes: int = 10 * 1024 * 1024
    """Size at which a log file is rotated."""

    max_files: int = 5
    """Rotated files kept for one attempt, the current one included."""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """How Environments are built."""

    concurrency: int = 2
    """Builds that may run at once; uv is parallel within one build."""

    timeout_seconds: float = 1800.0
    """A build that takes longer is ended and reported."""

    most_bytes: int = 50 * 1024**3
    """Builds beyond this are removed, the longest unused first; never what an Environment describes
    or a pod runs."""

    unused_seconds: float = 30 * 86400.0
    """Other builds that nothing has started from for so long are removed."""

    collect_seconds: float = 600.0
    """How often that is looked after."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How images are chosen, pulled and kept."""

    runtime: str = ""
    """``oci`` or ``environment``: what images mean where a pod does not say it (annotation
    `wherry.dev/runtime`). Empty: an Environment if one covers the name, else a real image."""

    engine: str = ""
    """``runc``, ``crun``, ``docker`` or ``podman``: what runs real images. Empty: the first of these
    that is there."""

    insecure_registries: tuple[str, ...] = ()
    """Registries (`host[:port]`) whose certificates are not checked and that may speak plain HTTP.
    Loopback addresses always may."""

    most_layer_bytes: int = 32 * 1024**3
    """A layer that is larger, packed or unpacked, is refused."""

    most_bytes: int = 50 * 1024**3
    """Unpacked images beyond this are removed when nothing runs them, the longest unused first."""

    unused_seconds: float = 30 * 86400.0
    """Images that nothing has started for so long are removed."""


@dataclass(frozen=True, slots=True)
class WarmSettings:
    """What is kept warm so that Python programs start at once."""

    enabled: bool = True
    """Whether any container starts warm; a pod's annotation `wherry.dev/warm-start: "false"` turns it
    off for that pod."""

    memory_bytes: int = 2 * 1024**3
    """Resident memory of all warmed processes together; beyond it the longest unused ends."""

    idle_seconds: float = 600.0
    """A warmed process that no container has used for so long ends."""


INHERITED = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_CONFIG_FILE",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_FIND_LINKS",
    "TZ",
)


@dataclass(frozen=True, slots=True)
class KubeletSettings:
    """The node agent's settings; `data` is the only one without a default."""

    data: Path
    """Folder of pods, logs, environments and the launcher's socket. Made with mode 0700."""

    node_name: str = ""
    """Name of the Node object; empty: the machine's host name made DNS-safe."""

    pod_cidr: str = "127.32.0.0/11"
    """Range of pod addresses. Loopback, so that they connect without any set-up."""

    cluster_domain: str = "cluster.local"
    """Last part of service names."""

    api_host: str = "127.0.0.1"
    """What containers see as `KUBERNETES_SERVICE_HOST`."""

    api_port: int = 6443
    """What containers see as `KUBERNETES_SERVICE_PORT`."""

    isolate: bool = True
    """Give each container its own mount namespace. Off, mount paths become symbolic links."""

    max_pods: int = 500
    """Pods the node says it takes."""

    cpu_overcommit: float = 16.0
    """What the CPUs are multiplied by when pods are taken; the scheduler must use the same."""

    gpus: int | None = None
    """GPUs the node says it has, whatever there is; None counts those that `nvidia-smi` lists."""

    pod_pids_limit: int | None = None
    """Processes and threads that a process pod may have at a time, 1 to 4194304, where control groups
    can be written; None: no limit. Upstream's `podPidsLimit`."""

    memory_rlimit: bool = False
    """Where no control groups for memory can be written, bound the data (`RLIMIT_DATA`) of each
    process by its container's memory limit. Programs that reserve more than they use then fail."""

    honour_users: bool = True
    """As root, run containers as `securityContext.runAsUser` where that user can reach the environment."""

    inherit_variables: tuple[str, ...] = INHERITED
    """Names of the agent's own variables that containers get, unless the pod sets them."""

    hosts_debounce_seconds: float = 0.05
    """Changes of Services within this time become one rewrite of `/etc/hosts`."""

    node_status_seconds: float = 10.0
    """Period of the Node's lease renewal and heartbeat."""

    disk_seconds: float = 10.0
    """How often the folders of pods with limits on their disk space are looked through."""

    back_off: BackOffSettings = field(default_factory=BackOffSettings)
    """Waits after failures."""

    logs: LogSettings = field(default_factory=LogSettings)
    """Limits of container logs."""

    builds: BuildSettings = field(default_factory=BuildSettings)
    """Limits of Environment builds."""

    images: ImageSettings = field(default_factory=ImageSettings)
    """What images mean, and limits of real ones."""

    warm: WarmSettings = field(default_factory=WarmSettings)
    """Processes that are kept warm."""

    memory: Path | None = None
    """Folder on a memory file system for secrets, tokens and memory volumes; None: one below
    `/dev/shm` where that exists, else below `data`."""

    @property
    def pods(self) -> Path:
        """Folder of the pods' data."""
        return self.data / "pods"

    @property
    def container_logs(self) -> Path:
        """Folder of the containers' logs."""
        return self.data / "logs"

    @property
    def environments(self) -> Path:
        """Folder of built environments."""
        return self.data / "environments"

    @property
    def memory_pods(self) -> Path:
        """Folder of the pods' data that must not reach a disk, where the machine allows that."""
        if self.memory is not None:
            return self.memory
        return _memory_for(self.data)


@functools.cache
def _memory_for(data: Path) -> Path:
    shm = Path("/dev/shm")  # noqa: S108 - its children are made with mode 0700 and checked for owner
    if not (shm.is_dir() and os.access(shm, os.W_OK)):
        return data / "memory"
    seed = hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:10]
    return shm / f"wherry-{os.getuid()}-{seed}"
