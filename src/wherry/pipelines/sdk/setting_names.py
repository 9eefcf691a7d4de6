"""Names of settings that are given by name: a misspelt one is refused, wherever it is given."""

from collections.abc import Mapping
from typing import Any

from wherry.pipelines.sdk.errors import CompileError


def check(place: str, settings: Mapping[str, Any], known: type) -> None:
    """Check the names of settings.

    Args:
        place: What they are given to.
        settings: What it is given.
        known: The class with their names.

    Raises:
        CompileError: One is not known.
    """
    accepted = known.__annotations__
    unknown = [name for name in settings if name not in accepted]
    if unknown:
        words = ", ".join(accepted)
        raise CompileError(f"{place}: {', '.join(unknown)}: no such setting; there is {words}")
