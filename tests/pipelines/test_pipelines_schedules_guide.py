"""The guide's examples of recurring runs: they are accepted, and what they make is what it says."""

import re
from pathlib import Path

import yaml

from wherry.objects import metadata
from wherry.pipelines.definitions import admission as definitions
from wherry.pipelines.definitions import kinds as definition_kinds
from wherry.pipelines.ir.documents import Documents
from wherry.pipelines.schedules import admission, kinds, making
from wherry.pipelines.schedules.trigger import Trigger

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "recurring-runs.md"


def examples():
    """Return the guide's objects by kind."""
    blocks = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return {obj["kind"]: obj for obj in map(yaml.safe_load, blocks)}


def test_the_pipeline_is_accepted():
    example = examples()["Pipeline"]
    assert example["apiVersion"] == definition_kinds.PIPELINES.api_version
    assert not definitions.pipeline(example, None)


def test_the_schedule_makes_the_run_that_it_says(pipeline):
    schedule = examples()["ScheduledWorkflow"]
    assert schedule["apiVersion"] == kinds.SCHEDULED_WORKFLOWS.api_version
    assert not admission.validate(schedule, None)
    made = pipeline(day="STRING", epochs="NUMBER_INTEGER")
    made.step("say", "true")
    made.task("say")
    spec = made.spec()["pipelineSpec"]
    monday = metadata.parse_time("2026-11-23T12:00:00Z")
    slot = Trigger.of(schedule["spec"]["trigger"], monday).next(monday)
    assert slot is not None
    assert metadata.format_time(slot) == "2026-11-24T01:30:00Z"
    schedule["metadata"] |= {"uid": "uid", "namespace": "default"}
    source = making.Source(documents=Documents(spec))
    run = making.run(schedule, source, slot=slot, index=1, now=slot)
    assert run["spec"]["runtimeConfig"]["parameters"] == {"day": "2026-11-24", "epochs": 3}
    assert metadata.name(run).startswith("nightly-20261124013000-")
