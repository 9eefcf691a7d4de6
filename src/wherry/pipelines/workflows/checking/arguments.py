"""What workflows and steps are given: each value said once, and all that is needed there."""

from collections.abc import Iterable
from typing import Final

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows.checking import named
from wherry.pipelines.workflows.checking.findings import (
    FORBIDDEN,
    REQUIRED,
    UNSUPPORTED,
    Findings,
)
from wherry.pipelines.workflows.locations import Artifact
from wherry.pipelines.workflows.messages import Arguments, Parameter, Template, ValueFrom

_SOURCES: Final = ("path", "json_path", "parameter", "expression")


def check(found: Findings, where: str, arguments: Arguments, *, empty: bool) -> None:
    """Check arguments.

    Args:
        found: Where what is wrong is written down.
        where: Their place.
        arguments: The arguments.
        empty: Whether parameters may be without a value, which is said later.
    """
    named.values(found, f"{where}.parameters", arguments.parameters)
    named.values(found, f"{where}.artifacts", arguments.artifacts)
    for place, parameter in enumerate(arguments.parameters):
        _parameter(found, f"{where}.parameters[{place}]", parameter, empty=empty)
    for place, artifact in enumerate(arguments.artifacts):
        _artifact(found, f"{where}.artifacts[{place}]", artifact)


def _parameter(found: Findings, where: str, parameter: Parameter, *, empty: bool) -> None:
    if parameter.value is None and parameter.value_from is None and not empty:
        found.add(where, f"{shown(parameter.name)} has neither value nor valueFrom", REQUIRED)
    if parameter.value_from is not None:
        _source(found, f"{where}.valueFrom", parameter.value_from)
    choices = parameter.enum
    if choices is None:
        return
    if not choices:
        found.add(f"{where}.enum", "a list of values is missing", REQUIRED)
    elif parameter.value is None and not empty:
        found.add(f"{where}.value", "a value is missing, one of enum", REQUIRED)
    elif parameter.value is not None and parameter.value not in choices:
        accepted = ", ".join(choices)
        message = f"{shown(parameter.value)} is not one of {accepted}"
        found.add(f"{where}.value", message, UNSUPPORTED)


def _source(found: Findings, where: str, source: ValueFrom) -> None:
    known = source.config_map_key_ref is not None or source.supplied is not None or source.event
    if not known or any(getattr(source, name) for name in _SOURCES):
        message = "an argument comes from configMapKeyRef, supplied or event (and default), not from outputs"
        found.add(where, message, FORBIDDEN)


def _artifact(found: Findings, where: str, artifact: Artifact) -> None:
    if artifact.from_ and artifact.from_expression:
        found.add(where, "only one of from, fromExpression may be given", FORBIDDEN)
    elif not (artifact.from_ or artifact.from_expression or artifact.stores):
        message = (
            f"{shown(artifact.name)} comes from nowhere: say from, or where it lies (s3, raw …)"
        )
        found.add(where, message, REQUIRED)


def check_given(found: Findings, where: str, template: Template, arguments: Arguments) -> None:
    """Check that a template is given what it needs."""
    parameters = _names(arguments.parameters)
    artifacts = _names(arguments.artifacts)
    for parameter in template.inputs.parameters:
        own = (parameter.value, parameter.default, parameter.value_from)
        if parameter.name not in parameters and all(each is None for each in own):
            message = f"template {template.name!r} wants the parameter {parameter.name!r}"
            found.add(f"{where}.parameters", f"{message}, which is not given", REQUIRED)
    for artifact in template.inputs.artifacts:
        if artifact.name not in artifacts and not artifact.optional and not artifact.stores:
            message = f"template {template.name!r} wants the artifact {artifact.name!r}"
            found.add(f"{where}.artifacts", f"{message}, which is not given", REQUIRED)


def _names(all_: Iterable[named.Named]) -> set[str]:
    return {each.name for each in all_}
