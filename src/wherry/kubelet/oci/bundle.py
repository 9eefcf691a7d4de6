"""What an OCI runtime is told of a container: `config.json`. Pure.

Source: the OCI runtime-spec 1.0; paths that are masked or read-only as containerd and Docker have them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wherry.kubelet.launcher.types import Mount
from wherry.kubelet.oci.accounts import Account
from wherry.kubelet.oci.gpus import Device

_CPU_PERIOD_MICROSECONDS = 100_000
_LEAST_QUOTA = 1000
_MASKED = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_SystemMount: TypeAlias = tuple[str, str, str, tuple[str, ...]]
_SYSTEM: tuple[_SystemMount, ...] = (
    ("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("nosuid", "noexec", "nodev", "relatime", "ro")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", "size=65536k")),  # noqa: S108 - the container's own
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A container in the terms of the operating system.

    Attributes:
        args: Program and arguments.
        env: The whole environment.
        cwd: Where it starts; made if it is not there.
        account: As whom.
        terminal: Whether its streams are one.
        rootfs: Folder of its files.
        read_only: Whether these cannot be changed.
        hostname: Of its own.
        mounts: On top.
        capabilities: With their prefix.
        no_new_privileges: Whether programs can gain none.
        privileged: Whether nothing is masked, and all devices are allowed.
        cgroup: Relative to this process's own.
        memory_bytes: Bound; None: none.
        cpu_millis: Bound in thousandths of a core.
        pids: Bound on processes and threads.
        gpus: Numbers of the GPUs that it has; empty: none.
        devices: Files of these, as far as the machine has them.
        gpu_hook: NVIDIA's program that puts its driver's files into the container; empty: none.
        host_namespaces: Those of `pid` and `ipc` that are the machine's.
        owner: The ordinary user and group as whom it really runs, being root inside; there are no
            other users then, and no limits. None: what it is inside it is outside.
    """

    args: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    account: Account
    terminal: bool
    rootfs: str
    read_only: bool
    hostname: str
    mounts: tuple[Mount, ...]
    capabilities: list[str]
    no_new_privileges: bool
    privileged: bool
    cgroup: str
    memory_bytes: int | None = None
    cpu_millis: int | None = None
    pids: int | None = None
    gpus: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    gpu_hook: str = ""
    host_namespaces: frozenset[str] = field(default_factory=frozenset)
    owner: tuple[int, int] | None = None


def config(box: Box) -> dict[str, Any]:
    """Return the content of `config.json`."""
    return {
        "ociVersion": "1.0.2",
        "process": _process(box),
        "root": {"path": box.rootfs, "readonly": box.read_only},
        "hostname": box.hostname,
        "mounts": _mounts(box),
        "linux": _linux(box),
        **({"hooks": {"prestart": [_hook(box.gpu_hook)]}} if box.gpu_hook else {}),
    }


def _hook(program: str) -> dict[str, Any]:
    return {"path": program, "args": [program.rpartition("/")[2], "prestart"]}


def _process(box: Box) -> dict[str, Any]:
    powers = box.capabilities
    account = box.account if box.owner is None else Account()
    return {
        "terminal": box.terminal,
        "user": {
            "uid": account.uid,
            "gid": account.gid,
            "additionalGids": list(account.groups),
            "umask": 0o022,
        },
        "args": list(box.args),
        "env": [f"{name}={value}" for name, value in box.env.items()],
        "cwd": box.cwd,
        # Not inheritable, nor ambient: a program of another user than root has none.
        "capabilities": {"bounding": powers, "effective": powers, "permitted": powers},
        "noNewPrivileges": box.no_new_privileges,
    }


def _mounts(box: Box) -> list[dict[str, Any]]:
    own = {mount.target for mount in box.mounts}
    system = [
        {"destination": target, "type": kind, "source": source, "options": list(options)}
        for target, kind, source, options in (_SYSTEM if box.owner is None else _rootless())
        if target not in own
    ]
    return system + [_mount(one) for one in sorted(box.mounts, key=lambda m: m.target.count("/"))]


def _rootless() -> Iterator[_SystemMount]:
    """Yield what an ordinary user may mount: no other groups, and no `sysfs` of the machine's network."""
    for target, kind, source, options in _SYSTEM:
        if target == "/sys":
            yield target, "bind", "/sys", ("rbind", "nosuid", "noexec", "nodev", "ro")
        elif target != "/sys/fs/cgroup":
            yield target, kind, source, tuple(one for one in options if one != "gid=5")


def _mount(mount: Mount) -> dict[str, Any]:
    access = "ro" if mount.read_only else "rw"
    if mount.kind == "tmpfs":
        options = ["nosuid", "nodev", "mode=1777", access]
        options += [f"size={mount.size_bytes}"] if mount.size_bytes else []
        return {
            "destination": mount.target,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": options,
        }
    return {
        "destination": mount.target,
        "type": "bind",
        "source": mount.source,
        "options": ["rbind", "rprivate", access],
    }


def _linux(box: Box) -> dict[str, Any]:
    # No network namespace: a pod's address is one of the machine's loopback addresses.
    kinds = [kind for kind in ("pid", "ipc") if kind not in box.host_namespaces]
    linux: dict[str, Any] = {
        "namespaces": [{"type": kind} for kind in (*kinds, "uts", "mount")],
        "rootfsPropagation": "private",
        "devices": [
            {
                "type": "c",
                "path": one.path,
                "major": one.major,
                "minor": one.minor,
                "fileMode": 0o666,
            }
            for one in box.devices
        ],
    }
    if box.owner is None:
        linux |= {"cgroupsPath": box.cgroup, "resources": _resources(box)}
    else:
        linux["namespaces"].append({"type": "user"})
        for key, number in zip(("uidMappings", "gidMappings"), box.owner, strict=True):
            linux[key] = [{"containerID": 0, "hostID": number, "size": 1}]
    if not box.privileged:
        linux |= {"maskedPaths": list(_MASKED), "readonlyPaths": list(_READ_ONLY)}
    return linux


def _resources(box: Box) -> dict[str, Any]:
    allowed = [
        {"allow": True, "type": "c", "major": one.major, "minor": one.minor, "access": "rw"}
        for one in box.devices
    ]
    resources: dict[str, Any] = {"devices": [{"allow": box.privileged, "access": "rwm"}, *allowed]}
    if box.memory_bytes is not None:
        resources["memory"] = {"limit": box.memory_bytes}
    if box.cpu_millis is not None:
        amount, period = quota(box.cpu_millis)
        resources["cpu"] = {"quota": amount, "period": period}
    if box.pids is not None:
        resources["pids"] = {"limit": box.pids}
    return resources


def quota(cpu_millis: int) -> tuple[int, int]:
    """Return for how long of which period a container may run on CPUs, both in microseconds."""
    amount = cpu_millis * _CPU_PERIOD_MICROSECONDS // 1000
    return max(_LEAST_QUOTA, amount), _CPU_PERIOD_MICROSECONDS
