"""Where one artifact is, in upstream's words (``s3``, ``gcs``, ``http``, ``git``, ``raw``), and in ours: a URI. Pure.

Source: argoproj/argo-workflows v4, ``pkg/apis/workflow/v1alpha1/workflow_types.go`` (ArtifactLocation).
"""

import posixpath
import urllib.parse
from collections.abc import Mapping
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.metadata.artifacts.uris import UriError
from wherry.metadata.records import Artifact
from wherry.pipelines.steps.draft import StepError
from wherry.pipelines.workflows.artifacts.repository import Repository

Location = Mapping[str, Any]
STORES: Final = ("s3", "gcs")
"""Kinds that have buckets and keys."""
HTTP: Final = "http"
WRITTEN: Final = (*STORES, HTTP)
"""Kinds that can be written to."""
KINDS: Final = (*WRITTEN, "git", "raw")
_WEB: Final = ("http://", "https://")
REFUSED: Final = ("oss", "azure", "hdfs", "artifactory", "plugin")
"""Kinds that are known and not done."""
_KEYED: Final = (*STORES, *REFUSED)
_SCHEMES: Final = {"s3": "s3", "gcs": "gs"}
_KEYS: Final = "keys"
"""Folder below the root for artifacts that name nothing but a key."""
FIELD: Final = "argo"
"""Of an artifact's metadata: its location and archive, in upstream's form."""


def kind(location: Location, where: str) -> str:
    """Return the one kind that a location is of; empty: it says none.

    Raises:
        StepError: it is of one that is not done.
    """
    refused = [each for each in REFUSED if location.get(each)]
    if refused:
        raise StepError(
            f"{where}.{refused[0]}: this store is not supported; there are {', '.join(KINDS)}"
        )
    return next((each for each in KINDS if location.get(each) is not None), "")


def is_whole(location: Location, where: str) -> bool:
    """Return whether a location says all that is needed, and not only a key.

    Raises:
        StepError: it is of a kind that is not done.
    """
    found = kind(location, where)
    return bool(found) and (found not in STORES or bool(location[found].get("bucket")))


def completed(location: Location, repository: Repository, where: str) -> Location:
    """Return a location with what it leaves to the repository.

    Raises:
        StepError: it is of a kind that is not done, or of another than the repository.
    """
    found = kind(location, where)
    if not found or is_whole(location, where):
        return only(location)
    if not repository.store:
        return {"uri": uris.below(repository.root.uri, _KEYS, key_of(location, where))}
    if found not in repository.store:
        raise StepError(
            f"{where}.{found}.bucket is missing, and the artifact repository is of another kind"
        )
    return {found: {**repository.store[found], **location[found]}}


def only(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the location that is in an artifact, without what else is said of it."""
    return {name: given[name] for name in (*KINDS, "uri") if given.get(name) is not None}


def key_of(location: Location, where: str) -> str:
    """Return the key of a location in a store.

    Raises:
        StepError: it has none, or one that goes up.
    """
    found: Location = next((location[each] for each in _KEYED if location.get(each)), {})
    key = posixpath.normpath(str(found.get("key") or "").lstrip("/"))
    if key in ("", ".") or key.startswith(".."):
        raise StepError(f"{where}: key {found.get('key')!r}: want a path below the bucket")
    return key


def uri(location: Location, where: str) -> str:
    """Return the URI of what has one.

    Raises:
        StepError: it has none.
    """
    found = kind(location, where)
    if location.get("uri"):
        text = str(location["uri"])
    elif found == HTTP:
        text = str(location[HTTP].get("url") or "")
        if not text.startswith(_WEB):
            raise StepError(f"{where}.http.url {text[:200]!r}: want http:// or https://")
    elif found in STORES:
        text = f"{_SCHEMES[found]}://{location[found]['bucket']}/{key_of(location, where)}"
    else:
        raise StepError(f"{where}: it says no place; there are {', '.join(KINDS)}")
    try:
        uris.parse(text)
    except UriError as error:
        raise StepError(f"{where}: {error}") from error
    return text


def folder(location: Location, where: str) -> str:
    """Return the URI of what is listed: a bucket may be listed as a whole.

    Raises:
        StepError: it has none.
    """
    found = kind(location, where)
    if found in STORES and not location[found].get("key"):
        return f"{_SCHEMES[found]}://{location[found]['bucket']}"
    return uri(location, where)


def of(made: Artifact) -> Location:
    """Return where the artifact of a step is."""
    return only(made.metadata.get(FIELD) or {}) or {"uri": made.uri}


def brief(location: Location, repository: Repository) -> dict[str, Any]:
    """Return a location as statuses tell it: of what is in the repository nothing but the key."""
    for found, store in repository.store.items():
        own = location.get(found)
        if (
            isinstance(own, Mapping)
            and own.get("key")
            and {**own, "key": ""} == {**store, "key": ""}
        ):
            return {**location, found: {"key": own["key"]}}
    return {**location}


def below_url(location: Location, file: str) -> dict[str, Any]:
    """Return an http location at a file below its path."""
    parts = urllib.parse.urlsplit(str(location[HTTP].get("url") or ""))
    path = posixpath.join(parts.path or "/", urllib.parse.quote(file))
    return {HTTP: {**location[HTTP], "url": parts._replace(path=path).geturl()}}


def at_key(location: Location, key: str) -> dict[str, Any]:
    """Return a location in a store with another key."""
    found = next(each for each in STORES if location.get(each) is not None)
    return {found: {**location[found], "key": key}}
