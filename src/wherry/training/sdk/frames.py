"""Lines of a pod's log: what the code printed, and what `in_pod` told by marked lines. Pure."""

import base64
import binascii
import json
import pickle
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from wherry.client.functions import in_pod

_NOT_FINITE: Final = frozenset({"nan", "inf", "-inf"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one rank.

    Attributes:
        rank: The pod's name without the job's, such as ``worker-0``; ``rank-0`` of what a rank tells that
            MPI has launched.
        text: What the code printed, without the line's end; None where it printed nothing.
        told: What the line tells: `report`, `result` or `error`; empty of other lines.
    """

    rank: str
    text: str | None
    told: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"[{self.rank}] {self.text or ''}"


def read(rank: str, raw: str) -> Line:
    """Return a line of a log. What only looks like a marked one is the code's own."""
    before, mark, rest = raw.partition(in_pod.MARK)
    if not mark:
        return Line(rank, raw)
    try:
        told = json.loads(rest)
    except ValueError:
        return Line(rank, raw)
    if not isinstance(told, dict) or not isinstance(told.get("at"), int | float):
        return Line(rank, raw)
    if isinstance(told.get("rank"), int):
        # All ranks write to the log of the pod that has launched them.
        rank = f"rank-{told['rank']}"
    return Line(rank, before or None, told)


def metrics(line: Line) -> dict[str, Any] | None:
    """Return the values that a line reports, with ``rank`` and ``at``; None of other lines."""
    values = line.told.get("report")
    if not isinstance(values, dict):
        return None
    numbers = {
        name: float(value) if isinstance(value, str) and value in _NOT_FINITE else value
        for name, value in values.items()
    }
    return {"rank": line.rank, "at": float(line.told["at"]), **numbers}


def tracebacks(lines: Iterable[Line]) -> dict[str, str]:
    """Return the traceback of each rank that raised, the first to raise first."""
    told = [line for line in lines if isinstance(line.told.get("error"), dict)]
    told.sort(key=lambda line: float(line.told["at"]))
    made: dict[str, str] = {}
    for line in told:
        made.setdefault(line.rank, str(line.told["error"].get("traceback", "")))
    return made


def result(lines: Iterable[Line]) -> Any:
    """Return the value that the function returned; None where none was told.

    A pickle is read only here: whoever may write the log of the pods can run code in the reader.

    Raises:
        ValueError: it was told, and cannot be read.
    """
    parts: dict[str, dict[int, dict[str, Any]]] = {}
    for line in lines:
        told = line.told.get("result")
        if isinstance(told, dict):
            parts.setdefault(str(told.get("id")), {})[int(told.get("part", 0))] = told
    whole = [each for each in parts.values() if len(each) == next(iter(each.values()))["parts"]]
    if not whole:
        return None
    pieces = whole[-1]
    try:
        text = "".join(str(pieces[number]["data"]) for number in range(len(pieces)))
        data = base64.b64decode(text, validate=True)
    except (KeyError, binascii.Error) as error:
        raise ValueError(f"the result came back damaged: {error!r}") from error
    if pieces[0]["form"] == "json":
        return json.loads(data)
    return _unpickled(data)


def _unpickled(data: bytes) -> Any:
    try:
        return pickle.loads(data)  # noqa: S301 - of a job that its user has chosen to trust
    except Exception as error:
        raise ValueError(
            f"the result cannot be read here: {type(error).__name__}: {error}"
        ) from error
