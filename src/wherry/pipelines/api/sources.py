"""What a run is a run of: a pipeline that comes with it, or a version of one that is kept."""

from dataclasses import dataclass

from wherry.objects import errors, metadata
from wherry.objects.requests import Object
from wherry.pipelines import workflow_runs
from wherry.pipelines.api.call import SHARED, Call
from wherry.pipelines.definitions import packages
from wherry.pipelines.definitions.kinds import PIPELINE_ID_LABEL
from wherry.pipelines.definitions.store import documents_of
from wherry.pipelines.ir.documents import Documents, PipelineError

_FIELDS = ("pipeline_spec", "pipeline_version_reference", "pipeline_version_id")


@dataclass(frozen=True, slots=True)
class Source:
    """One.

    Attributes:
        documents: What the compiler wrote.
        pipeline_id: Of the pipeline; empty: it came with the run.
        version_id: Of its version; likewise.
    """

    documents: Documents
    pipeline_id: str = ""
    version_id: str = ""


async def source(call: Call, given: Object, path: str) -> Source:
    """Return what a run or a recurring run is made of.

    Args:
        call: Whose caller has to be let read it.
        given: The message, of which one field says it.
        path: Of the message, for errors.

    Raises:
        BadRequestError: none of the fields says it.
        NotFoundError: there is no such version, as far as the caller may know.
    """
    if given.get("pipeline_spec"):
        return Source(_checked(documents(given["pipeline_spec"], path), path))
    reference = given.get("pipeline_version_reference") or {}
    version_id = given.get("pipeline_version_id") or reference.get("pipeline_version_id", "")
    pipeline_id = reference.get("pipeline_id", "")
    if not version_id and not pipeline_id:
        raise errors.BadRequestError(f"{path}: want one of {', '.join(_FIELDS)}")
    missing = errors.NotFoundError(
        f"there is no version {version_id[:80]!r} of pipeline {pipeline_id[:80]!r}"
        if version_id
        else f"there is no pipeline {pipeline_id[:80]!r} with a version"
    )
    try:
        version = await call.services.definitions.version_of(pipeline_id, version_id)
    except errors.NotFoundError as error:
        raise missing from error
    namespace = metadata.namespace(version)
    if namespace != SHARED and not await call.allowed(namespace, resource="pipelines", verb="get"):
        raise missing
    known = metadata.labels(version).get(PIPELINE_ID_LABEL, "")
    return Source(documents_of(version), pipeline_id or known, metadata.uid(version))


def documents(given: Object, path: str) -> Documents:
    """Return both documents of a pipeline: clients send them in an envelope where there are two."""
    for spec, platform in (("pipeline_spec", "platform_spec"), ("pipelineSpec", "platformSpec")):
        if spec in given:
            parts = given[spec], given.get(platform) or None
            if not all(isinstance(each, dict | None) for each in parts) or parts[0] is None:
                raise errors.BadRequestError(
                    f"{path}.pipeline_spec: {spec} and {platform} have to be objects"
                )
            return Documents(*parts)
    return Documents(given)


def _checked(found: Documents, path: str) -> Documents:
    """Return a pipeline; one of version 1 has the outside of a Workflow."""
    if not workflow_runs.is_workflow(found.spec):
        return found
    try:
        return packages.read(found.spec)
    except PipelineError as error:
        raise errors.BadRequestError(f"{path}.pipeline_spec.{error}") from error
