"""Usage from the control groups of a container, where it has groups of its own (version 1 or 2)."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """Where the hierarchies are mounted, and in which groups the launcher itself is.

    Attributes:
        mounts: Folder by controller; the empty name is version 2.
        outside: Group of the launcher by controller.
    """

    mounts: dict[str, Path]
    outside: dict[str, str]


def places(launcher: int) -> Places:
    """Return what is to be known before looking at containers; empty without control groups."""
    try:
        text = Path("/proc/self/mountinfo").read_text()
    except OSError:
        return Places({}, {})
    mounts: dict[str, Path] = {}
    for line in text.splitlines():
        fields = line.split()
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        for name in ("",) if kind == "cgroup2" else options if kind == "cgroup" else ():
            mounts[name] = Path(fields[4])
    return Places(mounts, _groups(launcher))


def cpu_seconds(pid: int, around: Places) -> float | None:
    """Return what the container of a main process has used; None if it has no group of its own."""
    for controller, folder in _own(pid, around):
        if controller == "cpuacct" and (nanos := _number(folder / "cpuacct.usage")) is not None:
            return nanos / 1e9
        if not controller and (micros := _stat(folder / "cpu.stat", "usage_usec")) is not None:
            return micros / 1e6
    return None


def memory_bytes(pid: int, around: Places) -> int | None:
    """Return the working set: what is used without files that were not read lately."""
    for controller, folder in _own(pid, around):
        if controller == "memory":
            used = _number(folder / "memory.usage_in_bytes")
            idle = _stat(folder / "memory.stat", "total_inactive_file")
        elif not controller:
            used = _number(folder / "memory.current")
            idle = _stat(folder / "memory.stat", "inactive_file")
        else:
            continue
        if used is not None:
            return max(used - (idle or 0), 0)
    return None


def _own(pid: int, around: Places) -> list[tuple[str, Path]]:
    return [
        (name, around.mounts[name] / path.lstrip("/"))
        for name, path in _groups(pid).items()
        if name in around.mounts and path != around.outside.get(name)
    ]


def _groups(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        found.update((name, path) for name in names.split(","))
    return found


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _stat(file: Path, name: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    facts = dict(line.split(maxsplit=1) for line in lines)
    return int(facts[name]) if facts.get(name, "").isdigit() else None
