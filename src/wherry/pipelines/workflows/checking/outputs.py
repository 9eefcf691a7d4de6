"""What templates say of their inputs and outputs."""

from typing import Final

from wherry.pipelines.ir.reading import shown
from wherry.pipelines.workflows.checking import named
from wherry.pipelines.workflows.checking.findings import FORBIDDEN, REQUIRED, Findings
from wherry.pipelines.workflows.locations import Artifact, Location
from wherry.pipelines.workflows.messages import Parameter, Template, TemplateType, ValueFrom

_CONTAINERS: Final = frozenset(
    {TemplateType.CONTAINER, TemplateType.CONTAINER_SET, TemplateType.SCRIPT}
)
_GRAPHS: Final = frozenset({TemplateType.STEPS, TemplateType.DAG})
_WITHOUT_FILES: Final = _GRAPHS | {TemplateType.SUSPEND}
_SOURCES: Final = {
    "path": "path",
    "jq_filter": "jqFilter",
    "json_path": "jsonPath",
    "parameter": "parameter",
    "expression": "expression",
    "supplied": "supplied",
}


def check(found: Findings, where: str, template: Template, kind: TemplateType) -> None:
    """Check the inputs and outputs of a template.

    Args:
        found: Where what is wrong is written down.
        where: Its place.
        template: The template.
        kind: The one thing that it is.
    """
    _inputs(found, f"{where}.inputs", template, kind)
    below = f"{where}.outputs"
    named.values(found, f"{below}.parameters", template.outputs.parameters)
    named.values(found, f"{below}.artifacts", template.outputs.artifacts)
    for place, parameter in enumerate(template.outputs.parameters):
        _parameter(found, f"{below}.parameters[{place}]", parameter, kind)
    for place, artifact in enumerate(template.outputs.artifacts):
        here = f"{below}.artifacts[{place}]"
        _path(found, here, artifact, kind)
        _global(found, here, artifact.global_name)
        location(found, here, artifact)
    if template.archive_location is not None:
        location(found, f"{where}.archiveLocation", template.archive_location)


def _inputs(found: Findings, where: str, template: Template, kind: TemplateType) -> None:
    named.values(found, f"{where}.parameters", template.inputs.parameters)
    named.values(found, f"{where}.artifacts", template.inputs.artifacts)
    for place, artifact in enumerate(template.inputs.artifacts):
        here = f"{where}.artifacts[{place}]"
        _path(found, here, artifact, kind)
        if artifact.from_:
            message = "an input is given by whoever calls the template, in arguments"
            found.add(f"{here}.from", message, FORBIDDEN)
        location(found, here, artifact)


def _path(found: Findings, where: str, artifact: Artifact, kind: TemplateType) -> None:
    if kind in _WITHOUT_FILES:
        if artifact.path:
            message = f"a template of {kind} has no files: only those that run a pod say a path"
            found.add(f"{where}.path", message, FORBIDDEN)
    elif not artifact.path:
        found.add(f"{where}.path", "a path is missing: where the step finds or writes it", REQUIRED)
    elif ".." in artifact.path.split("/"):
        found.add(f"{where}.path", f"{shown(artifact.path)} leads upwards: do not use '..'")


def location(found: Findings, where: str, place: Location) -> None:
    """Check where an artifact lies."""
    if place.git is not None and not place.git.repo:
        found.add(f"{where}.git.repo", "a repository is missing", REQUIRED)


def _global(found: Findings, where: str, name: str) -> None:
    if name and "{{" not in name and not named.value(name):
        message = f"{shown(name)} is no name here: use {named.OF_VALUES}"
        found.add(f"{where}.globalName", message)


def _parameter(found: Findings, where: str, parameter: Parameter, kind: TemplateType) -> None:
    _global(found, where, parameter.global_name)
    source = parameter.value_from
    if source is None:
        if parameter.value is None:
            found.add(where, "has neither valueFrom nor value: where does it come from?", REQUIRED)
        return
    if parameter.value is not None:
        found.add(where, "only one of value, valueFrom may be given", FORBIDDEN)
    given = [name for field, name in _SOURCES.items() if getattr(source, field)]
    given += ["supplied"] if source.supplied is not None and "supplied" not in given else []
    here = f"{where}.valueFrom"
    if len(given) > 1:
        found.add(here, f"only one of {', '.join(given)} may be given", FORBIDDEN)
    elif not given:
        accepted = ", ".join(_SOURCES.values())
        found.add(here, f"says no source: one of {accepted}", REQUIRED)
    else:
        _fits(found, here, source, kind)


def _fits(found: Findings, where: str, source: ValueFrom, kind: TemplateType) -> None:
    if kind in _CONTAINERS and not source.path:
        found.add(where, f"of a template of {kind} a path is wanted", REQUIRED)
    elif kind is TemplateType.RESOURCE and not (source.jq_filter or source.json_path):
        found.add(where, f"of a template of {kind} jqFilter or jsonPath is wanted", REQUIRED)
    elif kind in _GRAPHS and not (source.parameter or source.expression):
        found.add(where, f"of a template of {kind} parameter or expression is wanted", REQUIRED)
