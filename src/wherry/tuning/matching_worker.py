"""The process in which users' regular expressions are tried, each attempt for a bounded time.

A question is a line on standard input, ``{"formats": [...], "lines": [...]}``, its answer one on standard
output: ``{"found": [[[name, value], ...], ...]}``, ``{"slow": line}`` when its time was up, or ``{"wrong":
why}`` where a format is none: not every trial has come by way of admission. It ends with its input.
"""

import contextlib
import functools
import json
import re
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from wherry.tuning import expressions

SECONDS: Final = 1.0
"""Of the processor, for all lines of a question: what is usual takes microseconds a line."""
_SHOWN: Final = 100


class _TimeUpError(Exception):
    pass


def main() -> None:
    """Answer until nobody asks any more."""
    signal.signal(signal.SIGVTALRM, _stop)
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer questions line by line."""
    for line in questions:
        answers.write(json.dumps(_answer(json.loads(line))).encode() + b"\n")
        answers.flush()


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    for text in asked["formats"]:
        if problem := _problem(text):
            return {"wrong": f"{text[:_SHOWN]!r} {problem}"}
    patterns = [_pattern(text) for text in asked["formats"]]
    found: list[expressions.Pairs] = []
    try:
        with _bounded():
            found.extend(expressions.given(patterns, line) for line in asked["lines"])
    except _TimeUpError:
        return {"slow": asked["lines"][: len(found) + 1][-1][:_SHOWN]}
    return {"found": found}


@functools.lru_cache(maxsize=100)
def _problem(text: str) -> str:
    return expressions.problem(text)


@functools.lru_cache(maxsize=100)
def _pattern(text: str) -> re.Pattern[str]:
    return expressions.compiled(text)


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Raise within, when the time is up: the search looks for signals every now and then."""
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _stop(_number: int, _frame: object) -> None:
    raise _TimeUpError


if __name__ == "__main__":
    main()
