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

    def __init__(self, controllers: Controllers, spec: types.ProcessSpec) -> None:
        """Decide which groups there are to be: for the limits that ``spec`` asks for and the machine can hold.

        Args:
            controllers: What ``detect`` found.
            spec: Of the container.

        Raises:
            LauncherError: ``cgroup_parent`` is not a relative path of plain names.
        """
        if not _PARENT.fullmatch(spec.cgroup_parent):
            raise types.LauncherError(
                f"cgroup_parent {spec.cgroup_parent!r}: a relative path of letters, digits, '.', '_' and '-'"
            )
        self._controllers = controllers
        self._spec = spec
        self._memory = self._place(spec.memory_limit_bytes, controllers.memory)
        self._cpu = self._place(spec.cpu_limit_millis, controllers.cpu)
        self._pids = self._place(spec.pids_limit, controllers.pids)
        leaves = [leaf for leaf in (self._memory, self._cpu, self._pids) if leaf is not None]
        self.folders = list(dict.fromkeys(leaves))
        depth = len(pathlib.PurePath(spec.cgroup_parent).parts)
        self.parents = [above for leaf in self.folders for above in list(leaf.parents)[:depth]]
        """Deepest first; they may be shared with other containers."""

    def _place(self, limit: int | None, base: pathlib.Path | None) -> pathlib.Path | None:
        if limit is None or base is None:
            return None
        return base / self._spec.cgroup_parent / self._spec.id

    def make(self) -> None:
        """Make the groups and set their limits.

        Raises:
            LauncherError: The kernel refused; none is left.
        """
        spec, unified = self._spec, self._controllers.unified
        try:
            for folder in self.folders:
                self._make(folder)
            if self._memory is not None:
                name = "memory.max" if unified else "memory.limit_in_bytes"
                (self._memory / name).write_text(str(spec.memory_limit_bytes))
            if self._cpu is not None and spec.cpu_limit_millis is not None:
                _limit_cpu(self._cpu, spec.cpu_limit_millis, unified=unified)
            if self._pids is not None:
                counted = self._pids.parent if spec.cgroup_parent else self._pids
                (counted / "pids.max").write_text(str(spec.pids_limit))
        except OSError as error:
            self.remove()
            raise types.LauncherError(f"control group of {spec.id}: {error}") from error

    def _make(self, folder: pathlib.Path) -> None:
        for above in reversed([above for above in self.parents if above in folder.parents]):
            above.mkdir(exist_ok=True)
            if self._controllers.unified:
                reasons = self._controllers.reasons
                text = " ".join(f"+{name}" for name in _NAMES if name not in reasons)
                (above / "cgroup.subtree_control").write_text(text)
        folder.mkdir(exist_ok=True)

    def add(self, pid: int) -> None:
        """Put a process into the groups; what it starts will be in them too."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """Return the processes in the groups."""
        found: set[int] = set()
        for folder in self.folders:
            found.update(members(folder))
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


def members(folder: pathlib.Path) -> list[int]:
    """Return the processes in one group; none if there is no such group."""
    try:
        pids = [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
    except OSError:
        return []
    return [pid for pid in pids if pid]  # 0 is of another pid namespace, and to `kill` all of ours


def _limit_cpu(folder: pathlib.Path, millis: int, *, unified: bool) -> None:
    quota = max(1000, millis * _PERIOD_MICROSECONDS // 1000)
    if unified:
        (folder / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
        return
    (folder / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
    (folder / "cpu.cfs_quota_us").write_text(str(quota))
