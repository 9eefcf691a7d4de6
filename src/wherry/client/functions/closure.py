"""Which of a program's modules have to travel with it: those that are its author's own.

They are found by reading, not by running: import statements, also those within functions.
"""

import ast
import importlib.machinery
import site
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from wherry.client.functions.errors import PackagingError

MOST_FILES: Final = 2000
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


def files(names: Iterable[str], path: Sequence[str]) -> dict[str, Path]:
    """Return the files of local modules and of all local modules that they import.

    Args:
        names: Dotted names to begin with; those that are not found, or are installed, are left out.
        path: Folders where modules are looked for, as `sys.path`.

    Returns:
        By the place in an archive that goes on `sys.path`, such as ``team/model.py``.

    Raises:
        PackagingError: there are more than `MOST_FILES`, or one is not Python.
    """
    made: dict[str, Path] = {}
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for module, file in _own(name, path):
            place = _place(module, file)
            if place in made:
                continue
            made[place] = file
            waiting += imported(file, module)
        if len(made) > MOST_FILES:
            raise PackagingError(f"the code has more than {MOST_FILES} modules; build an image")
    return made


def imported(file: Path, module: str) -> list[str]:
    """Return the names that a file imports, relative ones made absolute.

    Args:
        file: Python source.
        module: Its dotted name; empty for a script.

    Raises:
        PackagingError: it is not Python.
    """
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        raise PackagingError(f"{file}: {error}") from error
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return [name for node in ast.walk(tree) for name in _names(node, package)]


def _names(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            kept = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*kept, *filter(None, [base])])
        yield base
        # What is imported from a package may be one of its modules.
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _own(name: str, path: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield the local files of a dotted name: of the packages it is in, and its own."""
    parts = name.split(".")
    if not all(parts) or parts[0] == "wherry":
        return
    places: Sequence[str] | None = path
    for end in range(1, len(parts) + 1):
        module = ".".join(parts[:end])
        spec = importlib.machinery.PathFinder.find_spec(module, places)
        if spec is None:
            return
        if spec.origin and spec.origin.endswith(".py"):
            if not is_local(Path(spec.origin)):
                return
            yield module, Path(spec.origin)
        places = spec.submodule_search_locations
        if places is None:
            return


def is_local(file: Path) -> bool:
    """Return whether a file is its author's own: neither Python's nor installed by a package."""
    resolved = file.resolve()
    if _INSTALLED & set(resolved.parts):
        return False
    theirs = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    theirs |= {Path(folder).resolve() for folder in site.getsitepackages()}
    return not any(resolved.is_relative_to(folder) for folder in theirs)


def _place(module: str, file: Path) -> str:
    path = module.replace(".", "/")
    return f"{path}/__init__.py" if file.name == "__init__.py" else f"{path}.py"
