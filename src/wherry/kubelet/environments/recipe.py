"""What is built: the content of an environment, and the name that follows from it. Pure."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from wherry.kubelet.environments import kinds, requirements
from wherry.kubelet.environments.interpreters import Interpreter
from wherry.kubelet.environments.requirements import Indexes

_FORMAT = 2
"""Raised when builds of the same content come out differently, so that old ones are not used."""

_SCHEMES = frozenset({"http", "https", "file"})


class RecipeError(Exception):
    """The spec cannot be built as it stands."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where packages come from; all empty: where uv looks by itself.

    Attributes:
        index: Instead of the default index.
        extra_indexes: Looked into first, in this order.
        find_links: Folders and pages with files.
    """

    index: str = ""
    extra_indexes: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what is in a build.

    Attributes:
        interpreter: The Python to use.
        requirements: Packages, as in a requirements file; on top of `base` where there is one.
        files: Absolute path to text.
        constraints: Versions for packages that others require.
        lock: A `pylock.toml`, or a requirements file with hashes; instead of `requirements`.
        sources: Where packages come from.
        base: What this is a layer on.
    """

    interpreter: Interpreter
    requirements: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    constraints: tuple[str, ...] = ()
    lock: str = ""
    sources: Sources = Sources()
    base: "Recipe | None" = None

    @property
    def hash(self) -> str:
        """The name of the content: 16 hexadecimal digits."""
        content: list[Any] = [
            _FORMAT,
            str(self.interpreter.path),
            self.interpreter.text,
            sorted(self.requirements),
            sorted(self.files),
            sorted(self.constraints),
            self.lock,
            dataclasses.astuple(self.sources),
            self.base.hash if self.base is not None else "",
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def is_pylock(self) -> bool:
        """Whether the lock is a `pylock.toml`, which names its version at the top."""
        return "lock-version" in self.lock

    def layered(self, lines: tuple[str, ...], indexes: Indexes | None = None) -> "Recipe":
        """Return what has packages on top of this, from other indexes where some are named."""
        found = indexes or Indexes()
        sources = dataclasses.replace(
            self.sources,
            index=found.default or self.sources.index,
            extra_indexes=(*found.extra, *self.sources.extra_indexes),
        )
        return Recipe(
            self.interpreter,
            lines,
            self.files,
            constraints=self.constraints,
            sources=sources,
            base=self,
        )


def make(spec: kinds.EnvironmentSpec, interpreter: Interpreter) -> Recipe:
    """Return the recipe of a spec.

    Raises:
        RecipeError: a requirement, a path or an address is not allowed.
    """
    try:
        requirements.check(spec.requirements, "spec.requirements")
        requirements.check(spec.constraints, "spec.constraints")
    except requirements.RequirementError as error:
        raise RecipeError(str(error)) from error
    for path in spec.files:
        pure = PurePosixPath(path)
        if not pure.is_absolute() or ".." in pure.parts or path.endswith("/") or "\0" in path:
            raise RecipeError(f"spec.files: {path!r} must be an absolute path without '..'")
    _check_sources(spec)
    _check_lock(spec)
    return Recipe(
        interpreter,
        spec.requirements,
        tuple(spec.files.items()),
        constraints=spec.constraints,
        lock=spec.lock,
        sources=Sources(spec.index_url, spec.extra_index_urls, spec.find_links),
    )


def _check_sources(spec: kinds.EnvironmentSpec) -> None:
    named = [
        *(("spec.indexUrl", url) for url in (spec.index_url,) if url),
        *(("spec.extraIndexUrls", url) for url in spec.extra_index_urls),
        *(("spec.findLinks", url) for url in spec.find_links),
    ]
    for field, url in named:
        folder = field == "spec.findLinks" and PurePosixPath(url).is_absolute()
        # uv takes these lists apart at blanks and commas.
        if any(character.isspace() or character == "," for character in url) or not (
            folder or urlsplit(url).scheme in _SCHEMES
        ):
            raise RecipeError(
                f"{field}: {requirements.shown(url)!r} must be an address such as "
                "https://pypi.org/simple" + (" or a folder" if "Links" in field else "")
            )


def _check_lock(spec: kinds.EnvironmentSpec) -> None:
    if not spec.lock:
        return
    if spec.requirements or spec.constraints:
        raise RecipeError(
            "spec.lock: holds every package already; leave out spec.requirements and "
            "spec.constraints, or the lock"
        )
    if "lock-version" not in spec.lock and "--hash=" not in spec.lock:
        raise RecipeError(
            "spec.lock: want a pylock.toml, or requirements with hashes (`uv pip compile "
            "--generate-hashes`); a list without hashes belongs into spec.requirements"
        )
