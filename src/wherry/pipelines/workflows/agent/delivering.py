"""Outputs are read and brought to where they are kept, when the step has ended."""

import functools
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts import providers
from wherry.metadata.artifacts.storage import Storage, StorageError
from wherry.metadata.artifacts.uris import UriError
from wherry.pipelines.staging import agent
from wherry.pipelines.workflows.agent import archives, web
from wherry.pipelines.workflows.agent.failing import AgentError

_STAGE_PARTS: Final = 4
"""Of ``/wherry/stage/VOLUME``, with the root."""

_Part = Mapping[str, Any]


def run(told: _Part, words: Sequence[str]) -> Mapping[str, Any]:
    """Wait for the step's end, and return what it has left.

    Raises:
        AgentError: something cannot be stored, or is too large.
    """
    agent.wait(Path(words[0]))
    found, keys = providers.from_environment(os.environ)
    storage = Storage(found, keys)
    try:
        texts = {name: _text(Path(path)) for name, path in told["parameters"].items()}
        files = [each["name"] for each in told["outputs"] if _store(storage, each)]
    except (StorageError, UriError, OSError, agent.TooLargeError) as error:
        raise AgentError(str(error)) from error
    written = {name: content for name, content in texts.items() if content is not None}
    return {"parameters": written, "files": files}


def _volume(path: Path) -> Path:
    return Path(*path.parts[:_STAGE_PARTS])


def _text(path: Path) -> str | None:
    try:
        return agent.text(path, _volume(path))
    except NotADirectoryError:
        return None


def _store(storage: Storage, output: _Part) -> bool:
    """Store an artifact; return whether there is one."""
    path = Path(output["path"])
    if not os.path.lexists(path):
        return False
    if output["archive"] == "none" or path.is_symlink():
        agent.check_links(path, _volume(path))
    elif not path.resolve().is_relative_to(_volume(path).resolve()):
        raise AgentError(f"{output['name']}: a link leads to {path.resolve()}, out of its volume")
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "packed"
        if output["archive"] == "tar":
            archives.tar(path.resolve(), packed, output["as"], output["level"])
        elif output["archive"] == "zip":
            archives.zipped(path.resolve(), packed, output["as"])
        else:
            packed = path
        if "http" not in output:
            agent.again(functools.partial(storage.put, packed, output["uri"]))
            return True
        if packed.is_dir():
            raise AgentError(
                f"{output['name']}: {output['as']} is a folder, and HTTP takes files: "
                "archive has to say tar or zip, and not none"
            )
        agent.again(functools.partial(web.put, output["uri"], output["http"], packed))
    return True
