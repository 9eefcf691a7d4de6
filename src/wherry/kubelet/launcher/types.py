"""What the control plane and the launcher tell one another about processes.

Imported by both sides, so it holds values only: no I/O, and nothing outside the standard library.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

DEFAULT_LOG_MAX_BYTES = 10 * 1024 * 1024
DEFAULT_LOG_MAX_FILES = 5

_MOST_PIDS = 4 * 1024 * 1024
"""What the kernel takes: its ``PID_MAX_LIMIT``."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    """Something that appears at a path of the container."""

    source: str
    """Absolute host path of a file or directory; ignored for ``tmpfs``."""
    target: str
    """Absolute path in the container, without ``..``. It need not exist on the host."""
    read_only: bool = False
    """Refuses writes. Not enforceable without isolation, where the target is a symbolic link."""
    kind: Literal["bind", "tmpfs", "overlay"] = "bind"
    """``tmpfs`` is an empty directory in memory; ``overlay`` shows ``options``' folders as one."""
    size_bytes: int | None = None
    """Bound of a ``tmpfs``; ``None`` is the kernel's default, half of the memory."""
    options: str = ""
    """Of an ``overlay``, as the kernel takes them; relative paths in them count from ``source``."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """How a Python program can be forked from a process that has been warmed for it, instead of being executed.

    It says the same as ``argv`` and ``env`` of its ``ProcessSpec``, which hold where the fork cannot be as good.
    """

    program: str
    """The interpreter: absolute host path."""
    flags: tuple[str, ...]
    """Its own options, which the warmed process is started with."""
    kind: Literal["script", "command", "module", "stdin"]
    target: str
    """File, program text or module; with ``stdin`` what ``sys.argv[0]`` becomes."""
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    """Those of the variables that the warmed process is started with."""
    preload: tuple[str, ...] = ()
    """Modules that it imports."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shim:
    """How programs that a shell of the container starts by the name ``python`` can start warm."""

    folder: str
    """Absolute host path of a folder for the launcher to make, first on the container's ``PATH``."""
    programs: str
    """Folder of the environment's programs: absolute host path."""
    preload: tuple[str, ...]
    image: Mapping[str, str]
    """The variables that the image brings."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WarmLimits:
    """How much may be kept warm."""

    memory_bytes: int = 2 * 1024**3
    """Resident memory of all warmed processes together, what they share counted for each."""
    idle_seconds: float = 600.0
    """One that has not been used for so long ends."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WarmState:
    """One warmed process."""

    program: str
    preload: tuple[str, ...]
    flags: tuple[str, ...] = ()
    pid: int | None = None
    """``None`` if it does not run: ``problem`` says why."""
    ready: bool = False
    memory_bytes: int = 0
    """Resident, that shared with its children included."""
    started: int = 0
    """Containers that were forked from it, those included that went on cold."""
    went_cold: int = 0
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """By module of ``preload`` that could not be imported beforehand: why."""
    problem: str = ""
    """Why there is none, or why the last fork went on cold."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """How to start one container's main process."""

    id: str
    """Unique for ever among this launcher's processes: starting an id again returns what there is."""
    argv: tuple[str, ...]
    """Program and arguments; a program without ``/`` is searched in ``PATH`` of ``env``."""
    env: Mapping[str, str]
    """The whole environment: nothing of the launcher's own is added."""
    cwd: str
    """Absolute; with isolation a missing one is made (in the container's view only)."""
    log_path: str
    """Absolute host path of the CRI log; rotated files are ``<log_path>.1`` (newest), ``.2`` …"""
    mounts: tuple[Mount, ...] = ()
    hostname: str = ""
    """Set in a UTS namespace of its own; empty keeps the host's."""
    address: str | None = None
    """The pod's IPv4 loopback address; ``None`` leaves ``bind`` and ``connect`` alone."""
    uid: int | None = None
    """``None`` is the launcher's own; another one needs a launcher that is root."""
    gid: int | None = None
    groups: tuple[int, ...] = ()
    """Supplementary groups; only set when the launcher is root."""
    isolate: bool = True
    """Own mount and UTS namespaces, where ``Features.isolate`` is true."""
    no_new_privs: bool = False
    """``allowPrivilegeEscalation: false``; always on for an ordinary user."""
    log_max_bytes: int = DEFAULT_LOG_MAX_BYTES
    log_max_files: int = DEFAULT_LOG_MAX_FILES
    """Counts the file that is being written."""
    stdin: bool = False
    """A pipe that ``Launcher.write_stdin`` feeds; otherwise ``/dev/null``."""
    tty: bool = False
    """The standard streams are one terminal; its output goes to the log as standard output."""
    rlimits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """By lower-case name (``nofile``, ``nproc`` …). They only ever lower the launcher's own."""
    cgroup_parent: str = ""
    """Relative cgroup path that holds this container's group, such as ``wherry/pod-uid``."""
    memory_limit_bytes: int | None = None
    cpu_limit_millis: int | None = None
    """Thousandths of a core."""
    pids_limit: int | None = None
    """Processes and threads: of all that share ``cgroup_parent`` together, without one of the container alone."""
    warm: WarmStart | None = None
    """How it can start warm; ``None`` is always cold."""
    shim: Shim | None = None
    """For the programs that it starts itself. Without isolation there is none."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """What became of a process."""

    id: str
    pid: int | None = None
    """``None`` if it never ran."""
    started_at: float = 0.0
    """Unix seconds."""
    finished_at: float | None = None
    """Unix seconds; ``None`` while it runs."""
    exit_code: int | None = None
    """128 + signal for a process that a signal ended; 127, 126 or 128 for one that could not start."""
    signal: int | None = None
    error: str | None = None
    """Why it could not start, or was lost."""
    oom_killed: bool = False

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self.finished_at is None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """The outcome of a command run inside a container."""

    exit_code: int
    """128 + signal if one ended it; 126, 127 or 128 if it could not start (``output`` says why)."""
    output: bytes
    """Standard output and error as they came."""
    timed_out: bool = False
    truncated: bool = False
    """``output`` was cut at the bound."""


class Ended(NamedTuple):
    """How a command ended that somebody watched."""

    exit_code: int
    """128 + signal if one ended it; 126, 127 or 128 if it could not start."""
    error: str | None
    """Why it could not start."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What this machine lets the launcher do; found out once, when it starts."""

    isolate: bool
    """Mount and UTS namespaces."""
    user_namespace: bool
    """The namespaces are an ordinary user's: uid, gid and groups of containers cannot be chosen."""
    interception: bool
    """Loopback address per pod."""
    memory_limits: bool
    cpu_limits: bool
    pids_limits: bool
    reasons: Mapping[str, str]
    """By the name of a field above that is false: why."""


class LauncherError(Exception):
    """The launcher refused a request or could not be reached; the message is for people."""


class UnknownProcessError(LauncherError):
    """No process of that id is known."""


class LauncherGoneError(LauncherError):
    """The connection broke before the answer came; what was asked may or may not have happened."""


def check_id(text: str) -> str:
    """Return ``text`` if it can name a process.

    Args:
        text: The id as it came.

    Returns:
        The same id; it is safe as a file name.

    Raises:
        LauncherError: It is not.
    """
    if not _ID.fullmatch(text):
        raise LauncherError(
            f"id {text!r}: 1 to 200 letters, digits, '.', '_' or '-', first a letter or digit"
        )
    return text


def state_values(state: ProcessState) -> dict[str, Any]:
    """Return the JSON form of a state."""
    return _plain(state)


def spec_values(spec: ProcessSpec) -> dict[str, Any]:
    """Return the JSON form of a spec, for ``spec_from``."""
    values = _plain(spec)
    values["mounts"] = [_plain(mount) for mount in spec.mounts]
    for part in ("warm", "shim"):
        if values[part] is not None:
            values[part] = _plain(values[part])
    return values


def _plain(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass; ``asdict`` takes a millisecond for a spec, as it copies all that is in them."""
    found = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return {name: dict(one) if isinstance(one, Mapping) else one for name, one in found.items()}


def spec_from(values: Mapping[str, Any]) -> ProcessSpec:
    """Rebuild a spec from its JSON form (``dataclasses.asdict``).

    Args:
        values: The decoded JSON object.

    Returns:
        The spec, its id and paths checked.

    Raises:
        LauncherError: A field is missing, unknown or of the wrong form.
    """
    try:
        mounts = tuple(Mount(**mount) for mount in values.get("mounts", ()))
        groups = tuple(int(group) for group in values.get("groups", ()))
        argv = tuple(str(part) for part in values["argv"])
        warm = _warm_from(values["warm"]) if values.get("warm") else None
        shim = _shim_from(values["shim"]) if values.get("shim") else None
        lists = {"mounts": mounts, "groups": groups, "argv": argv}
        spec = ProcessSpec(**{**values, **lists, "warm": warm, "shim": shim})
        dict(spec.env)
    except (TypeError, KeyError, ValueError) as error:
        raise LauncherError(f"malformed process spec: {error}") from error
    _check(spec)
    return spec


def _warm_from(values: Mapping[str, Any]) -> WarmStart:
    lists = {
        name: tuple(str(part) for part in values[name])
        for name in ("flags", "arguments", "preload")
    }
    warm = WarmStart(**{**values, **lists})
    if not warm.program.startswith("/"):
        raise ValueError(f"warm program {warm.program!r}: an absolute path is needed")
    return warm


def _shim_from(values: Mapping[str, Any]) -> Shim:
    return Shim(**{**values, "preload": tuple(str(name) for name in values["preload"])})


def _check_path(field: str, path: str) -> None:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise LauncherError(f"{field} {path!r}: an absolute path without '..' is needed")


def _check_pids_limit(limit: int | None) -> None:
    if limit is not None and not 1 <= limit <= _MOST_PIDS:
        raise LauncherError(f"pids_limit {limit}: 1 to {_MOST_PIDS}")


def _check(spec: ProcessSpec) -> None:
    check_id(spec.id)
    if not spec.argv:
        raise LauncherError("argv: at least the program is needed")
    _check_pids_limit(spec.pids_limit)
    paths = [("cwd", spec.cwd), ("log_path", spec.log_path)]
    if spec.shim is not None:
        paths += [("shim folder", spec.shim.folder), ("shim programs", spec.shim.programs)]
    for mount in spec.mounts:
        paths.append(("mounts target", mount.target))
        if mount.kind != "tmpfs":
            paths.append(("mounts source", mount.source))
    for field, path in paths:
        _check_path(field, path)
    for text in (*spec.argv, *spec.env, *spec.env.values()):
        if "\0" in text:
            raise LauncherError(f"argv and env cannot hold NUL characters: {text!r}")
    for name in spec.env:
        if not name or "=" in name:
            raise LauncherError(f"env {name!r}: a name is not empty and holds no '='")
