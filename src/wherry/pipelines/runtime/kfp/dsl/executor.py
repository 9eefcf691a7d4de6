"""Calls a component's function with what its annotations ask for, and writes what came out.

The contract with the engine is ``ExecutorInput`` and ``ExecutorOutput`` of KFP's
``pipeline_spec.proto``, as JSON.
"""

import inspect
import json
import os
import warnings
from typing import Any

from . import placing, task_config, task_final_status  # noqa: TID252 - there the package is called kfp
from .types import artifact_types, type_annotations  # noqa: TID252 - likewise

_CHIEFS = ("workerpool0", "chief", "master")
_OUTPUT = "Output"
"""The name of what a function returns, when that is not a tuple with names."""


class Executor:
    """One call of a component."""

    def __init__(self, executor_input: "dict[str, Any]", function_to_execute: Any) -> None:
        self._input = executor_input
        self._function = getattr(function_to_execute, "python_func", function_to_execute)
        self._path = executor_input["outputs"]["outputFile"]
        self._annotations = inspect.getfullargspec(self._function).annotations
        self._values: dict[str, Any] = {}
        artifact_types.CONTAINER_TASK_ROOT = os.path.split(self._path)[0]
        self._inputs = self._input_artifacts()
        self._outputs = self._output_artifacts()

    def execute(self) -> "str | None":
        """Call the function; return the path of what was written, or None where others write it.

        Raises:
            ValueError: what it returns is not of the type that it says.
            RuntimeError: it returns something that it does not say.
        """
        asked = [name for name in self._annotations if name != "return"]
        given = {name: self._argument(name) for name in asked if self._is_given(name)}
        self._take(self._function(**given))
        return self._write()

    # What goes in.

    def _is_given(self, name: str) -> bool:
        """Return whether there is anything to pass; otherwise the function's default counts."""
        annotation = type_annotations.without_none(self._annotations[name])
        if annotation in (task_final_status.PipelineTaskFinalStatus, task_config.TaskConfig):
            return True
        if type_annotations.is_list_of_artifacts(annotation):
            return True
        if type_annotations.is_parameter(annotation):
            return self._parameter(name) is not None
        return (
            type_annotations.marker(annotation) is not None
            or type_annotations.is_artifact_class(annotation)
            or isinstance(annotation, (type_annotations.InputPath, type_annotations.OutputPath))
        )

    def _argument(self, name: str) -> Any:
        annotation = type_annotations.without_none(self._annotations[name])
        if isinstance(annotation, type_annotations.OutputPath):
            return self._output_path(name, annotation)
        if isinstance(annotation, type_annotations.InputPath):
            return self._input_path(name)
        if type_annotations.is_list_of_artifacts(annotation):
            return self._inputs.get(name)
        if type_annotations.is_parameter(annotation):
            return self._value(name, annotation)
        return self._artifact(name, annotation)

    def _value(self, name: str, annotation: Any) -> Any:
        value = self._parameter(name)
        if annotation == task_final_status.PipelineTaskFinalStatus:
            return task_final_status.of(value)
        if annotation == task_config.TaskConfig:
            return task_config.of(value)
        is_model = type_annotations.is_model(annotation)
        return annotation.model_validate(value) if is_model else value

    def _artifact(self, name: str, annotation: Any) -> Any:
        marker = type_annotations.marker(annotation)
        if marker is type_annotations.EmbeddedAnnotation:
            return self._embedded(annotation)
        if marker is type_annotations.OutputAnnotation:
            return self._outputs.get(name)
        return self._inputs.get(name)

    def _parameter(self, name: str) -> Any:
        return (self._input.get("inputs", {}).get("parameterValues") or {}).get(name)

    def _input_path(self, name: str) -> Any:
        found = self._inputs.get(name)
        if not found:
            raise ValueError(f"there is no input artifact {name!r}")
        return found.path

    def _output_path(self, name: str, annotation: Any) -> Any:
        if not type_annotations.is_parameter(annotation.type):
            return self._output(name).path
        known = self._input.get("outputs", {}).get("parameters", {})
        path = known.get(name, {}).get("outputFile")
        if path:
            _make_parent(path)
        return path or None

    def _embedded(self, annotation: Any) -> Any:
        kind = type_annotations.without_marker(annotation)
        made = kind() if type_annotations.is_artifact_class(kind) else artifact_types.Artifact()
        names = self._function.__globals__
        path = names.get("__KFP_EMBEDDED_ASSET_FILE") or names.get("__KFP_EMBEDDED_ASSET_DIR")
        if not path:
            raise RuntimeError("the function wants an embedded file, and none came with it")
        made.path = path
        return made

    def _input_artifacts(self) -> "dict[str, Any]":
        found: dict[str, Any] = {}
        for name, told in _artifacts(self._input.get("inputs", {})):
            annotation = type_annotations.without_none(self._function.__annotations__[name])
            kind = type_annotations.without_marker(annotation)
            if type_annotations.is_list_of_artifacts(kind):
                inner = type_annotations.element(kind)
                found[name] = [_instance(each, inner) for each in told]
            else:
                found[name] = _instance(told[0], kind)
        return found

    def _output_artifacts(self) -> "dict[str, Any]":
        found: dict[str, Any] = {}
        for name, told in _artifacts(self._input.get("outputs", {})):
            annotation = type_annotations.without_none(self._function.__annotations__.get(name))
            kind = type_annotations.without_marker(annotation)
            found[name] = _instance(told[0], type_annotations.element(kind))
            _make_parent(found[name].path)
        return found

    # What comes out.

    def _output(self, name: str) -> Any:
        if name not in self._outputs:
            raise ValueError(f"there is no output artifact {name!r}")
        return self._outputs[name]

    def _take(self, returned: Any) -> None:
        said = inspect.signature(self._function).return_annotation
        if returned is None:
            return
        if hasattr(said, "_fields"):
            self._take_fields(said, returned)
        elif said is inspect.Signature.empty:
            raise RuntimeError(f"{self._name} returns a value and does not say of what type")
        else:
            self._take_one(_OUTPUT, said, returned)

    def _take_fields(self, said: Any, returned: Any) -> None:
        fields = said._fields
        if len(fields) != len(returned):
            raise RuntimeError(
                f"{self._name} says that it returns {len(fields)} values, and returned {len(returned)}"
            )
        for at, field in enumerate(fields):
            value = returned[at] if type(returned) is tuple else getattr(returned, field)
            self._take_one(field, said.__annotations__[field], value)

    def _take_one(self, name: str, said: Any, value: Any) -> None:
        kind = type_annotations.without_none(said)
        if type_annotations.is_parameter(kind):
            if kind is said or value is not None:
                self._take_parameter(name, kind, value)
        elif type_annotations.is_artifact_class(kind):
            self._take_artifact(name, value)
        else:
            raise RuntimeError(
                f"{self._name} returns {said!r} as {name}; it may return str, int, float, bool, list, "
                "dict, an artifact, or a NamedTuple of these"
            )

    def _take_parameter(self, name: str, kind: Any, value: Any) -> None:
        wanted = getattr(kind, "__origin__", None) or kind
        accepted = (int, float) if wanted is float else wanted
        if not (isinstance(accepted, (type, tuple)) and isinstance(value, accepted)):
            raise ValueError(
                f"{self._name} returned {type(value).__name__} as {name}, and says {wanted}"
            )
        dump = getattr(value, "model_dump", None) if type_annotations.is_model(kind) else None
        self._values[name] = dump(mode="json", by_alias=True) if dump else value

    def _take_artifact(self, name: str, value: Any) -> None:
        if not isinstance(value, artifact_types.Artifact):
            with open(self._output(name).path, "w", encoding="utf-8") as file:  # noqa: PTH123 - a string
                file.write(str(value))
            return
        if "VERTEX_AI_PIPELINES_RUN_LABELS" in os.environ:
            value.name = self._named_by_engine(name, value)
        self._outputs[name] = value

    def _named_by_engine(self, name: str, value: Any) -> Any:
        own = self._input["outputs"]["artifacts"][name]["artifacts"][0]["name"]
        if value.name:
            warnings.warn(f"the artifact {value.name} is {own} here", RuntimeWarning, stacklevel=2)
        return value.name or own

    def _write(self) -> "str | None":
        told = os.environ.get("CLUSTER_SPEC")
        if told and json.loads(told)["task"]["type"] not in _CHIEFS:
            return None
        output: dict[str, Any] = {}
        if self._values:
            output["parameterValues"] = self._values
        if self._outputs:
            placing.place(self._outputs.values())
            output["artifacts"] = {name: _told(each) for name, each in self._outputs.items()}
        _make_parent(self._path)
        with open(self._path, "w", encoding="utf-8") as file:  # noqa: PTH123 - a string
            file.write(json.dumps(output))
        return str(self._path)

    @property
    def _name(self) -> str:
        return str(self._function.__name__)


def _artifacts(part: "dict[str, Any]") -> Any:
    """Return name and list of the artifacts that there are."""
    for name, told in part.get("artifacts", {}).items():
        if told.get("artifacts"):
            yield name, told["artifacts"]


def _instance(told: "dict[str, Any]", asked: Any) -> Any:
    """Return an artifact: of the class of its schema, else of the one that is asked for."""
    title = told.get("type", {}).get("schemaTitle", "")
    kind = artifact_types.BY_TITLE.get(title)
    if kind is None:
        kind = asked if type_annotations.is_artifact_class(asked) else artifact_types.Artifact
    make = getattr(kind, "_from_executor_fields", kind)
    return make(
        uri=told.get("uri", ""), name=told.get("name", ""), metadata=told.get("metadata", {})
    )


def _told(artifact: Any) -> "dict[str, Any]":
    told = {"name": artifact.name, "uri": artifact.uri, "metadata": artifact.metadata}
    if artifact.custom_path:
        told["custom_path"] = artifact.custom_path
    return {"artifacts": [told]}


def _make_parent(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103,PTH120 - a string
