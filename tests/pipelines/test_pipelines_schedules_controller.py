"""Schedules on a clock that the test moves: runs are made, and ended by the test."""

import asyncio
import dataclasses
import datetime

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.client.client import Client
from wherry.controller.manager import Manager
from wherry.objects import errors, metadata
from wherry.objects import kinds as core
from wherry.pipelines import kinds as runs
from wherry.pipelines import product
from wherry.pipelines.controller import kept_pipeline, scheduled_workflow
from wherry.pipelines.definitions import kinds as definitions
from wherry.pipelines.definitions.index import Index
from wherry.pipelines.definitions.store import Definitions
from wherry.pipelines.schedules import kinds
from wherry.testing import played
from wherry.testing.clock import FakeClock

pytestmark = pytest.mark.timeout(600)
SECOND = datetime.timedelta(seconds=1)


def controllers(manager):
    """The controllers of schedules, without those that run what they make."""
    pipelines = manager.cache(definitions.PIPELINES)
    kept = Definitions(manager.client, pipelines, Index.of_manager(manager))
    return (
        kept_pipeline.controller(manager, kept),
        scheduled_workflow.controller(manager, kept),
    )


@pytest.fixture
async def world(tmp_path):
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    clock = FakeClock(datetime.datetime.now(datetime.UTC))
    component = dataclasses.replace(product.COMPONENT, controllers=controllers)
    async with played.world((component,), clock=clock, settings=settings) as made:
        yield made


@pytest.fixture
def spec(pipeline):
    made = pipeline(text="STRING")
    made.step("say", "true")
    made.task("say")
    return made.spec()["pipelineSpec"]


@pytest.fixture
def make(world, spec):
    """Make a schedule; of the pipeline that stands in it, once a minute, if nothing else is said."""

    async def make(name="often", text="[[Index]]", **fields):
        workflow = {"parameters": [{"name": "text", "value": text}]}
        if not any(key.startswith("pipeline") for key in fields):
            workflow["spec"] = spec
        usual = {
            "enabled": True,
            "trigger": {"periodicSchedule": {"intervalSecond": 60}},
            "workflow": workflow,
        }
        body = {"metadata": {"name": name}, "spec": usual | fields}
        schedule = await world.create(kinds.SCHEDULED_WORKFLOWS, body)
        # The API has a clock of its own, which has gone on since the test's was set.
        created = metadata.parse_time(schedule["metadata"]["creationTimestamp"])
        behind = (created - world.clock.now()).total_seconds()
        await world.clock.advance(max(0, behind))
        return schedule

    return make


async def keep(world, spec, name="kept", version="v1", namespace="default"):
    """Keep a pipeline by name."""
    where = {"namespace": namespace}
    if await world.find(definitions.PIPELINES, name, namespace) is None:
        body = {"metadata": {"name": name, **where}, "spec": {}}
        await world.create(definitions.PIPELINES, body)
    body = {
        "metadata": {"name": f"{name}-{version}", **where},
        "spec": {"pipelineName": name, "versionName": version, "pipelineSpec": spec},
    }
    return await world.create(definitions.PIPELINE_VERSIONS, body)


async def made(world, namespace="default"):
    """Return the runs by age of their slots."""
    listed = await world.list(runs.PIPELINE_RUNS, namespace=namespace)
    return sorted(listed, key=lambda run: metadata.annotations(run)[runs.SCHEDULED_ANNOTATION])


async def until_made(world, count):
    async def enough():
        found = await made(world)
        return found if len(found) >= count else None

    found = await world.until(enough, f"{count} runs")
    assert len(found) == count
    return found


async def status(world, name="often"):
    return (await world.get(kinds.SCHEDULED_WORKFLOWS, name)).get("status") or {}


async def until_told(world, said, name="often"):
    """Return the status of a schedule once its condition's message says something."""

    async def told():
        found = await status(world, name)
        conditions = found.get("conditions") or [{}]
        return found if said in conditions[0].get("message", "") else None

    return await world.until(told, said)


async def until_noted(world, count, name="often"):
    """Wait until a schedule's status tells of its runs, of which events have told by then."""

    async def noted():
        return (await status(world, name)).get("trigger", {}).get("lastWorkflowIndex") == count

    await world.until(noted, f"{count} runs noted")


async def end(world, run, state="SUCCEEDED"):
    """End a run."""
    name = metadata.name(run)
    now = await world.get(runs.PIPELINE_RUNS, name)
    await world.client.update(
        runs.PIPELINE_RUNS, {**now, "status": {"state": state}}, subresource="status"
    )


def owner(run):
    """Return the reference to the schedule of a run."""
    return metadata.controller_of(run) or {}


async def pass_unseen(world, seconds):
    """Let time pass while no controller runs."""
    await world.stop()
    await world.clock.advance(seconds)
    await world.start()


def slots(found, schedule):
    """Return the slots of runs, in seconds since their schedule was made."""
    created = metadata.parse_time(schedule["metadata"]["creationTimestamp"])
    times = [
        metadata.parse_time(metadata.annotations(run)[runs.SCHEDULED_ANNOTATION]) for run in found
    ]
    return [int((time - created).total_seconds()) for time in times]


async def test_a_run_a_minute(world, make):
    schedule = await make(maxConcurrency=10, maxHistory=2)
    for _ in range(4):
        await world.advance(60)
        await asyncio.sleep(0.05)
    found = await until_made(world, 4)
    assert slots(found, schedule) == [60, 120, 180, 240]
    assert [run["spec"]["runtimeConfig"]["parameters"]["text"] for run in found] == list("1234")
    labels = metadata.labels(found[0])
    assert labels[runs.RECURRING_RUN_LABEL] == metadata.uid(schedule)
    assert labels[kinds.NAME_LABEL] == "often"
    assert owner(found[0])["uid"] == metadata.uid(schedule)
    for run in found[:3]:
        await end(world, run)

    async def noted():
        told = await status(world)
        return told if len(told.get("workflowHistory", {}).get("active", [])) == 1 else None

    told = await world.until(noted)
    assert told["trigger"]["lastWorkflowIndex"] == 4
    history = told["workflowHistory"]
    assert [each["index"] for each in history["completed"]] == [3, 2]
    assert history["active"][0]["name"] == metadata.name(found[3])
    last = metadata.parse_time(told["trigger"]["lastTriggeredTime"])
    assert metadata.parse_time(told["trigger"]["nextTriggeredTime"]) == last + SECOND * 60
    assert told["conditions"][0]["type"] == "Enabled"

    async def gone():
        return len(await made(world)) == 3

    await world.until(gone, "the object of the first run, which is one too many, gone")
    assert slots(await made(world), schedule) == [120, 180, 240]


async def test_the_latest_run_stays_and_none_that_goes_on_is_let_go(world, make):
    schedule = await make(maxConcurrency=10, maxHistory=0)
    for _ in range(3):
        await world.advance(60)
    first, _, latest = await until_made(world, 3)
    await end(world, first)
    await end(world, latest)

    async def gone():
        return len(await made(world)) == 2

    await world.until(gone, "the object of the first run gone")
    assert slots(await made(world), schedule) == [120, 180]
    await pass_unseen(world, 1)
    await world.advance(60)
    assert slots(await until_made(world, 3), schedule) == [120, 180, 240]


async def test_what_was_missed_is_made_up_for_one_after_the_other(world, make):
    schedule = await make()
    await world.advance(300)
    seen = []
    for count in range(1, 6):
        found = await until_made(world, count)
        if count < 5:
            await until_told(world, "maxConcurrency is 1")
            assert len(await made(world)) == count
        await end(world, found[-1], "FAILED")
        seen = found
    assert slots(seen, schedule) == [60, 120, 180, 240, 300]
    assert "maxConcurrency" in (await world.events("often"))["Waiting"]


async def test_or_the_last_only(world, make):
    schedule = await make(noCatchup=True)
    await pass_unseen(world, 310)
    found = await until_made(world, 1)
    assert slots(found, schedule) == [300]
    await until_noted(world, 1)
    events = await world.events("often")
    assert "Left out 4 times" in events["SlotsSkipped"]
    assert metadata.name(found[0]) in events["RunCreated"]


async def test_who_dies_between_making_a_run_and_noting_it_makes_no_second_one(world, make):
    await make(maxConcurrency=5)
    await world.advance(60)
    (first,) = await until_made(world, 1)
    await until_told(world, "when they are due")
    await world.kill()
    schedule = await world.get(kinds.SCHEDULED_WORKFLOWS, "often")
    before = {**schedule, "status": {}}
    await world.client.update(kinds.SCHEDULED_WORKFLOWS, before, subresource="status")
    await world.start()

    await until_noted(world, 1)
    assert [metadata.uid(run) for run in await made(world)] == [metadata.uid(first)]
    await world.advance(60)
    await until_made(world, 2)


async def test_two_that_both_believe_to_lead_make_no_run_twice(world, make):
    other = Manager(Client(world.client.transport, field_manager="other"), clock=world.clock)
    for each in controllers(other):
        other.add(each)
    running = asyncio.create_task(other.run())
    try:
        await other.ready.wait()
        schedule = await make(maxConcurrency=10)
        for count in range(1, 5):
            await world.advance(60)
            await until_noted(world, count)
        found = await made(world)
        assert slots(found, schedule) == [60, 120, 180, 240]
        assert [metadata.labels(run)[kinds.INDEX_LABEL] for run in found] == list("1234")
    finally:
        await other.stop()
        await running


async def test_a_restart_misses_nothing(world, make):
    schedule = await make(maxConcurrency=10)
    await world.advance(60)
    await until_made(world, 1)
    await pass_unseen(world, 180)
    assert slots(await until_made(world, 4), schedule) == [60, 120, 180, 240]


async def test_a_clock_that_is_put_back_makes_no_run_twice(world, make):
    schedule = await make(maxConcurrency=10)
    await world.advance(180)
    await until_made(world, 3)
    await world.stop()
    # Back to the beginning.
    world.clock = FakeClock(metadata.parse_time(schedule["metadata"]["creationTimestamp"]))
    world.kubelet.clock = world.clock
    await world.start()
    await world.advance(170)
    await asyncio.sleep(0.1)
    assert len(await made(world)) == 3
    await world.advance(75)
    assert slots(await until_made(world, 4), schedule) == [60, 120, 180, 240]


async def test_a_schedule_is_switched_off_and_on(world, make):
    schedule = await make(enabled=False, maxConcurrency=10)
    told = await until_told(world, "spec.enabled is false")
    assert told["conditions"][0]["type"] == "Disabled"
    assert "nextTriggeredTime" not in told["trigger"]
    await world.advance(130)
    assert await made(world) == []
    await world.patch(kinds.SCHEDULED_WORKFLOWS, "often", {"spec": {"enabled": True}})
    assert slots(await until_made(world, 2), schedule) == [60, 120]


async def test_a_changed_trigger_counts_from_its_change(world, make):
    schedule = await make(trigger={"periodicSchedule": {"intervalSecond": 86_400}})
    await until_told(world, "when they are due")
    await world.stop()
    # While nobody looks; what the API notes of changes is by its own clock, which is the machine's.
    other = {"trigger": {"periodicSchedule": {"intervalSecond": 60}}, "maxConcurrency": 10}
    await world.patch(kinds.SCHEDULED_WORKFLOWS, "often", {"spec": other})
    await world.clock.advance(230)
    await world.start()
    found = slots(await until_made(world, 3), schedule)
    assert 60 <= found[0] < 120, "counted from the change"
    assert [later - found[0] for later in found] == [0, 60, 120]
    told = await until_told(world, "when they are due")
    assert "countsFrom" not in told["trigger"]


async def test_a_changed_trigger_owes_nothing_of_the_time_before(world, make):
    schedule = await make(trigger={"cronSchedule": {"cron": "0 0 0 1 1 *"}}, maxConcurrency=10)
    await until_told(world, "when they are due")
    started = {"cron": "* * * * * *", "startTime": "2020-01-01T00:00:00Z"}
    patch = {"spec": {"trigger": {"cronSchedule": started}}}
    await world.patch(kinds.SCHEDULED_WORKFLOWS, "often", patch)
    await world.advance(2)

    async def some():
        return await made(world)

    found = slots(await world.until(some), schedule)
    assert found[0] >= 0, "years of seconds are not made up for"


async def test_without_a_trigger_there_is_one_run(world, make):
    await make(trigger={})
    (only,) = await until_made(world, 1)
    await until_told(world, "has not ended")
    await end(world, only)
    told = await until_told(world, "has ended")
    assert told["conditions"][0]["type"] == "Succeeded"
    await world.advance(1000)
    assert len(await made(world)) == 1


async def test_the_latest_version_is_run_or_one_that_is_named(world, make, spec):
    first = await keep(world, spec)
    await make("latest", pipelineName="kept", maxConcurrency=5)
    await make("pinned", pipelineName="kept", pipelineVersionName="v1", maxConcurrency=5)
    await make("by-id", pipelineVersionId=metadata.uid(first), maxConcurrency=5)
    await world.advance(60)
    await until_made(world, 3)
    second = await keep(world, spec, version="v2")
    await world.advance(60)
    found = await until_made(world, 6)
    ran: dict[str, list[str]] = {}
    for run in found:
        version = metadata.labels(run)[runs.PIPELINE_VERSION_LABEL]
        ran.setdefault(owner(run)["name"], []).append(version)
    one, two = metadata.uid(first), metadata.uid(second)
    assert ran == {"latest": [one, two], "pinned": [one, one], "by-id": [one, one]}


async def test_what_is_shared_may_be_run_and_what_is_others_not(world, make, spec):
    await world.create(core.NAMESPACES, {"metadata": {"name": "others"}})
    foreign = await keep(world, spec, namespace="others")
    pipeline = await world.get(definitions.PIPELINES, "kept", "others")
    await keep(world, spec, name="for-all", namespace=definitions.SHARED)
    await make("shared", pipelineName="for-all")
    await make("foreign", pipelineName="kept")
    await make("foreign-id", pipelineId=metadata.uid(pipeline))
    await make("foreign-version", pipelineVersionId=metadata.uid(foreign))
    await world.advance(60)
    (only,) = await until_made(world, 1)
    assert owner(only)["name"] == "shared"
    for name in ("foreign", "foreign-id", "foreign-version"):
        told = await until_told(world, "cannot be made: there is no pipeline", name)
        assert told["conditions"][0]["type"] == "Error"


async def test_a_slot_waits_for_its_pipeline(world, make, spec):
    schedule = await make(pipelineName="kept")
    await world.advance(60)
    await until_told(world, "there is no pipeline 'kept'")
    assert "kept" in (await world.events("often"))["FailedCreate"]
    await keep(world, spec)
    await world.advance(30)
    assert slots(await until_made(world, 1), schedule) == [60]
    await until_told(world, "when they are due")


async def test_with_a_schedule_go_its_runs(world, make):
    await make()
    await world.advance(60)
    await until_made(world, 1)
    await world.delete(kinds.SCHEDULED_WORKFLOWS, "often")

    async def gone():
        return not await made(world)

    await world.until(gone)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"trigger": {"cronSchedule": {"cron": "* * *"}}}, "spec.trigger.cronSchedule.cron"),
        ({"trigger": {"cronSchedule": {"cron": "0 0 0 31 2 *"}}}, "it never comes"),
        ({"trigger": {"periodicSchedule": {"intervalSecond": 0}}}, "intervalSecond"),
        (
            {"trigger": {"periodicSchedule": {"startTime": "2026-01-01T00:00:00Z"}}},
            "intervalSecond",
        ),
        (
            {
                "trigger": {
                    "periodicSchedule": {"intervalSecond": 1},
                    "cronSchedule": {"cron": "* * * * * *"},
                }
            },
            "want one of them",
        ),
        (
            {
                "trigger": {
                    "cronSchedule": {
                        "cron": "@daily",
                        "startTime": "2027-01-01T00:00:00Z",
                        "endTime": "2026-01-01T00:00:00Z",
                    }
                }
            },
            "later than startTime",
        ),
        (
            {"trigger": {"cronSchedule": {"cron": "@daily", "startTime": "9999-01-01T00:00:00Z"}}},
            "want a year",
        ),
        ({"trigger": {"cronSchedule": {"cron": "@daily", "timeZone": "Mars"}}}, "time zone 'Mars'"),
        ({"maxConcurrency": 11}, "maxConcurrency"),
        ({"maxHistory": 101}, "maxHistory"),
        ({"workflow": {"parameters": []}}, "say what is run"),
        (
            {"workflow": {"spec": {"kind": "Workflow", "apiVersion": "argoproj.io/v1"}}},
            "argoproj.io/v1alpha1",
        ),
        ({"workflow": {"spec": "a: ["}}, "neither YAML nor JSON"),
    ],
)
async def test_what_is_not_right_is_refused(make, fields, told):
    with pytest.raises(errors.InvalidError, match=told):
        await make(**fields)


async def test_parameters_are_checked_where_the_pipeline_is_known(make):
    workflow = (await make("fine"))["spec"]["workflow"]
    workflow = {**workflow, "parameters": [{"name": "other", "value": "x"}]}
    with pytest.raises(errors.InvalidError, match=r"spec.workflow.parameters.other"):
        await make(workflow=workflow)
