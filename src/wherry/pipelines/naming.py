"""Names of what a run makes: the same at every look, so that nothing is made twice. Pure."""

import hashlib
import re
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object

_PREFIX_LENGTH: Final = 40
_HASH_LENGTH: Final = 16
_LABEL_LENGTH: Final = 63
_NOT_IN_FOLDERS: Final = re.compile(r"[^A-Za-z0-9._-]+")
_FOLDER_LENGTH: Final = 80


def pod(run: Object, path: str, attempt: int) -> str:
    """Return the name of a step's pod."""
    name = metadata.name(run)[:_PREFIX_LENGTH].rstrip("-.")
    return f"{name}-{_digest(metadata.uid(run), path, str(attempt))}"


def workspace(run: Object) -> str:
    """Return the name of a run's workspace claim; upstream's form."""
    return f"{metadata.name(run)}-kfp-workspace"


def claim(run: Object, path: str) -> str:
    """Return the part of a claim's name that upstream draws at random."""
    digest = hashlib.sha256("\0".join((metadata.uid(run), path, "claim")).encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))


def label(text: str) -> str:
    """Return a text as the value of a label."""
    return _NOT_IN_FOLDERS.sub("-", text)[:_LABEL_LENGTH].strip("-._")


def folder(text: str) -> str:
    """Return a text as the name of a folder, readable and never empty, ``.`` or ``..``."""
    made = _NOT_IN_FOLDERS.sub("-", text)[:_FOLDER_LENGTH].strip(".-")
    return made or _digest(text)


def job(run: Object, pipeline: str) -> str:
    """Return what steps are told that the run is called; upstream's name begins with the pipeline's."""
    name = metadata.name(run)
    return name if pipeline in name else f"{pipeline}-{name}"


def task_root(root: str, *parts: str, attempt: int) -> str:
    """Return the URI below which the outputs of one attempt are: upstream's order of parts.

    Args:
        root: The pipeline root; a query in it is no part of what is below it.
        parts: The pipeline's name, the run's uid, the task's place in the graph.
        attempt: From 0.
    """
    pipeline, run_id, path = parts
    base = root.partition("?")[0] if "://" in root else root
    place = (folder(pipeline), run_id, folder(path.rpartition("/")[2]))
    return "/".join((base.rstrip("/"), *place, _digest(path, str(attempt))))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
