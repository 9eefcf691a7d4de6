"""Nodes of Workflows run as pods, without the engine that walks over them."""

import dataclasses
from typing import Any

import pytest

from wherry.metadata.records import Artifact, Values
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.controller.roots import Roots
from wherry.pipelines.staging.staged import Agent
from wherry.pipelines.steps import ending
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.artifacts.order import Order
from wherry.pipelines.workflows.artifacts.repository import Repository
from wherry.pipelines.workflows.steps.outputs import NodeOutputs
from wherry.pipelines.workflows.steps.working import Steps
from wherry.testing.in_process import InProcessPlatform
from wherry.testing.waiting import eventually

SECONDS = 180


@dataclasses.dataclass
class Ended:
    """A node whose pod has ended."""

    order: Order
    pod: Object
    outputs: NodeOutputs

    @property
    def succeeded(self) -> bool:
        """Whether all went well."""
        return bool(self.pod["status"]["phase"] == "Succeeded")

    @property
    def why(self) -> str:
        """Why it did not."""
        return _why(self.pod)


def _why(pod: Object) -> str:
    end = ending.of(pod)
    return end.message if end is not None else ""


class Nodes:
    """Makes the pods of nodes in a namespace of its own, as the controller does."""

    def __init__(self, on: InProcessPlatform) -> None:
        self.platform, self.client = on, on.client
        body = {"metadata": {"generateName": "nodes-"}}
        self.namespace = metadata.name(on.call(on.client.create(core.NAMESPACES, body)))
        self.roots = Roots(on.client, on.directory / "products" / "artifacts", Agent())
        self.steps = Steps(on.client, self.roots)
        # The owner has to be there, or its pods would be collected.
        self.workflow = self.create(core.CONFIG_MAPS, "wf", {})
        self._number = 0

    def create(self, kind: Any, name: str, fields: Object) -> Object:
        """Create an object."""
        body = {"metadata": {"name": name, "namespace": self.namespace}, **fields}
        return self.platform.call(self.client.create(kind, body))

    def repository(self, **spec: Any) -> Repository:
        """Return where artifacts go."""
        return self.platform.call(self.steps.repository(self.workflow, spec))

    def order(
        self,
        template: Object,
        inputs: dict[str, Artifact] | None = None,
        spec: Object | None = None,
        **fields: Any,
    ) -> Order:
        """Return a node that is to run."""
        self._number += 1
        given = {name: (each,) for name, each in (inputs or {}).items()}
        name = f"wf-{self._number}"
        return Order(
            **{
                "workflow": self.workflow,
                "spec": spec or {},
                "template": {"name": "main", **template},
                "name": f"wf.{self._number}",
                "id": name,
                "pod": name,
                "pipeline": "wf",
                "path": f"root/{self._number}",
                "attempt": 0,
                "inputs": Values(artifacts=given),
                "repository": fields.pop("repository", None) or self.repository(),
                "key": f"{self.namespace}/{name}",
                **fields,
            }
        )

    def start(self, order: Order) -> None:
        """Make the pod of a node."""
        made = self.steps.pod(order)
        self.platform.call(self.steps.prepare(order))
        self.platform.call(self.client.create(core.PODS, made))

    def pod(self, order: Order) -> Object:
        """Return the pod of a node as it is now."""
        return self.platform.call(self.client.get(core.PODS, order.pod, self.namespace))

    def ended(self, order: Order) -> Object:
        """Return the pod of a node once it has ended."""

        def look() -> Object:
            pod = self.pod(order)
            return pod if ending.of(pod) is not None else {}

        return eventually(look, SECONDS, what=f"the end of {order.pod}")

    def why(self, order: Order) -> str:
        """Return why the pod of a node has failed, once it has."""
        return _why(self.ended(order))

    def run(
        self, template: Object, inputs: dict[str, Artifact] | None = None, **fields: Any
    ) -> Ended:
        """Return a node once its pod has ended, with what it gave."""
        order = self.order(template, inputs, **fields)
        self.start(order)
        pod = self.ended(order)
        return Ended(order, pod, self.platform.call(self.steps.outputs(order, pod), 60))

    def shell(self, script: str, **template: Any) -> Ended:
        """Return a node that has run a script of the shell."""
        fields = {
            name: template.pop(name)
            for name in ("inputs_given", "repository", "spec")
            if name in template
        }
        container = {"image": "python:3.11", "command": ["sh", "-ec", script]}
        return self.run(
            {"container": container, **template},
            fields.pop("inputs_given", None),
            wants_result=True,
            **fields,
        )


@pytest.fixture
def nodes(shared_platform: InProcessPlatform) -> Nodes:
    """Nodes in a namespace of the test's own."""
    return Nodes(shared_platform)


class Workflows:
    """Workflows in the namespace of nodes."""

    def __init__(self, nodes):
        self._nodes = nodes
        self._call, self._client = nodes.platform.call, nodes.client

    def ended(self, wanted):
        """Return a workflow once it has ended."""
        wanted["metadata"]["namespace"] = self._nodes.namespace
        name = metadata.name(self._call(self._client.create(kinds.WORKFLOWS, wanted)))

        def look():
            found = self.get(name)
            ended = (found.get("status") or {}).get("phase") in {"Succeeded", "Failed", "Error"}
            return found if ended else {}

        return eventually(look, SECONDS, what=f"the end of {name}")

    def get(self, name):
        """Return a workflow as it is now."""
        return self._call(self._client.get(kinds.WORKFLOWS, name, self._nodes.namespace))

    def delete(self, name):
        """Delete a workflow, and return when it is gone."""
        self._call(self._client.delete(kinds.WORKFLOWS, name, self._nodes.namespace))

        def is_gone():
            try:
                self.get(name)
            except errors.NotFoundError:
                return True
            return False

        eventually(is_gone, SECONDS, what=f"the end of {name}")


@pytest.fixture
def workflows(nodes):
    """Workflows in a namespace of the test's own."""
    return Workflows(nodes)
