"""Puts a product's kinds and first objects into an API, whoever's it is."""

import asyncio
import contextlib
from collections.abc import Sequence

from wherry.client.client import Client
from wherry.controller import apply
from wherry.controller.component import Component
from wherry.objects import conditions, errors, kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_ESTABLISHED_SECONDS = 30.0
_POLL_SECONDS = 0.05
_TRIES = 20
_MADE = "wherry.dev/objects-made"


async def define(client: Client, definitions: Sequence[Object]) -> None:
    """Make CustomResourceDefinitions exist as given, and wait until they are served.

    Raises:
        TimeoutError: one is not served within 30 s; the message says what the API says of it.
        ApiError: the API refused one.
    """
    resource = kinds.CUSTOM_RESOURCE_DEFINITIONS
    # By name: the answers are a megabyte each, and hardly one has to be waited for.
    waiting: list[str] = []
    for definition in definitions:
        applied = await ensure(client, resource, definition)
        if not conditions.is_true(applied, "Established"):
            waiting.append(metadata.name(definition))
    deadline = asyncio.get_running_loop().time() + _ESTABLISHED_SECONDS
    for name in waiting:
        definition = await client.get(resource, name)
        while not conditions.is_true(definition, "Established"):
            if asyncio.get_running_loop().time() > deadline:
                told = (definition.get("status") or {}).get("conditions")
                raise TimeoutError(f"CustomResourceDefinition {name} is not served: {told}")
            await asyncio.sleep(_POLL_SECONDS)
            definition = await client.get(resource, name)


async def ensure(client: Client, resource: Resource, obj: Object) -> Object:
    """Make an object exist as given, also where other replicas are about the same; return it.

    Raises:
        ApiError: the API refused it, or others change it all the time.
    """
    for _ in range(_TRIES):
        with contextlib.suppress(errors.AlreadyExistsError, errors.ConflictError):
            return (await apply.create_or_update(client, None, resource, obj)).object
        await asyncio.sleep(_POLL_SECONDS)
    return (await apply.create_or_update(client, None, resource, obj)).object


async def make_objects(client: Client, component: Component, *, roles: bool = False) -> None:
    """Make what a product has from the start, once: what people change or delete stays so.

    That it was done is noted on the definition of the product's first kind, afterwards, so that a
    start that is cut off is made up for by the next. The kinds have to be served.

    Args:
        client: To write with.
        component: The product.
        roles: Whether its roles are made too; that takes the rights of an administrator.

    Raises:
        ApiError: the API refused one.
    """
    objects = [*component.objects(), *(component.roles() if roles else ())]
    if not objects:
        return
    resource = kinds.CUSTOM_RESOURCE_DEFINITIONS
    name = component.kinds[0].resource.key
    definition = await client.get(resource, name)
    if _MADE in metadata.annotations(definition):
        return
    own = {(kind.resource.api_version, kind.resource.kind): kind for kind in component.kinds}
    for obj in objects:
        place = obj["apiVersion"], obj["kind"]
        known = own[place].resource if place in own else kinds.by_kind(*place)
        assert known is not None, f"{place}: neither the product's own kind nor Kubernetes'"
        with contextlib.suppress(errors.AlreadyExistsError):
            await client.create(known, obj)
    noted = {"metadata": {"name": name, "annotations": {_MADE: "true"}}}
    await ensure(client, resource, noted)
