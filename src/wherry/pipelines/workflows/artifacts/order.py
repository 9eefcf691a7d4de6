"""One attempt of a node that is to run in a pod, with all that is needed to make it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wherry.metadata.records import Values
from wherry.objects.requests import Object
from wherry.pipelines import naming
from wherry.pipelines.workflows.artifacts.repository import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to run.

    Attributes:
        workflow: The `Workflow`.
        spec: What it runs: its own spec, with that of the WorkflowTemplate it refers to laid below.
        template: The node's, in upstream's JSON form and with all tags filled. Input artifacts have
            the location that the arguments or the template say, unless a step made them.
        name: Of the node, such as ``wf[0].hello``.
        id: Of the node.
        pod: Name of its pod.
        pipeline: Under which name the Workflow's rows and artifacts are kept.
        path: The node's place in the graph; part of where its artifacts go.
        attempt: From 0; likewise.
        inputs: Artifacts that steps have made, by the names of the template's inputs.
        repository: Where artifacts go.
        key: Where below the repository its artifacts are: `Repository.key_format` with its tags filled.
        claims: Claims made for the run, by the names of the volumes.
        deadline: Seconds that are left of the Workflow's; None: no end.
        on_exit: Whether it belongs to an exit handler.
        wants_result: Whether somebody asks for what it says.
    """

    workflow: Object
    spec: Object
    template: Object
    name: str
    id: str
    pod: str
    pipeline: str
    path: str
    attempt: int
    repository: Repository
    inputs: Values = field(default_factory=Values)
    key: str = ""
    claims: Mapping[str, str] = field(default_factory=dict)
    deadline: int | None = None
    on_exit: bool = False
    wants_result: bool = False

    @property
    def task_root(self) -> str:
        """URI below which its outputs go."""
        return naming.task_root(
            self.repository.root.uri,
            self.pipeline,
            naming.run_id(self.workflow),
            self.path,
            attempt=self.attempt,
        )
