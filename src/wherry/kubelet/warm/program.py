"""From a command to what the interpreter would call: ``__main__``, ``sys.argv``, ``sys.path``, the code.

Whatever is not plain raises `ColdError`; the child then executes the program instead, which finds everything as if
nothing had been tried.
"""

import _imp
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from wherry.kubelet.launcher import types

_SUFFIXES = frozenset({".py", ".pyc", *_imp.extension_suffixes()})

Program = tuple[Callable[..., Any], tuple[Any, ...]]
"""What is called, from a frame that nobody sees, and with what."""


class ColdError(Exception):
    """The program has to start cold; the message says why."""


class Base:
    """What a warmed process knows of itself, taken before any fork."""

    def __init__(self, fresh: dict[str, Any]) -> None:
        """Take it.

        Args:
            fresh: The names of ``__main__`` as the interpreter has made them.
        """
        self.fresh = fresh
        self.path = list(sys.path)
        self.names = {name for name, module in sys.modules.items() if _from_a_file(module)}
        self.guarded = [*self.path, sys.executable, os.path.realpath(sys.executable)]
        self._times = _times(self.path)

    def stale(self) -> bool:
        """Whether packages have been installed or removed since."""
        return _times(self.path) != self._times

    def covered(self, mounts: Sequence[types.Mount]) -> bool:
        """Whether one of the mounts changes what the interpreter consists of."""
        # What is mounted at its own path is seen there whatever lies above it.
        shown = tuple(f"{mount.target}/" for mount in mounts if mount.source == mount.target)
        for mount in mounts:
            target = mount.target.rstrip("/") + "/"
            if target in shown:
                continue
            for path in self.guarded:
                over = f"{path}/".startswith(target)
                if over and any(
                    f"{path}/".startswith(each) and each.startswith(target) for each in shown
                ):
                    continue
                if over or target.startswith(f"{path}/"):
                    return True
        return False


def _from_a_file(module: object) -> bool:
    """Whether a folder that comes first could have another module of that name; packages stand for what is in them."""
    spec = getattr(module, "__spec__", None)
    return spec is not None and "." not in spec.name and spec.origin not in {"built-in", "frozen"}


def _times(paths: Sequence[str]) -> list[int]:
    times = []
    for path in paths:
        try:
            times.append(os.stat(path).st_mtime_ns)  # noqa: PTH116 — a dozen system calls at every start, no more
        except OSError:
            times.append(0)
    return times


def make(
    start: types.WarmStart, argv: Sequence[str], environment: Mapping[str, str], base: Base
) -> Program:
    """Set up the interpreter for a program, which ``stdin`` excepted has been read and compiled then.

    Args:
        start: The command.
        argv: The whole command line.
        environment: All variables of the pod.
        base: Of this process.

    Returns:
        What to call.

    Raises:
        ColdError: It must start cold.
    """
    first = _first_path(start)
    _set_path(first, environment, base)
    names = {"script": start.target, "command": "-c", "module": "-m", "stdin": start.target}
    sys.argv = [names[start.kind], *start.arguments]
    sys.orig_argv = list(argv)
    if start.kind == "script":
        return _script(start.target, base)
    main = _main(base)
    if start.kind == "module":
        import runpy  # noqa: PLC0415 — as late as the interpreter imports it itself

        return runpy._run_module_as_main, (start.target, True)  # type: ignore[attr-defined]  # noqa: SLF001 — what -m calls
    if start.kind == "command":
        return exec, (_command(start.target), main)
    return _standard_input(main)


def _first_path(start: types.WarmStart) -> str | None:
    if sys.flags.safe_path:
        return None
    if start.kind == "script":
        return os.path.dirname(os.path.realpath(start.target))  # noqa: PTH120 — text as the interpreter has it
    return os.getcwd() if start.kind == "module" else ""  # noqa: PTH109 — as above


def _set_path(first: str | None, environment: Mapping[str, str], base: Base) -> None:
    added = environment.get("PYTHONPATH", "")
    extra = added.split(":") if added and not sys.flags.ignore_environment else []
    if extra and sys.flags.no_site:
        raise ColdError("PYTHONPATH without site")
    extra = [os.path.abspath(path) for path in extra]  # noqa: PTH100 — as site does
    for folder in extra:
        _check_shadows(folder, base.names | {"sitecustomize", "usercustomize"})
    path = list(dict.fromkeys([*extra, *base.path]))
    if first is not None:
        _check_shadows(first or ".", base.names)
        path.insert(0, first)
    sys.path[:] = path


def _check_shadows(folder: str, names: set[str]) -> None:
    """Refuse a folder that has a module which is loaded already from somewhere else."""
    try:
        entries = os.listdir(folder)  # noqa: PTH208 — names are all that is wanted
    except FileNotFoundError:
        return
    except OSError as error:
        raise ColdError(f"{folder}: {error.strerror}") from error
    for entry in entries:
        name, dot, suffix = entry.partition(".")
        if name in names and (
            dot + suffix in _SUFFIXES if dot else _is_package(f"{folder}/{entry}")
        ):
            raise ColdError(f"{folder}/{entry} hides a module that is loaded")


def _is_package(folder: str) -> bool:
    """Whether a folder is one; without an ``__init__`` it yields to any module that comes later."""
    try:
        return any(name.startswith("__init__.") for name in os.listdir(folder))  # noqa: PTH208 — as above
    except OSError:
        return False


def _main(base: Base, **special: Any) -> dict[str, Any]:
    """Make ``__main__`` anew and return its names."""
    module = type(sys)("__main__")
    names = vars(module)
    names.clear()
    names |= base.fresh
    if "__annotations__" in names:
        names["__annotations__"] = {}
    del names["__file__"], names["__cached__"]
    import _frozen_importlib  # noqa: PLC0415 — part of the core, and imported as seldom as can be

    names["__loader__"] = _frozen_importlib.BuiltinImporter
    names |= special
    sys.modules["__main__"] = module
    return names


def _script(target: str, base: Base) -> Program:
    try:
        descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # it may be a pipe
    except OSError as error:
        raise ColdError(f"{target}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ColdError(f"{target} is not a plain file")
    with open(descriptor, "rb") as file:  # noqa: PTH123 — it is open already
        source = file.read()
    if target.endswith(".pyc") or source.startswith(b"PK\3\4") or b"PK\5\6" in source[-65558:]:
        raise ColdError(f"{target} is not source code")
    if target.startswith("./") and sys.version_info >= (3, 12):
        raise ColdError("how ./ shows in __file__ depends on the interpreter's version")
    path = target if target.startswith("/") else f"{os.getcwd()}/{target}"  # noqa: PTH109 — text, not normalised
    code = _compiled(source, path)
    import _frozen_importlib_external  # noqa: PLC0415 — as above

    loader = _frozen_importlib_external.SourceFileLoader("__main__", path)
    return exec, (code, _main(base, __loader__=loader, __file__=path, __cached__=None))


def _command(source: str) -> Any:
    code = _compiled(source.encode(), "<string>")
    if sys.version_info >= (3, 13):  # from there on tracebacks show the lines of a command
        import linecache  # noqa: PLC0415 — the interpreter imports it for this, and only then

        table: Any = linecache
        key = code if hasattr(table, "_code_key") else "<string>"  # as 3.13.1 does, and 3.13.0
        table._register_code(key, source, "<string>")  # noqa: SLF001 — what the interpreter calls
    return code


def _compiled(source: bytes, name: str) -> Any:
    if b"\0" in source:
        raise ColdError(f"{name} has a zero byte")
    try:
        return compile(source, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ColdError(f"{name} cannot be compiled") from error


def _standard_input(main: dict[str, Any]) -> Program:
    if os.isatty(0):
        raise ColdError("standard input is a terminal")
    main |= {"__file__": "<stdin>", "__cached__": None}
    return exec, (None, main)


def read_standard_input(main: dict[str, Any]) -> Program:
    """Read the program from standard input, to its end, as the interpreter does.

    Args:
        main: The names of ``__main__``, of ``make``.

    Raises:
        ColdError: It must start cold; standard input is as it was then.
    """
    source = b""
    while data := os.read(0, 1 << 16):
        source += data
    try:
        return exec, (_compiled(source, "<stdin>"), main)
    except ColdError:
        again = os.memfd_create("stdin")
        with open(again, "wb", closefd=False) as file:
            file.write(source)
        os.lseek(again, 0, os.SEEK_SET)
        os.dup2(again, 0)
        os.close(again)
        raise
