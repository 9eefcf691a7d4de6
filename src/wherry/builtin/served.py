"""Which resources the API serves: the built-in ones and those that definitions add."""

from collections.abc import Iterable, Iterator

from wherry.objects import conditions, kinds
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


def stored_resources(definitions: Iterable[Object]) -> Iterator[Resource]:
    """Yield each resource whose objects are stored and can be listed, once whatever its versions.

    Args:
        definitions: CustomResourceDefinitions.
    """
    seen: set[str] = set()
    for resource in (*kinds.BUILTIN, *custom_resources(definitions)):
        if "list" not in resource.verbs or kinds.stored_as(resource) != resource:
            continue
        if resource.key not in seen:
            seen.add(resource.key)
            yield resource


def custom_resources(definitions: Iterable[Object]) -> Iterator[Resource]:
    """Yield the resource of each established definition, in its storage version."""
    for definition in definitions:
        if not conditions.is_true(definition, "Established"):
            continue
        spec = definition["spec"]
        names = spec["names"]
        version = next((v["name"] for v in spec["versions"] if v.get("storage")), None)
        if version is None:
            continue
        yield Resource(
            group=spec["group"],
            version=version,
            plural=names["plural"],
            kind=names["kind"],
            namespaced=spec["scope"] == "Namespaced",
        )


def custom_versions(definitions: Iterable[Object]) -> Iterator[Resource]:
    """Yield the resource of each established definition, in each version that is served."""
    for definition in definitions:
        if not conditions.is_true(definition, "Established"):
            continue
        spec = definition["spec"]
        for version in spec["versions"]:
            if version.get("served"):
                yield Resource(
                    group=spec["group"],
                    version=version["name"],
                    plural=spec["names"]["plural"],
                    kind=spec["names"]["kind"],
                    namespaced=spec["scope"] == "Namespaced",
                )
