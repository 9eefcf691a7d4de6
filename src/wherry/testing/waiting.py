"""Waiting for a state of the world: as long as needed, no longer, and never for a fixed time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_FIRST_PAUSE_SECONDS = 0.01
_LONGEST_PAUSE_SECONDS = 0.2


def eventually(check: Callable[[], T], seconds: float = 90.0, *, what: str = "") -> T:
    """Call ``check`` until it returns something true.

    It blocks the thread: from a coroutine, call it with `asyncio.to_thread`.

    Args:
        check: Looks at the world, without changing it. An `AssertionError` in it counts as "not
            yet", so that it may state several things; any other exception is passed on.
        seconds: How long it may take. The check is made at least twice.
        what: What is waited for, for the message; by default the name of ``check``.

    Returns:
        What ``check`` returned.

    Raises:
        AssertionError: ``check`` had not become true in time; it tells what was seen last, and
            chains the last assertion that failed.
    """
    __tracebackhide__ = True  # what pytest shows is the line that waits
    deadline = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        late = time.monotonic() >= deadline
        seen: object = None
        failure: AssertionError | None = None
        try:
            result = check()
            if result:
                return result
            seen = result
        except AssertionError as error:
            failure = error
        if late:
            name = what or getattr(check, "__name__", repr(check))
            last = str(failure) if failure is not None else repr(seen)
            raise AssertionError(f"{name}: not within {seconds:g} s; last: {last}") from failure
        time.sleep(min(pause, max(0.0, deadline - time.monotonic())))
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
