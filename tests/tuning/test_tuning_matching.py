"""Users' expressions are tried where they can do no harm."""

import os
import signal
from collections.abc import AsyncIterator

import pytest

from wherry.objects import errors
from wherry.tuning import expressions
from wherry.tuning.matching import Matcher

CATASTROPHIC = r"((\w+)+)=(\d+)$"
"""Tries every way to cut a word into words before it gives up."""


@pytest.fixture
async def matcher() -> AsyncIterator[Matcher]:
    made = Matcher()
    yield made
    await made.close()


async def test_own_formats_take_the_first_two_groups(matcher):
    formats = [r"([\w-]+)=(Genotype.*)", r"{metricName: ([\w|-]+), metricValue: (\d+)}"]
    lines = ["Best-Genotype=Genotype(a=[1])", "nothing", "{metricName: loss, metricValue: 3}"]
    assert await matcher.find(formats, lines) == [
        [("Best-Genotype", "Genotype(a=[1])")],
        [],
        [("loss", "3")],
    ]


async def test_an_expression_that_takes_too_long_is_given_up(matcher):
    line = "a" * 60
    with pytest.raises(errors.InvalidError, match="takes too long") as error:
        await matcher.find([CATASTROPHIC], ["loss=1", line], whose="a")
    assert line in str(error.value)
    with pytest.raises(errors.InvalidError, match="takes too long"):
        await matcher.find([CATASTROPHIC], ["loss=1"], whose="a")
    assert await matcher.find([CATASTROPHIC], ["loss=1"], whose="b") == [[("loss", "loss")]]
    assert await matcher.find([r"(\w+)=(\d+)"], ["loss=1"]) == [[("loss", "1")]], "others go on"


async def test_the_default_is_linear_also_when_it_is_written_out(matcher):
    line = "a" * expressions.MAX_LINE
    assert await matcher.find([expressions.DEFAULT], [line, "loss=1"]) == [[], [("loss", "1")]]
    assert matcher.worker_pid is None


@pytest.mark.parametrize("wrong", ["(a", "(a)="])
async def test_what_is_no_expression_is_told_and_kills_nothing(matcher, wrong):
    await matcher.find([r"(\w+)=(\d+)"], ["loss=1"])
    pid = matcher.worker_pid
    with pytest.raises(errors.InvalidError, match="metricsFormat"):
        await matcher.find([wrong], ["loss=1"])
    assert matcher.worker_pid == pid


async def test_a_process_that_dies_is_started_anew(matcher):
    formats = [r"(\w+)=(\d+)"]
    await matcher.find(formats, ["loss=1"])
    os.kill(matcher.worker_pid, signal.SIGKILL)
    assert await matcher.find(formats, ["loss=2"]) == [[("loss", "2")]]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(a", "no regular expression"),
        ("(a)=", "needs two groups"),
        ("(" * 495 + ")" * 495, "no regular expression"),
        ("(a)(b{99999999999999999999})", "no regular expression"),
        ("(a)(b)" * 200, "more than 1000 characters"),
    ],
)
def test_what_is_no_expression_for_metrics_is_told(text, told):
    assert told in expressions.problem(text)
