"""Finalizers: hold an object's deletion until what hangs on it is cleaned up."""

from collections.abc import Mapping

from wherry.client.client import Client
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


def has_finalizer(obj: Object, finalizer: str) -> bool:
    """Return whether the object is held by ``finalizer``."""
    return finalizer in (obj["metadata"].get("finalizers") or [])


async def add_finalizer(client: Client, resource: Resource, obj: Object, finalizer: str) -> Object:
    """Hold an object's deletion; no call when it is held already.

    Args:
        client: To write with.
        resource: Of the object.
        obj: A stored object, not being deleted; not changed.
        finalizer: A qualified name, e.g. ``wherry.dev/data``.

    Returns:
        The object as it stands now.

    Raises:
        ConflictError: the object has changed since it was read; reconcile again.
    """
    present = obj["metadata"].get("finalizers") or []
    if finalizer in present:
        return obj
    return await _write(client, resource, obj, [*present, finalizer])


async def remove_finalizer(
    client: Client,
    resource: Resource,
    obj: Object,
    finalizer: str,
    *,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """Let an object's deletion go on; no call when it is not held.

    Args:
        client: To write with.
        resource: Of the object.
        obj: A stored object; not changed. That it is gone meanwhile is fine.
        finalizer: The name it was added by.
        labels: Those that it gets with the same write.

    Returns:
        The object as the server last knew it.

    Raises:
        ConflictError: the object has changed since it was read; reconcile again.
    """
    present = obj["metadata"].get("finalizers") or []
    if finalizer not in present:
        return obj
    try:
        left = [name for name in present if name != finalizer]
        return await _write(client, resource, obj, left, labels=labels)
    except errors.NotFoundError:
        return obj


async def _write(
    client: Client,
    resource: Resource,
    obj: Object,
    finalizers: list[str],
    *,
    labels: Mapping[str, str] | None = None,
) -> Object:
    where = metadata.namespaced_name(obj)
    # Lists are replaced as wholes: the resourceVersion keeps another's finalizer from being lost.
    version = obj["metadata"]["resourceVersion"]
    head: Object = {"finalizers": finalizers or None, "resourceVersion": version}
    patch = {"metadata": {**head, "labels": labels} if labels else head}
    return await client.patch(resource, where.name, patch, where.namespace)
