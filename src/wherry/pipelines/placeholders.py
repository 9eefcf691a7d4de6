"""The texts that stand for values in a step's command, image, variables and resources.

A text is gone through once: what comes in as a value is never looked at again.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/component/launcher_v2.go``, ``backend/src/v2/driver/util.go`` and
``sdk/python/kfp/local/placeholder_utils.py``. Where these leave something as it stands (composites in composites,
metadata of artifacts, lists of artifacts), it is resolved here.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.pipelines import values
from wherry.pipelines.graph.language import UnresolvedError

_PLACEHOLDER: Final = re.compile(r"\{\{\$((?:\.\w+|\['[^']*'\]|\[\"[^\"]*\"\])*)\}\}")
_PART: Final = re.compile(r"\.(\w+)|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_COMPOSITE: Final = re.compile(r'\s*\{\s*"(?:Concat|IfPresent)"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a step may ask about its run and itself. Times are RFC 3339; what is empty is not known."""

    job_name: str = ""
    job_resource_name: str = ""
    job_uuid: str = ""
    task_name: str = ""
    task_uuid: str = ""
    pipeline_root: str = ""
    create_time: str = ""
    schedule_time: str = ""
    workspace_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What placeholders are resolved from.

    Attributes:
        executor_input: As the step is given it (protocol's JSON form): ``inputs.parameterValues``,
            ``inputs.artifacts``, ``outputs.parameters``, ``outputs.artifacts``, ``outputs.outputFile``.
        facts: Of the run.
        paths: Where the step sees artifacts, by uri; what is not named is seen at its uri.
        optional: Inputs that may be missing: their placeholders become empty texts then.
    """

    executor_input: Mapping[str, Any]
    facts: Facts
    paths: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()


def resolve(texts: Sequence[str], context: Context) -> list[str]:
    """Return a command or its arguments with values instead of placeholders.

    ``IfPresent`` may make several texts of one, or none.

    Raises:
        UnresolvedError: Something is asked that there is not.
    """
    found: list[str] = []
    for text in texts:
        composite = _composite(text)
        if composite is None:
            found.append(resolve_text(text, context))
        else:
            found += _expanded(composite, context)
    return found


def resolve_text(text: str, context: Context) -> str:
    """Return one text (an image, a variable, an amount) with values instead of placeholders.

    Raises:
        UnresolvedError: Something is asked that there is not.
    """
    return _PLACEHOLDER.sub(lambda match: _value(match[0], _parts(match[1]), context), text)


def resolve_json(value: Any, context: Context) -> Any:
    """Return a JSON value, e.g. metadata of an importer, with values in all its texts; keys too.

    A text that is nothing but the placeholder of a parameter becomes its value, of whatever type.

    Raises:
        UnresolvedError: Something is asked that there is not.
    """
    if isinstance(value, Mapping):
        return {
            resolve_text(str(key), context): resolve_json(item, context)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [resolve_json(item, context) for item in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    parameters = _parameters(context)
    match _parts(whole[1]) if whole else ():
        case ("inputs", "parameters", name) if name in parameters:
            return parameters[name]
    return resolve_text(value, context)


def resolve_facts(text: str, facts: Facts) -> str:
    """Return a text with what is known of the run; other placeholders are left as they are."""
    return _PLACEHOLDER.sub(lambda match: _fact(_parts(match[1]), facts) or match[0], text)


def resolve_parameters(text: str, parameters: Mapping[str, Any]) -> str:
    """Return a text with the values of input parameters; other placeholders are left as they are."""

    def value(match: re.Match[str]) -> str:
        path = _parts(match[1])
        known = len(path) == 3 and path[:2] == ("inputs", "parameters") and path[2] in parameters
        return values.text(parameters[path[2]]) if known else match[0]

    return _PLACEHOLDER.sub(value, text)


def fill(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return a JSON value with the values of input parameters in all its texts."""
    if isinstance(value, str):
        return resolve_parameters(value, parameters)
    if isinstance(value, list):
        return [fill(item, parameters) for item in value]
    if isinstance(value, Mapping):
        return {key: fill(item, parameters) for key, item in value.items()}
    return value


def parameters_in(text: str) -> Iterator[str]:
    """Yield the names of the input parameters that a text asks for."""
    for match in _PLACEHOLDER.finditer(text):
        path = _parts(match[1])
        if len(path) == 3 and path[:2] == ("inputs", "parameters"):
            yield path[2]


def _parts(path: str) -> tuple[str, ...]:
    """Return ``("inputs", "artifacts", "a", "uri")`` for ``.inputs.artifacts['a'].uri``."""
    return tuple(
        next(part for part in match.groups() if part is not None) for match in _PART.finditer(path)
    )


def _composite(text: str) -> Mapping[str, Any] | None:
    if not _COMPOSITE.match(text):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and len(found) == 1 else None


def _expanded(part: Any, context: Context) -> list[str]:
    """Return the texts that a composite, or a part of one, stands for."""
    match part:
        case str():
            return [resolve_text(part, context)]
        case list():
            return [text for item in part for text in _expanded(item, context)]
        case {"Concat": list(items), **others} if not others:
            return ["".join(_expanded(items, context))]
        case {"IfPresent": {"InputName": str(name), "Then": then, **rest}, **others} if not others:
            chosen = then if _present(name, context) else rest.get("Else")
            return [] if chosen is None else _expanded(chosen, context)
    raise UnresolvedError(f"{values.shown(part)} is neither a text nor Concat nor IfPresent")


def _present(name: str, context: Context) -> bool:
    inputs = context.executor_input.get("inputs") or {}
    return _parameters(context).get(name) is not None or bool(_artifacts(inputs, name))


def _parameters(context: Context) -> Mapping[str, Any]:
    inputs = context.executor_input.get("inputs") or {}
    found: Mapping[str, Any] = inputs.get("parameterValues") or {}
    return found


def _artifacts(side: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entry = (side.get("artifacts") or {}).get(name) or {}
    found: list[Mapping[str, Any]] = entry.get("artifacts") or []
    return found


def _value(placeholder: str, path: tuple[str, ...], context: Context) -> str:
    outputs = context.executor_input.get("outputs") or {}
    match path:
        case ():
            return json.dumps(context.executor_input)
        case ("inputs", "parameters", name):
            return _parameter(placeholder, name, context)
        case ("inputs" | "outputs", "artifacts", _, *_):
            return _artifact(placeholder, path, context)
        case ("outputs", "parameters", name, "output_file"):
            if name not in (outputs.get("parameters") or {}):
                raise UnresolvedError(f"{placeholder}: there is no output parameter {name}")
            return str(outputs["parameters"][name].get("outputFile", ""))
        case ("outputs", "output_file") | ("outputMetadataUri",):
            return str(outputs.get("outputFile", ""))
    return _fact(path, context.facts) or placeholder


def _parameter(placeholder: str, name: str, context: Context) -> str:
    parameters = _parameters(context)
    if name in parameters:
        return values.text(parameters[name])
    if name in context.optional:
        return ""
    raise UnresolvedError(f"{placeholder}: there is no input parameter {name}")


def _artifact(placeholder: str, path: Sequence[str], context: Context) -> str:
    side, _, name, *rest = path
    found = _artifacts(context.executor_input.get(side) or {}, name)
    if not rest:
        return json.dumps(found)
    if not found:
        if name in context.optional:
            return ""
        raise UnresolvedError(f"{placeholder}: there is no {side[:-1]} artifact {name}")
    value = _attribute(found[0], rest, context)
    if value is None:
        raise UnresolvedError(f"{placeholder}: {name} has no {'.'.join(rest)}")
    return value


def _attribute(artifact: Mapping[str, Any], path: list[str], context: Context) -> str | None:
    metadata = artifact.get("metadata") or {}
    match path:
        case ["path"]:
            uri = str(artifact.get("uri", ""))
            return context.paths.get(uri, uri)
        case ["metadata"]:
            return json.dumps(metadata)
        case ["metadata", key]:
            return values.text(metadata[key]) if key in metadata else None
        case ["uri" | "name" as key]:
            return str(artifact.get(key, ""))
    return None


def _fact(path: tuple[str, ...], facts: Facts) -> str:
    attribute = _FACTS.get(path[0]) if len(path) == 1 else None
    return getattr(facts, attribute) if attribute is not None else ""


_FACTS: Final = {
    "pipeline_job_name": "job_name",
    "pipeline_job_resource_name": "job_resource_name",
    "pipeline_job_uuid": "job_uuid",
    "pipeline_task_name": "task_name",
    "pipeline_task_uuid": "task_uuid",
    "pipeline_root": "pipeline_root",
    "pipeline_job_create_time_utc": "create_time",
    "pipeline_job_schedule_time_utc": "schedule_time",
    "workspace_path": "workspace_path",
}
