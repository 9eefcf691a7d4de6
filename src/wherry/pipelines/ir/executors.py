"""What a step is: a container, or an artifact that is brought in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from wherry.pipelines.ir.messages import ArtifactType, Groups, Json, ValueOrParameter


@dataclass(frozen=True, slots=True)
class Accelerator:
    """Devices, e.g. ``nvidia.com/gpu``. Texts may hold placeholders."""

    type: str = ""
    count: int = 0
    resource_type: str = ""
    resource_count: str = ""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a step needs. Old numbers are cores and GB; the texts may hold placeholders, and count first."""

    cpu_limit: float = 0
    memory_limit: float = 0
    cpu_request: float = 0
    memory_request: float = 0
    resource_cpu_limit: str = ""
    resource_memory_limit: str = ""
    resource_cpu_request: str = ""
    resource_memory_request: str = ""
    accelerator: Accelerator | None = None


@dataclass(frozen=True, slots=True)
class Exec:
    """A command."""

    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """What is done around a step."""

    pre_cache_check: Exec | None = None


@dataclass(frozen=True, slots=True)
class EnvVar:
    """A variable of the environment."""

    name: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A step that is a container. Image, command and args may hold placeholders."""

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    lifecycle: Lifecycle | None = None
    resources: Resources | None = None
    env: tuple[EnvVar, ...] = ()


@dataclass(frozen=True, slots=True)
class Importer:
    """A step that makes an artifact known which is there already."""

    artifact_uri: ValueOrParameter = field(default_factory=ValueOrParameter)
    type_schema: ArtifactType = field(default_factory=ArtifactType)
    properties: Mapping[str, ValueOrParameter] = field(default_factory=dict)
    custom_properties: Mapping[str, ValueOrParameter] = field(default_factory=dict)
    reimport: bool = False
    metadata: Mapping[str, Json] = field(default_factory=dict)
    download_to_workspace: bool = False


@dataclass(frozen=True, slots=True)
class Executor:
    """What a component with an ``executorLabel`` does. Resolvers and custom jobs are not run anywhere but at Google."""

    ONE_OF: ClassVar[Groups] = (("container", "importer", "resolver", "custom_job"),)
    container: Container | None = None
    importer: Importer | None = None
    resolver: Mapping[str, Json] | None = None
    custom_job: Mapping[str, Json] | None = None
