"""Who listens at which port of the machine: containers of Docker and Podman share them all.

Source: proc(5), `/proc/net/tcp`.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS = "0A"
_MOST_ANCESTORS = 64


def taken(ports: frozenset[int], containers: Mapping[int, str]) -> tuple[int, str] | None:
    """Return the first of these TCP ports that somebody has at every address, and who.

    Args:
        ports: That are wanted.
        containers: By their main process, what they are called.
    """
    inodes = dict(_listening(ports)) if ports else {}
    for pid, inode in _owners(frozenset(inodes)) if inodes else ():
        return inodes[inode], _called(pid, containers)
    return next(((port, "somebody else") for port in inodes.values()), None)


def _listening(ports: frozenset[int]) -> Iterator[tuple[str, int]]:
    """Yield the inodes of sockets that listen at every address, with their ports."""
    for table in _TABLES:
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, port = fields[1].partition(":")
                if fields[3] == _LISTENS and not address.strip("0") and int(port, 16) in ports:
                    yield fields[9], int(port, 16)


def _owners(inodes: frozenset[str]) -> Iterator[tuple[int, str]]:
    sought = {f"socket:[{inode}]": inode for inode in inodes}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            for number in os.listdir(folder):  # noqa: PTH208 - thousands of them
                with contextlib.suppress(OSError):
                    link = os.readlink(f"{folder}/{number}")  # noqa: PTH115 - a text that is no path
                    if (inode := sought.get(link)) is not None:
                        yield int(folder.parent.name), inode


def _called(pid: int, containers: Mapping[int, str]) -> str:
    """Return the container that a process belongs to, else its own name."""
    at = pid
    for _ in range(_MOST_ANCESTORS):
        if at in containers:
            return containers[at]
        at = _parent(at)
    with contextlib.suppress(OSError):
        return f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})"
    return f"process {pid}"


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        # The program's name, in parentheses, may have any characters in it.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0
