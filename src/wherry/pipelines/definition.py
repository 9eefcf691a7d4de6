"""A pipeline that was read: its parts, its graph, and the values in it. Pure."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.metadata.records import Values
from wherry.objects.errors import Cause
from wherry.pipelines import bindings, checks, task_checks, values
from wherry.pipelines.bindings import MISSING, Bindings
from wherry.pipelines.graph.model import Graph, Node, Retry, Trigger
from wherry.pipelines.ir import loading
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.ir.executors import Executor
from wherry.pipelines.ir.messages import Component, Dag, Inputs, RetryPolicy, Strategy, Task
from wherry.pipelines.ir.platforms import KubernetesConfig, PipelineConfig
from wherry.pipelines.ir.reading import MOST_CAUSES

__all__ = ["MISSING", "Pipeline", "PipelineError", "Step"]

_BACKOFF_FACTOR: Final = 2.0
_MOST_BACKOFF: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Step:
    """What a step is.

    Attributes:
        label: Of its executor.
        component: What it takes and gives.
        executor: What it does.
        settings: What Kubernetes does for it.
    """

    label: str
    component: Component
    executor: Executor
    settings: KubernetesConfig


class Pipeline(Bindings):
    """A pipeline, checked.

    Attributes:
        name: Of the pipeline.
        components: By name; the root's is ``root``.
        spec: The first document.
        config: What the second document says of the whole run.
        settings: What it says of executors, by label.
        graph: What is walked; the pipeline itself is its language.
    """

    def __init__(self, spec: Mapping[str, Any], platform: Mapping[str, Any] | None = None) -> None:
        """Read it.

        Args:
            spec: The first document of a compiled file.
            platform: The second one.

        Raises:
            PipelineError: It is not right; its ``causes`` say what and where.
        """
        loaded, causes = loading.load(spec, platform)
        causes = causes or checks.check(loaded)
        if causes:
            raise PipelineError(causes[:MOST_CAUSES])
        super().__init__(loaded.components)
        self._loaded = loaded
        self.name = loaded.spec.pipeline_info.name
        self.spec = loaded.spec
        self.config: PipelineConfig = loaded.config
        self.settings: Mapping[str, KubernetesConfig] = loaded.settings
        self._graphs: dict[str, Graph] = {}
        self.graph = self._graph(loading.ROOT)

    def step(self, component: str) -> Step:
        """Return what a step's component (`Node.component`) is."""
        found = self.components[component]
        label = found.executor_label or ""
        return Step(
            label=label,
            component=found,
            executor=self._loaded.executors[label],
            settings=self.settings.get(label, KubernetesConfig()),
        )

    def inside(self, component: str) -> Iterator[Any]:
        """Yield what may ask for inputs of a component by their names: its tasks, and settings of its steps."""
        yield from super().inside(component)
        for task in (self.components[component].dag or Dag()).tasks.values():
            label = self.components[task.component_ref.name].executor_label
            yield self.settings.get(label or "")

    def root_inputs(self, given: Values) -> Values:
        """Return the inputs of a run: checked, coerced, with defaults.

        Raises:
            PipelineError: They are not right; fields begin with ``parameters`` or ``artifacts``.
        """
        defined = self.components[loading.ROOT].input_definitions
        self.check_parameters(given.parameters)
        causes = list(itertools.islice(_wrong_artifacts(given, defined), MOST_CAUSES))
        if causes:
            raise PipelineError(causes)
        parameters: dict[str, Any] = {}
        for name, parameter in defined.parameters.items():
            value = given.parameters.get(name)
            if value is None:
                value = bindings.default(parameter)
            if value is not MISSING:
                value = values.coerce(value, values.type_of(parameter))
            parameters[name] = None if value is MISSING else value
        return Values(parameters, dict(given.artifacts))

    def check_parameters(self, given: Mapping[str, Any]) -> None:
        """Check the parameters of a run.

        Raises:
            PipelineError: They are not right; fields begin with ``parameters``.
        """
        defined = self.components[loading.ROOT].input_definitions
        causes = list(itertools.islice(_wrong_parameters(given, defined), MOST_CAUSES))
        if causes:
            raise PipelineError(causes)

    def _graph(self, component: str) -> Graph:
        """Return the graph of a component; made once, wherever it is used."""
        found = self._graphs.get(component)
        if found is None:
            dag = self.components[component].dag or Dag()
            before = checks.needs(dag, self._loaded)
            nodes = {name: self._node(name, task, before[name]) for name, task in dag.tasks.items()}
            found = self._graphs[component] = Graph(component, nodes)
        return found

    def _node(self, name: str, task: Task, needs: tuple[str, ...]) -> Node:
        component = task.component_ref.name
        is_graph = self.components[component].dag is not None
        completed = task.trigger_policy.strategy is Strategy.COMPLETED
        return Node(
            name=name,
            component=component,
            needs=needs,
            trigger=Trigger.COMPLETED if completed else Trigger.SUCCEEDED,
            graph=self._graph(component) if is_graph else None,
            loop=task.parameter_iterator is not None or task.artifact_iterator is not None,
            parallelism=task.iterator_policy.parallelism_limit,
            retry=_retry(task.retry_policy),
        )


def _retry(policy: RetryPolicy) -> Retry:
    most = policy.backoff_max_duration
    return Retry(
        limit=policy.max_retry_count,
        backoff_seconds=policy.backoff_duration or 0,
        factor=policy.backoff_factor or _BACKOFF_FACTOR,
        most_seconds=_MOST_BACKOFF if most is None else most,
    )


def _wrong_parameters(given: Mapping[str, Any], defined: Inputs) -> Iterator[Cause]:
    for name, value in given.items():
        definition = defined.parameters.get(name)
        if definition is None:
            known = defined.parameters
            yield task_checks.unknown(f"parameters.{name}", "input parameter", name, known)
        elif value is not None:
            wrong = task_checks.wrong_value(value, definition)
            if wrong:
                yield Cause(f"parameters.{name}", wrong)
    for name, definition in defined.parameters.items():
        lacks = given.get(name) is None and definition.default_value is None
        if lacks and not definition.is_optional:
            yield Cause(
                f"parameters.{name}",
                f"the pipeline needs a value for it ({values.type_of(definition)})",
                task_checks.REQUIRED,
            )


def _wrong_artifacts(given: Values, defined: Inputs) -> Iterator[Cause]:
    for name in given.artifacts:
        if name not in defined.artifacts:
            known = defined.artifacts
            yield task_checks.unknown(f"artifacts.{name}", "input artifact", name, known)
    for name, artifact in defined.artifacts.items():
        if name not in given.artifacts and not artifact.is_optional:
            message = "the pipeline needs an artifact for it: its uri"
            yield Cause(f"artifacts.{name}", message, task_checks.REQUIRED)
