"""Algorithms are asked in a process of their own, which may die at any time."""

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys

import pytest

from wherry.testing.waiting import eventually
from wherry.tuning import wire
from wherry.tuning.algorithm import Objective, Parameter, PastTrial, Question, Search
from wherry.tuning.asking import Asker, AskError
from wherry.tuning.retelling import ForgottenError, Listener, Teller

SEARCH = Search(
    name="asked",
    parameters=(
        Parameter(name="x", type="double", min="0", max="1"),
        Parameter(name="y", type="double", min="0", max="1"),
    ),
    objectives=(Objective(metric="loss"),),
    seed=5,
)


def question(count: int = 0, **changes) -> Question:
    trials = tuple(
        PastTrial(
            name=f"t{index}",
            assignments={"x": str(index / 50), "y": "0.5"},
            state="Succeeded",
            metrics={"loss": index / 50},
            index=index,
        )
        for index in range(count)
    )
    return Question(search=SEARCH, trials=trials, **changes)


def gone(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_answers_come_from_one_process_that_stays():
    async with Asker() as asker:
        answers = await asyncio.gather(*(asker.propose("random", question()) for _ in range(3)))
        first = asker.worker_pid
        again = await asker.propose("random", question())
        assert asker.worker_pid == first
    assert answers == [again, again, again]
    assert SEARCH.parameters[0].name in again.proposals[0].assignments
    await asyncio.to_thread(eventually, lambda: gone(first))


async def test_a_worker_that_was_killed_is_replaced_and_says_the_same():
    async with Asker() as asker:
        first = await asker.propose("tpe", question(30, wanted=2))
        assert asker.worker_pid is not None
        os.kill(asker.worker_pid, signal.SIGKILL)
        assert await asker.propose("tpe", question(30, wanted=2)) == first


async def test_what_goes_wrong_is_told_and_does_not_harm_the_next_question():
    async with Asker() as asker:
        with pytest.raises(AskError, match="no search algorithm 'guess'"):
            await asker.propose("guess", question())
        assert (await asker.propose("random", question())).proposals


async def test_settings_are_checked_there_too():
    wrong = Search(name="w", parameters=SEARCH.parameters, settings={"gamma": "2"})
    async with Asker() as asker:
        causes = await asker.validate("tpe", wrong)
    assert [cause.field for cause in causes] == ["spec.algorithm.algorithmSettings[gamma]"]


async def test_too_slow_an_answer_ends_the_worker():
    async with Asker(deadline_seconds=0.01) as asker:
        with pytest.raises(AskError, match=r"within 0\.01 s"):
            await asker.propose("bayesianoptimization", question(100))
        assert asker.worker_pid is None


async def test_a_question_that_is_given_up_leaves_no_answer_behind():
    async with Asker() as asker:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asker.propose("tpe", question(30, wanted=3))
        assert len((await asker.propose("random", question())).proposals) == 1


async def test_questions_that_wait_fail_when_it_is_closed():
    async with Asker() as asker:
        await asker.propose("random", question())
        slow = question(300)
        asked = [asyncio.ensure_future(asker.propose("tpe", slow)) for _ in range(3)]
        await asyncio.sleep(0)
        await asker.close()
        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in told] == [AskError] * 3
        assert asker.worker_pid is None, "none was started for them"


async def test_a_worker_that_nobody_asks_leaves():
    async with Asker(idle_seconds=0.05) as asker:
        await asker.propose("random", question(3))
        pid = asker.worker_pid
        assert pid is not None
        assert asker._teller._told
        await asyncio.to_thread(eventually, lambda: gone(pid))
        assert not asker._teller._told, "nothing is kept for who has left"
        assert (await asker.propose("random", question())).proposals


def test_everything_travels():
    asked = question(3, wanted=2, state={"a": "b"})
    bad = PastTrial(name="n", assignments={}, state="Succeeded", metrics={"loss": float("nan")})
    assert wire.asked(wire.propose("random", asked)).question == asked
    there = wire.asked(wire.propose("random", Question(search=SEARCH, trials=(bad,)))).question
    assert str(there.trials[0].metrics["loss"]) == "nan"


def test_a_question_tells_only_what_is_new_and_asks_the_same():
    teller, listener = Teller(), Listener()
    first = question(200)
    long = wire.propose("random", first, teller)
    assert wire.asked(long, listener).question == first
    ended = dataclasses.replace(first.trials[150], state="Failed", metrics={})
    more = question(201).trials[200:]
    later = (*first.trials[:150], ended, *first.trials[151:], *more)
    asked = dataclasses.replace(first, trials=later)
    short = wire.propose("random", asked, teller)
    assert len(short) < len(long) / 20
    assert wire.asked(short, listener).question == asked
    fewer = dataclasses.replace(first, trials=later[3:])
    assert wire.asked(wire.propose("random", fewer, teller), listener).question == fewer


def test_a_worker_that_has_not_heard_the_beginning_says_so():
    teller = Teller()
    wire.propose("random", question(3), teller)
    with pytest.raises(ForgottenError):
        wire.asked(wire.propose("random", question(3), teller), Listener())


def test_not_more_is_remembered_than_fits(monkeypatch):
    monkeypatch.setattr("wherry.tuning.retelling._MOST_TRIALS", 50)
    teller, listener = Teller(), Listener()
    for _ in range(2):
        for name in ("a", "b", "c"):
            asked = dataclasses.replace(question(30), search=dataclasses.replace(SEARCH, name=name))
            assert wire.asked(wire.propose("tpe", asked, teller), listener).question == asked
    assert len(listener._held) == 1


@pytest.mark.parametrize("name", ["asking", "admission", "algorithms", "stoppers", "worker"])
def test_nothing_heavy_is_imported_before_an_algorithm_is_asked(name):
    code = (
        f"import sys, wherry.tuning.{name}\n"
        "heavy = {'numpy', 'scipy', 'optuna', 'cmaes'} & set(sys.modules)\n"
        "print(*heavy)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=100)
    assert done.stdout == "\n"
