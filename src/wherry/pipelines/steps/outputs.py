"""What a step that has ended well gave: the executor's file, the files of parameters, the artifacts.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/component/launcher_v2.go`` (collectOutputParameters,
mergeRuntimeArtifacts, uploadOutputArtifacts).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.metadata.records import Artifact, Values
from wherry.objects.requests import Object
from wherry.pipelines import values
from wherry.pipelines.ir.messages import Component

_FILE: Final = "output_metadata.json"
_MOST_ARTIFACTS: Final = 10_000
"""In one list."""


class OutputError(Exception):
    """A step has not given what its component promises; the message says what."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a step has written down.

    Attributes:
        metadata: Its ``output_metadata.json``; None: it wrote none.
        parameters: The content of the files of its output parameters, by name; those that are there.
    """

    metadata: str | None
    parameters: Mapping[str, str]


def read(component: Component, told: Object, written: Written, namespace: str) -> Values:
    """Return the outputs of a step.

    Args:
        component: What it promises.
        told: The executor input that it was given.
        written: What it has written down.
        namespace: Whose its artifacts are.

    Raises:
        OutputError: something is missing, or is not what it should be.
    """
    given = _executor_output(written)
    return Values(
        parameters=_parameters(component, given, written),
        artifacts=_artifacts(told, given, namespace),
    )


def _executor_output(written: Written) -> Mapping[str, Any]:
    if written.metadata is None:
        return {}
    try:
        given = json.loads(written.metadata)
    except (ValueError, RecursionError) as error:
        raise OutputError(f"{_FILE} is no JSON: {error}") from error
    return _object(given, "it all")


def _object(value: Any, where: str) -> Mapping[str, Any]:
    """Return a part of the executor's file that has to be an object; what is missing is an empty one."""
    if value is not None and not isinstance(value, dict):
        raise OutputError(f"{_FILE}: {where} is no object")
    return value or {}


def _parameters(component: Component, given: Mapping[str, Any], written: Written) -> dict[str, Any]:
    said = _object(given.get("parameterValues"), "parameterValues")
    found: dict[str, Any] = {}
    for name, promised in component.output_definitions.parameters.items():
        try:
            if name in said:
                found[name] = values.coerce(said[name], values.type_of(promised))
            elif name in written.parameters:
                found[name] = values.from_text(written.parameters[name], values.type_of(promised))
            else:
                raise OutputError(f"output parameter {name} was not written")
        except ValueError as error:
            raise OutputError(f"output parameter {name}: {error}") from error
    return found


def _artifacts(
    told: Object, given: Mapping[str, Any], namespace: str
) -> dict[str, tuple[Artifact, ...]]:
    said = _object(given.get("artifacts"), "artifacts")
    found = {}
    for name, listed in told["outputs"]["artifacts"].items():
        planned, where = listed["artifacts"][0], f"artifacts.{name}"
        actual = _object(said.get(name), where).get("artifacts") or [{}]
        if not isinstance(actual, list) or len(actual) > _MOST_ARTIFACTS:
            raise OutputError(f"{_FILE}: {where}.artifacts is no list of at most {_MOST_ARTIFACTS}")
        found[name] = tuple(
            _artifact(planned, _object(each, f"{where}.artifacts[{at}]"), namespace)
            for at, each in enumerate(actual)
        )
    return found


def _artifact(planned: Mapping[str, Any], actual: Mapping[str, Any], namespace: str) -> Artifact:
    """Return an artifact as it came out: what the step says of it goes over what was planned."""
    name = str(actual.get("name") or planned["name"])
    metadata = {**planned["metadata"], **_object(actual.get("metadata"), f"metadata of {name}")}
    uri = uris.normal(str(actual.get("uri") or planned["uri"]))
    if uris.is_direct(uri):
        try:
            uris.parse(uri)
        except uris.UriError as error:
            raise OutputError(f"artifact {name}: {error}") from error
    # Where a step has put it is of no use to others: it was brought to its URI.
    type_ = planned["type"]
    return Artifact(
        namespace=namespace,
        type=type_.get("schemaTitle") or type_.get("instanceSchema") or "system.Artifact",
        name=name,
        uri=uri,
        metadata=metadata,
    )
