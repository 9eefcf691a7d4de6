"""What is wrong with a pipeline that is to be kept, or with a version of one. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wherry.objects import metadata
from wherry.objects.declared.kind import Reference, Seen
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.pipelines import kinds as runs
from wherry.pipelines import naming, workflow_runs
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.definitions import kinds
from wherry.pipelines.ir.documents import PipelineError

FORBIDDEN: Final = "FieldValueForbidden"
NOT_FOUND: Final = "FieldValueNotFound"
TOO_LONG: Final = "FieldValueTooLong"
_MUTABLE: Final = frozenset({"displayName", "tags"})

_Part = Mapping[str, Any]


def pipeline(obj: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a Pipeline."""
    name = metadata.name(obj)
    found = [*tags((obj.get("spec") or {}).get("tags") or {}, "spec.tags")]
    if len(name) > kinds.MAX_NAME:
        message = f"{len(name)} characters; at most {kinds.MAX_NAME}"
        found.append(Cause("metadata.name", message, TOO_LONG))
    return found


def version(obj: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a PipelineVersion."""
    spec: _Part = obj.get("spec") or {}
    found = [*tags(spec.get("tags") or {}, "spec.tags")]
    if old is not None:
        return [*found, *_changes(spec, old.get("spec") or {})]
    return [*found, *compiled(spec)]


def compiled(spec: _Part, place: str = "spec") -> Iterator[Cause]:
    """Yield what is wrong with `pipelineSpec` and `platformSpec` of an object.

    Args:
        spec: Has them.
        place: Where it stands.
    """
    given, platform = spec.get("pipelineSpec") or {}, spec.get("platformSpec") or None
    size = len(json.dumps((given, platform)))
    if size > runs.MAX_SPEC_BYTES:
        message = (
            f"{size} bytes as JSON; at most {runs.MAX_SPEC_BYTES} can be kept: put code into packages "
            "or images"
        )
        yield Cause(f"{place}.pipelineSpec", message, TOO_LONG)
        return
    if workflow_runs.is_workflow(given):
        yield from (_below(place, cause) for cause in workflow_runs.check(given))
        return
    try:
        Pipeline(given, platform)
    except PipelineError as error:
        yield from (_below(place, cause) for cause in error.causes)


def tags(given: Mapping[str, str], field: str) -> Iterator[Cause]:
    """Yield what is wrong with tags."""
    if len(given) > kinds.MAX_TAGS:
        yield Cause(field, f"there are {len(given)} tags; at most {kinds.MAX_TAGS}", TOO_LONG)
        return
    for key, value in given.items():
        if not key or "." in key or len(key) > kinds.MAX_TAG:
            message = f"a key has 1 to {kinds.MAX_TAG} characters, none of them a dot"
            yield Cause(f"{field}[{key[: kinds.MAX_TAG + 1]!r}]", message)
        elif len(value) > kinds.MAX_TAG:
            message = f"{len(value)} characters; at most {kinds.MAX_TAG}"
            yield Cause(f"{field}[{key!r}]", message, TOO_LONG)


def default_version(obj: Object) -> Object:
    """Return a PipelineVersion with the label that its pipeline's versions are found by."""
    name = str((obj.get("spec") or {}).get("pipelineName") or "")
    labels = {**metadata.labels(obj), kinds.PIPELINE_LABEL: naming.label(name)}
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def _below(place: str, cause: Cause) -> Cause:
    part = "platformSpec" if cause.field.startswith("platforms") else "pipelineSpec"
    field = f"{place}.{part}.{cause.field}" if cause.field else f"{place}.{part}"
    return Cause(field, cause.message, cause.reason)


def _changes(spec: _Part, old: _Part) -> Iterator[Cause]:
    for name in sorted({*spec, *old} - _MUTABLE):
        if spec.get(name) != old.get(name):
            message = (
                f"a version cannot be changed; only {', '.join(sorted(_MUTABLE))} can: make another"
            )
            yield Cause(f"spec.{name}", message, FORBIDDEN)


def references(obj: Object, old: Object | None) -> Sequence[Reference]:
    """Return the pipeline that a new version says it is of."""
    if old is not None:
        return ()
    name = str((obj.get("spec") or {}).get("pipelineName") or "")
    return (Reference(kinds.PIPELINES, name, metadata.namespace(obj)),) if name else ()


def related(obj: Object, old: Object | None, seen: Seen) -> Sequence[Cause]:
    """Return what is wrong with a version, given its pipeline."""
    missing = [
        reference
        for reference in references(obj, old)
        if reference in seen and not _stays(seen[reference])
    ]
    return [
        Cause(
            "spec.pipelineName",
            f"there is no Pipeline {reference.name!r} in namespace {reference.namespace!r}",
            NOT_FOUND,
        )
        for reference in missing
    ]


def _stays(found: Object | None) -> bool:
    return found is not None and not metadata.is_deleting(found)
