"""Artifacts that are there already, as tasks."""

from collections.abc import Mapping
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.runtime.kfp.dsl import Artifact
from wherry.pipelines.sdk import channels
from wherry.pipelines.sdk.channels import Channel, Port
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.interfaces import Interface
from wherry.pipelines.sdk.tracing import Task

_URI: Final = "uri"
_METADATA: Final = "metadata"


def importer(
    artifact_uri: Any,
    artifact_class: Any = Artifact,
    *,
    reimport: bool = False,
    metadata: Mapping[str, Any] | None = None,
    download_to_workspace: bool = False,
) -> Task:
    """Make an artifact known that is there already: a task with the output ``artifact``.

    Args:
        artifact_uri: Where it is; may be an output of a task.
        artifact_class: What it is.
        reimport: Whether it is made known again if it was before.
        metadata: What is known of it; outputs of tasks may stand in it.
        download_to_workspace: Whether it is brought into the run's workspace.
    """
    written = isinstance(artifact_uri, str) and not channels.in_text(artifact_uri)
    arguments: dict[str, Any] = {_URI: artifact_uri}
    known = _resolved(metadata or {}, arguments)
    title, version = artifact_class.schema_title, artifact_class.schema_version
    executor: Object = {
        "artifactUri": {"constant": artifact_uri} if written else {"runtimeParameter": _URI},
        "typeSchema": {"schemaTitle": title, "schemaVersion": version},
        **({"reimport": True} if reimport else {}),
        **({"metadata": known} if known else {}),
        **({"downloadToWorkspace": True} if download_to_workspace else {}),
    }
    inputs = {name: _port(value) for name, value in arguments.items()}
    interface = Interface(inputs, {"artifact": Port(artifact=title, version=version)})
    return Task(Component("importer", interface, {"importer": executor}), arguments)


def _port(given: Any) -> Port:
    return Port(given.port.kind if isinstance(given, Channel) else ParameterType.STRING)


def _resolved(given: Any, arguments: dict[str, Any]) -> Any:
    """Return metadata with placeholders of inputs, which are added to the arguments.

    Args:
        given: A part of it.
        arguments: Of the task; changed in place.
    """
    if isinstance(given, Mapping):
        return {
            _resolved(key, arguments): _resolved(value, arguments) for key, value in given.items()
        }
    if isinstance(given, list | tuple):
        return [_resolved(each, arguments) for each in given]
    if isinstance(given, Channel):
        return f"{{{{$.inputs.parameters['{_argument(given, arguments)}']}}}}"
    if isinstance(given, str):
        return channels.replaced(given, lambda each: _resolved(each, arguments))
    return given


def _argument(channel: Channel, arguments: dict[str, Any]) -> str:
    """Return the name of the argument that has a value; of the same value always the same."""
    for name, known in arguments.items():
        if name != _URI and isinstance(known, Channel) and known.name == channel.name:
            return name
    number = sum(name.startswith(_METADATA) for name in arguments)
    name = f"{_METADATA}-{number + 1}" if number else _METADATA
    arguments[name] = channel
    return name
