"""What is built: the content of an environment, and the name that follows from it. Pure."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import PurePosixPath

from wherry.kubelet.environments import kinds
from wherry.kubelet.environments.interpreters import Interpreter

_FORMAT = 1
"""Raised when builds of the same content come out differently, so that old ones are not used."""


class RecipeError(Exception):
    """The spec cannot be built as it stands."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides what is in a build.

    Attributes:
        interpreter: The Python to use.
        requirements: Packages, as in a requirements file.
        files: Absolute path to text.
    """

    interpreter: Interpreter
    requirements: tuple[str, ...]
    files: tuple[tuple[str, str], ...]

    @property
    def hash(self) -> str:
        """The name of the content: 16 hexadecimal digits."""
        content = [
            _FORMAT,
            str(self.interpreter.path),
            self.interpreter.text,
            sorted(self.requirements),
            sorted(self.files),
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def make(spec: kinds.EnvironmentSpec, interpreter: Interpreter) -> Recipe:
    """Return the recipe of a spec.

    Raises:
        RecipeError: a requirement or a path is not allowed.
    """
    for line in spec.requirements:
        if not line.strip() or line.lstrip().startswith("-") or "\n" in line:
            raise RecipeError(
                f"spec.requirements: {line!r} must be one package such as numpy>=2, no option"
            )
    for path in spec.files:
        pure = PurePosixPath(path)
        if not pure.is_absolute() or ".." in pure.parts or path.endswith("/") or "\0" in path:
            raise RecipeError(f"spec.files: {path!r} must be an absolute path without '..'")
    return Recipe(interpreter, spec.requirements, tuple(spec.files.items()))
