"""Templates that do something themselves, other than a plain container."""

import enum
from dataclasses import dataclass, field
from typing import ClassVar

from wherry.pipelines.workflows.locations import Artifact
from wherry.pipelines.workflows.scalars import IntOrText, Object


@dataclass(frozen=True, slots=True)
class ScriptTemplate:
    """A program that is written down, run by a container's command."""

    REST: ClassVar[str] = "container"
    source: str = ""
    container: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserContainer:
    """A container beside, or before, the one of the template."""

    REST: ClassVar[str] = "container"
    mirror_volume_mounts: bool = False
    container: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerNode:
    """A container of a set, which starts when those that it depends on have succeeded."""

    REST: ClassVar[str] = "container"
    name: str = ""
    dependencies: tuple[str, ...] = ()
    container: Object = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerSetRetry:
    """How often each container of a set is tried again."""

    duration: str = ""
    retries: IntOrText | None = None


@dataclass(frozen=True, slots=True)
class ContainerSet:
    """Containers of one pod, in an order."""

    containers: tuple[ContainerNode, ...] = ()
    volume_mounts: tuple[Object, ...] = ()
    retry_strategy: ContainerSetRetry | None = None


@dataclass(frozen=True, slots=True)
class ManifestFrom:
    """An artifact that holds a manifest."""

    artifact: Artifact = field(default_factory=Artifact)


@dataclass(frozen=True, slots=True)
class ResourceTemplate:
    """Something that is done with an object of the API, and waited for."""

    action: str = ""
    merge_strategy: str = ""
    manifest: str = ""
    manifest_from: ManifestFrom | None = None
    set_owner_reference: bool = False
    success_condition: str = ""
    failure_condition: str = ""
    flags: tuple[str, ...] = ()


class Action(enum.StrEnum):
    """What is done with an object."""

    GET = "get"
    CREATE = "create"
    APPLY = "apply"
    DELETE = "delete"
    REPLACE = "replace"
    PATCH = "patch"


@dataclass(frozen=True, slots=True)
class SuspendTemplate:
    """A wait: for so long, or for a person."""

    duration: str = ""


@dataclass(frozen=True, slots=True)
class HeaderSource:
    """A key of a Secret."""

    secret_key_ref: Object | None = None


@dataclass(frozen=True, slots=True)
class HttpHeader:
    """A header, written down or from a Secret."""

    name: str = ""
    value: str = ""
    value_from: HeaderSource | None = None


@dataclass(frozen=True, slots=True)
class BodySource:
    """A body in base64."""

    bytes: str = ""


@dataclass(frozen=True, slots=True)
class HttpTemplate:
    """A request."""

    method: str = ""
    url: str = ""
    headers: tuple[HttpHeader, ...] = ()
    timeout_seconds: int | None = None
    success_condition: str = ""
    body: str = ""
    body_from: BodySource | None = None
    insecure_skip_verify: bool = False


@dataclass(frozen=True, slots=True)
class DataSource:
    """The names of the files of an artifact."""

    artifact_paths: Artifact | None = None


@dataclass(frozen=True, slots=True)
class Transformation:
    """An expression over the names so far."""

    expression: str = ""


@dataclass(frozen=True, slots=True)
class DataTemplate:
    """Names of files, and what is made of them."""

    source: DataSource = field(default_factory=DataSource)
    transformation: tuple[Transformation, ...] = ()
