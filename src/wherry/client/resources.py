"""Which resource is meant: by kind, or by any of the names that people type.

What a server serves is read from its discovery documents, once, and again when a name is unknown,
because definitions come and go.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from wherry.objects import errors, kinds
from wherry.objects.resources import Resource

_AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
)


class Reader(Protocol):
    """What reads documents that are no resources; `HttpTransport` does."""

    async def read(self, path: str, *, accept: str = "application/json") -> Any:
        """Return the JSON at a path."""
        ...


class Resources:
    """The resources of one server, cached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._served: list[Resource] | None = None

    async def all(self, *, refresh: bool = False) -> list[Resource]:
        """Return everything served, preferred versions first within a group, the core group first.

        Raises:
            ApiError: the server refused or is away.
        """
        if self._served is None or refresh:
            served: list[Resource] = []
            for root in ("/api", "/apis"):
                document = await self._reader.read(root, accept=_AGGREGATED)
                if document.get("kind") == "APIGroupDiscoveryList":
                    served += aggregated(document)
                else:
                    served += await self._one_by_one(root, document)
            self._served = served
        return self._served

    async def by_kind(self, api_version: str, kind: str) -> Resource:
        """Return the resource of a manifest.

        Raises:
            NotFoundError: no such kind is served; the message says what to check.
        """
        built_in = kinds.by_kind(api_version, kind)
        if built_in is not None:
            return built_in
        for refresh in (False, True):
            for resource in await self.all(refresh=refresh):
                if (resource.api_version, resource.kind) == (api_version, kind):
                    return resource
        raise errors.NotFoundError(
            f'no matches for kind "{kind}" in version "{api_version}"; '
            "is its CustomResourceDefinition installed?"
        )

    async def find(self, name: str) -> Resource:
        """Return the resource that a typed name means.

        Args:
            name: Plural, singular, short name or kind, in any case, with or without
                ``.group`` or ``.version.group``.

        Raises:
            NotFoundError: no resource is called so.
        """
        for refresh in (False, True):
            found = match(name, await self.all(refresh=refresh))
            if found is not None:
                return found
        raise errors.NotFoundError(
            f'the server doesn\'t have a resource type "{name}"; '
            "`kubectl api-resources` lists those it has"
        )

    async def category(self, name: str) -> list[Resource]:
        """Return the resources of a category such as ``all``; empty if there is none so called."""
        chosen: dict[str, Resource] = {}
        for resource in await self.all():
            if name in resource.categories:
                chosen.setdefault(resource.key, resource)
        return [*chosen.values()]

    async def _one_by_one(self, root: str, document: dict[str, Any]) -> list[Resource]:
        if root == "/api":
            versions = [("", version) for version in document.get("versions", [])]
        else:
            versions = [*_group_versions(document.get("groups", []))]
        served: list[Resource] = []
        for group, version in versions:
            path = f"{root}/{group}/{version}" if group else f"{root}/{version}"
            listing = await self._reader.read(path)
            served += plain(listing, group, version)
        return served


def match(name: str, served: Iterable[Resource]) -> Resource | None:
    """Return the first resource that ``name`` means: exact plurals before other names."""
    wanted = name.lower()
    named: Resource | None = None
    for resource in served:
        suffixes = ("", f".{resource.group}", f".{resource.version}.{resource.group}")
        names = (resource.plural, resource.singular, resource.kind.lower(), *resource.short_names)
        calls = {called for called in names if called}
        if wanted in {resource.plural + suffix for suffix in suffixes}:
            return resource
        if named is None and wanted in {call + suffix for call in calls for suffix in suffixes}:
            named = resource
    return named


def aggregated(document: dict[str, Any]) -> Iterator[Resource]:
    """Yield the resources of an `APIGroupDiscoveryList`."""
    for item in document.get("items", []):
        group = item.get("metadata", {}).get("name", "")
        for version in item.get("versions", []):
            for entry in version.get("resources", []):
                yield Resource(
                    group=group,
                    version=version["version"],
                    plural=entry["resource"],
                    kind=entry.get("responseKind", {}).get("kind", ""),
                    singular=entry.get("singularResource", ""),
                    namespaced=entry.get("scope") == "Namespaced",
                    short_names=tuple(entry.get("shortNames") or ()),
                    categories=tuple(entry.get("categories") or ()),
                    verbs=tuple(entry.get("verbs") or ()),
                    subresources=tuple(
                        below["subresource"] for below in entry.get("subresources") or ()
                    ),
                )


def plain(document: dict[str, Any], group: str, version: str) -> list[Resource]:
    """Return the resources of an `APIResourceList`."""
    entries = document.get("resources", [])
    below: dict[str, list[str]] = {}
    for entry in entries:
        plural, _, subresource = entry["name"].partition("/")
        if subresource:
            below.setdefault(plural, []).append(subresource)
    return [
        Resource(
            group=group,
            version=version,
            plural=entry["name"],
            kind=entry["kind"],
            singular=entry.get("singularName", ""),
            namespaced=bool(entry.get("namespaced")),
            short_names=tuple(entry.get("shortNames") or ()),
            categories=tuple(entry.get("categories") or ()),
            verbs=tuple(entry.get("verbs") or ()),
            subresources=tuple(below.get(entry["name"], ())),
        )
        for entry in entries
        if "/" not in entry["name"]
    ]


def _group_versions(groups: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for group in groups:
        preferred = group.get("preferredVersion", {}).get("version")
        versions = [entry["version"] for entry in group.get("versions", [])]
        for version in sorted(versions, key=lambda version: version != preferred):
            yield group["name"], version
