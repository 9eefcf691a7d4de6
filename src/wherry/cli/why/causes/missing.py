"""An object that does not exist: where it might be, and what it may be called. Pure."""

from wherry.cli.targets import short, similar
from wherry.cli.why.finding import Finding
from wherry.cli.why.world import World
from wherry.objects import kinds, metadata
from wherry.objects.resources import Resource


def look(resource: Resource, namespace: str, name: str, world: World) -> Finding:
    """Return what there is instead of the object."""
    title = short(resource, name)
    where = f" in namespace {namespace}" if namespace else ""
    if namespace and world.is_missing(kinds.NAMESPACES, "", namespace):
        close = similar(namespace, world.names(kinds.NAMESPACES))
        hint = f"did you mean -n {close[0]}? " if close else ""
        mend = f"{hint}`wherry get namespaces` lists those there are"
        return Finding(title, f"does not exist, nor does the namespace {namespace}", mend=mend)
    everywhere = world.objects(resource)
    elsewhere = [
        metadata.namespace(obj)
        for obj in everywhere
        if metadata.name(obj) == name and metadata.namespace(obj) != namespace
    ]
    if elsewhere:
        mend = f"look there: wherry why {title} -n {elsewhere[0]}"
        return Finding(title, f"does not exist{where}; namespace {elsewhere[0]} has one", mend=mend)
    here = [metadata.name(obj) for obj in everywhere if metadata.namespace(obj) == namespace]
    close = similar(name, sorted(here))
    plural = resource.plural
    if close:
        mend = f"did you mean {' or '.join(close)}?"
    elif here:
        mend = f"there are {', '.join(sorted(here)[:5])}" + (" …" if len(here) > 5 else "")
    else:
        mend = f"there are no {plural}{where} at all; create one with `wherry apply -f FILE`"
    return Finding(title, f"does not exist{where}", mend=mend)
