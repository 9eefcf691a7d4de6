"""Why a workflow does not come on, or has failed: over objects in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from wherry.objects.requests import Object
from wherry.pipelines.workflows.kinds import NODE_ID_ANNOTATION, WORKFLOW_LABEL, WORKFLOWS

Explain = Callable[..., Any]


def workflow(phase: str, *nodes: Object, suspend: bool = False, **status: Any) -> Object:
    return {
        "apiVersion": WORKFLOWS.api_version,
        "kind": WORKFLOWS.kind,
        "metadata": {"name": "wf", "namespace": "default", "uid": "wf"},
        "spec": {"suspend": True} if suspend else {},
        "status": {"phase": phase, "nodes": {each["id"]: each for each in nodes}, **status},
    }


def node(phase: str, message: str = "", *, type_: str = "Pod", name: str = "train") -> Object:
    made = {"id": f"wf-{name}", "displayName": name, "type": type_, "phase": phase}
    return {**made, "message": message}


def failed_pod() -> Object:
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "wf-train-1",
            "namespace": "default",
            "uid": "step",
            "labels": {WORKFLOW_LABEL: "wf"},
            "annotations": {NODE_ID_ANNOTATION: "wf-train"},
        },
        "spec": {
            "nodeName": "n1",
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "python:3"}],
        },
        "status": {"phase": "Failed", "containerStatuses": [{"name": "main", "state": ended}]},
    }


async def test_a_failed_step_leads_to_its_pod(explain: Explain) -> None:
    around = {**node("Failed", "child failed", type_="Steps", name="wf"), "children": ["wf-train"]}
    failed = workflow("Failed", around, node("Failed", "exit code 1"), message="child failed")
    logs = {("wf-train-1", "main"): ["ValueError: boom"]}
    report = await explain(WORKFLOWS, "wf", failed, failed_pod(), logs=logs)
    (found,) = report.finding.causes
    assert (found.object, found.statement) == ("step train", "has failed")
    assert found.causes[0].object == "pod/wf-train-1"
    assert found.causes[0].causes[0].evidence == ("ValueError: boom",)
    assert "wherry workflows retry wf" in report.finding.mend


async def test_a_step_without_a_pod_is_told_with_its_message(explain: Explain) -> None:
    failed = workflow("Error", node("Error", "no variable inputs.parameters.x"))
    report = await explain(WORKFLOWS, "wf", failed)
    (found,) = report.finding.causes
    assert found.statement == "has failed: no variable inputs.parameters.x"


@pytest.mark.parametrize(
    "message",
    ['pods "x" is forbidden: exceeded quota', "Waiting for default/Mutex/production lock"],
)
async def test_what_a_step_waits_for(explain: Explain, message: str) -> None:
    going = workflow("Running", node("Pending", message), progress="1/3")
    report = await explain(WORKFLOWS, "wf", going)
    assert report.finding.statement == "is at work, 1/3 steps have ended"
    assert report.finding.state == "waiting"
    assert report.finding.causes[0].statement == f"waits: {message}"


@pytest.mark.parametrize(
    ("found", "statement", "holds_back"),
    [
        (workflow("Succeeded"), "has ended: Succeeded", False),
        (workflow("Running", node("Running"), progress="0/1"), "is at work, 0/1 steps have ended", False),
        (workflow("Running", suspend=True), "is suspended", True),
        (workflow("Pending", message="Waiting for a lock"), "has not begun", True),
        (workflow("Failed", message="invalid spec"), "has failed", True),
    ],
)  # fmt: skip
async def test_other_states(
    explain: Explain, found: Object, statement: str, *, holds_back: bool
) -> None:
    report = await explain(WORKFLOWS, "wf", found)
    assert report.finding.statement == statement
    assert report.finding.holds_back is holds_back


async def test_who_is_asked_is_told(explain: Explain) -> None:
    going = workflow("Running", node("Running", type_="Suspend", name="approve"))
    report = await explain(WORKFLOWS, "wf", going)
    assert report.finding.causes[0].mend == "wherry workflows resume wf"
