"""A pipeline: a function that calls components."""

import functools
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import yaml

from wherry.pipelines import describing
from wherry.pipelines.definition import Pipeline
from wherry.pipelines.ir.documents import Documents
from wherry.pipelines.runtime.kfp.dsl import WORKSPACE_PATH_PLACEHOLDER
from wherry.pipelines.sdk import (
    components,
    docstrings,
    inprocess,
    interfaces,
    lowering,
    setting_names,
    tracing,
)
from wherry.pipelines.sdk.channels import Channel
from wherry.pipelines.sdk.components import Component
from wherry.pipelines.sdk.config import PipelineConfig
from wherry.pipelines.sdk.errors import CompileError
from wherry.pipelines.sdk.interfaces import OUTPUT, Interface
from wherry.pipelines.sdk.lowering import Compiled
from wherry.pipelines.sdk.tracing import Task, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What is known of a pipeline besides its tasks.

    Attributes:
        name: Of the pipeline.
        description: For people.
        display_name: What people call it; empty: its name.
        root: Where artifacts go; empty: where a run says.
        config: What holds for the whole run.
    """

    name: str
    description: str = ""
    display_name: str = ""
    root: str = ""
    config: PipelineConfig = field(default_factory=PipelineConfig)


class AnyPipeline(ABC):
    """A pipeline, wherever it comes from. A call runs it in this process; within another pipeline it makes a task.

    Attributes:
        about: What is known of it besides its tasks.
        name: Of the pipeline.
        interface: What it takes and gives.
    """

    def __init__(self, about: About, interface: Interface) -> None:
        self.about = about
        self.name = about.name
        self.interface = interface

    @abstractmethod
    def compiled(self) -> Compiled:
        """Return its IR in parts.

        Raises:
            CompileError: It is no pipeline.
        """

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Run it in this process, one step after another: breakpoints and tracebacks are as anywhere.

        Returns:
            What it says that it returns: a value, an artifact, or a tuple with names.

        Raises:
            FailedRunError: A step has failed; its own error is the cause.
            CompileError: The function is no pipeline, or its inputs are not right.
        """
        if args:
            raise CompileError(f"{self.name}: give inputs by name, such as {self.name}(x=…)")
        if tracing.current() is not None:
            return Task(self, components.bound(self.name, self.interface, inputs))
        return inprocess.run(self, inputs)

    def document(self) -> dict[str, Any]:
        """Return its IR, as KFP's compiler writes it."""
        about = self.about
        made = self.compiled().document(about.name, about.description)
        if about.display_name:
            made["pipelineInfo"]["displayName"] = about.display_name
        if about.root:
            made["defaultPipelineRoot"] = about.root
        return json.loads(json.dumps(made))  # type: ignore[no-any-return]  # a copy

    def documents(self) -> Documents:
        """Return its IR as a compiled file holds it: with what Kubernetes does for its tasks.

        Raises:
            CompileError: It is no pipeline, or uses a workspace and says nothing of its size.
        """
        spec, config = self.document(), self.about.config
        if config.workspace is None and _uses_workspace(spec):
            raise CompileError(
                f"{self.name} uses the workspace: give @pipeline a "
                'pipeline_config=PipelineConfig(workspace=WorkspaceConfig(size="1Gi"))'
            )
        return Documents(spec, self.compiled().platform(config.document()))

    def compile(self, path: Path | str) -> None:
        """Write the compiled file: YAML, or JSON where its name ends so.

        Raises:
            CompileError: The function is no pipeline, or there are two documents, for which JSON has no form.
        """
        path = Path(path)
        if path.suffix != ".json":
            path.write_text(self.text(), encoding="utf-8")
        elif self.documents().platform is None:
            path.write_text(json.dumps(self.document(), indent=2) + "\n", encoding="utf-8")
        else:
            raise CompileError(f"{path}: settings for Kubernetes need a second document: use .yaml")

    def text(self) -> str:
        """Return the compiled file as YAML."""
        read = self.documents()
        parts = [read.spec, *([] if read.platform is None else [read.platform])]
        # Copies, since YAML would refer from one part to another.
        return yaml.safe_dump_all([json.loads(json.dumps(each)) for each in parts])

    def picture(self) -> str:
        """Return a picture of it, SVG; notebooks show it by themselves."""
        read = self.documents()
        return describing.picture(Pipeline(read.spec, read.platform))

    def _repr_svg_(self) -> str:
        return self.picture()


class PipelineFunction(AnyPipeline):
    """A pipeline that is a function."""

    def __init__(self, function: Callable[..., Any], about: About) -> None:
        interface = (
            function.interface
            if isinstance(function, Component)
            else interfaces.of_function(function)
        )
        super().__init__(about, interface)
        self._function = function
        self._compiled: Compiled | None = None
        functools.update_wrapper(self, function)

    def compiled(self) -> Compiled:
        """Return its IR in parts; followed once.

        Raises:
            CompileError: The function is no pipeline.
        """
        if self._compiled is None:
            self._compiled = self._follow()
        return self._compiled

    def _follow(self) -> Compiled:
        trace = Trace()
        given = {
            name: Channel(trace.root, name, port) for name, port in self.interface.inputs.items()
        }
        with trace.following():
            returned = _returned(self._function(**given), self.interface)
            return lowering.lower(trace, self.interface, returned)


class Settings(TypedDict, total=False):
    """What `pipeline` may be told, all optional; the names are KFP's."""

    name: str
    """Of the pipeline; by default the function's."""
    description: str
    """For people; by default what the function's docstring begins with."""
    display_name: str
    """What people call it."""
    pipeline_root: str
    """Where artifacts go, such as ``s3://bucket/folder``, if a run says nothing else."""
    pipeline_config: PipelineConfig
    """What holds for the whole run."""


@overload
def pipeline(function: Callable[..., Any], /) -> PipelineFunction: ...
@overload
def pipeline(
    **settings: Unpack[Settings],
) -> Callable[[Callable[..., Any]], PipelineFunction]: ...
def pipeline(
    function: Callable[..., Any] | None = None, /, **settings: Unpack[Settings]
) -> PipelineFunction | Callable[[Callable[..., Any]], PipelineFunction]:
    """Make a pipeline of a function that calls components. Decorator.

    Args:
        function: The function, or a component that is to be the only step; what it takes and gives is said by its
            annotations, as for components.
        **settings: See `Settings`.

    Raises:
        CompileError: An annotation is none, or a setting is not known.
    """
    setting_names.check("pipeline", settings, Settings)

    def made(each: Callable[..., Any]) -> PipelineFunction:
        name, said = components.named(getattr(each, "__name__", "")), ""
        if isinstance(each, Component):
            name = each.name
        else:
            said = docstrings.summary(inspect.getdoc(each) or "")
        if settings.get("name"):
            # As upstream spells it: it becomes part of names of objects.
            name = components.named(settings["name"])
        about = About(
            name=name,
            description=settings.get("description") or said,
            display_name=settings.get("display_name", ""),
            root=settings.get("pipeline_root", ""),
            config=settings.get("pipeline_config") or PipelineConfig(),
        )
        return PipelineFunction(each, about)

    return made if function is None else made(function)


def _uses_workspace(spec: Mapping[str, Any]) -> bool:
    text = json.dumps(spec)
    return WORKSPACE_PATH_PLACEHOLDER in text or '"downloadToWorkspace": true' in text


def _returned(value: Any, interface: Interface) -> Mapping[str, Channel]:
    """Return the outputs of a pipeline by name."""
    if value is None:
        found: dict[str, Any] = {}
    elif isinstance(value, Task) and set(value.outputs) == set(interface.outputs):
        found = dict(value.outputs)
    elif isinstance(value, Task | Channel):
        found = {OUTPUT: value}
    elif hasattr(value, "_asdict"):
        found = value._asdict()
    elif isinstance(value, Mapping):
        found = dict(value)
    else:
        raise CompileError(f"a pipeline returns outputs of tasks, not {value!r}")
    made = {name: each.output if isinstance(each, Task) else each for name, each in found.items()}
    if set(made) != set(interface.outputs):
        want = ", ".join(interface.outputs) or "nothing"
        raise CompileError(
            f"the pipeline says that it returns {want}, but returns {', '.join(made) or 'nothing'}"
        )
    return made
