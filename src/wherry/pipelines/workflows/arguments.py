"""What goes into a template, and what comes out of one that consists of others. Pure.

Source: argo-workflows after 4.1.2, ``ProcessArgs`` in ``workflow/common/util.go``, ``getTemplateOutputsFromScope`` in
``workflow/controller/operator.go``.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from wherry.metadata.records import Artifact, Execution, Values
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.workflows import variables
from wherry.pipelines.workflows.messages import Step, Template, TemplateRef
from wherry.pipelines.workflows.reading import any_text, read_part, read_template
from wherry.pipelines.workflows.scopes import Scope
from wherry.pipelines.workflows.templates import NodeError

Json = Mapping[str, Any]
_NOT_LOCATION: Final = frozenset({
    "name", "path", "mode", "from", "fromExpression", "optional", "archive", "globalName", "subPath",
    "recurseMode", "deleted", "artifactGC",
})  # fmt: skip


class Looking(Protocol):
    """Looks up what a workflow does not hold itself."""

    def facts(self, path: str) -> Json:
        """Return what is known of a step besides its outputs."""

    def config(self, name: str, key: str) -> str | None:
        """Return a value of a ConfigMap in the workflow's namespace; None: there is none."""

    def row(self, path: str) -> Execution | None:
        """Return what is stored of a node; None: it was not begun."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a template is given.

    Attributes:
        values: Parameters, and artifacts that steps have made.
        locations: Of the other artifacts, by name.
    """

    values: Values
    locations: Mapping[str, Json] = field(default_factory=dict)


def filled_step(step: Step, scope: Scope) -> Step:
    """Return a step of which it is known what it calls.

    Raises:
        UnresolvedError: a variable in that is not known.
    """
    written = step.json
    if step.inline is not None:
        inline = variables.fill(written.get("inline") or {}, scope, strict=False)
        return dataclasses.replace(step, inline=read_template(inline, f"{step.name}.inline"))
    if step.template_ref is not None:
        told = variables.fill(written.get("templateRef") or {}, scope, strict=True)
        return dataclasses.replace(step, template_ref=read_part(TemplateRef, told, "templateRef"))
    name = variables.fill(step.template, scope, strict=True)
    return dataclasses.replace(step, template=name) if name != step.template else step


def inputs(template: Template, step: Step, scope: Scope, looking: Looking) -> Given:
    """Return what a template is given by a step that calls it.

    Raises:
        NodeError: something that it needs is not there.
        UnresolvedError: a variable is not known.
    """
    told: Json = step.json.get("arguments") or {}
    given = {each.get("name"): each for each in told.get("parameters") or ()}
    parameters: dict[str, Any] = {}
    for each in template.json.get("inputs", {}).get("parameters") or ():
        name = each["name"]
        value = _argument(given[name], scope, looking) if name in given else None
        is_given = name in given and given[name].get("value") is not None
        missing = f"is {variables.ABSENT}" if is_given else "was not supplied"
        # What a template says of an input itself may speak of those before it.
        before = {f"inputs.parameters.{other}": known for other, known in parameters.items()}
        parameters[name] = _parameter(each, value, scope.over(before), looking, missing=missing)
    artifacts, locations = _artifacts(template, told, scope)
    return Given(Values(parameters, artifacts), locations)


def _parameter(
    wanted: Json, value: Any, scope: Scope, looking: Looking, *, missing: str = "was not supplied"
) -> str:
    if value is None:
        value = _argument(wanted, scope, looking)
    if value is None and "default" in wanted:
        value = variables.fill(any_text(wanted["default"]), scope, strict=False)
    if value is None:
        raise NodeError(f"inputs.parameters.{wanted['name']} {missing}")
    text = any_text(value)
    choices = wanted.get("enum")
    if choices and text not in {any_text(each) for each in choices}:
        told = ", ".join(any_text(each) for each in choices)
        raise NodeError(f"inputs.parameters.{wanted['name']} is {text[:100]!r}; it may be {told}")
    return text


def _argument(given: Json, scope: Scope, looking: Looking) -> Any:
    """Return the value of an argument; None: it has none."""
    if given.get("value") is not None:
        written = any_text(given["value"])
        if _is_absent(written, scope):
            return None
        return variables.fill(written, scope, strict=True)
    source = given.get("valueFrom")
    if not source:
        return None
    return _from_source(source, scope, looking)


def _is_absent(written: str, scope: Scope) -> bool:
    """Tell whether a value is an output of a step that was not run, and that has no default."""
    key = _tag(written)
    try:
        return bool(key) and scope[key] is None
    except KeyError:
        return False


def _from_source(source: Json, scope: Scope, looking: Looking) -> Any:
    found: Any = None
    if source.get("configMapKeyRef"):
        told = variables.fill(source["configMapKeyRef"], scope, strict=True)
        found = looking.config(str(told.get("name") or ""), str(told.get("key") or ""))
        if found is None and "default" not in source:
            raise NodeError(f"ConfigMap {told.get('name')!r} has no {told.get('key')!r}")
    elif source.get("expression"):
        found = scope.evaluate(str(source["expression"]))
    elif source.get("parameter"):
        found = _parameter_of(str(source["parameter"]), scope)
    if found is None and source.get("default") is not None:
        return any_text(source["default"])
    return None if found is None else any_text(found)


def _parameter_of(written: str, scope: Scope) -> Any:
    key = _tag(written)
    if not key:
        return variables.fill(written, scope, strict=True)
    try:
        return scope[key]
    except KeyError:
        return None


def _tag(written: str) -> str:
    """Return the name of the one variable that a text consists of; empty: it is something else."""
    text = written.strip()
    inner = text.removeprefix("{{").removesuffix("}}").strip()
    whole = text.startswith("{{") and text.endswith("}}") and "{" not in inner
    return "" if not whole or inner.startswith("=") else inner


def _artifacts(
    template: Template, told: Json, scope: Scope
) -> tuple[dict[str, tuple[Artifact, ...]], dict[str, Json]]:
    given = {each.get("name"): each for each in told.get("artifacts") or ()}
    made: dict[str, tuple[Artifact, ...]] = {}
    locations: dict[str, Json] = {}
    for wanted in template.json.get("inputs", {}).get("artifacts") or ():
        name = wanted["name"]
        source: Json = given.get(name) or wanted
        optional = bool(wanted.get("optional") or source.get("optional"))
        found = _artifact({**source, "optional": optional}, scope)
        if isinstance(found, Artifact):
            made[name] = (found,)
        elif found is not None:
            locations[name] = found
        elif location := _location(source) or _location(wanted):
            locations[name] = variables.fill(location, scope, strict=False)
        elif not optional:
            raise NodeError(f"inputs.artifacts.{name} was not supplied")
    return made, locations


def _artifact(source: Json, scope: Scope) -> Artifact | Json | None:
    """Return an artifact by where it comes from, or its location; None: it comes from nowhere."""
    found: Any = None
    if source.get("fromExpression"):
        found = scope.evaluate(str(source["fromExpression"]))
    elif source.get("from"):
        key = _artifact_key(str(source["from"]), scope)
        try:
            found = scope[key]
        except KeyError:
            if source.get("optional"):
                return None
            raise NodeError(f"artifact {source.get('name')}: there is no {key}") from None
    if not isinstance(found, Artifact):
        return found if isinstance(found, Mapping) and found else None
    if not source.get("subPath"):
        return found
    below = str(variables.fill(source["subPath"], scope, strict=True)).strip("/")
    if ".." in below.split("/"):
        raise NodeError(f"artifact {source.get('name')}: subPath {below[:100]!r} leads out of it")
    return dataclasses.replace(found, id=0, uri=f"{found.uri.rstrip('/')}/{below}")


def _artifact_key(written: str, scope: Scope) -> str:
    """Return the variable that an artifact comes from; parts of its name may be variables too."""
    key = _tag(written)
    if key:
        return key
    inner = written.strip().removeprefix("{{").removesuffix("}}")
    return str(variables.fill(inner, scope, strict=True)).strip()


def _location(source: Json) -> Json:
    return {key: each for key, each in source.items() if key not in _NOT_LOCATION}


def with_locations(template: Template, locations: Mapping[str, Json]) -> Json:
    """Return a template as JSON whose input artifacts come from where they were said to be."""
    if not locations:
        return template.json
    inputs_: Json = template.json.get("inputs") or {}
    changed = [
        {
            **{key: value for key, value in each.items() if key in _NOT_LOCATION},
            **locations.get(each["name"], _location(each)),
        }
        for each in inputs_.get("artifacts") or ()
    ]
    return {**template.json, "inputs": {**inputs_, "artifacts": changed}}


def own(template: Template, given: Values) -> dict[str, Any]:
    """Return the variables that a template has of its own: what it was given, and where things are."""
    made: dict[str, Any] = {
        f"inputs.parameters.{name}": value for name, value in given.parameters.items()
    }
    made["inputs.parameters"] = any_text(
        [{"name": name, "value": value} for name, value in given.parameters.items()]
    )
    for name, artifacts in given.artifacts.items():
        made[f"inputs.artifacts.{name}"] = artifacts[0]
    for each in template.inputs.artifacts:
        if each.path:
            made[f"inputs.artifacts.{each.name}.path"] = each.path
    for each in template.outputs.artifacts:
        if each.path:
            made[f"outputs.artifacts.{each.name}.path"] = each.path
    for parameter in template.outputs.parameters:
        if parameter.value_from is not None and parameter.value_from.path:
            made[f"outputs.parameters.{parameter.name}.path"] = parameter.value_from.path
    return made


def given(template: Template, scope: Scope) -> Values:
    """Return what steps or a DAG give, by what their own have given.

    Raises:
        NodeError: something is not there.
        UnresolvedError: a variable is not known.
    """
    outputs: Json = template.json.get("outputs") or {}
    parameters: dict[str, Any] = {}
    for each in outputs.get("parameters") or ():
        source = each.get("valueFrom") or {}
        found = _output(source, scope)
        if found is None:
            wanted = source.get("parameter") or source.get("expression") or "valueFrom"
            raise NodeError(f"outputs.parameters.{each['name']}: {wanted} has no value")
        parameters[each["name"]] = found
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for each in outputs.get("artifacts") or ():
        artifact = _artifact(each, scope)
        if isinstance(artifact, Artifact):
            artifacts[each["name"]] = (artifact,)
        elif not each.get("optional"):
            raise NodeError(f"outputs.artifacts.{each['name']}: there is no such artifact")
    return Values(parameters, artifacts)


def _output(source: Json, scope: Scope) -> Any:
    try:
        return _from_source(source, scope, _NOTHING)
    except UnresolvedError:
        if source.get("default") is not None:
            return any_text(source["default"])
        raise


class _Nothing:
    """Looks up nothing: outputs do not come out of ConfigMaps."""

    def facts(self, path: str) -> Json:
        return {}

    def config(self, name: str, key: str) -> str | None:
        return None

    def row(self, path: str) -> Execution | None:
        return None


_NOTHING: Final = _Nothing()
