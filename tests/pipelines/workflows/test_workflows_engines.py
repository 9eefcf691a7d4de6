"""Who runs what: the setting, what an object says itself, and schedules that are left to Argo."""

import dataclasses
import datetime

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.objects import metadata
from wherry.pipelines import product
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.controller import cron_workflow
from wherry.pipelines.workflows.engines import ANNOTATION, FINALIZER, OPTION, Engines
from wherry.testing import played
from wherry.testing.clock import FakeClock

SPEC = {
    "entrypoint": "main",
    "templates": [{"name": "main", "container": {"image": "busybox", "command": ["true"]}}],
}


@pytest.mark.parametrize(
    ("setting", "told", "ours"),
    [
        ({}, "", True),
        ({}, "argo", False),
        ({OPTION: "argo"}, "", False),
        ({OPTION: "argo"}, "wherry", True),
        ({OPTION: "wherry"}, "argo", False),
    ],
)
def test_the_setting_counts_where_an_object_says_nothing(setting, told, ours):
    head = {"annotations": {ANNOTATION: told}} if told else {}
    assert Engines(setting).is_ours({"metadata": head}) is ours
    begun = {"metadata": {**head, "finalizers": [FINALIZER]}}
    assert Engines(setting).is_ours(begun)


def test_a_setting_that_names_no_engine_is_refused():
    with pytest.raises(ValueError, match=f"{OPTION}: 'tekton': want wherry or argo"):
        Engines({OPTION: "tekton"})


async def test_schedules_are_left_to_argo_but_for_those_that_say_otherwise(tmp_path):
    engines = Engines({OPTION: "argo"})
    component = dataclasses.replace(
        product.COMPONENT,
        controllers=lambda manager: (cron_workflow.controller(manager, engines),),
    )
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    clock = FakeClock(datetime.datetime.now(datetime.UTC))
    async with played.world((component,), clock=clock, settings=settings) as world:
        for name, notes in (("theirs", {}), ("ours", {ANNOTATION: "wherry"})):
            head = {"name": name, "annotations": notes}
            spec = {"schedules": ["* * * * *"], "workflowSpec": SPEC}
            await world.create(kinds.CRON_WORKFLOWS, {"metadata": head, "spec": spec})
        # Twice, so that the other one was looked at, too.
        await clock.advance(61)
        await world.until(_at_least(world, 1), "a workflow")
        await clock.advance(61)
        found = await world.until(_at_least(world, 2), "two workflows")
        assert {metadata.labels(each)[kinds.CRON_WORKFLOW_LABEL] for each in found} == {"ours"}


def _at_least(world, count):
    async def enough():
        found = await world.list(kinds.WORKFLOWS, namespace="default")
        return found if len(found) >= count else None

    return enough
