"""Which of root's powers a container has. Pure.

Source: the default set of containerd and Docker, and `securityContext.capabilities`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_ALL = (
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
)
"""In the kernel's order: the position is the bit."""

_DEFAULT = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
)


def own() -> frozenset[str]:
    """Return what this process may pass on: by its bounding set, or all in a user namespace of its own."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapBnd:"):
            bits = int(line.split()[1], 16)
            return frozenset(name for bit, name in enumerate(_ALL) if bits >> bit & 1)
    return frozenset(_ALL)


def of(security: Mapping[str, Any], possible: Iterable[str]) -> list[str]:
    """Return the container's capabilities, with their prefix.

    Args:
        security: The container's security context.
        possible: Those that this machine can give; others are left out.
    """
    change = security.get("capabilities") or {}
    add, drop = (_names(change.get(key)) for key in ("add", "drop"))
    found = set(_ALL) if security.get("privileged") or "ALL" in add else set(_DEFAULT)
    if "ALL" in drop:
        found = set()
    found = (found - drop) | (add - {"ALL"})
    return [f"CAP_{name}" for name in _ALL if name in found and name in set(possible)]


def _names(values: Iterable[Any] | None) -> set[str]:
    return {str(value).upper().removeprefix("CAP_") for value in values or ()}
