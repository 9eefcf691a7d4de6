"""How long runs are kept: the rules of a namespace, read from its ConfigMap. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.pipelines import kinds

CONFIG_MAP: Final = "pipelines-retention"
"""Name of the ConfigMap, in the namespace of the runs or, for all others, in that of the service."""
KEY: Final = "rules"
MOST_RULES: Final = 100
_MOST_RUNS: Final = 1_000_000_000
_LONGEST_NAME: Final = 256
"""Characters of an experiment's display name."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGE: Final = re.compile(r"(\d{1,9})([smhdw])")
_FORM: Final = 'a JSON list such as [{"maxAge": "30d"}, {"experiment": "nightly", "maxRuns": 50}]'


class RulesError(ValueError):
    """Rules cannot be read; the message names the rule, the field and what is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which runs are deleted: those that have ended, and that are too old or too many.

    Attributes:
        experiment: Display name of their experiment; empty: of any.
        states: How they have ended; empty: however.
        max_age: Seconds since their end; None: any.
        max_runs: So many, the newest, are kept of each experiment; None: all.
    """

    experiment: str = ""
    states: tuple[str, ...] = ()
    max_age: int | None = None
    max_runs: int | None = None


def read(data: Mapping[str, str]) -> list[Rule]:
    """Return the rules that a ConfigMap holds.

    Raises:
        RulesError: they cannot be read.
    """
    try:
        told = json.loads(data.get(KEY) or "[]")
    except (ValueError, RecursionError) as error:
        raise RulesError(f"{KEY}: this is no JSON ({error}); want {_FORM}") from error
    if not isinstance(told, list) or len(told) > MOST_RULES:
        raise RulesError(f"{KEY}: want {_FORM}, of at most {MOST_RULES}")
    return [_rule(each, f"{KEY}[{at}]") for at, each in enumerate(told)]


def _rule(told: Any, where: str) -> Rule:
    if not isinstance(told, dict):
        raise RulesError(f"{where}: {told!r} is no rule; {KEY} is {_FORM}")
    known = {"experiment", "states", "maxAge", "maxRuns"}
    for name in told.keys() - known:
        raise RulesError(f"{where}.{name}: there is no such field; there are {sorted(known)}")
    if not told.keys() & {"maxAge", "maxRuns"}:
        raise RulesError(f"{where}: without maxAge and maxRuns it says nothing")
    experiment = told.get("experiment", "")
    if not isinstance(experiment, str):
        raise RulesError(f"{where}.experiment: {experiment!r} is no text")
    if len(experiment) > _LONGEST_NAME:
        raise RulesError(f"{where}.experiment: want a name of at most {_LONGEST_NAME} characters")
    return Rule(
        experiment=experiment,
        states=_states(told.get("states", []), f"{where}.states"),
        max_age=_seconds(told["maxAge"], f"{where}.maxAge") if "maxAge" in told else None,
        max_runs=_number(told["maxRuns"], f"{where}.maxRuns") if "maxRuns" in told else None,
    )


def _states(told: Any, where: str) -> tuple[str, ...]:
    if not isinstance(told, Sequence) or not set(map(str, told)) <= {*kinds.FINAL_STATES}:
        raise RulesError(f"{where}: {told!r}; want a list of {', '.join(kinds.FINAL_STATES)}")
    return tuple(map(str, told))


def _seconds(told: Any, where: str) -> int:
    match = _AGE.fullmatch(str(told))
    if match is None:
        raise RulesError(f"{where}: {told!r}; want a number with s, m, h, d or w, such as 30d")
    return int(match[1]) * _UNITS[match[2]]


def _number(told: Any, where: str) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or not 0 <= told <= _MOST_RUNS:
        raise RulesError(f"{where}: {told!r}; want a whole number from 0 to {_MOST_RUNS}")
    return told
