"""The laws of the work queue."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.controller.queue import Backoff, QueueClosed, WorkQueue
from wherry.testing.clock import FakeClock


async def test_additions_before_it_is_taken_are_one(clock: FakeClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    for _ in range(3):
        queue.add("a")
    queue.add("b")
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_added_in_hand_comes_again_only_afterwards(clock: FakeClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a")
    item = await queue.get()
    queue.add("a")
    assert len(queue) == 0
    queue.done(item)
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_the_earliest_time_counts(clock: FakeClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("a", 10)
    queue.add_after("a", 3)
    queue.add_after("a", 7)
    queue.add_after("b", 1)
    await clock.advance(2.9)
    assert (len(queue), queue.delayed) == (1, 1)
    await clock.advance(0.2)
    assert (len(queue), queue.delayed) == (2, 0)
    for expected in "ba":
        assert await queue.get() == expected
        queue.done(expected)
    await clock.advance(20)
    assert len(queue) == 0


async def test_failures_slow_an_item_down_until_it_is_forgotten(clock: FakeClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock, Backoff(jitter=0))
    delays = [queue.add_rate_limited("a") for _ in range(30)]
    assert delays[:4] == [0.005, 0.01, 0.02, 0.04]
    assert delays[-1] == 1000
    assert queue.failures("a") == 30
    queue.forget("a")
    assert queue.add_rate_limited("a") == 0.005


def test_backoff_stays_within_its_bounds() -> None:
    backoff = Backoff(jitter=0.1)
    assert all(1000 <= backoff.delay(failures) <= 1100 for failures in (50, 10_000))
    assert 0.005 <= backoff.delay(1) <= 0.0055


async def test_a_cancelled_getter_loses_nothing(clock: FakeClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(60):
        assert await second == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_closing_ends_all_getters(clock: FakeClock) -> None:
    queue: WorkQueue[str] = WorkQueue(clock)
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    queue.add_after("later", 5)
    await asyncio.sleep(0)
    queue.close()
    outcomes = await asyncio.gather(*getters, return_exceptions=True)
    assert all(isinstance(outcome, QueueClosed) for outcome in outcomes)
    queue.add("a")
    with pytest.raises(QueueClosed):
        await queue.get()
    await clock.advance(0)
    assert clock.sleepers == 0


Step = tuple[str, int, float]
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "after", "limited", "forget", "turn", "advance"]),
        st.integers(0, 4),
        st.floats(0, 3),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(script=steps, workers=st.integers(1, 3))
def test_nothing_is_lost_and_nothing_is_in_two_hands(script: list[Step], workers: int) -> None:
    asyncio.run(_play(script, workers))


async def _play(script: list[Step], workers: int) -> None:
    clock = FakeClock()
    queue: WorkQueue[int] = WorkQueue(clock)
    asked: Counter[int] = Counter()
    answered: dict[int, int] = {}
    held: set[int] = set()

    async def work() -> None:
        while True:
            item = await queue.get()
            assert item not in held, "in two hands at once"
            held.add(item)
            answered[item] = asked[item]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            held.remove(item)
            queue.done(item)

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    for action, item, seconds in script:
        if action in {"add", "after", "limited"}:
            asked[item] += 1
        match action:
            case "add":
                queue.add(item)
            case "after":
                queue.add_after(item, seconds)
            case "limited":
                queue.add_rate_limited(item)
            case "forget":
                queue.forget(item)
            case "turn":
                await asyncio.sleep(0)
            case _:
                await clock.advance(seconds, turns=3)
    await clock.advance(10_000)
    assert answered == dict(asked), "handed out at least once after the last addition"
    assert queue.idle
    queue.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, QueueClosed) for outcome in outcomes)
