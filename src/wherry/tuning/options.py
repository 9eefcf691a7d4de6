"""Settings of algorithms: text that users write, numbers that algorithms read.

An algorithm lists its `Option`s; what is unknown, missing or out of bounds is found here, with the
name, the value and what would be accepted. Nobody else parses settings.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wherry.objects.errors import Cause
from wherry.tuning.algorithm import Search

ALGORITHM = "spec.algorithm.algorithmSettings"
EARLY_STOPPING = "spec.earlyStopping.algorithmSettings"
_REQUIRED = "FieldValueRequired"
_NOT_SUPPORTED = "FieldValueNotSupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting.

    Attributes:
        name: As users write it.
        default: What holds where it is left out; text as users would write it.
        required: Whether it must be given.
        whole: Whether it is a whole number; else any finite one.
        least: Smallest value that is accepted.
        above: What it must be greater than.
        most: Largest value that is accepted.
        below: What it must be less than.
        words: What is accepted where it is no number; not empty: it is none.
        none: Whether ``None`` may be written for "without".
        text: Whether any text is accepted.
    """

    name: str
    default: str = ""
    required: bool = False
    whole: bool = False
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    words: tuple[str, ...] = ()
    none: bool = False
    text: bool = False

    def wrong(self, value: str) -> str:
        """Return what is wrong with a value; empty: nothing."""
        if self.none and _is_none(value):
            return ""
        if self.text:
            return "" if value else "must not be empty"
        if self.words:
            return "" if value in self.words else f"must be one of {', '.join(self.words)}"
        number = _number(value, whole=self.whole)
        if number is not None and self._within(number):
            return ""
        return f"must be {self._wanted()}"

    def _within(self, number: float) -> bool:
        return (
            (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.most is None or number <= self.most)
            and (self.below is None or number < self.below)
        )

    def _wanted(self) -> str:
        bounds = (
            ("at least", self.least),
            ("greater than", self.above),
            ("at most", self.most),
            ("less than", self.below),
        )
        told = [f"{word} {bound:g}" for word, bound in bounds if bound is not None]
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} {' and '.join(told)}".rstrip() + (" or None" if self.none else "")


RANDOM_STATE = Option(name="random_state", whole=True, least=0)
"""Where randomness comes from; left out: derived from the experiment."""


def check(
    options: Iterable[Option], settings: Mapping[str, str], *, field: str = ALGORITHM
) -> list[Cause]:
    """Return what is wrong with settings.

    Args:
        options: All that are known.
        settings: As users wrote them.
        field: Where they stand in the object.
    """
    known = {option.name: option for option in options}
    found = [
        Cause(f"{field}[{name}]", "is required", _REQUIRED)
        for name, option in known.items()
        if option.required and name not in settings
    ]
    for name, value in settings.items():
        if name not in known:
            told = ", ".join(known) or "none"
            message = f"unknown setting {name!r}; known: {told}"
            found.append(Cause(f"{field}[{name}]", message, _NOT_SUPPORTED))
        elif wrong := known[name].wrong(value):
            found.append(Cause(f"{field}[{name}]", f"{name} {wrong}, is {value!r}"))
    return found


class Settings:
    """Settings that `check` has found right, as numbers and words."""

    def __init__(self, options: Sequence[Option], settings: Mapping[str, str]) -> None:
        self._texts = {option.name: option.default for option in options} | dict(settings)

    def text(self, name: str) -> str:
        """Return a setting as it was written, or its default."""
        return self._texts[name]

    def number(self, name: str) -> float:
        """Return a setting as a number; NaN for ``None`` and where there is no default."""
        text = self._texts[name]
        return math.nan if not text or _is_none(text) else float(text)

    def whole(self, name: str) -> int:
        """Return a setting as a whole number."""
        return int(float(self._texts[name]))


def of(options: Sequence[Option], search: Search) -> Settings:
    """Return the settings of a search."""
    return Settings(options, search.settings)


def seed(search: Search) -> int:
    """Return where a search's randomness comes from: its setting, or else the experiment's own."""
    return int(search.settings.get(RANDOM_STATE.name, search.seed))


def _is_none(text: str) -> bool:
    return text in {"None", "none"}


def _number(text: str, *, whole: bool) -> float | None:
    try:
        number = int(text) if whole else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
