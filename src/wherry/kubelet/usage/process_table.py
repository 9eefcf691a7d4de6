"""All processes of the machine at one moment, and which container each belongs to.

A container is its main process, what that has started, what has left that tree but not its session or
its mount namespace, and what was run inside it later.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK_SECONDS: Final = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")

# Fields of /proc/PID/stat after the name in brackets.
_PARENT, _SESSION, _TIMES, _RESIDENT = 1, 3, slice(11, 15), 21


@dataclass(frozen=True, slots=True)
class Process:
    """One process.

    Attributes:
        parent: Its parent's id.
        session: Its session's id.
        cpu_seconds: Used by it and by those of its children that have ended.
        resident_bytes: Memory that it has in pages, shared ones counted in full.
    """

    parent: int
    session: int
    cpu_seconds: float
    resident_bytes: int


def read() -> dict[int, Process]:
    """Return all processes by id. Those that end meanwhile are left out."""
    found: dict[int, Process] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = Path(entry.path, "stat").read_bytes()
                found[int(entry.name)] = parse(text)
    return found


def parse(stat: bytes) -> Process:
    """Return what a line of `/proc/PID/stat` says.

    Raises:
        ValueError: It is no such line.
        IndexError: It is cut off.
    """
    fields = stat.rpartition(b")")[2].split()
    return Process(
        parent=int(fields[_PARENT]),
        session=int(fields[_SESSION]),
        cpu_seconds=sum(map(int, fields[_TIMES])) * _TICK_SECONDS,
        resident_bytes=int(fields[_RESIDENT]) * _PAGE_BYTES,
    )


def members(
    table: Mapping[int, Process], mains: Mapping[int, str], launcher: int
) -> dict[str, list[int]]:
    """Return the processes of each container, by what `mains` calls it.

    Args:
        table: All processes.
        mains: The containers' main processes.
        launcher: What inherits processes whose parents have ended.
    """
    owners = dict(mains)
    strays: list[int] = []
    for pid in table:
        chain: list[int] = []
        at = pid
        while at in table and at not in owners and at != launcher:
            chain.append(at)
            at = table[at].parent
        if at in owners:
            owners.update((one, owners[at]) for one in chain)
        elif at == launcher and chain:
            strays.append(chain[-1])
    owners.update(_strays(table, mains, set(strays)))
    result: dict[str, list[int]] = {name: [] for name in mains.values()}
    for pid in table:
        if owner := _owner(table, owners, pid):
            result[owner].append(pid)
    return result


def _owner(table: Mapping[int, Process], owners: Mapping[int, str], pid: int) -> str | None:
    while pid in table and pid not in owners:
        pid = table[pid].parent
    return owners.get(pid)


def _strays(
    table: Mapping[int, Process], mains: Mapping[int, str], strays: set[int]
) -> dict[int, str]:
    """Return whose the launcher's other children are."""
    found: dict[int, str] = {}
    spaces: dict[str, str] = {}
    if any(table[pid].session not in mains for pid in strays):
        spaces = {_mount_namespace(pid): name for pid, name in mains.items()}
        # Without a namespace of its own a container is not told by it.
        spaces.pop(_mount_namespace(os.getpid()), None)
        spaces.pop("", None)
    for pid in strays:
        owner = mains.get(table[pid].session) or spaces.get(_mount_namespace(pid))
        if owner is not None:
            found[pid] = owner
    return found


def _mount_namespace(pid: int) -> str:
    try:
        return str(Path(f"/proc/{pid}/ns/mnt").readlink())
    except OSError:
        return ""


def memory_bytes(pid: int, process: Process) -> int:
    """Return a process's share of memory: pages that several have are divided between them.

    Warmed processes and their children share most of their pages, which would count many times else.
    """
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return process.resident_bytes
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return process.resident_bytes
