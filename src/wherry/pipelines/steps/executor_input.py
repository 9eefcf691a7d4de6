"""What a step's code is told: its inputs, and where its outputs go.

Source: kubeflow/pipelines 2.17, ``api/v2alpha1/pipeline_spec.proto`` (ExecutorInput) and
``backend/src/v2/driver/driver.go`` (provisionOutputs).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from wherry.metadata.artifacts import uris
from wherry.metadata.records import Artifact
from wherry.objects.requests import Object
from wherry.pipelines import placeholders
from wherry.pipelines.ir.messages import ArtifactType, OutputArtifact, ParameterType
from wherry.pipelines.steps.order import Order

PARAMETERS_FOLDER: Final = ".outputs"
"""Below a task's root: the files of its output parameters. Upstream's are in ``/tmp/kfp/outputs``; a volume
there would cost every step a copy of what else is in the machine's ``/tmp``."""
OUTPUT_FILE: Final = "output_metadata.json"
WORKSPACE_PATH: Final = "/kfp-workspace"
_SCHEMA_VERSION: Final = "0.0.1"


def make(order: Order) -> Object:
    """Return the executor input of a step, in the JSON form of the protocol."""
    component = order.component
    root = uris.path(order.task_root)
    return {
        "inputs": {
            "parameterValues": {
                name: with_facts(value, order.facts)
                for name, value in order.inputs.parameters.items()
            },
            "artifacts": {
                name: {"artifacts": [_input(artifact) for artifact in listed]}
                for name, listed in order.inputs.artifacts.items()
            },
        },
        "outputs": {
            "parameters": {
                name: {"outputFile": f"{root}/{PARAMETERS_FOLDER}/{name}"}
                for name in component.output_definitions.parameters
            },
            "artifacts": {
                name: {"artifacts": [_output(name, wanted, order.task_root)]}
                for name, wanted in component.output_definitions.artifacts.items()
            },
            "outputFile": f"{root}/{OUTPUT_FILE}",
        },
    }


def with_task_config(executor_input: Object, order: Order, config: Mapping[str, Any]) -> Object:
    """Return an executor input that hands the code its pod's settings, where it asks for them."""
    asking = [
        name
        for name, parameter in order.component.input_definitions.parameters.items()
        if parameter.parameter_type is ParameterType.TASK_CONFIG
    ]
    if not asking:
        return executor_input
    inputs = executor_input["inputs"]
    values = {**inputs["parameterValues"], **{name: dict(config) for name in asking}}
    return {**executor_input, "inputs": {**inputs, "parameterValues": values}}


def context(order: Order, executor_input: Mapping[str, Any]) -> placeholders.Context:
    """Return what the placeholders of a step's command are resolved from."""
    optional = frozenset(
        name
        for name, parameter in order.component.input_definitions.parameters.items()
        if parameter.is_optional
    )
    paths = {
        artifact["uri"]: uris.path(
            artifact["uri"],
            type=artifact["type"].get("schemaTitle", ""),
            metadata=artifact.get("metadata"),
        )
        for artifact in _artifacts(executor_input)
    }
    return placeholders.Context(
        executor_input=executor_input, facts=order.facts, paths=paths, optional=optional
    )


def with_facts(value: Any, facts: placeholders.Facts) -> Any:
    """Return a value with what it asks of the run in its texts; other placeholders stay."""
    if isinstance(value, str):
        return placeholders.resolve_facts(value, facts)
    if isinstance(value, list):
        return [with_facts(each, facts) for each in value]
    if isinstance(value, dict):
        return {name: with_facts(each, facts) for name, each in value.items()}
    return value


def type_of(artifact_type: ArtifactType) -> Object:
    """Return an artifact's type in the protocol's form."""
    fields = {
        "schemaTitle": artifact_type.schema_title,
        "schemaUri": artifact_type.schema_uri,
        "instanceSchema": artifact_type.instance_schema,
        "schemaVersion": artifact_type.schema_version,
    }
    return {name: value for name, value in fields.items() if value}


def _input(artifact: Artifact) -> Object:
    return {
        # As upstream, where fingerprints tell artifacts apart by it.
        "name": str(artifact.id),
        "type": {"schemaTitle": artifact.type, "schemaVersion": _SCHEMA_VERSION},
        "uri": uris.seen(artifact.uri),
        "metadata": dict(artifact.metadata),
    }


def _output(name: str, wanted: OutputArtifact, root: str) -> Object:
    made: Object = {
        # The code looks for the name, although nothing has it yet.
        "name": name,
        "type": type_of(wanted.artifact_type),
        "uri": uris.seen(uris.below(root, name)),
        "metadata": dict(wanted.metadata),
    }
    return made


def _artifacts(executor_input: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for side in ("inputs", "outputs"):
        for listed in executor_input[side]["artifacts"].values():
            yield from listed["artifacts"]
