"""One attempt of a task that is to run, with all that is needed to make its pod."""

from dataclasses import dataclass

from wherry.metadata.records import Values
from wherry.objects.requests import Object
from wherry.pipelines import placeholders
from wherry.pipelines.definition import Step
from wherry.pipelines.ir import executors, messages
from wherry.pipelines.steps.platform import Resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to run.

    Attributes:
        run: The `PipelineRun`.
        path: The task's place in the graph.
        attempt: From 0.
        inputs: What it is given, with defaults.
        step: Its component, its executor, its settings.
        task: As the graph has it.
        facts: What placeholders may ask for.
        task_root: URI below which its outputs go.
        resolve: Gives the values of parameters in its settings.
        workspace: The claim of the run's workspace; empty: there is none.
    """

    run: Object
    path: str
    attempt: int
    inputs: Values
    step: Step
    task: messages.Task
    facts: placeholders.Facts
    task_root: str
    resolve: Resolve
    workspace: str = ""

    @property
    def container(self) -> executors.Container:
        """What a task runs that is no importer."""
        found = self.step.executor.container
        assert found is not None, f"{self.path} runs no container"
        return found

    @property
    def component(self) -> messages.Component:
        """What it takes and gives."""
        return self.step.component
