"""CronJobs on a clock that the test moves."""

import asyncio
import datetime
from typing import Any

import pytest

from wherry.builtin.schedules import MANY, Schedule
from wherry.objects import kinds, metadata
from wherry.testing.clock import FakeClock


@pytest.fixture
async def clock(bare: Any) -> FakeClock:
    clock = FakeClock(datetime.datetime.now(datetime.UTC).replace(second=30, microsecond=0))
    await bare.start(clock)
    return clock


async def advance(clock: FakeClock, seconds: float, step: float = 5) -> None:
    for _ in range(int(seconds / step)):
        await clock.advance(step)
        await asyncio.sleep(0.01)


async def next_minute(clock: FakeClock, created: Any) -> None:
    """Go to the first minute that begins after something was created, and no further."""
    after = max(clock.now(), metadata.parse_time(created["metadata"]["creationTimestamp"]))
    minute = after.replace(second=0, microsecond=0) + datetime.timedelta(seconds=60)
    while clock.now() < minute:
        await advance(clock, 5)


def cron(make: Any, name: str, play: str = "succeed", **spec: Any) -> Any:
    template = {"spec": make.job("x", play)["spec"]}
    return {
        "metadata": {"name": name},
        "spec": {"schedule": "* * * * *", "jobTemplate": template, **spec},
    }


async def jobs(world: Any) -> list[str]:
    return sorted(metadata.name(one) for one in await world.list(kinds.JOBS))


async def test_one_job_a_minute_and_history(bare: Any, clock: FakeClock, make: Any) -> None:
    await bare.create(kinds.CRON_JOBS, cron(make, "tick", successfulJobsHistoryLimit=2))
    await advance(clock, 300)

    async def enough() -> bool:
        await advance(clock, 1, 0.5)
        found = await bare.get(kinds.CRON_JOBS, "tick")
        done = not (found.get("status") or {}).get("active")
        kept = [int(name.rsplit("-", 1)[1]) for name in await jobs(bare)]
        in_turn = len(kept) == 2 and kept[1] - kept[0] == 1
        return done and in_turn and len(bare.kubelet.started) >= 4

    await bare.until(enough)
    found = await bare.get(kinds.CRON_JOBS, "tick")
    assert found["status"]["lastScheduleTime"]
    assert found["status"]["lastSuccessfulTime"]
    names = [metadata.labels(pod)["batch.kubernetes.io/job-name"] for pod in bare.kubelet.started]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("policy", ["Allow", "Forbid", "Replace"])
async def test_concurrency(bare: Any, clock: FakeClock, make: Any, policy: str) -> None:
    body = cron(make, "slow", "run", concurrencyPolicy=policy)
    await next_minute(clock, await bare.create(kinds.CRON_JOBS, body))
    first = (await bare.until(lambda: jobs(bare)))[0]
    await advance(clock, 60)
    found = {"Allow": 2, "Forbid": 1, "Replace": 1}[policy]

    async def settled() -> bool:
        await clock.advance(0.05)
        cron_job = await bare.get(kinds.CRON_JOBS, "slow")
        active = (cron_job.get("status") or {}).get("active") or []
        there = [one for one in await bare.list(kinds.JOBS) if not metadata.is_deleting(one)]
        same = {metadata.name(one) for one in there} == {one["name"] for one in active}
        return same and len(there) == found

    await bare.until(settled)
    assert (first in await jobs(bare)) is (policy != "Replace")


async def test_a_suspended_one_starts_nothing(bare: Any, clock: FakeClock, make: Any) -> None:
    await bare.create(kinds.CRON_JOBS, cron(make, "off", suspend=True))
    await advance(clock, 180)
    assert await jobs(bare) == []


async def test_one_that_never_comes_is_told_of(bare: Any, clock: FakeClock, make: Any) -> None:
    await bare.create(kinds.CRON_JOBS, cron(make, "never", schedule="59 23 31 2 *"))

    async def told() -> bool:
        found = (await bare.client.list(kinds.EVENTS)).items
        return any(one["reason"] == "InvalidSchedule" for one in found)

    await bare.until(told)
    assert await jobs(bare) == []


async def test_the_same_time_is_not_run_twice(bare: Any, clock: FakeClock, make: Any) -> None:
    body = cron(make, "once", "run", concurrencyPolicy="Allow")
    await next_minute(clock, await bare.create(kinds.CRON_JOBS, body))

    async def one() -> Any:
        found = await bare.get(kinds.CRON_JOBS, "once")
        return (found.get("status") or {}).get("lastScheduleTime")

    await bare.until(one)
    await bare.kill()
    # As if it had died between making the job and noting it.
    found = await bare.get(kinds.CRON_JOBS, "once")
    await bare.client.update(kinds.CRON_JOBS, {**found, "status": {}}, subresource="status")
    before = await jobs(bare)
    await bare.start(clock)
    last = found["status"]["lastScheduleTime"]
    await bare.until_status(kinds.CRON_JOBS, "once", lastScheduleTime=last)
    assert await jobs(bare) == before


def at(text: str) -> datetime.datetime:
    return metadata.parse_time(text)


@pytest.mark.parametrize(
    ("schedule", "zone", "after", "now", "slot", "missed"),
    [
        ("*/5 * * * *", None, "2026-01-01T00:00:00Z", "2026-01-01T00:04:59Z", None, 0),
        (
            "*/5 * * * *",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:05:00Z",
            "2026-01-01T00:05:00Z",
            1,
        ),
        (
            "*/5 * * * *",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-01T00:12:00Z",
            "2026-01-01T00:10:00Z",
            2,
        ),
        (
            "@hourly",
            None,
            "2026-01-01T00:10:00Z",
            "2026-01-01T01:00:00Z",
            "2026-01-01T01:00:00Z",
            1,
        ),
        (
            "@midnight",
            None,
            "2026-01-01T00:10:00Z",
            "2026-01-02T01:00:00Z",
            "2026-01-02T00:00:00Z",
            1,
        ),
        (
            "0 9 * * *",
            "Europe/Berlin",
            "2026-07-01T00:00:00Z",
            "2026-07-01T08:00:00Z",
            "2026-07-01T07:00:00Z",
            1,
        ),
        (
            "0 9 * * *",
            "America/New_York",
            "2026-01-01T00:00:00Z",
            "2026-01-01T15:00:00Z",
            "2026-01-01T14:00:00Z",
            1,
        ),
        (
            "@every 1h30m",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-01T03:10:00Z",
            "2026-01-01T03:00:00Z",
            2,
        ),
        (
            "0 0 ? * 7",
            None,
            "2026-01-01T00:00:00Z",
            "2026-01-05T00:00:00Z",
            "2026-01-04T00:00:00Z",
            1,
        ),
        (
            "* * * * *",
            None,
            "2025-01-01T00:00:00Z",
            "2026-01-01T00:00:30Z",
            "2026-01-01T00:00:00Z",
            MANY + 1,
        ),
    ],
)
def test_when_it_is_due(
    schedule: str, zone: str | None, after: str, now: str, slot: str | None, missed: int
) -> None:
    due = Schedule.parse(schedule, zone).due(at(after), at(now))
    assert due.slot == (at(slot) if slot else None)
    assert due.missed == missed
