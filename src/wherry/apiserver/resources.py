"""What is served right now: the built-in resources and those of the custom definitions.

Discovery, OpenAPI, paths and verbs all read this one map, so that a definition that is established
appears everywhere at once.
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from wherry.apiserver import conversions
from wherry.apiserver.strategy import Strategy
from wherry.objects import kinds, openapi, schemas
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where an object keeps what its `Scale` shows, as key sequences.

    Attributes:
        replicas: The wanted number, e.g. ``("spec", "replicas")``.
        status_replicas: The observed number.
        selector: The selector as text or as a label selector object; None where there is none.
    """

    replicas: tuple[str, ...]
    status_replicas: tuple[str, ...]
    selector: tuple[str, ...] | None


_VERSION: Final = re.compile(r"v(\d{1,9})(?:(alpha|beta)(\d{1,9}))?")
BUILTIN_SCALE: Final = ScalePaths(
    ("spec", "replicas"), ("status", "replicas"), ("spec", "selector")
)


class StoredDefaults(Protocol):
    """Fills a definition's defaults into objects that were stored before it had them."""

    def raw(self, raw: bytes) -> bytes:
        """Return the JSON of a stored object with its defaults; the same bytes where it has them."""
        ...

    def fill(self, obj: Object) -> None:
        """Fill the defaults into a stored object, in place."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """One resource in one version, with everything that serving it takes.

    Attributes:
        resource: The row of discovery.
        storage: The row under whose key and in whose version objects are stored.
        schema: Returns the compiled schema; compiled at its first use.
        strategy: What is peculiar to the kind.
        definition: The version's entry in the custom definition; None for built-in kinds.
        scale: Where the `scale` subresource reads and writes; None without one.
        rules: Returns what breaks the definition's rules in CEL, for an object and the one it replaces;
            None without rules.
        convert: Returns objects of the kind in a version, each one new: the one place where versions
            change. The result may share parts with its argument.
        asks: Whether `convert` may have to ask somebody, and so has to be run by `converting.complete`.
        defaults: What older objects lack; None where a definition has no defaults.
        structural: Returns the schema as the definition has it; None for built-in kinds. Read anew each
            time: kept at hand, the schemas of a few dozen kinds would outweigh all else at rest.
    """

    resource: Resource
    storage: Resource
    schema: Callable[[], schemas.Schema]
    strategy: Strategy
    definition: Mapping[str, Any] | None = None
    scale: ScalePaths | None = None
    rules: Callable[[Object, Object | None], list[Cause]] | None = None
    convert: Callable[[Iterable[Object], str], list[Object]] = conversions.convert_all
    asks: bool = False
    defaults: StoredDefaults | None = None
    structural: Callable[[], Mapping[str, Any]] | None = None

    @property
    def custom(self) -> bool:
        """Whether a custom definition serves it."""
        return self.definition is not None

    @property
    def deprecation(self) -> str:
        """What whoever uses a version that its definition calls deprecated is warned of."""
        if self.definition is None or not self.definition.get("deprecated"):
            return ""
        resource = self.resource
        plain = f"{resource.group}/{resource.version} {resource.kind} is deprecated"
        return str(self.definition.get("deprecationWarning") or plain)

    @property
    def columns(self) -> list[dict[str, Any]] | None:
        """`additionalPrinterColumns`; empty where a definition names none, None for built-in kinds."""
        if self.definition is None:
            return None
        return self.definition.get("additionalPrinterColumns") or []

    @property
    def list_kind(self) -> str:
        """The kind of a list of these objects, e.g. ``PodList``."""
        named = self.definition.get("listKind") if self.definition else None
        return str(named or f"{self.resource.kind}List")

    def in_version(self, raw: bytes) -> bytes:
        """Return a stored object's JSON in this version; the same bytes where it is stored so."""
        if self.defaults is not None:
            raw = self.defaults.raw(raw)
        # Stored objects begin with their apiVersion: one comparison instead of parsing.
        if raw.startswith(_start(self.resource.api_version)):
            return raw
        return self._converted([raw])[0]

    def all_in_version(self, raws: Iterable[bytes]) -> list[bytes]:
        """Return the JSON of stored objects in this version; the same bytes where stored so."""
        if self.defaults is not None:
            raws = map(self.defaults.raw, raws)
        return self._converted(list(raws))

    def _converted(self, found: list[bytes]) -> list[bytes]:
        version = self.resource.api_version
        start = _start(version)
        others = [raw for raw in found if not raw.startswith(start)]
        if not others:
            return found
        converted = iter(self.convert(map(orjson.loads, others), version))
        return [raw if raw.startswith(start) else orjson.dumps(next(converted)) for raw in found]

    def from_storage(self, obj: Object) -> Object:
        """Return a stored object in this version; ``obj`` is used up."""
        if self.defaults is not None:
            self.defaults.fill(obj)
        if obj.get("apiVersion") == self.resource.api_version:
            return obj
        return self.convert([obj], self.resource.api_version)[0]

    def to_storage(self, obj: Object) -> Object:
        """Return an object of this version as it is stored."""
        return self.convert([obj], self.storage.api_version)[0]


@functools.lru_cache(maxsize=1024)
def _start(api_version: str) -> bytes:
    """Return how the JSON of stored objects of a version begins."""
    return b'{"apiVersion":"%s",' % api_version.encode()


def builtin(resource: Resource, strategies: Mapping[str, Strategy]) -> Served:
    """Return how a built-in resource is served.

    Args:
        resource: A row of `kinds.BUILTIN`.
        strategies: By resource key; kinds that are not listed have the general strategy.
    """
    api_version, kind = resource.api_version, resource.kind
    return Served(
        resource=resource,
        storage=kinds.stored_as(resource),
        schema=lambda: openapi.schema_for(api_version, kind),
        strategy=strategies.get(resource.key) or Strategy(),
        scale=BUILTIN_SCALE if "scale" in resource.subresources else None,
    )


def precedence(version: str) -> tuple[int, int, int, str]:
    """Return the sort key of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return (stage, -int(match[1]), -int(match[3] or 0), "")


class ResourceMap:
    """The served resources, looked up by path and by kind."""

    def __init__(self, served: Iterable[Served] = ()) -> None:
        self.generation = 0
        """Rises with every change; what is derived from the map is kept by it."""
        self._by_path: dict[tuple[str, str, str], Served] = {}
        self._by_kind: dict[tuple[str, str], Served] = {}
        self._by_key: dict[str, Served] = {}
        for each in served:
            self.add(each)

    @classmethod
    def of_builtin(cls, strategies: Mapping[str, Strategy]) -> "ResourceMap":
        """Return a map of all built-in resources."""
        return cls(builtin(resource, strategies) for resource in kinds.BUILTIN)

    def add(self, served: Served) -> None:
        """Serve a resource, in place of one with the same path."""
        resource = served.resource
        self._by_path[resource.group, resource.version, resource.plural] = served
        self._by_kind[resource.api_version, resource.kind] = served
        self._index()

    def remove(self, resource: Resource) -> None:
        """Stop serving a resource; one that is not served is ignored."""
        self._by_path.pop((resource.group, resource.version, resource.plural), None)
        self._by_kind.pop((resource.api_version, resource.kind), None)
        self._index()

    def _index(self) -> None:
        self.generation += 1
        self._by_key = {each.resource.key: each for each in reversed(self._by_path.values())}

    def by_path(self, group: str, version: str, plural: str) -> Served | None:
        """Return the resource that a URL path names."""
        return self._by_path.get((group, version, plural))

    def by_kind(self, api_version: str, kind: str) -> Served | None:
        """Return the resource that objects of a kind belong to."""
        return self._by_kind.get((api_version, kind))

    def by_key(self, key: str) -> Served | None:
        """Return the resource with a key such as ``deployments.apps``, in its preferred version."""
        return self._by_key.get(key)

    def all(self) -> list[Served]:
        """Return everything that is served, groups and versions by preference."""
        return list(self._by_path.values())

    def groups(self) -> dict[str, list[str]]:
        """Return the versions of each group, preferred first; groups in the order of discovery."""
        groups: dict[str, list[str]] = {}
        for group, version, _ in self._by_path:
            versions = groups.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return {group: sorted(versions, key=precedence) for group, versions in groups.items()}
