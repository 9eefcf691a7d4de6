"""A pipeline: a function that calls components."""

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, overload

import yaml

from wherry.pipelines import describing
from wherry.pipelines.ir.documents import Documents
from wherry.pipelines.pipeline import Pipeline
from wherry.pipelines.sdk import components, inprocess, interfaces, lowering, tracing
from wherry.pipelines.sdk.channels import Channel
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import OUTPUT, Interface
from wherry.pipelines.sdk.lowering import Compiled
from wherry.pipelines.sdk.tracing import Task, Trace


class PipelineFunction:
    """A pipeline. A call runs it in this process; within another pipeline it makes a task.

    Attributes:
        name: Of the pipeline.
        interface: What it takes and gives.
    """

    def __init__(self, function: Callable[..., Any], name: str, description: str) -> None:
        self.name = name
        self.description = description
        self.interface = interfaces.of_function(function)
        self._function = function
        self._compiled: Compiled | None = None
        functools.update_wrapper(self, function)

    def __call__(self, **inputs: Any) -> Any:
        """Run it in this process, one step after another: breakpoints and tracebacks are as anywhere.

        Returns:
            What the function says that it returns: a value, an artifact, or a tuple with names.

        Raises:
            FailedRunError: A step has failed; its own error is the cause.
            CompileError: The function is no pipeline.
        """
        if tracing.current() is not None:
            return Task(self, components.bound(self.name, self.interface, inputs))
        return inprocess.run(self, inputs)

    def compiled(self) -> Compiled:
        """Return its IR in parts; followed once.

        Raises:
            CompileError: The function is no pipeline.
        """
        if self._compiled is None:
            self._compiled = self._follow()
        return self._compiled

    def document(self) -> dict[str, Any]:
        """Return its IR, as KFP's compiler writes it."""
        return json.loads(json.dumps(self.compiled().document(self.name, self.description)))  # type: ignore[no-any-return]  # a copy

    def documents(self) -> Documents:
        """Return its IR as a compiled file holds it: with what Kubernetes does for its tasks."""
        return Documents(self.document(), self.compiled().platform())

    def compile(self, path: Path | str) -> None:
        """Write the compiled file: YAML, or JSON where its name ends so.

        Raises:
            CompileError: The function is no pipeline, or there are two documents, for which JSON has no form.
        """
        path, platform = Path(path), self.compiled().platform()
        if path.suffix != ".json":
            path.write_text(self.text(), encoding="utf-8")
        elif platform is None:
            path.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")
        else:
            raise CompileError(f"{path}: settings for Kubernetes need a second document: use .yaml")

    def text(self) -> str:
        """Return the compiled file as YAML."""
        platform = self.compiled().platform()
        copied = [
            self.document(),
            *([] if platform is None else [json.loads(json.dumps(platform))]),
        ]
        return yaml.safe_dump_all(copied)

    def picture(self) -> str:
        """Return a picture of it, SVG; notebooks show it by themselves."""
        read = self.documents()
        return describing.picture(Pipeline(read.spec, read.platform))

    def _repr_svg_(self) -> str:
        return self.picture()

    def _follow(self) -> Compiled:
        trace = Trace()
        given = {
            name: Channel(trace.root, name, port) for name, port in self.interface.inputs.items()
        }
        with trace.following():
            returned = _returned(self._function(**given), self.interface)
            return lowering.lower(trace, self.interface, returned)


@overload
def pipeline(function: Callable[..., Any], /) -> PipelineFunction: ...
@overload
def pipeline(
    *, name: str = ..., description: str = ...
) -> Callable[[Callable[..., Any]], PipelineFunction]: ...
def pipeline(
    function: Callable[..., Any] | None = None, /, *, name: str = "", description: str = ""
) -> PipelineFunction | Callable[[Callable[..., Any]], PipelineFunction]:
    """Make a pipeline of a function that calls components. Decorator.

    Args:
        function: The function; what it takes and gives is said by its annotations, as for components.
        name: Of the pipeline; empty: the function's.
        description: For people; empty: the function's docstring.

    Raises:
        CompileError: An annotation is none.
    """

    def made(each: Callable[..., Any]) -> PipelineFunction:
        said = description or inspect.getdoc(each) or ""
        return PipelineFunction(each, name or components.named(each.__name__), said)

    return made if function is None else made(function)


def _returned(value: Any, interface: Interface) -> Mapping[str, Channel]:
    """Return the outputs of a pipeline by name."""
    if value is None:
        found: dict[str, Any] = {}
    elif isinstance(value, Task | Channel):
        found = {OUTPUT: value}
    elif hasattr(value, "_asdict"):
        found = value._asdict()
    else:
        raise CompileError(f"a pipeline returns outputs of tasks, not {value!r}")
    made = {name: each.output if isinstance(each, Task) else each for name, each in found.items()}
    if set(made) != set(interface.outputs):
        want = ", ".join(interface.outputs) or "nothing"
        raise CompileError(
            f"the pipeline says that it returns {want}, but returns {', '.join(made) or 'nothing'}"
        )
    return made
