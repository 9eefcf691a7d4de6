"""Components as files of KFP's first version describe them: an image, and a command with places for inputs and outputs.

Source: ``sdk/python/kfp/dsl/v1_structures.py`` and ``placeholders.py`` of kubeflow/pipelines 2.17.0.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from wherry.objects.requests import Object
from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.runtime.kfp.dsl.types import artifact_types
from wherry.pipelines.sdk import components, containers
from wherry.pipelines.sdk.channels import Port
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.containers import ConcatPlaceholder, IfPresentPlaceholder
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import Interface

_PARAMETERS: Final = {
    "string": ParameterType.STRING,
    "str": ParameterType.STRING,
    "text": ParameterType.STRING,
    "integer": ParameterType.NUMBER_INTEGER,
    "int": ParameterType.NUMBER_INTEGER,
    "float": ParameterType.NUMBER_DOUBLE,
    "double": ParameterType.NUMBER_DOUBLE,
    "bool": ParameterType.BOOLEAN,
    "boolean": ParameterType.BOOLEAN,
    "dict": ParameterType.STRUCT,
    "jsonobject": ParameterType.STRUCT,
    "list": ParameterType.LIST,
    "jsonarray": ParameterType.LIST,
    "pipelinetaskfinalstatus": ParameterType.TASK_FINAL_STATUS,
}
_OTHER_NAMES: Final = re.compile(r"[^_0-9a-z]+")
_TRUE: Final = {"y", "yes", "t", "true", "on", "1"}


def component(document: Mapping[str, Any]) -> Component:
    """Return the component of a file.

    Raises:
        CompileError: It describes none; the message says where.
    """
    implementation = document.get("implementation")
    container = implementation.get("container") if isinstance(implementation, Mapping) else None
    if not isinstance(container, Mapping) or not container.get("image"):
        raise CompileError("implementation.container.image: want the image of the component")
    interface = Interface(
        {_name(each): _input(each) for each in _listed("inputs", document.get("inputs"))},
        {_name(each): _port(each) for each in _listed("outputs", document.get("outputs"))},
    )
    executor: Object = {"image": container["image"]}
    for field in ("command", "args"):
        place = f"implementation.container.{field}"
        given = _listed(place, container.get(field))
        words = [containers.word(place, _placed(each, interface)) for each in given]
        if words:
            executor[field] = words
    env = container.get("env") or {}
    if not isinstance(env, Mapping):
        raise CompileError(f"implementation.container.env: want values by name, not {env!r}")
    if env:
        executor["env"] = [
            {"name": name, "value": containers.word(f"env.{name}", _placed(each, interface))}
            for name, each in env.items()
        ]
    name = components.named(str(document.get("name") or "component"))
    return Component(name, interface, {"container": executor})


def _listed(place: str, given: Any) -> list[Any]:
    """Return a list of the file; what is left out is empty.

    Raises:
        CompileError: It is no list.
    """
    if not isinstance(given or [], list):
        raise CompileError(f"{place}: want a list, not {given!r}")
    return given or []


def _name(given: Any) -> str:
    if not isinstance(given, Mapping) or not given.get("name"):
        raise CompileError(f"inputs, outputs: want objects with a name, not {given!r}")
    return _named(given["name"])


def _named(name: Any) -> str:
    return _OTHER_NAMES.sub("_", str(name).lower()).strip("_")


def _input(given: Mapping[str, Any]) -> Port:
    port = _port(given)
    status = port.kind is ParameterType.TASK_FINAL_STATUS
    return Port(
        port.kind,
        port.artifact,
        optional=status or bool(given.get("optional")) or "default" in given,
        default=None if port.kind is None else _default(given, port.kind),
    )


def _port(given: Mapping[str, Any]) -> Port:
    said = given.get("type")
    kind = str(said).partition("[")[0].lower() if isinstance(said, str) else ""
    if kind in _PARAMETERS:
        return Port(_PARAMETERS[kind])
    known = artifact_types.BY_NAME.get(kind, artifact_types.Artifact)
    return Port(artifact=known.schema_title, version=known.schema_version)


def _default(given: Mapping[str, Any], kind: ParameterType) -> Any:
    """Return a default as its type wants it: in such files it may be a text."""
    value = given.get("default")
    if not isinstance(value, str) or kind is ParameterType.STRING:
        return value
    try:
        if kind is ParameterType.BOOLEAN:
            return value.lower() in _TRUE
        return json.loads(value)
    except ValueError as error:
        raise CompileError(
            f"inputs.{given['name']}: default {value!r} is no {kind.value}"
        ) from error


def _placed(given: Any, interface: Interface) -> Any:
    """Return a part of a command with placeholders of the IR.

    Raises:
        CompileError: It is neither a text nor a place for something that there is.
    """
    if isinstance(given, list):
        return [_placed(each, interface) for each in given]
    if not isinstance(given, Mapping):
        return str(given)
    if len(given) != 1:
        raise CompileError(f"command: {dict(given)} must have one key")
    ((word, value),) = given.items()
    if word == "concat":
        return ConcatPlaceholder(_placed(_listed("command: concat", value), interface))
    if word == "if":
        return _if_present(value, interface)
    return "{{$}}" if word == "executorInput" else _place(word, _named(value), interface)


def _if_present(given: Any, interface: Interface) -> IfPresentPlaceholder:
    condition = given.get("cond") if isinstance(given, Mapping) else None
    asked = condition.get("isPresent") if isinstance(condition, Mapping) else None
    if asked is None or _named(asked) not in interface.inputs:
        known = ", ".join(interface.inputs) or "none"
        raise CompileError(
            f"command: if: want cond: {{isPresent: an input}}, then and maybe else, not {given!r}; of inputs there "
            f"is {known}"
        )
    then, other = (_placed(given.get(key) or [], interface) for key in ("then", "else"))
    return IfPresentPlaceholder(_named(asked), then, other)


def _place(word: str, name: str, interface: Interface) -> str:
    side = interface.outputs if word.startswith("output") else interface.inputs
    places = {
        "inputValue": f"$.inputs.parameters['{name}']",
        "inputPath": f"$.inputs.artifacts['{name}'].path",
        "inputUri": f"$.inputs.artifacts['{name}'].uri",
        "outputPath": f"$.outputs.artifacts['{name}'].path",
        "outputUri": f"$.outputs.artifacts['{name}'].uri",
    }
    if word not in places or name not in side:
        known = ", ".join(side) or "none"
        raise CompileError(
            f"command: {word}: {name}: want concat, if, executorInput or one of {', '.join(places)}, of {known}"
        )
    if word == "outputPath" and side[name].kind is not None:
        return f"{{{{$.outputs.parameters['{name}'].output_file}}}}"
    return f"{{{{{places[word]}}}}}"
