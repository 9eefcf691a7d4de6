"""Names of what a run makes: the same at every look, so that nothing is made twice. Pure."""

import hashlib
import re
from typing import Final

from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.pipelines import kinds

_PREFIX_LENGTH: Final = 40
_HASH_LENGTH: Final = 16
_LABEL_LENGTH: Final = 63
_NOT_IN_FOLDERS: Final = re.compile(r"[^A-Za-z0-9._-]+")
_FOLDER_LENGTH: Final = 80
_LONGEST_ID: Final = 64


def run_id(run: Object) -> str:
    """Return a run's id: the uid of its object, or of the first one where this was made anew."""
    # What is longer is no uid, and no database would take it: the run has to end and to be deleted all the same.
    told = metadata.annotations(run).get(kinds.RUN_ID_ANNOTATION, "")[:_LONGEST_ID]
    return told or metadata.uid(run)


def pod(run: Object, path: str, attempt: int) -> str:
    """Return the name of a step's pod."""
    name = metadata.name(run)[:_PREFIX_LENGTH].rstrip("-.")
    return f"{name}-{_digest(metadata.uid(run), path, str(attempt))}"


def second(name: str, run_id: str) -> str:
    """Return the name of a run's new object where its old name is another's by now."""
    return f"{name[:_PREFIX_LENGTH].rstrip('-.')}-{_digest(run_id)}"


def workspace(run: Object) -> str:
    """Return the name of a run's workspace claim; upstream's form."""
    return f"{metadata.name(run)}-kfp-workspace"


def runtime(run: Object, content: str) -> str:
    """Return the name of the object that carries the runtime to a run's pods.

    Args:
        run: The run.
        content: Digest of what it carries.
    """
    name = metadata.name(run)[:_PREFIX_LENGTH].rstrip("-.")
    return f"{name}-kfp-{_digest(metadata.uid(run), content)}"


def claim(run: Object, path: str) -> str:
    """Return the part of a claim's name that upstream draws at random."""
    digest = hashlib.sha256("\0".join((run_id(run), path, "claim")).encode()).hexdigest()
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
    place = (folder(path.rpartition("/")[2]), _digest(path, str(attempt)))
    return "/".join((run_root(root, pipeline, run_id), *place))


def run_root(root: str, pipeline: str, run_id: str) -> str:
    """Return the URI below which all outputs of a run are: its own, and no other run's."""
    base = root.partition("?")[0] if "://" in root else root
    return "/".join((base.rstrip("/"), folder(pipeline), folder(run_id)))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
