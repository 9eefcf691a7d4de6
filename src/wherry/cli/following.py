"""An object that is followed from one change to the next, until what it is about has ended."""

from collections.abc import AsyncIterator, Callable

from wherry.cli.failures import CommandError
from wherry.cli.session import Session
from wherry.objects import metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


async def states(
    opened: Session,
    resource: Resource,
    found: Object,
    *,
    noun: str,
    has_ended: Callable[[Object], bool],
) -> AsyncIterator[Object]:
    """Yield an object as it is, and at each change, the last time when it has ended.

    Args:
        opened: Where it is.
        resource: Its kind.
        found: As it is now.
        noun: What people call its kind.
        has_ended: Tells whether there is nothing more to come.

    Raises:
        CommandError: it was deleted.
    """
    yield found
    if has_ended(found):
        return
    name = metadata.name(found)
    events = opened.client.watch(
        resource,
        opened.namespace,
        fields=f"metadata.name={name}",
        resource_version=found["metadata"]["resourceVersion"],
    )
    async for event in events:
        if event.type == "DELETED":
            raise CommandError(f"{noun} {name} was deleted")
        if event.type != "BOOKMARK":
            yield event.object
            if has_ended(event.object):
                return
