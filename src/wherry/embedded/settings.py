"""The settings of an embedded platform, one group a room."""

import dataclasses
import hashlib
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from wherry.store import StoreSettings

DEFAULT_PORT = 6443


def default_directory() -> Path:
    """Return where a platform keeps its state: ``$WHERRY_HOME``, else ``~/.wherry``."""
    home = os.environ.get("WHERRY_HOME")
    return Path(home).absolute() if home else Path.home() / ".wherry"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How one platform is set up."""

    directory: Path
    """State, keys, volumes, environments and logs; made with mode 0700."""

    host: str = "127.0.0.1"
    """Address the API listens on. Others than loopback open it to the network, behind its TLS and
    RBAC."""

    port: int | None = None
    """Port of the API; None takes the one used before, else 6443, else any that is free."""

    isolate: bool = True
    """Whether containers get a mount namespace each (Linux). Without, a path that cannot be made is
    a condition of its pod."""

    warm_start: bool = True
    """Whether Python programs of pods may be forked from a process that has done its imports."""

    cpu_overcommit: float = 16.0
    """By how much the sum of CPU requests may exceed the machine's CPUs."""

    node_name: str = ""
    """Name of the Node; empty takes the machine's."""

    gpus: int | None = None
    """GPUs the node says it has, whatever there is; None counts those that `nvidia-smi` lists."""

    pod_pids_limit: int | None = None
    """Processes and threads that a process pod may have at a time, where control groups can be
    written; None: no limit."""

    memory_rlimit: bool = False
    """Where no control groups for memory can be written, bound the data of each process by its
    container's memory limit."""

    insecure_registries: tuple[str, ...] = ()
    """Image registries (`host[:port]`) that may have any certificate, or speak plain HTTP, as those
    on loopback addresses always may."""

    image_runtime: str = ""
    """``oci`` or ``environment``: what all images mean; empty: an Environment if one covers the name,
    else a real image."""

    image_engine: str = ""
    """``runc``, ``crun``, ``docker`` or ``podman``: what runs real images; empty: the first of these
    that is there."""

    max_pods: int = 500
    """Pods the node takes."""

    pod_cidr: str = "127.32.0.0/11"
    """Loopback range of pod addresses."""

    service_cidr: str = ""
    """Loopback range of cluster IPs; empty takes 4,096 addresses of 127.96.0.0/12 that depend on the
    directory, so that platforms of one machine do not get in one another's way."""

    components: tuple[str, ...] | None = None
    """Products that run in the platform, by name; None runs all, empty none. `wherry controllers` can
    run the others beside it."""

    legacy_service_account_tokens: bool = True
    """Whether the accounts `default`, `default-editor` and `default-viewer` of each namespace are
    given a token Secret, as before Kubernetes 1.24; guides of that time read it. Others get one by
    the annotation `wherry.dev/token-secret: "true"`."""

    audit_log: Path | None = None
    """File of the audit log; None keeps none. It is made with mode 0600, and begun anew at 100 MB."""

    audit_policy: Path | None = None
    """An `audit.k8s.io/v1` Policy that says what the audit log keeps; None keeps the metadata of all
    requests but health checks."""

    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Settings of products, such as ``tuning-database``; see `controller.surroundings`."""

    store: StoreSettings = dataclasses.field(default_factory=StoreSettings)
    """Bounds of the store."""

    @property
    def service_range(self) -> str:
        """The range of cluster IPs that is used."""
        if self.service_cidr:
            return self.service_cidr
        seed = hashlib.sha256(str(self.directory.resolve()).encode()).digest()
        first = int(ipaddress.ip_address("127.96.0.0")) + int.from_bytes(seed[:1]) * 4096
        return f"{ipaddress.ip_address(first)}/20"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, 0600."""
        return self.directory / "kubeconfig"

    @property
    def state_file(self) -> Path:
        """What a running platform says of itself: pid, url, version, start time."""
        return self.directory / "wherry.json"

    @property
    def products(self) -> Path:
        """Where each product keeps what is its own."""
        return self.directory / "products"

    @property
    def volumes(self) -> Path:
        """Where the default StorageClass puts volumes."""
        return self.directory / "volumes"
