"""Functions whose least value is known, with the spaces in which they are searched.

Each returns the regret: how much more than the least value a point costs.
"""

import functools
import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wherry.tuning.algorithm import Parameter

Point = Mapping[str, str]
Curve = list[float]
"""The least regret after each trial."""


@dataclass(frozen=True)
class Problem:
    """A space and what its points cost."""

    name: str
    parameters: tuple[Parameter, ...]
    regret: Callable[[Point], float]


def all_of_them() -> list[Problem]:
    """Return the problems: smooth ones, one with whole numbers, a conditional one, a table."""
    return [
        Problem("Branin", (_double("x", -5, 10), _double("y", 0, 15)), _branin),
        Problem("Hartmann6", tuple(_double(f"x{at}", 0, 1) for at in range(6)), _hartmann),
        Problem("Rosenbrock4", tuple(_double(f"x{at}", -5, 10) for at in range(4)), _rosenbrock),
        Problem("Ackley5 with integers", _ackley_space(), _ackley),
        Problem("conditional", _optimizers(), _optimizer),
        Problem("digits (table)", _table_space(), _table),
    ]


def named(name: str) -> Problem:
    """Return the problem of that name."""
    return next(one for one in all_of_them() if one.name == name)


def least(values: Sequence[float], trials: int) -> Curve:
    """Return the least value after each trial; a search that has ended keeps what it found."""
    curve = list(itertools.accumulate(values, min))
    return curve + curve[-1:] * (trials - len(curve))


def _double(name: str, low: float, high: float, distribution: str = "") -> Parameter:
    return Parameter(
        name=name, type="double", min=str(low), max=str(high), distribution=distribution
    )


def _numbers(point: Point) -> list[float]:
    return [float(text) for _, text in sorted(point.items())]


def _branin(point: Point) -> float:
    x, y = _numbers(point)
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.39788735772973816


_WIDTHS = (
    (10, 3, 17, 3.5, 1.7, 8),
    (0.05, 10, 17, 0.1, 8, 14),
    (3, 3.5, 1.7, 10, 17, 8),
    (17, 8, 0.05, 10, 0.1, 14),
)
_PLACES = (
    (1312, 1696, 5569, 124, 8283, 5886),
    (2329, 4135, 8307, 3736, 1004, 9991),
    (2348, 1451, 3522, 2883, 3047, 6650),
    (4047, 8828, 8732, 5743, 1091, 381),
)


def _hartmann(point: Point) -> float:
    numbers = _numbers(point)
    total = 0.0
    for height, widths, places in zip((1, 1.2, 3, 3.2), _WIDTHS, _PLACES, strict=True):
        squares = zip(widths, numbers, places, strict=True)
        total += height * math.exp(-sum(w * (x - place * 1e-4) ** 2 for w, x, place in squares))
    return 3.32236801141551 - total


def _rosenbrock(point: Point) -> float:
    numbers = _numbers(point)
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(numbers))


def _ackley_space() -> tuple[Parameter, ...]:
    # Not centred on the optimum: to propose the middle is no merit.
    whole = tuple(
        Parameter(name=f"x{at}", type="int", min="-25", max="32", step="1") for at in (0, 1)
    )
    return (*whole, _double("x2", -32, 20), _double("x3", -32, 20), _double("x4", -20, 32))


def _ackley(point: Point) -> float:
    numbers = _numbers(point)
    far = math.sqrt(sum(x * x for x in numbers) / len(numbers))
    waves = sum(math.cos(2 * math.pi * x) for x in numbers) / len(numbers)
    return -20 * math.exp(-0.2 * far) - math.exp(waves) + 20 + math.e


def _optimizers() -> tuple[Parameter, ...]:
    return (
        Parameter(name="optimizer", type="categorical", values=("sgd", "adam", "none")),
        _double("rate", 1e-5, 1, "logUniform"),
        Parameter(name="depth", type="int", min="1", max="12"),
        Parameter(
            name="momentum",
            type="double",
            min="0",
            max="1",
            parent="optimizer",
            parent_values=("sgd",),
        ),
        Parameter(
            name="epsilon",
            type="double",
            min="1e-10",
            max="1e-2",
            distribution="logUniform",
            parent="optimizer",
            parent_values=("adam",),
        ),
    )


def _optimizer(point: Point) -> float:
    rate = math.log10(float(point["rate"]))
    depth = 0.02 * (int(point["depth"]) - 5) ** 2
    if point["optimizer"] == "sgd":
        return 0.02 + 0.3 * (rate + 1.5) ** 2 + 4 * (float(point["momentum"]) - 0.85) ** 2 + depth
    if point["optimizer"] == "adam":
        epsilon = math.log10(float(point["epsilon"]))
        return 0.2 * (rate + 3) ** 2 + 0.01 * (epsilon + 7) ** 2 + depth
    return 0.37 + 0.1 * abs(rate + 2) + depth


@functools.cache
def table() -> tuple[dict[str, list[str]], dict[tuple[str, ...], list[float]]]:
    """Return what small networks reach on digits: values by parameter, curves by point."""
    read = json.loads(Path(__file__).with_name("digits.json").read_text(encoding="utf-8"))
    space = {name: [str(value) for value in values] for name, values in read["space"].items()}
    points = itertools.product(*space.values())
    curves = [[error / 1000 for error in curve] for curve in read["curves"]]
    return space, dict(zip(points, curves, strict=True))


def _table_space() -> tuple[Parameter, ...]:
    return tuple(
        Parameter(
            name=name,
            type="categorical" if name == "activation" else "discrete",
            values=tuple(values),
        )
        for name, values in table()[0].items()
    )


def _table(point: Point) -> float:
    space, curves = table()
    return curves[tuple(point[name] for name in space)][-1] - min(
        one[-1] for one in curves.values()
    )
