"""Events end, by their last telling."""

import dataclasses
import datetime
from typing import Any

from wherry.builtin import event_garbage
from wherry.objects import kinds, metadata

LATER = datetime.datetime(2999, 1, 1, tzinfo=datetime.UTC)


def event(name: str, **times: Any) -> dict[str, Any]:
    involved = {"kind": "Pod", "namespace": "default", "name": "p"}
    return {"metadata": {"name": name}, "involvedObject": involved, "reason": "Told", **times}


async def test_old_events_go_and_those_told_again_stay(bare: Any) -> None:
    await bare.start(settings=dataclasses.replace(bare.settings, event_seconds=1.0))
    later = metadata.format_time(LATER)
    await bare.create(kinds.EVENTS, event("again", lastTimestamp=later))
    await bare.create(kinds.EVENTS, event("old", lastTimestamp="2000-01-01T00:00:00Z"))
    await bare.until_gone(kinds.EVENTS, "old")
    assert await bare.find(kinds.EVENTS, "again")
    await bare.patch(kinds.EVENTS, "again", {"lastTimestamp": "2000-01-01T00:00:00Z"})
    await bare.until_gone(kinds.EVENTS, "again")
    await bare.stop()


def test_the_latest_of_all_times_counts() -> None:
    first = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}}
    later = "2999-01-01T00:00:00Z"
    assert event_garbage.last_told(first) == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    for times in ({"lastTimestamp": later}, {"series": {"lastObservedTime": later}}):
        assert event_garbage.last_told({**first, "eventTime": None, **times}) == LATER
    assert event_garbage.last_told({**first, "eventTime": "2999-01-01T00:00:00.000000Z"}) == LATER
