"""What a schedule's runs are given: its parameters, as the pipeline wants them. Pure."""

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from wherry.objects.errors import Cause
from wherry.pipelines import values, workflow_runs
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.schedules import macros

PLACE: Final = "workflow.parameters"
_THEN: Final = datetime.datetime(2000, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
SOME_MOMENT: Final = macros.Moment(now=_THEN, scheduled=_THEN, index=1)
"""For checks before there is a run: macros mean something of the right kind."""

_Part = Mapping[str, Any]


def parameters(
    pipeline: Pipeline, given: Iterable[_Part], moment: macros.Moment = SOME_MOMENT
) -> dict[str, Any]:
    """Return the parameters of a run.

    Args:
        pipeline: What is run.
        given: `workflow.parameters`: name and value, which is JSON or plain text.
        moment: What macros mean.

    Raises:
        PipelineError: they are not what the pipeline wants; fields begin with ``workflow.parameters``.
    """
    defined = pipeline.spec.root.input_definitions.parameters
    found: dict[str, Any] = {}
    causes: list[Cause] = []
    for index, each in enumerate(given):
        name, text = str(each.get("name") or ""), _plain(str(each.get("value") or ""))
        if name in found:
            causes.append(Cause(f"{PLACE}[{index}].name", f"{name!r} is there twice"))
        try:
            written = macros.filled({name: text}, moment)[name]
            known = defined.get(name)
            found[name] = values.from_text(written, values.type_of(known)) if known else written
        except ValueError as error:
            causes.append(Cause(f"{PLACE}[{index}].value", f"{name}: {error}"))
    if causes:
        raise PipelineError(causes)
    try:
        pipeline.check_parameters(found)
    except PipelineError as error:
        raise PipelineError(
            Cause(f"workflow.{cause.field}", cause.message, cause.reason) for cause in error.causes
        ) from error
    return found


def of_workflow(
    package: _Part, given: Iterable[_Part], moment: macros.Moment = SOME_MOMENT
) -> dict[str, Any]:
    """Return the parameters of a run of a package of KFP v1: texts.

    Args:
        package: What is run.
        given: As for `parameters`.
        moment: What macros mean.

    Raises:
        PipelineError: the package has no such parameter.
    """
    written = {str(each.get("name") or ""): _plain(str(each.get("value") or "")) for each in given}
    known = workflow_runs.parameters(package)
    unknown = sorted(written.keys() - known.keys())
    if unknown:
        told = ", ".join(known) or "none"
        raise PipelineError(
            Cause(PLACE, f"{name!r}: the pipeline has no such parameter; it has {told}")
            for name in unknown
        )
    return macros.filled(written, moment)


def check(documents: Documents, given: Iterable[_Part]) -> None:
    """Check the parameters of a schedule.

    Raises:
        PipelineError: they are not what the pipeline wants, or it is none.
    """
    if workflow_runs.is_workflow(documents.spec):
        of_workflow(documents.spec, given)
    else:
        parameters(Pipeline(documents.spec, documents.platform), given)


def _plain(text: str) -> str:
    """Return the text that a JSON text stands for; what is none stands for itself."""
    if not text.startswith('"'):
        return text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text
