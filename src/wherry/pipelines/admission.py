"""What is wrong with a run, in its own words. Pure."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from wherry.metadata.records import Artifact, Values
from wherry.objects.errors import Cause
from wherry.objects.requests import Object
from wherry.pipelines import kinds, naming, status
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.schedules import macros

FORBIDDEN: Final = "FieldValueForbidden"
REQUIRED: Final = "FieldValueRequired"
TOO_LONG: Final = "FieldValueTooLong"

_MUTABLE: Final = frozenset(
    {"retry", "suspend", "terminate", "ttlSecondsAfterFinished", "podTTLSecondsAfterFinished"}
)

_Part = Mapping[str, Any]


def validate(run: Object, old: Object | None) -> Sequence[Cause]:
    """Return what is wrong with a run.

    Args:
        run: With defaults filled in.
        old: As it was before; None: it is new.
    """
    spec: _Part = run.get("spec") or {}
    if old is not None:
        return [*_changes(spec, old.get("spec") or {}), *_retry(spec, old)]
    size = len(json.dumps(spec))
    if size > kinds.MAX_SPEC_BYTES:
        message = (
            f"{size} bytes as JSON; at most {kinds.MAX_SPEC_BYTES} can be kept: pass large inputs "
            "as artifacts, and put code into packages or images"
        )
        return [Cause("spec", message, TOO_LONG)]
    return [*_pipeline(spec)]


def read(run: Object) -> tuple[Pipeline, Values]:
    """Return the pipeline of a run and what it is run with.

    Raises:
        PipelineError: one of them is not right.
    """
    spec: _Part = run.get("spec") or {}
    pipeline = Pipeline(spec.get("pipelineSpec") or {}, spec.get("platformSpec") or None)
    values = given(spec)
    parameters = macros.with_run_id(values.parameters, naming.run_id(run))
    return pipeline, pipeline.root_inputs(Values(parameters, values.artifacts))


def given(spec: _Part) -> Values:
    """Return what a run is given, unchecked."""
    config: _Part = spec.get("runtimeConfig") or {}
    artifacts = {
        name: (Artifact(name=name, uri=str(uri)),)
        for name, uri in (config.get("artifacts") or {}).items()
    }
    return Values(parameters=dict(config.get("parameters") or {}), artifacts=artifacts)


def _pipeline(spec: _Part) -> Iterator[Cause]:
    if not spec.get("pipelineSpec"):
        message = "the pipeline is missing: what `kfp dsl compile` writes stands here"
        yield Cause("spec.pipelineSpec", message, REQUIRED)
        return
    try:
        pipeline = Pipeline(spec["pipelineSpec"], spec.get("platformSpec") or None)
    except PipelineError as error:
        yield from (_below("spec.pipelineSpec", cause) for cause in error.causes)
        return
    try:
        pipeline.root_inputs(given(spec))
    except PipelineError as error:
        yield from (_below("spec.runtimeConfig", cause) for cause in error.causes)


def _below(field: str, cause: Cause) -> Cause:
    return Cause(f"{field}.{cause.field}" if cause.field else field, cause.message, cause.reason)


def _changes(spec: _Part, old: _Part) -> Iterator[Cause]:
    for name in sorted({*spec, *old} - _MUTABLE):
        if spec.get(name) != old.get(name):
            message = f"a run cannot be changed; only {', '.join(sorted(_MUTABLE))} can"
            yield Cause(f"spec.{name}", message, FORBIDDEN)
    taken_up = spec.get("retry") != old.get("retry")
    if old.get("terminate") and not spec.get("terminate") and not taken_up:
        message = "a run that was told to end cannot be taken up again; make another one, or "
        message += "retry it once it has ended"
        yield Cause("spec.terminate", message, FORBIDDEN)


def _retry(spec: _Part, old: Object) -> Iterator[Cause]:
    """Yield why a run cannot be taken up again; one that is asked for is one more than was done."""
    wanted: _Part = spec.get("retry") or {}
    before: _Part = (old.get("spec") or {}).get("retry") or {}
    if wanted == before:
        return
    done = int((old.get("status") or {}).get("retries") or 0)
    if status.state(old) not in kinds.FINAL_STATES or int(before.get("number") or 0) > done:
        message = f"a run is taken up again once it has ended; it is {_stands(old)}"
        yield Cause("spec.retry", message, FORBIDDEN)
    elif wanted.get("number") != done + 1:
        message = f"{wanted.get('number')}: it was taken up {done} times; want {done + 1}"
        yield Cause("spec.retry.number", message)
    elif spec.get("terminate"):
        message = "a run that is taken up again is not told to end: set it to false"
        yield Cause("spec.terminate", message)


def _stands(run: Object) -> str:
    state = status.state(run) or kinds.PENDING
    return f"{state}, and about to be" if state in kinds.FINAL_STATES else state
