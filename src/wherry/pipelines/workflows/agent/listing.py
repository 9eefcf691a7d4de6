"""The data template: the files of an artifact are listed, and the list is transformed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts import providers, uris
from wherry.metadata.artifacts.storage import Storage, StorageError
from wherry.metadata.artifacts.uris import UriError
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.texts import text
from wherry.pipelines.workflows.expr import program
from wherry.pipelines.workflows.expr.errors import ExprError

_MOST: Final = 1_000_000


def run(told: Mapping[str, Any], _: Sequence[str]) -> Mapping[str, Any]:
    """Return the list.

    Raises:
        AgentError: the files cannot be listed, or the list cannot be transformed.
    """
    data: Any = _files(told["uri"])
    for number, source in enumerate(told["transformation"]):
        try:
            data = program.evaluate(source, {"data": data})
        except ExprError as error:
            raise AgentError(f"data.transformation[{number}]: {error}") from error
    return {"parameters": {}, "result": text(data)}


def _files(uri: str) -> list[str]:
    """Return the keys of a store's objects, or the paths below a folder."""
    found, keys = providers.from_environment(os.environ)
    try:
        if uris.is_of_node(uri):
            folder = Path(uris.path(uri))
            inside = sorted(each for each in folder.rglob("*") if each.is_file())
            return [str(each.relative_to(folder)) for each in inside] or [folder.name]
        listed = Storage(found, keys).list(uri, limit=_MOST)
    except (StorageError, UriError, OSError) as error:
        raise AgentError(f"data.source.artifactPaths: {error}") from error
    return [uris.parse(each).path for each, _ in listed]
