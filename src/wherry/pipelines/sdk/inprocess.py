"""Running a pipeline in this process: the same graph, walked the same way, with functions called one after another."""

import functools
import tempfile
import time
import types
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from wherry.metadata.records import Artifact, Values
from wherry.pipelines import bindings, placeholders
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.graph.model import Attempt, Start, State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.ir.documents import Documents, PipelineError
from wherry.pipelines.runtime.kfp.dsl.executor import Executor
from wherry.pipelines.runtime.kfp.dsl.types import artifact_types
from wherry.pipelines.sdk import apart, interfaces
from wherry.pipelines.sdk.errors import CompileError, FailedRunError
from wherry.pipelines.sdk.interfaces import OUTPUT, Interface
from wherry.pipelines.sdk.lowering import Compiled
from wherry.pipelines.steps import executor_input, outputs
from wherry.pipelines.steps.order import Order
from wherry.pipelines.steps.outputs import Written


class Runnable(Protocol):
    """A pipeline that can be run."""

    name: str
    interface: Interface

    def compiled(self) -> Compiled:
        """Return its IR in parts."""

    def documents(self) -> Documents:
        """Return its IR."""


def run(pipeline: Runnable, inputs: Mapping[str, Any]) -> Any:
    """Run a pipeline to its end.

    Args:
        pipeline: The pipeline.
        inputs: By name.

    Returns:
        Its output, artifacts as objects of their classes; several as a tuple with names.

    Raises:
        FailedRunError: A step has failed; its own error is the cause.
        CompileError: The inputs are not right.
    """
    documents = pipeline.documents()
    read = Pipeline(documents.spec, documents.platform)
    try:
        given = read.root_inputs(Values(inputs))
    except PipelineError as error:
        raise CompileError(f"{pipeline.name}: {error}") from error
    here = _Here(pipeline, read, Path(tempfile.mkdtemp(prefix=f"{pipeline.name}-")))
    walk = Walk(read.graph, read, given)
    while not walk.state.final:
        here.step(walk)
    if walk.state is not State.SUCCEEDED:
        raise FailedRunError(f"{pipeline.name}: {walk.error}") from here.error
    return _result(pipeline, walk.outputs)


class _Here:
    """Steps as calls of functions.

    Attributes:
        error: Of the last step that failed.
    """

    def __init__(self, pipeline: Runnable, read: Pipeline, folder: Path) -> None:
        self.error: Exception | None = None
        self._functions = pipeline.compiled().functions
        self._read = read
        self._folder = folder
        workspace = folder / "workspace"
        workspace.mkdir()
        self._facts = placeholders.Facts(
            job_name=pipeline.name,
            job_resource_name=f"{pipeline.name}-here",
            job_uuid=str(uuid.uuid4()),
            pipeline_root=str(folder),
            create_time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            workspace_path=str(workspace),
        )

    def step(self, walk: Walk) -> None:
        """Do all that may be done now, or wait for when there is something."""
        started = [each for each in walk.ready(time.time()) if isinstance(each, Start)]
        for each in started:
            walk.record(self._done(walk, each))
        if not started and walk.wake_at is not None:
            time.sleep(max(0.0, walk.wake_at - time.time()))

    def _done(self, walk: Walk, start: Start) -> Attempt:
        try:
            given = self._outputs(walk, start)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is its failure
            self.error = error
            words = f"{type(error).__name__}: {error}"
            return Attempt(
                start.path, start.number, State.FAILED, error=words, ended_at=time.time()
            )
        return Attempt(start.path, start.number, State.SUCCEEDED, given, ended_at=time.time())

    def _outputs(self, walk: Walk, start: Start) -> Values:
        step, scope = self._read.step(start.node.component), walk.scope(start.path)
        if step.executor.importer is not None:
            return self._imported(start)
        place = self._folder / start.path.removeprefix("root/") / str(start.number)
        order = Order(
            run={},
            path=start.path,
            attempt=start.number,
            inputs=start.inputs,
            step=step,
            task=self._read.task(scope.graph, start.node.name),
            facts=self._facts,
            task_root=place.as_uri(),
            resolve=functools.partial(self._read.parameter, scope),
        )
        told = executor_input.make(order)
        component = self._functions.get(start.node.component)
        if component is not None and component.function is not None:
            with component.around() as names:
                _call(component.function, told, names)
        else:
            context = executor_input.context(order, told)
            apart.run(start.node.name, step.executor.container, context)
        return outputs.read(step.component, told, _written(told), "")

    def _imported(self, start: Start) -> Values:
        importer = self._read.step(start.node.component).executor.importer
        assert importer is not None
        told = {"inputs": {"parameterValues": dict(start.inputs.parameters)}}
        context = placeholders.Context(executor_input=told, facts=self._facts)
        uri = importer.artifact_uri.runtime_parameter
        artifact = Artifact(
            uri=str(
                start.inputs.parameters[uri] if uri else bindings.constant(importer.artifact_uri)
            ),
            type=importer.type_schema.schema_title or "system.Artifact",
            metadata=placeholders.resolve_json(importer.metadata, context),
        )
        return Values({}, {"artifact": (artifact,)})


def _call(function: Callable[..., Any], told: dict[str, Any], names: Mapping[str, Any]) -> None:
    """Call a component's function as its step does, with annotations that are classes.

    Args:
        function: The function.
        told: What its executor is told.
        names: What its module has besides.
    """
    signature = interfaces.signature_of(function)
    called = types.FunctionType(
        function.__code__,
        {**function.__globals__, **names} if names else function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    called.__kwdefaults__ = function.__kwdefaults__
    called.__annotations__ = {
        name: each.annotation for name, each in signature.parameters.items()
    } | {
        "return": None
        if signature.return_annotation is signature.empty
        else signature.return_annotation
    }
    Path(told["outputs"]["outputFile"]).parent.mkdir(parents=True, exist_ok=True)
    Executor(told, called).execute()


def _written(told: Mapping[str, Any]) -> Written:
    file = Path(told["outputs"]["outputFile"])
    files = {name: Path(each["outputFile"]) for name, each in told["outputs"]["parameters"].items()}
    return Written(
        metadata=file.read_text("utf-8") if file.exists() else None,
        parameters={name: each.read_text("utf-8") for name, each in files.items() if each.exists()},
    )


def _result(pipeline: Runnable, given: Values) -> Any:
    found: dict[str, Any] = dict(given.parameters)
    for name, listed in given.artifacts.items():
        made = [_object(each) for each in listed]
        found[name] = made if pipeline.interface.outputs[name].is_list else made[0]
    names = list(pipeline.interface.outputs)
    if not names:
        return None
    if names == [OUTPUT]:
        return found.get(OUTPUT)
    return types.SimpleNamespace(**{name: found.get(name) for name in names})


def _object(artifact: Artifact) -> Any:
    kinds = [each for each in vars(artifact_types).values() if hasattr(each, "schema_title")]
    kind = next(
        (each for each in kinds if each.schema_title == artifact.type), artifact_types.Artifact
    )
    uri = artifact.uri.removeprefix("file://")
    return kind(name=artifact.name, uri=uri, metadata=dict(artifact.metadata))
