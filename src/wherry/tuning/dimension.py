"""One parameter of a search space: which values it has, how likely each is, and where each lies.

There are two views of a parameter's values, both as numbers from 0 to 1. *Quantiles* serve
sampling: even numbers give values by the parameter's distribution. *Positions* serve models: how far
a value lies between the bounds, on the parameter's scale (logarithmic with ``logUniform`` and
``logNormal``). Steps, whole numbers and lists are honoured by both.

No value is ever outside its bounds: normal distributions are cut off there, three standard
deviations from the middle.
"""

import functools
import math
from decimal import Decimal
from statistics import NormalDist
from typing import Final

from wherry.tuning.algorithm import Parameter

DOUBLE: Final = "double"
INT: Final = "int"
DISCRETE: Final = "discrete"
CATEGORICAL: Final = "categorical"

UNIFORM: Final = "uniform"
LOG_UNIFORM: Final = "logUniform"
NORMAL: Final = "normal"
LOG_NORMAL: Final = "logNormal"
LOGARITHMIC: Final = frozenset({LOG_UNIFORM, LOG_NORMAL})
BELL: Final = frozenset({NORMAL, LOG_NORMAL})

# A normal distribution has its middle in the middle, and the bounds three deviations away.
_STANDARD = NormalDist()
_TAIL = _STANDARD.cdf(-3.0)
# Steps that miss the maximum by rounding alone still reach it.
_SLACK = Decimal("1e-9")


class Dimension:
    """A parameter that `space.check` has found right.

    Attributes:
        parameter: What it is made of.
        name: Of the parameter.
        count: How many values it has; None: a continuum.
        ordered: Whether its values have an order: all but categories.
        ranged: Whether its values are numbers between bounds.
        logarithmic: Whether positions lie on a logarithmic scale.
    """

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.name = parameter.name
        self.ranged = parameter.type in {DOUBLE, INT}
        self.ordered = parameter.type != CATEGORICAL
        self.count: int | None
        self.logarithmic = self.ranged and parameter.distribution in LOGARITHMIC
        self._bell = self.ranged and parameter.distribution in BELL
        if self.ranged:
            self._low, self._high = Decimal(parameter.min), Decimal(parameter.max)
            self._step = _step(parameter)
            if self._low == self._high:
                self._step = Decimal(1)
            steps = self._step and int((self._high - self._low) / self._step + _SLACK)
            self.count = None if steps is None else int(steps) + 1
        else:
            self._values = _listed(parameter)
            self.count = len(self._values)

    @property
    def bell(self) -> bool:
        """Whether middle positions are more likely than others."""
        return self._bell

    def at(self, rank: int) -> str:
        """Return a value by its place in the order of values, from 0; only where it is `count`ed."""
        if not self.ranged:
            return self._values[rank]
        assert self._step is not None
        number = self._low + rank * self._step
        # Rounding must not carry the last step over the maximum.
        return self._text(min(number, self._high))

    def rank(self, text: str) -> int:
        """Return the place of the value that is nearest to a text; only where it is `count`ed."""
        if self.ranged:
            return self._rank(Decimal(text))
        if text in self._places:
            return self._places[text]
        if self.parameter.type != DISCRETE or not _is_number(text):
            return 0
        numbers = self._numbers
        return min(range(len(numbers)), key=lambda place: abs(numbers[place] - float(text)))

    def holds(self, text: str) -> bool:
        """Tell whether a text is one of the values, in whatever way the number is written."""
        if not self.ranged:
            return text in self._places or self._numbered(text)
        if not _is_number(text) or not self._low <= Decimal(text) <= self._high:
            return False
        if self.count is None:
            return True
        return abs(Decimal(self.at(self.rank(text))) - Decimal(text)) <= abs(_SLACK * self._high)

    def _numbered(self, text: str) -> bool:
        numbers = self.parameter.type == DISCRETE and _is_number(text)
        return numbers and float(text) in self._numbers

    def key(self, text: str) -> int | float:
        """Return what two texts of the same value have in common."""
        return float(text) if self.count is None else self.rank(text)

    def quantile(self, fraction: float) -> str:
        """Return the value below which this fraction of the draws lies.

        Args:
            fraction: From 0 to 1.
        """
        if not self.ranged:
            return self._values[min(int(fraction * len(self._values)), len(self._values) - 1)]
        if self.count is not None and not self.logarithmic and not self._bell:
            # Each as likely as the others; cells around the ends would be but half as wide.
            return self.at(min(int(fraction * self.count), self.count - 1))
        return self.nearest(self._unscaled(self._bent(fraction)))

    def value(self, position: float) -> str:
        """Return the value nearest to a position (categories: in whose share it lies)."""
        position = min(max(position, 0.0), 1.0)
        if self.parameter.type == CATEGORICAL:
            return self.quantile(position)
        if self.count == 1:
            return self.at(0)
        if not self.ranged:
            return self._values[round(position * (len(self._values) - 1))]
        return self.nearest(self._unscaled(position))

    def nearest(self, number: float) -> str:
        """Return the value nearest to a number; only of parameters with a range."""
        if self.count is not None:
            return self.at(self._rank(Decimal(number)))
        return self._text(Decimal(number))

    def position(self, text: str) -> float:
        """Return where a value lies; 0.5 where there is but one."""
        if self.count == 1:
            return 0.5
        if self.parameter.type == CATEGORICAL:
            return (self.rank(text) + 0.5) / len(self._values)
        if not self.ranged:
            return self.rank(text) / (len(self._values) - 1)
        low, high = self.edges
        return min(max((self._scaled(float(text)) - low) / (high - low), 0.0), 1.0)

    @functools.cached_property
    def edges(self) -> tuple[float, float]:
        """The bounds on the parameter's scale."""
        return self._scaled(float(self._low)), self._scaled(float(self._high))

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {text: place for place, text in enumerate(self._values)}

    @functools.cached_property
    def _numbers(self) -> list[float]:
        return [float(text) for text in self._values]

    def _scaled(self, number: float) -> float:
        return math.log(max(number, 5e-324)) if self.logarithmic else number

    def _unscaled(self, position: float) -> float:
        low, high = self.edges
        place = low + position * (high - low)
        return min(
            max(math.exp(place) if self.logarithmic else place, float(self._low)), float(self._high)
        )

    def _bent(self, fraction: float) -> float:
        """The position of a quantile."""
        if not self._bell:
            return fraction
        within = _TAIL + fraction * (1.0 - 2.0 * _TAIL)
        return min(max(0.5 + _STANDARD.inv_cdf(within) / 6.0, 0.0), 1.0)

    def _rank(self, number: Decimal) -> int:
        assert self.count is not None
        assert self._step is not None
        return min(max(round((number - self._low) / self._step), 0), self.count - 1)

    def _text(self, number: Decimal) -> str:
        if self.parameter.type == INT:
            return str(int(number))
        # Shortest text that reads back as the same number; inside the bounds to the last digit.
        return repr(min(max(float(number), float(self._low)), float(self._high)))


def _step(parameter: Parameter) -> Decimal | None:
    if parameter.step:
        return Decimal(parameter.step)
    return Decimal(1) if parameter.type == INT else None


def _listed(parameter: Parameter) -> list[str]:
    """The values of a list, each once; numbers in their order."""
    values = list(dict.fromkeys(parameter.values))
    if parameter.type != DISCRETE:
        return values
    once: list[str] = []
    for value in sorted(values, key=float):
        if not once or float(once[-1]) != float(value):
            once.append(value)
    return once


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
