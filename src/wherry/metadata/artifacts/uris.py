"""URIs of artifacts, and the paths at which steps see them. Pure.

Source: ``sdk/python/kfp/dsl/types/artifact_types.py`` and ``backend/src/v2/component/launcher_v2.go``
of kubeflow/pipelines, which map ``gs://``, ``s3://``, ``minio://`` and ``oci://`` to folders of a step.
Ours on top: ``file:///folder`` is that folder, ``pvc://claim/path`` is ``/pvc/claim/path``.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

WORKSPACE: Final = "/kfp-workspace"
"""Where a run's workspace is mounted."""
CLAIMS: Final = "/pvc"
"""Below which claims are mounted, each by its name."""
_FOLDERS: Final = {"gs": "/gcs", "s3": "/s3", "minio": "/minio", "pvc": CLAIMS}
_SCHEMES: Final = ("file", "pvc", "s3", "gs", "minio", "oci", "http", "https")
_FORM: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?]*)/?([^?]*)(?:\?(.*))?", re.DOTALL)
_FILE: Final = "file://"
_MODELS: Final = "/models"
_MODEL: Final = "system.Model"


class UriError(ValueError):
    """A URI cannot be used; the message says which, why, and what is accepted."""


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI in its parts.

    Attributes:
        scheme: ``file``, ``pvc``, ``s3``, ``gs``, ``minio``, ``oci``, ``http`` or ``https``.
        place: Bucket, claim or host; empty of files.
        path: Below it, without a slash before it; of files the absolute path.
        query: After the question mark, as some pipeline roots have it.
    """

    scheme: str
    place: str
    path: str
    query: str = ""


def parse(text: str) -> Uri:
    """Return a URI in its parts; an absolute path is a file.

    Raises:
        UriError: it has no form that is known.
    """
    if text.startswith(("/", _FILE)):
        return _file(text)
    match = _FORM.fullmatch(text)
    if match is None or match[1] not in _SCHEMES:
        raise UriError(
            f"{text[:200]!r} is no URI of an artifact; want an absolute path or one of "
            + ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        )
    scheme, place, path, query = match.groups()
    if not place:
        wanted = {"pvc": "claim", "http": "host", "https": "host"}.get(scheme, "bucket")
        raise UriError(f"{text[:200]!r} names no {wanted}: want {scheme}://{wanted.upper()}/path")
    if place in {".", ".."} or ".." in path.split("/"):
        raise UriError(f"{text[:200]!r} goes up (..); want the path itself")
    # Of stores a slash may begin a name; a claim has no path that begins at the root.
    return Uri(scheme, place, path.lstrip("/") if scheme == "pvc" else path, query or "")


def _file(text: str) -> Uri:
    path = text.removeprefix(_FILE)
    if not path.startswith("/"):
        raise UriError(f"{text[:200]!r} is no absolute path; want file:///folder/file")
    clean = posixpath.normpath(path)
    if "\0" in path or clean.rstrip("/") != path.rstrip("/").replace("//", "/"):
        raise UriError(f"{text[:200]!r} goes up (..) or holds what no path holds")
    return Uri("file", "", clean)


def normal(text: str) -> str:
    """Return how a URI is kept: a path as ``file://``, one below ``/pvc`` as ``pvc://``.

    What is neither is returned as it is.
    """
    if text.startswith(CLAIMS + "/"):
        return "pvc:/" + text.removeprefix(CLAIMS)
    return _FILE + text if text.startswith("/") else text


def seen(text: str) -> str:
    """Return the URI that an executor input tells a step: of files and claims the plain path.

    Upstream's runtime takes any URI that it does not know for a path.
    """
    if text.startswith("pvc://"):
        return CLAIMS + text.removeprefix("pvc:/")
    return text.removeprefix(_FILE)


def is_direct(text: str) -> bool:
    """Return whether a step reads and writes there itself, once it is mounted: files and claims."""
    return text.startswith(("/", _FILE, "pvc://"))


def is_of_node(text: str) -> bool:
    """Return whether it is a file or folder of the node itself, and not of a claim or a store."""
    return normal(text).startswith(_FILE)


def path(
    text: str,
    *,
    type: str = "",  # noqa: A002 - what an artifact calls it
    metadata: Mapping[str, Any] | None = None,
    custom_path: str = "",
) -> str:
    """Return the path at which a step sees an artifact.

    Args:
        text: Its URI.
        type: Title of its schema; a model in an image has a folder of its own.
        metadata: Its metadata: ``_kfp_workspace`` says that it is in the run's workspace.
        custom_path: What the step has chosen instead.

    Raises:
        UriError: the URI has no form that is known, or a step cannot see it.
    """
    found = custom_path or _mounted(text, type)
    if (metadata or {}).get("_kfp_workspace") is True:
        return posixpath.join(WORKSPACE, ".artifacts", found.lstrip("/"))
    return found


def _mounted(text: str, type_: str) -> str:
    uri = parse(text)
    if uri.scheme == "file":
        return uri.path
    if uri.scheme == "oci":
        image = posixpath.join(uri.place, uri.path).replace("/", "_")
        return f"/oci/{image}{_MODELS if type_ == _MODEL else ''}"
    folder = _FOLDERS.get(uri.scheme)
    if folder is None:
        raise UriError(f"{text[:200]!r} has no path in a step; it is read by its URI")
    # Not joined: what begins with a slash would be a path of its own.
    return f"{folder}/{uri.place}/{uri.path}"


def is_below(text: str, other: str) -> bool:
    """Return whether a URI is another one, or below it; both without a query."""
    return text == other or text.startswith(other.rstrip("/") + "/")


def below(root: str, *parts: str) -> str:
    """Return a URI below another, without its query: that says how the root is reached."""
    bare = root.partition("?")[0]
    return "/".join([bare.rstrip("/"), *(part.strip("/") for part in parts)])
