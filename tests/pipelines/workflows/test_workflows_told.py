"""What workflows tell of their nodes besides: events, and how long they may take."""

from collections import Counter
from typing import Any

import pytest

from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.objects.requests import Object
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows import nodes as stored
from wherry.testing.waiting import eventually

SECONDS = 100
IMAGE = "python:3.11"
FINAL = ("Succeeded", "Failed", "Error")


class Told:
    """Workflows of a namespace, and what is told of them."""

    def __init__(self, nodes: Any) -> None:
        self._nodes = nodes
        self.client, self.namespace = nodes.client, nodes.namespace

    def call(self, coroutine: Any) -> Any:
        """Ask the API."""
        return self._nodes.platform.call(coroutine)

    def create(self, kind: Any, name: str, spec: Object, **more: Any) -> None:
        """Make an object."""
        self._nodes.create(kind, name, {"spec": spec, **more})

    def get(self, name: str) -> Object:
        """Return a workflow."""
        found: Object = self.call(self._nodes.client.get(kinds.WORKFLOWS, name, self.namespace))
        return found

    def ended(self, name: str) -> Object:
        """Return a workflow once it has ended, and is kept."""

        def look() -> Object:
            found = self.get(name)
            kept = metadata.labels(found).get(kinds.ARCHIVING_LABEL) == "Archived"
            return found if (found.get("status") or {}).get("phase") in FINAL and kept else {}

        return eventually(look, SECONDS, what=f"the end of {name}")

    def delete(self, name: str) -> None:
        """Delete a workflow, and return when it is gone."""
        self.call(self._nodes.client.delete(kinds.WORKFLOWS, name, self.namespace))

        def is_gone() -> bool:
            try:
                self.get(name)
            except errors.NotFoundError:
                return True
            return False

        eventually(is_gone, SECONDS, what=f"the end of {name}")

    def events(self, name: str, last: str) -> list[Object]:
        """Return the events of a workflow once there is one of this reason, and what was said before it."""

        def look() -> list[Object]:
            every = self.call(self._nodes.client.list(core.EVENTS, self.namespace)).items
            about = {"kind": "Workflow", "name": name}.items()
            own = [each for each in every if about <= each["involvedObject"].items()]
            return own if any(each["reason"] == last for each in own) else []

        return eventually(look, SECONDS, what=f"event {last} of {name}")


@pytest.fixture
def told(nodes: Any) -> Told:
    """Workflows of the test's own."""
    return Told(nodes)


def single(*command: str, **template: Any) -> Object:
    container = {"image": IMAGE, "command": [*command]}
    return {
        "entrypoint": "main",
        "templates": [{"name": "main", "container": container, **template}],
    }


def test_events_of_nodes(told: Told) -> None:
    told.create(kinds.WORKFLOWS, "well", single("true"))
    told.ended("well")

    def all_of_them() -> dict[str, Object]:
        found = {each["reason"]: each for each in told.events("well", "WorkflowSucceeded")}
        return found if len(found) == 4 else {}

    found = eventually(all_of_them, SECONDS, what="four events")
    node = found["WorkflowNodeSucceeded"]
    assert found["WorkflowNodeRunning"]["message"] == "Running node well"
    assert (node["type"], node["message"]) == ("Normal", "Succeeded node well")
    notes = node["metadata"]["annotations"]
    assert notes[kinds.NODE_TYPE_ANNOTATION] == "Pod"
    assert notes[kinds.NODE_NAME_ANNOTATION] == notes[kinds.NODE_ID_ANNOTATION] == "well"
    assert int(notes[kinds.NODE_START_ANNOTATION]) > 0
    assert {"WorkflowRunning", "WorkflowSucceeded"} < {*found}


def test_events_of_attempts_that_fail(told: Told) -> None:
    spec = single("sh", "-c", "exit 3", retryStrategy={"limit": "1"})
    told.create(kinds.WORKFLOWS, "badly", spec)
    told.ended("badly")

    def failures() -> dict[str, str]:
        every = told.events("badly", "WorkflowFailed")
        own = [each for each in every if each["reason"] == "WorkflowNodeFailed"]
        assert {each["type"] for each in own} <= {"Warning"}
        found = {each["message"].partition(":")[0]: each["message"] for each in own}
        return found if len(found) == 3 else {}

    found = eventually(failures, SECONDS, what="three failures")
    assert {*found} == {"Failed node badly", "Failed node badly(0)", "Failed node badly(1)"}
    assert "(exit code 3)" in found["Failed node badly(0)"]


def test_of_many_nodes_only_the_first_have_events(told: Told) -> None:
    together = [{"name": f"step-{number}", "template": "wait"} for number in range(15)]
    spec = {
        "entrypoint": "main",
        "templates": [
            {"name": "main", "steps": [together]},
            {"name": "wait", "suspend": {"duration": "0"}},
        ],
    }
    told.create(kinds.WORKFLOWS, "many", spec)
    told.ended("many")
    # Events are written in their order, some at a time.
    told.create(kinds.WORKFLOWS, "after", single("true"))
    told.events("after", "WorkflowSucceeded")
    found = Counter(each["reason"] for each in told.events("many", "WorkflowSucceeded"))
    assert found["WorkflowNodeRunning"] + found["WorkflowNodeSucceeded"] == 10
    assert found["WorkflowRunning"] == 1


def made_of(name: str) -> Object:
    return {"workflowTemplateRef": {"name": name}}


def test_a_workflow_may_take_as_long_as_the_last_one_of_its_template(told: Told) -> None:
    told.create(kinds.WORKFLOW_TEMPLATES, "often", single("true"))
    told.create(kinds.WORKFLOW_TEMPLATES, "other", single("true"))
    told.create(kinds.WORKFLOWS, "first", made_of("often"))
    assert "estimatedDuration" not in told.ended("first")["status"]
    told.create(kinds.WORKFLOWS, "second", made_of("often"))
    second = told.ended("second")
    assert second["status"]["estimatedDuration"] >= 1
    assert stored.stored(second)["second"]["estimatedDuration"] >= 1
    told.create(kinds.WORKFLOWS, "of-other", made_of("other"))
    assert "estimatedDuration" not in told.ended("of-other")["status"]
    for name in ("first", "second"):
        told.delete(name)
    # Those whose objects are gone are in the archive.
    told.create(kinds.WORKFLOWS, "third", made_of("often"))
    third = told.ended("third")
    assert third["status"]["estimatedDuration"] >= 1
    assert stored.stored(third)["third"]["estimatedDuration"] >= 1


def test_one_that_failed_is_no_measure(told: Told) -> None:
    told.create(kinds.WORKFLOW_TEMPLATES, "fails", single("false"))
    for name in ("first", "second"):
        told.create(kinds.WORKFLOWS, name, made_of("fails"))
        assert "estimatedDuration" not in told.ended(name)["status"]


def test_a_workflow_may_take_as_long_as_the_last_one_of_its_schedule(told: Told) -> None:
    labels = {"labels": {kinds.CRON_WORKFLOW_LABEL: "nightly"}}
    client, namespace = told.client, told.namespace
    for name in ("first", "second"):
        head = {"name": name, "namespace": namespace, **labels}
        told.call(client.create(kinds.WORKFLOWS, {"metadata": head, "spec": single("true")}))
        found = told.ended(name)["status"]
        assert bool(found.get("estimatedDuration")) is (name == "second")
