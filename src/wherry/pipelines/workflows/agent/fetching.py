"""Inputs are brought to where the step looks for them: from stores, the web, git, or as they are given."""

import base64
import functools
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wherry.metadata.artifacts import providers
from wherry.metadata.artifacts.storage import MissingError, Storage, StorageError
from wherry.metadata.artifacts.uris import UriError
from wherry.pipelines.staging import agent
from wherry.pipelines.workflows.agent import archives, cloning, modes
from wherry.pipelines.workflows.agent.failing import AgentError
from wherry.pipelines.workflows.agent.redirecting import Redirections

_SECONDS: Final = 60
_NOT_FOUND: Final = 404

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
    elif "http" in errand:
        _download(errand["uri"], errand["http"], target)
    else:
        try:
            agent.again(functools.partial(storage.get, errand["uri"], target))
        except MissingError as error:
            raise _AbsentError(str(error)) from error


def _download(url: str, told: _Part, target: Path) -> None:
    request = urllib.request.Request(url, headers=dict(told["headers"]))  # noqa: S310 - checked before
    if "usernameSecret" in told or "passwordSecret" in told:
        pair = f"{_secret(told, 'usernameSecret')}:{_secret(told, 'passwordSecret')}"
        request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    try:
        with (
            urllib.request.build_opener(Redirections).open(request, timeout=_SECONDS) as answer,
            target.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
            missing = answer.length
    except urllib.error.HTTPError as error:
        if error.code == _NOT_FOUND:
            raise _AbsentError(f"{url}: there is nothing") from error
        raise AgentError(f"{url}: HTTP {error.code} {error.reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise AgentError(f"{url}: {error}") from error
    if missing:
        raise AgentError(f"{url}: the answer ended {missing} bytes too early")


def _secret(told: _Part, name: str) -> str:
    return os.environ.get(told.get(name, ""), "")


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
