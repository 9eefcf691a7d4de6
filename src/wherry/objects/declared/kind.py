"""A custom kind in full: names, versions, schemas, defaults, checks, and its definition. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.objects import kinds
from wherry.objects.declared import structural
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.objects.resources import Resource

AGE = ("Age", "date", ".metadata.creationTimestamp")


def condition(type_: str) -> str:
    """Return the JSONPath of a condition's status, for a column."""
    return f'.status.conditions[?(@.type=="{type_}")].status'


@dataclass(frozen=True, slots=True)
class Column:
    """What `kubectl get` prints of an object.

    Attributes:
        name: The heading.
        type: ``string``, ``integer``, ``date`` …
        path: JSONPath of the value.
        priority: Above 0: only with `-o wide`.
    """

    name: str
    type: str
    path: str
    priority: int = 0

    def to_dict(self) -> Object:
        """Return the column as it stands in a definition."""
        made: Object = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return {**made, "priority": self.priority} if self.priority else made


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the replicas of a kind are that `kubectl scale` and autoscalers may change."""

    spec: str
    status: str
    selector: str = ""

    def to_dict(self) -> Object:
        """Return the subresource as it stands in a definition."""
        made = {"specReplicasPath": self.spec, "statusReplicasPath": self.status}
        return {**made, "labelSelectorPath": self.selector} if self.selector else made


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a kind.

    Attributes:
        name: Such as ``v1``.
        spec: The declared dataclass of `spec`; None: `schema` says what there is.
        schema: The schema of the whole object, for kinds whose parts their API leaves open.
        subresources: Names of those that a kind with a `schema` has, such as ``status``.
        spec_required: Whether the API refuses objects without a `spec`.
        status: That of `status`; None: the kind has no status.
        columns: What `kubectl get` prints; the age is added if none of them is called so.
        scale: For kinds that can be scaled.
        deprecated: The warning that users of the version get; empty: none.
        description: What the kind is for; `kubectl explain` prints it.
    """

    name: str
    spec: type[Any] | None = None
    schema: Object | None = None
    subresources: tuple[str, ...] = ()
    status: type[Any] | None = None
    columns: tuple[Column, ...] = ()
    scale: Scale | None = None
    deprecated: str = ""
    spec_required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that another speaks of.

    Attributes:
        resource: What it is.
        name: Its name.
        namespace: Empty where its kind has none.
    """

    resource: Resource
    name: str
    namespace: str = ""


Seen = Mapping[Reference, Object | None]
"""Objects that were looked up, None where there is none; without those that could not be looked up."""


@dataclass(frozen=True, slots=True)
class Related:
    """What an object is checked against beside itself.

    What is looked up may change at any time: a controller has to check again when it reads.

    Attributes:
        references: Returns what to look up, given an object and the one before (None: it is new).
        validate: Returns what is wrong with an object, given what was found.
    """

    references: Callable[[Object, Object | None], Sequence[Reference]]
    validate: Callable[[Object, Object | None, Seen], Sequence[Cause]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """What the writer of an object has to be allowed besides: it will be done because of the object.

    Attributes:
        field: The part of the object that asks for it.
        api_version: Of what will be created.
        kind: Likewise.
        namespace: Where.
    """

    field: str
    api_version: str
    kind: str
    namespace: str

    def unserved(self) -> Resource:
        """Return what is asked about where the API does not serve the kind: all of its group."""
        group, _, version = self.api_version.rpartition("/")
        return Resource(group, version, "*", self.kind)

    def lacking(self, why: str) -> str:
        """Return the refusal of a writer who does not have it.

        Args:
            why: What was said of the right itself.
        """
        return f"{self.field} makes a {self.kind} of {self.api_version}, for which you need the right: {why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A custom kind.

    Attributes:
        resource: Its names; the version is the one that is stored.
        versions: All that are served, the stored one among them.
        default: Returns an object, in the stored version, with what the user left out.
        validate: Returns what is wrong with an object, given the one before (None: it is new).
        related: What is checked against other objects, once `validate` finds nothing.
        rights: Returns what the writer of an object has to be allowed besides, given the one before and
            what `related` has looked up.
        maker: Annotation in which an object bears who has made it (`userInfo` of
            ``authentication.k8s.io/v1`` as JSON), whatever its writers say; empty: none.
        warnings: Returns what the writer of an object should know; it does not stop the write.
        convert: Returns an object of one served version in another, `(object, apiVersion)`.
    """

    resource: Resource
    versions: tuple[Version, ...]
    default: Callable[[Object], Object] | None = None
    validate: Callable[[Object, Object | None], Sequence[Cause]] | None = None
    related: Related | None = None
    rights: Callable[[Object, Object | None, Seen], Sequence[Right]] | None = None
    maker: str = ""
    warnings: Callable[[Object], Sequence[str]] | None = None
    convert: Callable[[Object, str], Object] | None = None

    def definition(self) -> Object:
        """Return the CustomResourceDefinition (``apiextensions.k8s.io/v1``)."""
        resource = self.resource
        names: Object = {
            "plural": resource.plural,
            "singular": resource.singular or resource.kind.lower(),
            "kind": resource.kind,
            "listKind": f"{resource.kind}List",
        }
        if resource.short_names:
            names["shortNames"] = list(resource.short_names)
        if resource.categories:
            names["categories"] = list(resource.categories)
        crd = kinds.CUSTOM_RESOURCE_DEFINITIONS
        return {
            "apiVersion": crd.api_version,
            "kind": crd.kind,
            "metadata": {"name": resource.key},
            "spec": {
                "group": resource.group,
                "scope": "Namespaced" if resource.namespaced else "Cluster",
                "names": names,
                "versions": [self._version(version) for version in self.versions],
            },
        }

    def _version(self, version: Version) -> Object:
        subresources: Object = {name: {} for name in version.subresources}
        if version.status is not None:
            subresources["status"] = {}
        if version.scale is not None:
            subresources["scale"] = version.scale.to_dict()
        aged = any(column.name == AGE[0] for column in version.columns)
        columns = version.columns if aged else (*version.columns, Column(*AGE))
        made: Object = {
            "name": version.name,
            "served": True,
            "storage": version.name == self.resource.version,
            "schema": {"openAPIV3Schema": _root(version)},
            "additionalPrinterColumns": [column.to_dict() for column in columns],
        }
        if subresources:
            made["subresources"] = subresources
        if version.deprecated:
            made |= {"deprecated": True, "deprecationWarning": version.deprecated}
        return made


def _root(version: Version) -> Object:
    root: Object = {"type": "object", "properties": {}, **(version.schema or {})}
    properties = root["properties"] = dict(root["properties"])
    if version.spec is not None:
        properties["spec"] = structural.schema(version.spec)
    if version.status is not None:
        properties["status"] = structural.schema(version.status)
    if version.description:
        root["description"] = version.description
    if version.spec_required:
        root["required"] = ["spec"]
    return root
