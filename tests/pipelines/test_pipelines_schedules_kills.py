"""The control plane is killed over and over while a schedule is at work: each slot is run once."""

import functools

import pytest

from wherry.objects import metadata
from wherry.pipelines import kinds as runs
from wherry.pipelines.schedules import kinds
from wherry.testing.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
KILLS = 4
NAME = "often"


def progress(platform):
    """Return `status.trigger` of the schedule."""
    found = platform.ask(lambda client: client.get(kinds.SCHEDULED_WORKFLOWS, NAME, "default"))
    return (found.get("status") or {}).get("trigger") or {}


def is_beyond(platform, index):
    """Return whether the schedule has made further runs."""
    return progress(platform).get("lastWorkflowIndex", 0) > index


def test_no_slot_is_missed_and_none_is_run_twice(running, pipeline):
    made = pipeline(slot="STRING")
    made.step("say", "true")
    made.task("say")
    body = {
        "metadata": {"name": NAME, "namespace": "default"},
        "spec": {
            "enabled": True,
            "maxConcurrency": 10,
            "trigger": {"periodicSchedule": {"intervalSecond": 1}},
            "workflow": {
                "spec": made.spec()["pipelineSpec"],
                "parameters": [{"name": "slot", "value": "[[ScheduledTime]]"}],
            },
        },
    }
    schedule = running.ask(lambda client: client.create(kinds.SCHEDULED_WORKFLOWS, body))
    for _ in range(KILLS):
        before = progress(running).get("lastWorkflowIndex", 0)
        eventually(functools.partial(is_beyond, running, before), 120)
        running.restart()
    off = {"spec": {"enabled": False}}
    running.ask(lambda client: client.patch(kinds.SCHEDULED_WORKFLOWS, NAME, off, "default"))

    def still():
        """Whether what was begun before it was switched off is noted."""
        found = running.ask(lambda client: client.list(runs.PIPELINE_RUNS, "default")).items
        return found if len(found) == progress(running).get("lastWorkflowIndex") else None

    found = eventually(still, 120)
    created = metadata.parse_time(schedule["metadata"]["creationTimestamp"])
    slots = sorted(
        (
            metadata.parse_time(metadata.annotations(run)[runs.SCHEDULED_ANNOTATION]) - created
        ).total_seconds()
        for run in found
    )
    assert slots == [*range(1, len(slots) + 1)]
    indexes = sorted(int(metadata.labels(run)[kinds.INDEX_LABEL]) for run in found)
    assert indexes == [*range(1, len(slots) + 1)]
