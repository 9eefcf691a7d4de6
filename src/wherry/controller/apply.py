"""Children: make one exist as desired, and write nothing when it does."""

from dataclasses import dataclass
from typing import Literal

from wherry.client.client import Client
from wherry.controller import differences, owners
from wherry.controller.cache import Cache
from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


@dataclass(frozen=True, slots=True)
class Applied:
    """What came of it.

    Attributes:
        object: As it stands now. Shared with the cache where nothing was done: not to be changed.
        outcome: What was done.
    """

    object: Object
    outcome: Literal["created", "updated", "unchanged"]


async def create_or_update(
    client: Client, cache: Cache | None, resource: Resource, desired: Object
) -> Applied:
    """Make an object exist with every field that ``desired`` names; other fields are left alone.

    Fields that ``desired`` no longer names are not removed: name them with None. An object of
    that name without a controller is adopted where ``desired`` names one.

    Args:
        client: To write with.
        cache: To read from; None reads from the server.
        resource: Of the object.
        desired: The object; its controller reference says whose it is.

    Raises:
        ForeignOwnerError: an object of that name belongs to another controller.
        ConflictError: it has changed since the cache saw it; reconcile again.
        ApiError: the server refused.
    """
    applied = await create_if_absent(client, cache, resource, desired)
    if applied.outcome == "created":
        return applied
    actual = applied.object
    patch = differences.merge_patch(desired, actual)
    if not patch:
        return Applied(actual, "unchanged")
    # The difference is to this very state: a change in between is a conflict, not overwritten.
    patch.setdefault("metadata", {})["resourceVersion"] = actual["metadata"]["resourceVersion"]
    where = metadata.namespaced_name(desired)
    return Applied(await client.patch(resource, where.name, patch, where.namespace), "updated")


async def create_if_absent(
    client: Client, cache: Cache | None, resource: Resource, desired: Object
) -> Applied:
    """Make an object exist; one that exists is left as it is, if it is not another's.

    Raises:
        ForeignOwnerError: an object of that name belongs to another controller.
        AlreadyExistsError: it came and went while this looked; reconcile again.
        ApiError: the server refused.
    """
    actual = await _read(client, cache, resource, desired)
    if actual is None:
        try:
            return Applied(await client.create(resource, desired), "created")
        except errors.AlreadyExistsError:
            actual = await _read(client, None, resource, desired)
            if actual is None:
                raise
    reference = metadata.controller_of(desired)
    if reference is not None:
        owners.check_controller(actual, reference["uid"])
    return Applied(actual, "unchanged")


async def delete_if_present(
    client: Client, resource: Resource, obj: Object, *, propagation_policy: str | None = None
) -> None:
    """Delete this very object (by uid); that it is gone, or another of its name there, is fine.

    Args:
        client: To delete with.
        resource: Of the object.
        obj: As it was read.
        propagation_policy: What becomes of what it owns, as for `Client.delete`.

    Raises:
        ApiError: the server refused.
    """
    where = metadata.namespaced_name(obj)
    try:
        await client.delete(
            resource,
            where.name,
            where.namespace,
            propagation_policy=propagation_policy,
            uid=metadata.uid(obj) or None,
        )
    except (errors.NotFoundError, errors.ConflictError):
        return


async def _read(
    client: Client, cache: Cache | None, resource: Resource, desired: Object
) -> Object | None:
    where = metadata.namespaced_name(desired)
    if cache is not None:
        return cache.get(*where)
    try:
        return await client.get(resource, where.name, where.namespace)
    except errors.NotFoundError:
        return None
