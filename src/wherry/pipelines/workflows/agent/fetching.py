"""Inputs are brought to where the step looks for them: from stores, the web, git, or as they are given."""

import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wherry.metadata.artifacts import providers
from wherry.metadata.artifacts.storage import MissingError, Storage, StorageError
from wherry.metadata.artifacts.uris import UriError
from wherry.pipelines.staging import agent
from wherry.pipelines.workflows.agent import archives, cloning, modes, web
from wherry.pipelines.workflows.agent.failing import AgentError

_Part = Mapping[str, Any]


class _AbsentError(Exception):
    """There is nothing to bring."""


def run(told: _Part, _: Sequence[str]) -> None:
    """Bring all inputs.

    Raises:
        AgentError: one cannot be had.
    """
    found, keys = providers.from_environment(os.environ)
    storage = Storage(found, keys)
    for each in told["inputs"]:
        try:
            _bring(storage, each)
        except _AbsentError as error:
            if not each.get("optional"):
                raise AgentError(f"{each['name']}: {error}") from error
        except (StorageError, UriError, OSError, AgentError) as error:
            raise AgentError(f"{each['name']}: {error}") from error


def _bring(storage: Storage, errand: _Part) -> None:
    target = Path(errand["to"])
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target if target.is_mount() else target.parent
    with tempfile.TemporaryDirectory(dir=beside, prefix=".wherry-") as folder:
        draft = Path(folder) / uuid.uuid4().hex
        _get(storage, errand, draft)
        made = Path(folder) / "unpacked"
        if errand.get("raw") is not None or "git" in errand or not _unpack(draft, made, errand):
            made = draft
        made = _below(made, str(errand.get("subPath") or ""))
        _replace(made, target)
    modes.set_mode(target, errand)


def _get(storage: Storage, errand: _Part, target: Path) -> None:
    if errand.get("raw") is not None:
        target.write_text(errand["raw"], encoding="utf-8")
    elif "git" in errand:
        cloning.clone(errand["git"], target)
    else:
        had: Callable[[], object]
        if "http" in errand:
            had = functools.partial(web.get, errand["uri"], errand["http"], target)
        else:
            had = functools.partial(storage.get, errand["uri"], target)
        try:
            agent.again(had)
        except MissingError as error:
            raise _AbsentError(str(error)) from error


def _unpack(draft: Path, target: Path, errand: _Part) -> bool:
    told: _Part = errand.get("archive") or {}
    if told.get("none") is not None or draft.is_dir():
        return False
    wanted = next((each for each in ("tar", "zip") if told.get(each) is not None), "")
    return archives.unpack(draft, target, wanted)


def _below(path: Path, sub_path: str) -> Path:
    """Return what a path below an artifact leads to."""
    found = path.joinpath(*[each for each in sub_path.split("/") if each]).resolve()
    if not found.is_relative_to(path.resolve()):
        raise AgentError(f"subPath {sub_path!r} leads out of the artifact")
    if not found.exists():
        raise _AbsentError(f"subPath {sub_path!r} is not in the artifact")
    return found


def _replace(source: Path, target: Path) -> None:
    if target.is_mount():
        if not source.is_dir():
            raise AgentError(f"{target.name} is a volume, and the artifact a file")
        for each in source.iterdir():
            _replace(each, target / each.name)
        return
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    source.rename(target)
