"""What a namespace says of object stores, read from the API."""

from collections.abc import Mapping

from wherry.client.client import Client
from wherry.metadata.artifacts import providers
from wherry.objects import errors
from wherry.objects import kinds as core


async def config(client: Client, namespace: str) -> Mapping[str, str]:
    """Return the data of a namespace's ConfigMap, as `providers.Providers` takes it; empty: there is none.

    Raises:
        ApiError: it cannot be read.
    """
    try:
        found = await client.get(core.CONFIG_MAPS, providers.CONFIG_MAP, namespace)
    except errors.NotFoundError:
        return {}
    return found.get("data") or {}
