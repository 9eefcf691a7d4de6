"""CronWorkflows on a clock that the test moves: workflows are made, and ended by the test."""

import dataclasses
import datetime

import pytest

from wherry.builtin.settings import BuiltinSettings
from wherry.objects import errors, metadata
from wherry.pipelines import product
from wherry.pipelines.workflows import kinds
from wherry.pipelines.workflows.controller import cron_workflow
from wherry.pipelines.workflows.engines import Engines
from wherry.testing import played
from wherry.testing.clock import FakeClock

pytestmark = pytest.mark.timeout(600)
MINUTE = 60
SPEC = {
    "entrypoint": "main",
    "templates": [{"name": "main", "container": {"image": "busybox", "command": ["true"]}}],
}


def component():
    """The pipelines with the controller of schedules only."""
    return dataclasses.replace(
        product.COMPONENT,
        controllers=lambda manager: (cron_workflow.controller(manager, Engines({})),),
    )


@pytest.fixture
async def world(tmp_path):
    settings = BuiltinSettings(
        volumes_directory=tmp_path, certificate_authority="", cpu_overcommit=1.0
    )
    clock = FakeClock(datetime.datetime.now(datetime.UTC))
    async with played.world((component(),), clock=clock, settings=settings) as made:
        yield made


@pytest.fixture
def make(world):
    """Make a CronWorkflow of every minute, if nothing else is said; then the clock is at its age."""

    async def make(name="often", head=None, **fields):
        spec = {"schedules": ["* * * * *"], "workflowSpec": SPEC} | fields
        body = {"metadata": {"name": name} | (head or {}), "spec": spec}
        cron = await world.create(kinds.CRON_WORKFLOWS, body)
        created = metadata.parse_time(cron["metadata"]["creationTimestamp"])
        await world.clock.advance(max(0, (created - world.clock.now()).total_seconds()))
        return cron

    return make


async def to_next(world, minutes=1):
    """Move the clock to just after a full minute."""
    now = world.clock.now()
    rest = MINUTE - (now.second + now.microsecond / 1_000_000)
    await world.clock.advance(rest + (minutes - 1) * MINUTE + 1)


async def made(world):
    """Return the workflows, oldest slot first."""
    listed = await world.list(kinds.WORKFLOWS, namespace="default")
    return sorted(listed, key=metadata.name)


async def until_made(world, count):
    async def enough():
        found = await made(world)
        return found if len(found) >= count else None

    found = await world.until(enough, f"{count} workflows")
    assert len(found) == count
    return found


async def status(world, name="often"):
    return (await world.get(kinds.CRON_WORKFLOWS, name)).get("status") or {}


async def until_status(world, name="often", **fields):
    async def told():
        found = await status(world, name)
        return found if fields.items() <= found.items() else None

    return await world.until(told, str(fields))


async def end(world, workflow, phase="Succeeded"):
    """End a workflow."""
    now = await world.get(kinds.WORKFLOWS, metadata.name(workflow))
    finished = metadata.format_time(world.clock.now())
    told = {"phase": phase, "finishedAt": finished}
    await world.client.update(kinds.WORKFLOWS, {**now, "status": told})


async def until_active(world, count, name="often"):
    async def told():
        found = await status(world, name)
        return found if len(found.get("active") or ()) == count else None

    return await world.until(told, f"{count} active")


async def until_event(world, reason, name="often"):
    async def told():
        return reason in await world.events(name)

    await world.until(told, reason)


async def of(world, name):
    """Return the workflows of one CronWorkflow."""
    found = await made(world)
    return [one for one in found if metadata.labels(one)[kinds.CRON_WORKFLOW_LABEL] == name]


async def pass_a_minute(world):
    """Move the clock to the next minute, and wait until another schedule has made its workflow of it."""
    before = len(await of(world, "witness"))
    await to_next(world)

    async def seen():
        return len(await of(world, "witness")) > before

    await world.until(seen, "the witness")


async def test_one_a_minute_each_named_by_its_time(world, make):
    head = {"labels": {"workflows.argoproj.io/creator": "ann", "other": "x"}}
    notes = {"labels": {"team": "a"}, "annotations": {"why": "b"}}
    cron = await make(head=head, workflowMetadata=notes)
    await to_next(world)
    (workflow,) = await until_made(world, 1)
    slot = metadata.annotations(workflow)[kinds.SCHEDULED_TIME_ANNOTATION]
    seconds = int(metadata.parse_time(slot).timestamp())
    assert seconds % MINUTE == 0
    assert metadata.name(workflow) == f"often-{seconds}"
    assert metadata.labels(workflow) == {
        "team": "a",
        kinds.CRON_WORKFLOW_LABEL: "often",
        kinds.CREATOR_LABEL: "ann",
    }
    assert metadata.annotations(workflow)["why"] == "b"
    assert (metadata.controller_of(workflow) or {}).get("uid") == metadata.uid(cron)
    assert workflow["spec"] == SPEC
    await until_active(world, 1)
    assert (await status(world))["lastScheduledTime"] == slot

    await end(world, workflow)
    await until_status(world, succeeded=1, failed=0, active=[], phase="Active")
    await to_next(world)
    await until_made(world, 2)


async def test_forbid_leaves_out_what_would_run_beside_another(world, make):
    await make(concurrencyPolicy="Forbid")
    await to_next(world)
    (first,) = await until_made(world, 1)
    await until_active(world, 1)
    await to_next(world)
    await until_event(world, "AlreadyActive")
    assert len(await made(world)) == 1
    await end(world, first)
    await until_status(world, succeeded=1)
    assert len(await made(world)) == 1
    await to_next(world)
    await until_made(world, 2)


async def test_forbid_with_a_deadline_makes_up_for_what_waited(world, make):
    await make(concurrencyPolicy="Forbid", startingDeadlineSeconds=50)
    await to_next(world)
    (first,) = await until_made(world, 1)
    await until_active(world, 1)
    await to_next(world)
    await until_event(world, "AlreadyActive")
    await end(world, first)
    await until_made(world, 2)


async def test_replace_ends_the_one_before(world, make):
    await make(concurrencyPolicy="Replace")
    await to_next(world)
    await until_made(world, 1)
    await until_active(world, 1)
    await to_next(world)
    first, second = await until_made(world, 2)
    assert first["spec"]["shutdown"] == "Terminate"
    assert "shutdown" not in second["spec"]


async def test_what_is_missed_is_made_up_for_within_the_deadline_once(world, make):
    await make("patient", startingDeadlineSeconds=3600, suspend=True)
    await make("strict", suspend=True)
    await make("witness", suspend=True)
    await to_next(world, minutes=5)
    await world.clock.advance(40)
    for name in ("patient", "strict"):
        await world.client.patch(
            kinds.CRON_WORKFLOWS, name, {"spec": {"suspend": False}}, "default"
        )
    (late,) = await until_made(world, 1)
    assert await of(world, "patient") == [late]
    age = world.clock.now() - metadata.parse_time(
        metadata.annotations(late)[kinds.SCHEDULED_TIME_ANNOTATION]
    )
    assert age.total_seconds() < MINUTE
    await world.client.patch(
        kinds.CRON_WORKFLOWS, "witness", {"spec": {"suspend": False}}, "default"
    )
    await pass_a_minute(world)
    await until_active(world, 2, "patient")
    assert len(await of(world, "strict")) <= 1


async def test_so_many_that_ended_are_kept(world, make):
    await make(successfulJobsHistoryLimit=1, failedJobsHistoryLimit=0)
    for number in range(3):
        await to_next(world)

        async def new():
            found = [each for each in await made(world) if not each.get("status")]
            return found[0] if found else None

        workflow = await world.until(new, f"workflow {number}")
        await until_active(world, 1)
        await end(world, workflow, "Failed" if number == 2 else "Succeeded")
        await until_status(world, succeeded=min(number + 1, 2), failed=int(number == 2))

    async def left():
        phases = [each["status"]["phase"] for each in await made(world)]
        return phases == ["Succeeded"]

    await world.until(left, "one that succeeded is left")


async def test_it_stops_when_its_expression_holds(world, make):
    await make("witness", suspend=True)
    await make(stopStrategy={"expression": "cronworkflow.failed >= 1"})
    await to_next(world)
    (workflow,) = await until_made(world, 1)
    await until_active(world, 1)
    await end(world, workflow, "Error")
    await until_status(world, phase="Stopped", failed=1)
    cron = await world.get(kinds.CRON_WORKFLOWS, "often")
    assert metadata.labels(cron)[kinds.CRON_COMPLETED_LABEL] == "true"
    await world.client.patch(
        kinds.CRON_WORKFLOWS, "witness", {"spec": {"suspend": False}}, "default"
    )
    await pass_a_minute(world)
    assert len(await of(world, "often")) == 1


async def test_when_decides_each_time(world, make):
    await make("never", when="{{= cronworkflow.succeeded > 0 }}")
    await make("first", when="{{= cronworkflow.lastScheduledTime == nil }}")
    await make("broken", when="{{cronworkflow.nothing}} == a")
    await to_next(world)
    await until_made(world, 1)

    async def said():
        conditions = (await status(world, "broken")).get("conditions") or [{}]
        return "cronworkflow.nothing" in conditions[0].get("message", "")

    await world.until(said, "what is wrong")
    await make("witness")
    await pass_a_minute(world)
    assert [len(await of(world, name)) for name in ("never", "first", "broken")] == [0, 1, 0]


async def test_times_of_changed_schedules_count_from_then_on(world, make):
    await make(schedules=["0 0 1 1 *"], startingDeadlineSeconds=100_000)
    await until_status(world, phase="Active")
    await to_next(world, minutes=3)
    spec = {"schedules": ["* * * * *", "@every 30m"], "timezone": "Europe/Berlin"}
    await world.client.patch(kinds.CRON_WORKFLOWS, "often", {"spec": spec}, "default")

    async def noted():
        cron = await world.get(kinds.CRON_WORKFLOWS, "often")
        return metadata.annotations(cron).get(kinds.LAST_SCHEDULE_ANNOTATION)

    async def changed():
        return "CRON_TZ=Europe/Berlin * * * * *" in (await noted() or "")

    await world.until(changed, "the change")
    assert await made(world) == []
    await to_next(world)
    await until_made(world, 1)


async def test_a_workflow_that_was_made_but_not_noted_counts(world, make):
    """As where the control plane died between the two."""
    cron = await make(suspend=True)
    await until_status(world, phase="Active")
    slot = world.clock.now().replace(second=0, microsecond=0) + datetime.timedelta(minutes=1)
    workflow = {
        "metadata": {
            "name": f"often-{int(slot.timestamp())}",
            "namespace": "default",
            "annotations": {kinds.SCHEDULED_TIME_ANNOTATION: metadata.format_time(slot)},
            "labels": {kinds.CRON_WORKFLOW_LABEL: "often"},
            "ownerReferences": [metadata.owner_reference(cron)],
        },
        "spec": SPEC,
        "status": {"phase": "Succeeded"},
    }
    await world.create(kinds.WORKFLOWS, workflow)
    await until_status(
        world, lastScheduledTime=metadata.format_time(slot), succeeded=1, failed=0, active=[]
    )


async def test_no_time_is_run_twice_across_a_restart(world, make):
    await make(startingDeadlineSeconds=600, concurrencyPolicy="Forbid")
    await to_next(world)
    (first,) = await until_made(world, 1)
    await world.kill()
    await end(world, first)
    await to_next(world, minutes=3)
    await world.start()
    await until_made(world, 2)
    await until_status(world, succeeded=1, failed=0)
    (again,) = [one for one in await made(world) if not one.get("status")]
    assert metadata.name(again) != metadata.name(first)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"schedules": []}, "spec.schedules", "at least one"),
        ({"schedules": ["* * * *"]}, "spec.schedules[0]", "no schedule"),
        ({"schedules": ["* * * * * *"]}, "spec.schedules[0]", "no schedule"),
        ({"timezone": "Europe/Nowhere"}, "spec.timezone", "Europe/Berlin"),
        ({"concurrencyPolicy": "Maybe"}, "spec.concurrencyPolicy", "Allow, Forbid, Replace"),
        ({"startingDeadlineSeconds": -1}, "spec.startingDeadlineSeconds", "below 0"),
        ({"stopStrategy": {"expression": "1 +"}}, "spec.stopStrategy.expression", "no expression"),
        ({"workflowSpec": {}}, "spec.workflowSpec.entrypoint", "missing"),
    ],
)
async def test_what_is_wrong_is_refused(make, fields, field, said):
    with pytest.raises(errors.InvalidError) as refused:
        await make(**fields)
    assert field in str(refused.value)
    assert said in str(refused.value)


async def test_long_names_leave_no_room_for_the_time(make):
    with pytest.raises(errors.InvalidError, match="at most 52"):
        await make("a" * 53)
