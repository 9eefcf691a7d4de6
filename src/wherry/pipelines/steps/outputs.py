"""What a step that has ended well gave: the executor's file, the files of parameters, the artifacts.

Source: kubeflow/pipelines 2.17, ``backend/src/v2/component/launcher_v2.go`` (collectOutputParameters,
mergeRuntimeArtifacts, uploadOutputArtifacts).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wherry.metadata.artifacts import uris
from wherry.metadata.records import Artifact, Values
from wherry.objects.requests import Object
from wherry.pipelines import values
from wherry.pipelines.ir.messages import Component


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
    except ValueError as error:
        raise OutputError(f"output_metadata.json is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise OutputError("output_metadata.json holds no object")
    return given


def _parameters(component: Component, given: Mapping[str, Any], written: Written) -> dict[str, Any]:
    said: Mapping[str, Any] = given.get("parameterValues") or {}
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
    said: Mapping[str, Any] = given.get("artifacts") or {}
    found = {}
    for name, listed in told["outputs"]["artifacts"].items():
        planned = listed["artifacts"][0]
        actual = (said.get(name) or {}).get("artifacts") or [{}]
        found[name] = tuple(_artifact(planned, each, namespace) for each in actual)
    return found


def _artifact(planned: Mapping[str, Any], actual: Mapping[str, Any], namespace: str) -> Artifact:
    """Return an artifact as it came out: what the step says of it goes over what was planned."""
    metadata = {**planned["metadata"], **(actual.get("metadata") or {})}
    # Where a step has put it is of no use to others: it was brought to its URI.
    type_ = planned["type"]
    return Artifact(
        namespace=namespace,
        type=type_.get("schemaTitle") or type_.get("instanceSchema") or "system.Artifact",
        name=str(actual.get("name") or planned["name"]),
        uri=uris.normal(str(actual.get("uri") or planned["uri"])),
        metadata=metadata,
    )
