"""Why a schedule makes no runs: over objects in memory."""

from collections.abc import Callable
from typing import Any

from wherry.objects.requests import Object
from wherry.pipelines.kinds import PIPELINE_RUNS
from wherry.pipelines.schedules.kinds import SCHEDULED_WORKFLOWS

Explain = Callable[..., Any]


def schedule(
    type_: str = "Enabled",
    message: str = "",
    *,
    enabled: bool = True,
    reason: str = "",
    **told: Any,
) -> Object:
    condition = {"type": type_, "status": "True", "reason": reason or type_, "message": message}
    return {
        "apiVersion": SCHEDULED_WORKFLOWS.api_version,
        "kind": SCHEDULED_WORKFLOWS.kind,
        "metadata": {"name": "often", "namespace": "default", "uid": "often"},
        "spec": {"enabled": enabled},
        "status": {"conditions": [condition], **told},
    }


async def why(explain: Explain, *objects: Object) -> Any:
    report = await explain(SCHEDULED_WORKFLOWS, "often", *objects, known=(PIPELINE_RUNS,))
    return report.finding


async def test_one_that_is_due_later_is_fine(explain: Explain) -> None:
    told = {"nextTriggeredTime": "2999-01-01T00:00:00Z"}
    found = await why(explain, schedule(trigger=told))
    assert found.state == "fine"
    assert "2999-01-01T00:00:00Z" in found.statement


async def test_one_whose_end_has_come_says_so(explain: Explain) -> None:
    found = await why(explain, schedule(message="it has no time left: endTime has come"))
    assert (found.state, found.statement) == ("fine", "it has no time left: endTime has come")


async def test_one_that_is_off_is_to_be_switched_on(explain: Explain) -> None:
    found = await why(explain, schedule("Disabled", enabled=False))
    assert found.state == "waiting"
    assert '{"spec":{"enabled":true}}' in found.mend


async def test_one_that_nobody_looks_at_says_so(explain: Explain) -> None:
    found = await why(explain, {**schedule(), "status": {}})
    assert "controller" in found.statement


async def test_what_cannot_be_made_is_told(explain: Explain) -> None:
    said = "the run of 2026-01-01T00:00:00Z cannot be made: there is no pipeline 'train'"
    found = await why(explain, schedule("Error", said))
    assert (found.state, found.evidence) == ("failed", (said,))


async def test_one_that_waits_leads_to_what_runs(explain: Explain) -> None:
    run = {
        "apiVersion": PIPELINE_RUNS.api_version,
        "kind": PIPELINE_RUNS.kind,
        "metadata": {"name": "one", "namespace": "default", "uid": "one"},
        "spec": {},
        "status": {"state": "PAUSED"},
    }
    active: dict[str, Any] = {"workflowHistory": {"active": [{"name": "one"}]}}
    found = await why(explain, schedule(message="it waits", reason="Waiting", **active), run)
    assert (found.state, found.statement) == ("waiting", "it waits")
    assert found.causes[0].statement == "is suspended"


async def test_a_clock_that_was_wrong_is_told(explain: Explain) -> None:
    times = {
        "lastTriggeredTime": "2999-01-01T00:00:00Z",
        "nextTriggeredTime": "2999-01-02T00:00:00Z",
    }
    found = await why(explain, schedule(trigger=times))
    assert found.state == "waiting"
    assert "a clock was wrong" in found.statement
    assert "change its trigger" in found.mend
