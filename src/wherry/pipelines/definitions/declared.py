"""Pipelines and their versions as kinds."""

from typing import Final

from wherry.objects.declared.kind import Kind, Related, Version
from wherry.objects.declared.late import Late
from wherry.pipelines.definitions import kinds

_ADMISSION: Final = "wherry.pipelines.definitions.admission"

KINDS: Final = (
    Kind(
        resource=kinds.PIPELINES,
        versions=(
            Version(
                name=kinds.V2BETA1,
                spec=kinds.PipelineSpec,
                columns=kinds.PIPELINE_COLUMNS,
                description="A pipeline that is kept by name; its versions are what is run.",
            ),
        ),
        validate=Late(_ADMISSION, "pipeline"),
    ),
    Kind(
        resource=kinds.PIPELINE_VERSIONS,
        versions=(
            Version(
                name=kinds.V2BETA1,
                spec=kinds.PipelineVersionSpec,
                status=kinds.PipelineVersionStatus,
                columns=kinds.VERSION_COLUMNS,
                spec_required=True,
                description="A version of a pipeline, as the compiler of kfp writes it.",
            ),
        ),
        default=Late(_ADMISSION, "default_version"),
        validate=Late(_ADMISSION, "version"),
        related=Related(
            references=Late(_ADMISSION, "references"), validate=Late(_ADMISSION, "related")
        ),
    ),
)
