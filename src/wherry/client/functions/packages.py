"""Code on its way into pods: what to run and the modules it needs, named by content.

A function that can be imported travels by its name, with the modules of its author; any other
(lambdas, closures, functions of a notebook or of `__main__`) by value, with cloudpickle. Source text
is never cut out of files, and nothing goes through a shell.
"""

import hashlib
import io
import json
import pickle
import pickletools
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import cloudpickle

from wherry.client.functions import closure, in_pod
from wherry.client.functions.errors import PackagingError

Target = Callable[..., Any] | str | Path | ModuleType
"""A function; the path of a script; ``package.module``, ``package.module:function`` or a module."""

MOST_BYTES: Final = 1_000_000
"""What fits into one Secret, with a reserve."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_PROTOCOL: Final = 4


@dataclass(frozen=True, slots=True)
class Package:
    """What a pod needs to run something.

    Attributes:
        label: A short name for it, such as the function's.
        files: By name, as they are mounted.
        has_command_line: Whether it is a script or module rather than a function.
    """

    label: str
    files: Mapping[str, bytes]
    has_command_line: bool = False

    def digest(self) -> str:
        """Return the SHA-256 of all that is in it, hexadecimal."""
        made = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            made.update(f"{name}\0{len(content)}\0".encode())
            made.update(content)
        return made.hexdigest()


@dataclass(frozen=True, slots=True)
class Search:
    """What is run again and again with other parameters.

    Attributes:
        parameters: Kinds of what a function is given by name: ``float``, ``int``, ``text`` or ``json``.
        objective: The metric that a number stands for that it returns.
    """

    parameters: Mapping[str, str]
    objective: str


@dataclass(frozen=True, slots=True)
class _Call:
    """One way to run something; see `in_pod`."""

    kind: str
    name: str
    label: str
    modules: dict[str, Path]
    arguments: Sequence[str] = ()
    pickled: bytes | None = None


def package(
    target: Target,
    arguments: Sequence[Any] = (),
    named: Mapping[str, Any] | None = None,
    *,
    requirements: Sequence[str] = (),
    search: Search | None = None,
) -> Package:
    """Return the package of something that can be run.

    Args:
        target: What.
        arguments: Of a function; of scripts and modules their command line, as texts.
        named: Arguments of a function by name.
        requirements: Packages to install where the image lacks them.
        search: What a search needs to know of it; None: it is run as it is.

    Raises:
        PackagingError: it is not there, cannot be sent, or is larger than `MOST_BYTES`.
    """
    call = _call(target, tuple(arguments), dict(named or {}))
    asked: dict[str, Any] = {
        "kind": call.kind,
        "name": call.name,
        "arguments": list(call.arguments),
        "requirements": list(requirements),
    }
    if search is not None:
        asked |= {"parameters": dict(search.parameters), "objective": search.objective}
    files = {
        "run.py": Path(in_pod.__file__).read_bytes(),
        "call.json": json.dumps(asked, sort_keys=True).encode(),
        "code.zip": _archive(call.modules),
    }
    if call.pickled is not None:
        files["call.pickle"] = call.pickled
    size = sum(map(len, files.values()))
    if size > MOST_BYTES:
        largest = max(files, key=lambda name: len(files[name]))
        raise PackagingError(
            f"code and arguments have {size} bytes, most of them in {largest}, and at most "
            f"{MOST_BYTES} travel with a job: put data on a volume or at a URL and pass its place, "
            "and large code into the image"
        )
    return Package(call.label, files, call.kind in {"script", "module"})


def _call(target: Target, arguments: tuple[Any, ...], named: dict[str, Any]) -> _Call:
    if isinstance(target, ModuleType):
        target = target.__name__
    if callable(target):
        return _of_function(target, arguments, named)
    text = str(target)
    if isinstance(target, str) and ":" in text and not Path(text).exists():
        return _of_named(text, arguments, named)
    if named:
        raise PackagingError(
            f"{text}: scripts and modules take `args`, which are texts, no `kwargs`"
        )
    words = [str(each) for each in arguments]
    if isinstance(target, Path) or text.endswith(".py") or "/" in text:
        return _of_script(Path(text), words)
    return _Call("module", text, text.rpartition(".")[2], _found(text), words)


def _path() -> list[str]:
    # A console script does not have the working directory on its path.
    return [str(Path.cwd()), *(entry for entry in sys.path if entry)]


def _found(module: str) -> dict[str, Path]:
    found = closure.files([module, f"{module}.__main__"], _path())
    if not found:
        raise PackagingError(
            f"there is no module {module!r} of your own in {Path.cwd()} or sys.path"
        )
    return found


def _of_script(path: Path, words: Sequence[str]) -> _Call:
    if not path.is_file():
        raise PackagingError(f"{path}: there is no such script")
    modules = closure.files(closure.imported(path, ""), [str(path.resolve().parent), *_path()])
    return _Call("script", path.name, path.stem, {**modules, path.name: path}, words)


def _of_named(text: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> _Call:
    module, _, function = text.partition(":")
    if not function.replace(".", "_").isidentifier():
        raise PackagingError(f"{text!r}: want MODULE:FUNCTION, such as team.train:main")
    pickled, modules = _pickled(None, arguments, named)
    return _Call("named", text, function, {**modules, **_found(module)}, (), pickled)


def _of_function(
    function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
) -> _Call:
    label = getattr(function, "__name__", type(function).__name__)
    pickled, modules = _pickled(function, arguments, named)
    return _Call("function", label, label, modules, (), pickled)


def _pickled(*call: Any) -> tuple[bytes, dict[str, Path]]:
    """Return a call as bytes, with the modules that are needed to read them."""
    try:
        plain = pickle.dumps(call, protocol=_PROTOCOL)
        by_value = "__main__" in _words(plain)
    except (pickle.PicklingError, AttributeError, TypeError):
        plain, by_value = b"", True
    if not by_value:
        return plain, closure.files(_modules(_words(plain)), _path())
    try:
        data: bytes = cloudpickle.dumps(call, protocol=_PROTOCOL)
    except Exception as error:
        raise PackagingError(
            f"the function or its arguments cannot be sent: {error}; make what cannot travel (open "
            "files, connections, locks) within the function"
        ) from error
    modules = closure.files(_modules(_words(data)), _path())
    # Pods need it for reading, and their images may not have it.
    folder = Path(cloudpickle.__file__).parent
    own = {f"cloudpickle/{file.name}": file for file in sorted(folder.glob("*.py"))}
    return data, {**modules, **own}


def _words(data: bytes) -> set[str]:
    """Return the texts in a pickle: the names of all modules that are needed are among them."""
    return {value for _, value, _ in pickletools.genops(data) if isinstance(value, str)} | {
        # Protocols below 4 keep `module name` in one text.
        value.partition(" ")[0]
        for opcode, value, _ in pickletools.genops(data)
        if opcode.name == "GLOBAL" and isinstance(value, str)
    }


def _modules(words: Iterable[str]) -> list[str]:
    return [word for word in sorted(words) if all(map(str.isidentifier, word.split(".")))]


def _archive(modules: Mapping[str, Path]) -> bytes:
    """Return a zip that is the same for the same modules."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, file in sorted(modules.items()):
            archive.writestr(
                zipfile.ZipInfo(place, _EPOCH), file.read_bytes(), zipfile.ZIP_DEFLATED
            )
    return made.getvalue()
