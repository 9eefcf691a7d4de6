"""Limits of memory, cpu and processes through control groups, version 1 or 2, where they can be written.

Groups are made below the launcher's own, so that limits put on Wherry as a whole hold for its pods too.
"""

import contextlib
import os
import pathlib
import re
from typing import NamedTuple

from wherry.kubelet.launcher import types

_PERIOD_MICROSECONDS = 100_000
_NAMES = ("memory", "cpu", "pids")
_PARENT = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/?)*")


class Controllers(NamedTuple):
    """Where groups can be made."""

    memory: pathlib.Path | None
    cpu: pathlib.Path | None
    pids: pathlib.Path | None
    unified: bool
    """Version 2: all are the same folder."""
    reasons: dict[str, str]
    """By ``memory``, ``cpu`` and ``pids``: why not."""


def detect() -> Controllers:
    """Find the launcher's own groups and try whether others can be made in them."""
    roots = _roots()
    found: dict[str, pathlib.Path | None] = {}
    reasons = {}
    unified = "memory" not in roots and "" in roots
    for name in _NAMES:
        base = roots.get("" if unified else name)
        reason = "no such control group hierarchy" if base is None else _try(base, name, unified)
        found[name] = None if reason else base
        if reason:
            reasons[name] = reason
    return Controllers(**found, unified=unified, reasons=reasons)


def _roots() -> dict[str, pathlib.Path]:
    """Return the launcher's own group by controller; ``""`` is the unified hierarchy."""
    try:
        own = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
        mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return {}
    points = {}
    for line in mounts:
        fields = line.split()
        kind, options = fields[fields.index("-") + 1], fields[-1].split(",")
        for name in [""] if kind == "cgroup2" else options if kind == "cgroup" else []:
            points[name] = pathlib.Path(fields[4])
    roots = {}
    for line in own:
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            if name in points:
                at = points[name] / path.lstrip("/")
                roots[name] = at if at.is_dir() else points[name]
    return roots


def _try(base: pathlib.Path, controller: str, unified: bool) -> str:  # noqa: FBT001 — private
    probe = base / f"wherry-probe-{os.getpid()}"
    try:
        if unified:
            (base / "cgroup.subtree_control").write_text(f"+{controller}")
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"control groups cannot be made in {base}: {error.strerror}"
    return ""


class Group:
    """The control groups of one container."""

    def __init__(self) -> None:
        self.folders: list[pathlib.Path] = []
        self.parents: list[pathlib.Path] = []
        """Deepest first; they may be shared with other containers."""

    @classmethod
    def create(cls, controllers: Controllers, spec: types.ProcessSpec) -> "Group | None":
        """Make groups for the limits that ``spec`` asks for and the machine can hold.

        Args:
            controllers: What ``detect`` found.
            spec: Of the container.

        Returns:
            The group, or nothing if no limit is asked for or possible.

        Raises:
            LauncherError: ``cgroup_parent`` is not a relative path of plain names, or the kernel refused.
        """
        if not _PARENT.fullmatch(spec.cgroup_parent):
            raise types.LauncherError(
                f"cgroup_parent {spec.cgroup_parent!r}: a relative path of letters, digits, '.', '_' and '-'"
            )
        group = cls()
        try:
            if spec.memory_limit_bytes is not None and controllers.memory is not None:
                folder = group._make(controllers.memory, spec, controllers)
                name = "memory.max" if controllers.unified else "memory.limit_in_bytes"
                (folder / name).write_text(str(spec.memory_limit_bytes))
            if spec.cpu_limit_millis is not None and controllers.cpu is not None:
                folder = group._make(controllers.cpu, spec, controllers)
                _limit_cpu(folder, spec.cpu_limit_millis, unified=controllers.unified)
            if spec.pids_limit is not None and controllers.pids is not None:
                folder = group._make(controllers.pids, spec, controllers)
                counted = folder.parent if spec.cgroup_parent else folder
                (counted / "pids.max").write_text(str(spec.pids_limit))
        except OSError as error:
            group.remove()
            raise types.LauncherError(f"control group of {spec.id}: {error}") from error
        return group if group.folders else None

    def _make(
        self, base: pathlib.Path, spec: types.ProcessSpec, controllers: Controllers
    ) -> pathlib.Path:
        for part in spec.cgroup_parent.strip("/").split("/") if spec.cgroup_parent else []:
            base /= part
            base.mkdir(exist_ok=True)
            self.parents.insert(0, base)
            if controllers.unified:
                text = " ".join(f"+{name}" for name in _NAMES if name not in controllers.reasons)
                (base / "cgroup.subtree_control").write_text(text)
        folder = base / spec.id
        folder.mkdir(exist_ok=True)
        if folder not in self.folders:
            self.folders.append(folder)
        return folder

    def add(self, pid: int) -> None:
        """Put a process into the groups; what it starts will be in them too."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """Return the processes in the groups."""
        found: set[int] = set()
        for folder in self.folders:
            with contextlib.suppress(OSError):
                found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        return sorted(found)

    def out_of_memory(self) -> bool:
        """Whether the kernel killed one of the processes for want of memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    facts = dict(line.split() for line in (folder / name).read_text().splitlines())
                    if int(facts.get("oom_kill", "0")) > 0:
                        return True
        return False

    def remove(self) -> bool:
        """Remove the groups and parents that are empty; False if processes are still in them."""
        done = True
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                done = False
        for parent in self.parents:
            with contextlib.suppress(OSError):  # another container is in it
                parent.rmdir()
        return done


def _limit_cpu(folder: pathlib.Path, millis: int, *, unified: bool) -> None:
    quota = max(1000, millis * _PERIOD_MICROSECONDS // 1000)
    if unified:
        (folder / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
        return
    (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
    (folder / "cpu.cfs_quota_us").write_text(str(quota))
