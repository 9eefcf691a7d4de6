"""Finds metrics by users' expressions, in a process of their own.

Some expressions take longer than anybody lives for the wrong line, and while one is tried nothing
else happens in its process. There (`matching_worker`) an attempt is given up when it has used up its
time; an expression that did is not tried again for the same trial. Others' lines may be other lines.
"""

import json
import sys
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from wherry.objects import errors
from wherry.tuning import expressions
from wherry.tuning.child import Child, ChildError

_DEADLINE_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 60.0
_REMEMBERED: Final = 1000


class Matcher:
    """The way to the process; one serves all trials."""

    def __init__(self) -> None:
        """Prepare; no process is started yet."""
        self._worker = Child(
            (sys.executable, "-m", "wherry.tuning.matching_worker"),
            "what searches lines for metrics",
            deadline_seconds=_DEADLINE_SECONDS,
            idle_seconds=_IDLE_SECONDS,
        )
        self._slow: OrderedDict[tuple[str, ...], str] = OrderedDict()

    @property
    def worker_pid(self) -> int | None:
        """The process; None: none runs."""
        return self._worker.pid

    async def find(
        self, formats: Sequence[str], lines: Sequence[str], *, whose: str = ""
    ) -> list[expressions.Pairs]:
        """Return name and value of each metric, for each line.

        Args:
            formats: Users' expressions; none: `expressions.DEFAULT`.
            lines: Any number.
            whose: The lines' trial, by its uid.

        Raises:
            InvalidError: an expression takes too long, or is none.
            ApiError: the process died; trying again may help.
        """
        if not formats or [*formats] == [expressions.DEFAULT]:
            return [expressions.usual(line) for line in lines]
        key = (whose, *formats)
        if key in self._slow:
            raise errors.InvalidError(self._slow[key])
        cut = [line[: expressions.MAX_LINE] for line in lines]
        question = json.dumps({"formats": [*formats], "lines": cut}).encode() + b"\n"
        try:
            said = json.loads(await self._worker.ask(lambda: question))
        except ChildError as error:
            raise errors.ApiError(str(error)) from None
        if "wrong" in said:
            raise errors.InvalidError(f"metricsFormat {said['wrong']}")
        if "slow" in said:
            raise errors.InvalidError(self._remember(key, said["slow"]))
        return [[(name, value) for name, value in pairs] for pairs in said["found"]]

    async def close(self) -> None:
        """End the process."""
        await self._worker.close()

    def _remember(self, key: tuple[str, ...], line: str) -> str:
        told = ", ".join(map(repr, key[1:]))
        self._slow[key] = (
            f"metricsFormat {told} takes too long to search the line {line!r}; "
            "write it without repetitions within repetitions"
        )
        while len(self._slow) > _REMEMBERED:
            self._slow.popitem(last=False)
        return self._slow[key]
