"""What a child must have anew so that nothing tells it from a process that was executed."""

import os
import pathlib
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from wherry.kubelet.launcher import syscalls

_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ")


def environment(values: dict[str, str]) -> None:
    """Replace all variables, for C code too."""
    for name in [*os.environ]:  # its own clear() goes through all of them for each of them
        del os.environ[name]
    os.environ.update(values)


def signals() -> None:
    """Ignore what the interpreter ignores when it starts."""
    for name in _IGNORED_BY_PYTHON:
        signal.signal(getattr(signal, name), signal.SIG_IGN)


def streams() -> None:
    """Make ``sys.stdin``, ``stdout`` and ``stderr`` anew, as they depend on what the descriptors are."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = _stream(number, name, mode)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _stream(number: int, name: str, mode: str) -> Any:
    import io  # noqa: PLC0415 — part of the interpreter's core, there already

    before = getattr(sys, name)
    unbuffered = sys.stdout.write_through  # type: ignore[union-attr]  # of any output, as the option is for all
    size = 0 if unbuffered and mode == "w" else -1
    opened: Any = open(number, f"{mode}b", size, closefd=False)  # noqa: SIM115 — it stays open
    raw = opened if size == 0 else opened.raw
    raw.name = f"<{name}>"
    stream: Any = io.TextIOWrapper(
        opened,
        encoding=before.encoding,
        errors=before.errors,
        newline="\n",
        line_buffering=not unbuffered and (number == 2 or raw.isatty()),
        write_through=unbuffered,
    )
    stream.mode = mode
    return stream


def modules() -> None:
    """Give modules that were imported beforehand what they would have got just now."""
    loaded = sys.modules
    _repair_user_paths()
    if "numpy.random" in loaded:
        loaded["numpy.random"].seed()  # the global one; Python's own sees to itself after a fork
    if "logging" in loaded:
        vars(loaded["logging"])["_startTime"] = time.time()  # what relativeCreated counts from
    if "multiprocessing.process" in loaded:
        process: Any = loaded["multiprocessing.process"]
        process.ORIGINAL_DIR = str(pathlib.Path.cwd())
        key = process.AuthenticationString(os.urandom(32))
        process.current_process()._config["authkey"] = key  # noqa: SLF001 — it has no other door


def _repair_user_paths() -> None:
    site: Any = sys.modules.get("site")
    if site is not None and site.USER_BASE is not None:
        site.USER_BASE = site.USER_SITE = None
        site.getusersitepackages()
    sysconfig: Any = sys.modules.get("sysconfig")
    if sysconfig is not None:  # it works its values out again when asked
        sysconfig._CONFIG_VARS = None  # noqa: SLF001 — it has no other door
        sysconfig._CONFIG_VARS_INITIALIZED = False  # noqa: SLF001 — from 3.12 on


def title_room() -> tuple[int, int]:
    """Return where this process's command line lies in its memory, and how long it is."""
    fields = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    return start, end - start


def title(room: tuple[int, int], argv: Sequence[str]) -> None:
    """Show another command line to ``ps``."""
    start, length = room
    syscalls.set_process_name(os.fsencode(pathlib.PurePath(argv[0]).name))
    text = b" ".join(os.fsencode(word) for word in argv)[: length - 2]
    # A last byte that is not zero tells the kernel that this is one text, which ends before.
    syscalls.write_memory(start, text + bytes(length - 1 - len(text)) + b"\1")
