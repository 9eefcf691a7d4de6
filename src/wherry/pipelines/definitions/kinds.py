"""What users write of a pipeline that is kept by name, and of its versions.

Source: kubeflow/pipelines 2.17, ``backend/src/crd/kubernetes/v2beta1``.
"""

from dataclasses import dataclass
from typing import Any, Final

from wherry.objects.declared.fields import about
from wherry.objects.declared.kind import Column
from wherry.objects.resources import Resource

GROUP: Final = "pipelines.kubeflow.org"
V2BETA1: Final = "v2beta1"
API_VERSION: Final = f"{GROUP}/{V2BETA1}"


def _resource(kind: str, *subresources: str) -> Resource:
    return Resource(
        group=GROUP,
        version=V2BETA1,
        plural=f"{kind.lower()}s",
        kind=kind,
        singular=kind.lower(),
        categories=("kubeflow", "wherry"),
        subresources=subresources,
    )


PIPELINES: Final = _resource("Pipeline")
PIPELINE_VERSIONS: Final = _resource("PipelineVersion", "status")

LARGE: Final = ("pipelineSpec", "platformSpec")
"""Fields of a version that may have a megabyte."""
SHARED: Final = "kubeflow"
"""Namespace of the pipelines that everyone may use; in the REST API theirs is empty."""
FINALIZER: Final = "wherry.dev/pipeline-versions"
"""Holds a pipeline until its versions are gone."""
PIPELINE_LABEL: Final = "pipelines.kubeflow.org/pipeline"
"""Of versions: name of their pipeline, cut to what a label may be."""
PIPELINE_ID_LABEL: Final = "pipelines.kubeflow.org/pipeline-id"
"""Of versions: uid of their pipeline."""
NAME_ANNOTATION: Final = "pipelines.wherry.dev/name"
"""Of what the REST API made: its name there, where that is none that an object can have."""
DEFAULT_VERSION_ANNOTATION: Final = "pipelines.wherry.dev/default-version"
"""Id of the version of a pipeline that clients of the first version of the API have chosen."""
CREATED_ANNOTATION: Final = "pipelines.wherry.dev/created-at"
"""Of what the REST API made: when, to the microsecond."""

MAX_NAME: Final = 128
MAX_VERSION_NAME: Final = 127
MAX_TEXT: Final = 8 * 1024
MAX_DISPLAY_NAME: Final = 256
MAX_URL: Final = 2048
MAX_TAGS: Final = 20
MAX_TAG: Final = 63
"""Characters in a tag's key, and in its value."""

_TAGS: Final = f"Words to find it by; at most {MAX_TAGS}, of {MAX_TAG} characters; no dot in a key."


@dataclass(frozen=True, slots=True)
class PipelineSpec:
    """A pipeline that is kept by name."""

    display_name: str = about(
        "What people call it; its name by default.", "", maxLength=MAX_DISPLAY_NAME
    )
    description: str = about("What it is for.", "", maxLength=MAX_TEXT)
    tags: dict[str, str] = about(_TAGS, dict)


@dataclass(frozen=True, slots=True)
class PipelineVersionSpec:
    """A version of a pipeline: what is run."""

    pipeline_name: str = about(
        "Name of the Pipeline in the same namespace.", "", required=True, maxLength=253
    )
    version_name: str = about(
        "What the version is called; the object's name by default.",
        "",
        maxLength=253,
        pattern=r"^[a-z0-9]([a-z0-9\.\-]*[a-z0-9])?$",
    )
    display_name: str = about(
        "What people call it; its name by default.", "", maxLength=MAX_DISPLAY_NAME
    )
    description: str = about("What is new in it.", "", maxLength=MAX_TEXT)
    code_source_url: str = about(
        "Where its source is.", "", name="codeSourceURL", maxLength=MAX_URL
    )
    pipeline_spec_uri: str = about(
        "Where it was taken from.", "", name="pipelineSpecURI", maxLength=MAX_URL
    )
    pipeline_spec: dict[str, Any] = about(
        "The pipeline, as the compiler of kfp writes it.", dict, required=True
    )
    platform_spec: dict[str, Any] = about("The compiled file's second document, if any.", dict)
    tags: dict[str, str] = about(_TAGS, dict)


@dataclass(frozen=True, slots=True)
class SimplifiedCondition:
    """A condition without times, as upstream has it here."""

    type: str = about("Which.", "", required=True, maxLength=316)
    status: str = about("Whether it holds.", "", required=True, enum=["True", "False", "Unknown"])
    reason: str = about("In one word.", "", required=True)
    message: str = about("In a sentence.", "", required=True, maxLength=32768)


@dataclass(frozen=True, slots=True)
class PipelineVersionStatus:
    """How a version stands."""

    conditions: tuple[SimplifiedCondition, ...] = about("What holds of it.", ())


PIPELINE_COLUMNS: Final = (
    Column("Display Name", "string", ".spec.displayName"),
    Column("Description", "string", ".spec.description", priority=1),
)
VERSION_COLUMNS: Final = (
    Column("Pipeline", "string", ".spec.pipelineName"),
    Column("Version", "string", ".spec.versionName"),
    Column("Display Name", "string", ".spec.displayName", priority=1),
)
