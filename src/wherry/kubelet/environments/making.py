"""The steps of one build: a folder with a virtual environment, files, and a record of what it is."""

import json
import os
import shutil
from pathlib import Path

from wherry.kubelet.environments import requirements, uv_process
from wherry.kubelet.environments.recipe import Recipe, Sources
from wherry.kubelet.environments.uv_process import Progress

RECORD = "environment.json"


def prepare(folder: Path, recipe: Recipe, base: Path | None) -> None:
    """Make the folder with all that needs no uv.

    Args:
        folder: Where.
        recipe: Of what.
        base: The build that this is a layer on.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if base is not None:
        # Installers replace files, they do not write into them: links keep the base as it is.
        shutil.copytree(base, folder, symlinks=True, copy_function=_link)
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in recipe.files:
        target = folder / "files" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(text)
        if text.startswith("#!"):
            target.chmod(0o755)  # it says itself what runs it


async def make(folder: Path, recipe: Recipe, progress: Progress) -> None:
    """Create the virtual environment and install into it.

    Raises:
        UvError: uv failed.
    """
    venv = folder / "venv"
    if recipe.base is None:
        progress(f"creating an environment with Python {recipe.interpreter.text}")
        await _create(venv, recipe, progress)
    if recipe.lock:
        progress("installing what the lock says")
        name = "pylock.toml" if recipe.is_pylock else "locked.txt"
        lock = _written(folder / name, recipe.lock)
        flags = ["--preview-features", "pylock"] if recipe.is_pylock else ["--require-hashes"]
        await _install(venv, [*flags, "--requirements", lock], recipe.sources, progress)
    if recipe.requirements:
        progress(f"installing {len(recipe.requirements)} requirements")
        lines = _written(folder / "requirements.txt", _lines(recipe.requirements))
        arguments = ["--requirements", lines]
        if recipe.constraints:
            limits = _written(folder / "constraints.txt", _lines(recipe.constraints))
            # What packages are built with is installed for others too: old ones need an old setuptools.
            arguments += ["--constraints", limits, "--build-constraints", limits]
        await _install(venv, arguments, recipe.sources, progress)


def record(folder: Path, recipe: Recipe) -> None:
    """Write down what the folder holds, for people and for `wherry env list`."""
    told = {
        "python": recipe.interpreter.text,
        "requirements": [requirements.shown(line) for line in recipe.requirements],
        "locked": bool(recipe.lock),
        "base": recipe.base.hash if recipe.base is not None else "",
        "sizeBytes": size_bytes(folder),
    }
    # Replaced rather than written over: in a layer it is a link to the base's.
    fresh = folder / f"{RECORD}.new"
    fresh.write_text(json.dumps(told, indent=2))
    fresh.replace(folder / RECORD)


def size_bytes(folder: Path) -> int:
    """Return what the folder takes on the disk, each file once."""
    seen: dict[tuple[int, int], int] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            found = (Path(parent) / name).lstat()
            seen[found.st_dev, found.st_ino] = found.st_blocks * 512
    return sum(seen.values())


async def _create(venv: Path, recipe: Recipe, progress: Progress) -> None:
    program = str(recipe.interpreter.path)
    arguments = ["venv", "--quiet", "--relocatable", "--no-project", "--python", program, str(venv)]
    await uv_process.run(arguments, progress, {})
    wheel = _bundled_pip(recipe)
    if wheel is not None:
        # Images hold pip, and programs call it; the interpreter brings one that needs no network.
        await _install(venv, ["--quiet", "--offline", "--no-deps", str(wheel)], Sources(), progress)


async def _install(venv: Path, arguments: list[str], sources: Sources, progress: Progress) -> None:
    command = ["pip", "install", "--python", str(venv / "bin" / "python")]
    if "--offline" not in arguments:
        command.append("--compile-bytecode")
    await uv_process.run([*command, *arguments], progress, _variables(sources))


def _variables(sources: Sources) -> dict[str, str]:
    """Return the addresses as variables: arguments would be there for every user to read."""
    told = {
        "UV_DEFAULT_INDEX": sources.index,
        "UV_INDEX": " ".join(sources.extra_indexes),
        "UV_FIND_LINKS": ",".join(sources.find_links),
    }
    return {name: value for name, value in told.items() if value}


def _written(path: Path, text: str) -> str:
    path.unlink(missing_ok=True)
    path.write_text(text)
    return str(path)


def _lines(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _bundled_pip(recipe: Recipe) -> Path | None:
    """Return the wheel of pip that comes with the interpreter, if it does."""
    major, minor = recipe.interpreter.version[:2]
    library = recipe.interpreter.path.parent.parent / "lib" / f"python{major}.{minor}"
    for folder in (library / "ensurepip" / "_bundled", Path("/usr/share/python-wheels")):
        wheels = sorted(folder.glob("pip-*.whl"))
        if wheels:
            return wheels[-1]
    return None
