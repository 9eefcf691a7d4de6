"""Workflows that are played without pods: whoever plays them decides how each step ends."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.metadata.records import Execution, Values
from wherry.objects.requests import Object
from wherry.pipelines.controller.engine import ended
from wherry.pipelines.controller.roots import Root
from wherry.pipelines.graph.model import Change, Start, State
from wherry.pipelines.graph.walk import Walk
from wherry.pipelines.workflows import reading, scopes
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.controller import tree
from wherry.pipelines.workflows.controller.engine import Looker, WorkflowEngine
from wherry.pipelines.workflows.language import WorkflowLanguage
from wherry.pipelines.workflows.scopes import EXIT_CODE, RESULT
from wherry.pipelines.workflows.templates import Templates

NOW: Final = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_REPOSITORY: Final = Repository(root=Root("file:///nowhere"))


@dataclass
class Play:
    """A workflow whose steps end as somebody decides.

    Attributes:
        spec: What it runs.
        fates: How the attempts of steps end, by the names of nodes: ``""`` well, else the phase; at last for ever.
        says: What steps say, by the names of nodes.
        shared: WorkflowTemplates that it may use, by name.
        name: Of the workflow.
    """

    spec: Object
    fates: Mapping[str, list[str]] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, Object] = field(default_factory=dict)
    name: str = "wf"

    def __post_init__(self) -> None:
        self.rows: dict[str, Execution] = {}
        self.time = NOW
        self.engine = self.begun()
        self.started: list[str] = []

    @property
    def workflow(self) -> Object:
        """Its object."""
        head = {
            "name": self.name,
            "namespace": "default",
            "uid": "u1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        return {"metadata": head, "spec": self.spec}

    def begun(self) -> WorkflowEngine:
        """Return the workflow as its rows have it: at the beginning, and after a restart."""
        spec = reading.read_spec(self.spec)
        looker = Looker(lambda name, key: None)
        given_ = {each.name: each.value or "" for each in spec.arguments.parameters}
        language = WorkflowLanguage(
            name=self.name,
            spec=spec,
            templates=Templates(spec, lambda where: self.shared.get(where.name), {}),
            given=scopes.of_workflow(self.workflow, spec, given_),
            looking=looker,
        )
        walk = Walk(language.graph, language, Values(), parallelism=spec.parallelism or 0)
        engine = WorkflowEngine("u1", language, walk, _REPOSITORY)
        looker.rows = engine.rows
        language.root = walk.bare_root
        for row in self.rows.values():
            engine.take(row)
        return engine

    def look(self) -> list[str]:
        """Begin what may begin; return the paths of steps that begin."""
        begun: list[str] = []
        while actions := self.engine.walk.ready(self.time.timestamp()):
            for action in actions:
                if isinstance(action, Start):
                    self.take(self.engine.begun(action, "default", self.time))
                    begun.append(action.path)
            changes = [each for each in actions if isinstance(each, Change)]
            for row in self.engine.changed(changes, "default", self.time):
                self.take(row)
        self.started += begun
        return begun

    def take(self, row: Execution) -> None:
        """Take in a row."""
        self.rows[row.path] = row
        self.engine.take(row)

    def end(self, path: str) -> None:
        """End the attempt of a step that runs, as was decided."""
        row = self.engine.running[path]
        name = self.engine.language.node_name(self.engine.spot(path))
        fates = self.fates.get(name) or [""]
        fate = fates[min(row.attempt, len(fates) - 1)]
        self.time += datetime.timedelta(seconds=1)
        given_ = {EXIT_CODE: "1" if fate else "0", RESULT: self.says.get(name, name)}
        state = {"": State.SUCCEEDED, "Failed": State.FAILED, "Error": State.ERROR}[fate]
        self.take(
            ended(row, state, self.time, outputs=Values(given_), error=fate and f"bad {name}")
        )

    def run(self, *, restarts: bool = False) -> dict[str, str]:
        """Run to the end; return the phases of all nodes by their names."""
        for _ in range(10_000):
            self.look()
            if self.engine.walk.state.final:
                return self.phases()
            if self.engine.running:
                self.end(next(iter(self.engine.running)))
            else:
                at = self.engine.walk.wake_at
                assert at is not None, f"it stands still: {self.phases()}"
                self.time = datetime.datetime.fromtimestamp(at, datetime.UTC)
            if restarts:
                self.engine = self.begun()
        raise AssertionError("it never ends")

    def nodes(self) -> list[Object]:
        """Return its nodes, as its status shows them."""
        return [*tree.of(self.engine, {})[0].values()]

    def phases(self) -> dict[str, str]:
        """Return the phases of its nodes by their names."""
        return {each["name"]: each["phase"] for each in self.nodes()}

    def inputs(self, name: str) -> dict[str, str]:
        """Return what a node was given."""
        found = next(each for each in self.nodes() if each["name"] == name)
        return {each["name"]: each["value"] for each in found["inputs"]["parameters"]}


def leaf(name: str = "say", **more: Any) -> Object:
    """Return a template that is a step."""
    return {"name": name, "container": {"image": "busybox"}, **more}


def takes(name: str, *parameters: str, **more: Any) -> Object:
    """Return a template that is a step, and takes parameters."""
    inputs = {"parameters": [{"name": each} for each in parameters]}
    return leaf(name, inputs=inputs, **more)


def gives(**values: str) -> Object:
    """Return arguments."""
    return {"parameters": [{"name": name, "value": value} for name, value in values.items()]}


def spec(*templates: Object, **more: Any) -> Object:
    """Return what a workflow runs, that begins with the first template."""
    return {"entrypoint": templates[0]["name"], "templates": [*templates], **more}


def steps(*groups: list[Object], name: str = "main", **more: Any) -> Object:
    """Return a template of groups of steps."""
    return {"name": name, "steps": [*groups], **more}


def dag(*tasks: Object, name: str = "main", **more: Any) -> Object:
    """Return a template of tasks."""
    inner = {key: more.pop(key) for key in ("target", "failFast") if key in more}
    return {"name": name, "dag": {"tasks": [*tasks], **inner}, **more}


def call(name: str, template: str = "say", **more: Any) -> Object:
    """Return a step or task that calls a template."""
    return {"name": name, "template": template, **more}
