"""Events as people will see them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from wherry.client.client import Client
from wherry.controller.events import EventLimits, EventWriter, Recorder
from wherry.objects import errors, names
from wherry.objects.requests import Object
from wherry.testing.clock import FakeClock

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "resourceVersion": "7"},
}


@pytest.fixture
async def writer(client: Client, clock: FakeClock) -> AsyncIterator[EventWriter]:
    writer = EventWriter(client, clock, EventLimits(burst=5, refill_seconds=300, waiting=50))
    task = asyncio.create_task(writer.run())
    yield writer
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def events(api: Any) -> list[Object]:
    return [obj for key, obj in api.objects.items() if key[0] == "events"]


async def test_an_event_says_who_what_and_when(api: Any, writer: EventWriter) -> None:
    recorder = Recorder(writer, "tester")
    await recorder.event(POD, "Warning", "Broken", "It broke", field_path="spec.containers{a}")
    await writer.flush()
    (event,) = events(api)
    assert event["metadata"]["name"].startswith("p.")
    assert event["metadata"]["namespace"] == "ns"
    assert event["involvedObject"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "p",
        "namespace": "ns",
        "uid": "u1",
        "resourceVersion": "7",
        "fieldPath": "spec.containers{a}",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "Broken", "It broke")
    assert event["source"] == {"component": "tester"}
    assert event["reportingComponent"] == "tester"
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"


async def test_repeats_are_counted(api: Any, writer: EventWriter, clock: FakeClock) -> None:
    recorder = Recorder(writer, "tester")
    later = {**POD, "metadata": {**POD["metadata"], "resourceVersion": "8"}}
    for obj in (POD, later):
        await recorder.event(obj, "Normal", "Started", "It started")
        await writer.flush()
        await clock.advance(60)
    (event,) = events(api)
    assert event["count"] == 2
    assert event["lastTimestamp"] == "2026-01-01T00:01:00Z"


async def test_another_process_loses_nothing_that_it_says_in_the_same_moment(
    api: Any, client: Client, writer: EventWriter, clock: FakeClock
) -> None:
    await Recorder(writer, "tester").event(POD, "Normal", "Started", "It started")
    await writer.flush()
    other = EventWriter(client, clock)
    task = asyncio.create_task(other.run())
    await Recorder(other, "tester").event(POD, "Normal", "Started", "It started")
    await other.flush()
    task.cancel()
    assert [event["count"] for event in events(api)] == [1, 1]


async def test_names_sort_by_time(api: Any, writer: EventWriter) -> None:
    recorder = Recorder(writer, "tester")
    reasons = ["Scheduled", "Pulled", "Created", "Started"]
    for reason in reasons:
        await recorder.event(POD, "Normal", reason, "It did")
    await writer.flush()
    by_name = sorted(events(api), key=lambda event: event["metadata"]["name"])
    assert [event["reason"] for event in by_name] == reasons


async def test_an_event_that_was_deleted_is_made_again(api: Any, writer: EventWriter) -> None:
    recorder = Recorder(writer, "tester")
    await recorder.event(POD, "Normal", "Started", "It started")
    await writer.flush()
    api.objects.clear()
    await recorder.event(POD, "Normal", "Started", "It started")
    await writer.flush()
    assert [event["count"] for event in events(api)] == [1]


async def test_an_object_that_talks_too_much_is_cut_off(
    api: Any, writer: EventWriter, clock: FakeClock
) -> None:
    recorder = Recorder(writer, "tester")
    other = {**POD, "metadata": {**POD["metadata"], "uid": "u2", "name": "q"}}
    for number in range(20):
        await recorder.event(POD, "Normal", "Said", f"number {number}")
    await recorder.event(other, "Normal", "Said", "something")
    await writer.flush()
    assert len(events(api)) == 6
    await clock.advance(600)
    for number in range(20, 40):
        await recorder.event(POD, "Normal", "Said", f"number {number}")
    await writer.flush()
    assert len(events(api)) == 8


async def test_messages_are_cut_between_characters(api: Any, writer: EventWriter) -> None:
    await Recorder(writer, "tester").event(POD, "Normal", "Long", "ü" * 2000)
    await writer.flush()
    (event,) = events(api)
    assert len(event["message"].encode()) <= 1024
    assert event["message"].rstrip(".") == "ü" * 510


@pytest.mark.parametrize("name", ["system:a.", "p.v-1", "x" * 253, ":"])
async def test_event_names_are_valid_whatever_the_objects_is(
    name: str, api: Any, writer: EventWriter
) -> None:
    role = {"apiVersion": "v1", "kind": "Role", "metadata": {"name": name, "uid": "u"}}
    await Recorder(writer, "tester").event(role, "Normal", "Seen", "seen")
    await writer.flush()
    (event,) = events(api)
    assert not names.dns_subdomain(event["metadata"]["name"])
    assert event["involvedObject"]["name"] == name


async def test_failures_harm_nobody(api: Any, writer: EventWriter) -> None:
    def refuse(_: Any) -> None:
        raise errors.ForbiddenError("the namespace is going")

    recorder = Recorder(writer, "tester")
    api.refuse = refuse
    await recorder.event(POD, "Normal", "Lost", "nobody hears this")
    await writer.flush()
    api.refuse = lambda _: None
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "uid": "u3"}}
    await recorder.event(node, "Normal", "Kept", "heard")
    await writer.flush()
    assert [event["metadata"]["namespace"] for event in events(api)] == ["default"]


async def test_a_full_queue_drops_rather_than_blocks(
    api: Any, client: Client, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    writer = EventWriter(client, clock, EventLimits(waiting=3))
    recorder = Recorder(writer, "tester")
    for number in range(10):
        await recorder.event(POD, "Normal", "Said", f"number {number}")
    assert len(caplog.records) == 1
    task = asyncio.create_task(writer.run())
    await writer.flush()
    task.cancel()
    assert len(events(api)) == 3
