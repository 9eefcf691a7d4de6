"""Reading and writing what all objects share: names, owners, labels, times."""

import datetime
import functools
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from wherry.objects.requests import Object

LOG_ALIASES: Final = "wherry.dev/log-aliases"
"""Annotation of pods: ``name=container,…``; a log asked for by such a name is the container's. For
clients that know a container from elsewhere which is not needed here."""

PARALLELISM: Final = "wherry.dev/parallelism"
"""Annotation of pods: how many pods like this one are meant to run at once, 1 or more. Our node then
tells their programs to start no more threads than fall to each."""


class NamespacedName(NamedTuple):
    """Where an object lives; the namespace is empty for cluster-scoped kinds."""

    namespace: str
    name: str


def name(obj: Object) -> str:
    """Return `metadata.name`, empty where there is none yet."""
    return str(obj.get("metadata", {}).get("name", ""))


def namespace(obj: Object) -> str:
    """Return `metadata.namespace`, empty for cluster-scoped objects."""
    return str(obj.get("metadata", {}).get("namespace", ""))


def namespaced_name(obj: Object) -> NamespacedName:
    """Return where the object lives."""
    return NamespacedName(namespace(obj), name(obj))


def uid(obj: Object) -> str:
    """Return `metadata.uid`, empty before creation."""
    return str(obj.get("metadata", {}).get("uid", ""))


def resource_version(obj: Object) -> int:
    """Return `metadata.resourceVersion` as a number, 0 where there is none."""
    return int(obj.get("metadata", {}).get("resourceVersion") or 0)


def labels(obj: Object) -> Mapping[str, str]:
    """Return the labels; empty where there are none. Not to be changed."""
    return obj.get("metadata", {}).get("labels") or {}


def annotations(obj: Object) -> Mapping[str, str]:
    """Return the annotations; empty where there are none. Not to be changed."""
    return obj.get("metadata", {}).get("annotations") or {}


def is_deleting(obj: Object) -> bool:
    """Return whether deletion has been asked for."""
    return bool(obj.get("metadata", {}).get("deletionTimestamp"))


def owner_reference(owner: Object, *, controller: bool = True) -> dict[str, Any]:
    """Return the reference by which a child names ``owner``.

    Args:
        owner: A stored object (it has a uid).
        controller: Whether the owner manages the child; at most one owner does.
    """
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def owner_references(obj: Object) -> list[dict[str, Any]]:
    """Return `metadata.ownerReferences`; empty where there are none. Not to be changed."""
    return obj.get("metadata", {}).get("ownerReferences") or []


def controller_of(obj: Object) -> dict[str, Any] | None:
    """Return the owner reference marked as controller, if any."""
    for reference in owner_references(obj):
        if reference.get("controller"):
            return reference
    return None


def format_time(when: datetime.datetime) -> str:
    """Return an aware time as Kubernetes prints it: RFC 3339, UTC, whole seconds."""
    return _printed(math.floor(when.timestamp()))


@functools.lru_cache(maxsize=64)
def _printed(second: int) -> str:
    """Return a second since the epoch as text; what happens together is of the same few seconds."""
    when = datetime.datetime.fromtimestamp(second, datetime.UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(when: datetime.datetime) -> str:
    """Return an aware time as `MicroTime`: RFC 3339, UTC, six decimals."""
    return when.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime.datetime:
    """Read any RFC 3339 time; a time without zone is UTC.

    Raises:
        ValueError: the text is no such time.
    """
    parsed = datetime.datetime.fromisoformat(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.UTC)
