"""From one object to the findings about it: chooses who looks at it, and lets them look further."""

import dataclasses

from wherry.cli.targets import short
from wherry.cli.why import causes
from wherry.cli.why.causes import deletion, missing, others
from wherry.cli.why.finding import Finding
from wherry.cli.why.look import Look
from wherry.cli.why.world import World
from wherry.objects import kinds, metadata
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

_DEPTH = 10


def start(resource: Resource, namespace: str, name: str, world: World) -> Finding:
    """Return what holds an object back.

    Args:
        resource: Its kind.
        namespace: Where it is, empty for cluster-scoped kinds.
        name: Its name.
        world: What is known.
    """
    obj = world.get(resource, namespace, name)
    if obj is None:
        return missing.look(resource, namespace, name, world)
    found = _descend(resource, obj, world, ())
    if namespace and found.holds_back:
        found = _within_namespace(found, namespace, world)
    return found


def _descend(resource: Resource, obj: Object, world: World, above: tuple[str, ...]) -> Finding:
    uid = metadata.uid(obj) or metadata.name(obj)
    name = short(resource, metadata.name(obj))
    if uid in above or len(above) >= _DEPTH:
        return Finding(name, "is looked at further up", "fine")

    def descend(kind: Resource, other: Object) -> Finding:
        return _descend(kind, other, world, (*above, uid))

    look = Look(world, resource, obj, name, descend)
    going = deletion.look(look)
    if going is not None:
        return going
    return causes.BY_KIND.get(resource.key, others.look)(look)


def _within_namespace(found: Finding, namespace: str, world: World) -> Finding:
    """Add that the namespace is being deleted, which alone explains that nothing new is made."""
    place = world.get(kinds.NAMESPACES, "", namespace)
    if place is None or not metadata.is_deleting(place):
        return found
    cause = _descend(kinds.NAMESPACES, place, world, ())
    return dataclasses.replace(found, causes=(cause, *found.causes))
