"""The one status write at the end of a reconcile."""

from typing import Any

from wherry.client.client import Client
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


async def write_status(
    client: Client, resource: Resource, obj: Object, status: dict[str, Any]
) -> Object:
    """Make ``status`` the object's status, with one call, or none when it is already.

    Args:
        client: To write with.
        resource: Of the object.
        obj: The object as it was read; not changed.
        status: The whole status as it should be; a new dict, not one out of a cache.

    Returns:
        The object as it stands now; ``obj`` itself where nothing was written.

    Raises:
        ConflictError: the object has changed since it was read; reconcile again.
        ApiError: the server refused.
    """
    if (obj.get("status") or {}) == status:
        return obj
    return await client.update(resource, {**obj, "status": status}, subresource="status")
