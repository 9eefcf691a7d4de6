"""The Node object: what this machine has, that it is alive, and its lease.

Source: the kubelet's `nodestatus` setters; conditions' reasons and messages are upstream's.
"""

import contextlib
import logging
import os
import platform
import re
import shutil
import socket
from pathlib import Path

from wherry.client.client import Client
from wherry.controller.clock import Clock
from wherry.kubelet import devices, processors
from wherry.kubelet.settings import KubeletSettings
from wherry.objects import conditions, errors, kinds, metadata

logger = logging.getLogger("wherry.kubelet")

LEASE_NAMESPACE = "kube-node-lease"
KUBELET_VERSION = "v1.37.0+wherry"

_LEASE_SECONDS = 40
_STATUS_SECONDS = 300.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def node_name(settings: KubeletSettings) -> str:
    """Return the node's name: the setting, else the machine's host name made DNS-safe."""
    text = settings.node_name or socket.gethostname()
    safe = re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")
    return safe[:253].rstrip("-.") or "node"


def address() -> str:
    """Return the address by which the machine reaches others; loopback where it has none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: connecting a datagram socket only picks the route.
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def capacity(settings: KubeletSettings, *, gpus: int = 0) -> dict[str, str]:
    """Return what the machine has: cpu, memory, ephemeral-storage, pods, and GPUs where there are any."""
    pages, page_size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    result = {
        "cpu": str(processors.count()),
        "memory": f"{pages * page_size // 1024}Ki",
        "ephemeral-storage": f"{shutil.disk_usage(settings.data).total // 1024}Ki",
        "pods": str(settings.max_pods),
    }
    if gpus:
        result[devices.RESOURCE] = str(gpus)
    return result


class NodeAgent:
    """Keeps the Node object and its lease."""

    def __init__(
        self, settings: KubeletSettings, client: Client, clock: Clock, amounts: dict[str, str]
    ) -> None:
        """Take what the Node is about.

        Args:
            settings: The agent's.
            client: Writes the objects.
            clock: Tells the time.
            amounts: From `capacity`.
        """
        self.name = node_name(settings)
        self.address = address()
        self._settings = settings
        self._client = client
        self._clock = clock
        self._amounts = amounts

    async def register(self) -> None:
        """Create or bring up to date the Node, its status and its lease.

        Raises:
            ApiError: the API server refused.
        """
        labels = self._labels()
        try:
            found = await self._client.get(kinds.NODES, self.name)
        except errors.NotFoundError:
            found = await self._client.create(
                kinds.NODES,
                {
                    "apiVersion": "v1",
                    "kind": "Node",
                    "metadata": {"name": self.name, "labels": labels},
                    "spec": {},
                },
            )
        if any(metadata.labels(found).get(key) != value for key, value in labels.items()):
            await self._client.patch(kinds.NODES, self.name, {"metadata": {"labels": labels}})
        await self.write_status()
        await self.renew_lease()

    async def run(self) -> None:
        """Renew the lease, and now and then the status, until cancelled."""
        since_status = 0.0
        while True:
            await self._clock.sleep(self._settings.node_status_seconds)
            since_status += self._settings.node_status_seconds
            try:
                await self.renew_lease()
                if since_status >= _STATUS_SECONDS:
                    await self.write_status()
                    since_status = 0.0
            except errors.NotFoundError:
                await self._register_again()
            except errors.ApiError as error:
                logger.warning("node %s: %s", self.name, error)

    async def write_status(self) -> None:
        """Write the Node's status, keeping conditions that others wrote."""
        node = await self._client.get(kinds.NODES, self.name)
        listed = list((node.get("status") or {}).get("conditions") or [])
        now = self._clock.now()
        for kind, value, reason, message in _CONDITIONS:
            conditions.set(listed, kind, value, reason=reason, message=message, now=now)
        for condition in listed:
            condition["lastHeartbeatTime"] = metadata.format_time(now)
        status = {
            "capacity": self._amounts,
            "allocatable": self._amounts,
            "addresses": [
                {"type": "InternalIP", "address": self.address},
                {"type": "Hostname", "address": self.name},
            ],
            "nodeInfo": _node_info(),
            "conditions": listed,
        }
        await self._client.patch(kinds.NODES, self.name, {"status": status}, subresource="status")

    async def renew_lease(self) -> None:
        """Write the time into the Node's lease, making the lease where there is none."""
        renewed = metadata.format_micro_time(self._clock.now())
        try:
            await self._client.patch(
                kinds.LEASES, self.name, {"spec": {"renewTime": renewed}}, LEASE_NAMESPACE
            )
        except errors.NotFoundError:
            await self._make_lease(renewed)

    async def _make_lease(self, renewed: str) -> None:
        with contextlib.suppress(errors.AlreadyExistsError):
            await self._client.create(
                kinds.NAMESPACES,
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": LEASE_NAMESPACE}},
            )
        node = await self._client.get(kinds.NODES, self.name)
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": metadata.uid(node)}
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self.name,
                "namespace": LEASE_NAMESPACE,
                "ownerReferences": [owner],
            },
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": _LEASE_SECONDS,
                "renewTime": renewed,
            },
        }
        await self._client.create(kinds.LEASES, lease)

    async def _register_again(self) -> None:
        try:
            await self.register()
        except errors.ApiError as error:
            logger.warning("node %s: %s", self.name, error)

    def _labels(self) -> dict[str, str]:
        system, architecture = platform.system().lower(), _architecture()
        return {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": system,
            "kubernetes.io/arch": architecture,
            "beta.kubernetes.io/os": system,
            "beta.kubernetes.io/arch": architecture,
        }


_CONDITIONS = (
    (
        "MemoryPressure",
        "False",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def _architecture() -> str:
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, machine)


def _node_info() -> dict[str, str]:
    return {
        "machineID": _first_line(Path("/etc/machine-id")),
        "systemUUID": _first_line(Path("/etc/machine-id")),
        "bootID": _first_line(Path("/proc/sys/kernel/random/boot_id")),
        "kernelVersion": platform.release(),
        "osImage": _os_name(),
        "containerRuntimeVersion": "wherry://0.1.0",
        "kubeletVersion": KUBELET_VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": platform.system().lower(),
        "architecture": _architecture(),
    }


def _os_name() -> str:
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.platform())
    return platform.platform()


def _first_line(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text().partition("\n")[0]
    return ""
