"""Why a run of a pipeline does not come on, or has failed: over objects in memory."""

from collections.abc import Callable
from typing import Any

import pytest

from wherry.objects.requests import Object
from wherry.pipelines.kinds import PIPELINE_RUNS

Explain = Callable[..., Any]
BOOM = 'Traceback (most recent call last):\n  File "a.py", line 1\n    x\nValueError: boom\n'


def run(state: str, **status: Any) -> Object:
    return {
        "apiVersion": PIPELINE_RUNS.api_version,
        "kind": PIPELINE_RUNS.kind,
        "metadata": {"name": "run", "namespace": "default", "uid": "run"},
        "spec": {},
        "status": {"state": state, "progress": "1/3", **status},
    }


def task(state: str, message: str = "", *, pod: str = "", path: str = "root/train") -> Object:
    return {"path": path, "state": state, "attempt": 0, "podName": pod, "message": message}


def failed_pod() -> Object:
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": BOOM[10:]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "step", "namespace": "default", "uid": "step"},
        "spec": {
            "nodeName": "n1",
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "python:3"}],
        },
        "status": {"phase": "Failed", "containerStatuses": [{"name": "main", "state": ended}]},
    }


async def test_a_failed_task_leads_to_its_pod_whose_words_are_told_once(explain: Explain) -> None:
    failed = run("FAILED", failedTasks=[task("FAILED", "exit code 1", pod="step")])
    logs = {("step", "main"): BOOM.splitlines()}
    report = await explain(PIPELINE_RUNS, "run", failed, failed_pod(), logs=logs)
    (found,) = report.finding.causes
    assert (found.object, found.statement) == ("task root/train", "has failed")
    container = found.causes[0].causes[0]
    assert container.object == "container main"
    assert container.evidence == tuple(BOOM.splitlines())
    assert "run the pipeline again" in report.finding.mend


async def test_what_failed_without_a_pod_is_told_for_each(explain: Explain) -> None:
    tasks = [task("FAILED", f"no {each}", path=f"root/{each}") for each in ("a", "b")]
    report = await explain(PIPELINE_RUNS, "run", run("FAILED", failedTasks=tasks))
    told = {each.object: each.statement for each in report.finding.causes}
    assert told == {"task root/a": "has failed: no a", "task root/b": "has failed: no b"}


async def test_a_pod_that_cannot_be_made_holds_the_run_back(explain: Explain) -> None:
    message = 'pods "step" is forbidden: serviceaccount "nobody" not found'
    going = run("RUNNING", message=message, runningTasks=[task("RUNNING", message, pod="step")])
    report = await explain(PIPELINE_RUNS, "run", going)
    assert report.finding.state == "waiting"
    assert report.finding.statement == "is at work, 1/3 tasks have ended"
    assert report.finding.causes[0].statement == f"waits: {message}"


@pytest.mark.parametrize(
    ("found", "statement", "holds_back"),
    [
        (run("SUCCEEDED"), "has ended: SUCCEEDED", False),
        (run("CANCELED"), "has ended: CANCELED", False),
        (run("RUNNING", runningTasks=[task("RUNNING")]), "is at work, 1/3 tasks have ended", False),
        (run("PAUSED"), "is suspended", True),
        (run("PENDING", message="no root", progress=""), "has not begun", True),
        (run("FAILED", message="after 5 s"), "has failed", True),
    ],
)
async def test_other_states(
    explain: Explain, found: Object, statement: str, *, holds_back: bool
) -> None:
    report = await explain(PIPELINE_RUNS, "run", found)
    assert report.finding.statement == statement
    assert report.finding.holds_back is holds_back


async def test_a_running_task_whose_pod_waits(explain: Explain) -> None:
    waiting = failed_pod()
    state = {"waiting": {"reason": "ErrImagePull", "message": "no Environment covers it"}}
    waiting["status"] = {
        "phase": "Pending",
        "containerStatuses": [{"name": "main", "state": state}],
    }
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", "uid": "n1"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }
    going = run("RUNNING", runningTasks=[task("RUNNING", "ErrImagePull", pod="step")])
    report = await explain(PIPELINE_RUNS, "run", going, waiting, node)
    pod = report.finding.causes[0].causes[0]
    assert pod.object == "pod/step"
    assert pod.causes[0].statement == "is covered by no Environment"


async def test_a_step_that_was_refused_by_the_api_is_told_how_it_is_allowed(
    explain: Explain,
) -> None:
    refused = (
        r'{"message":"pods is forbidden: User \"system:serviceaccount:a:b\" cannot list '
        r'resource \"pods\" in API group \"\""}'
    )
    failed = run("FAILED", failedTasks=[task("FAILED", "exit code 1", pod="step")])
    logs = {("step", "main"): [refused]}
    report = await explain(PIPELINE_RUNS, "run", failed, failed_pod(), logs=logs)
    container = report.finding.causes[0].causes[0].causes[0]
    assert "a RoleBinding (service account a:b: list pods)" in container.mend
