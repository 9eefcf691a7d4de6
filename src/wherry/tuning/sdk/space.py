"""What is searched, as Python says it: a dictionary of names and dimensions. Pure.

{"lr": log_uniform(1e-4, 1e-1), "layers": (1, 4), "optimizer": ["sgd", "adam"]}
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.objects.requests import Object
from wherry.tuning.sdk.errors import TuningError


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One parameter; made by the functions of this module.

    Attributes:
        type: As in an Experiment: ``double``, ``int``, ``discrete`` or ``categorical``.
        reader: How its text becomes a value: ``float``, ``int``, ``text`` or ``json``.
        low: Smallest number.
        high: Largest number.
        step: Distance of numbers from the smallest one; None: any.
        distribution: As in an Experiment.
        texts: What it can be, where it is no range.
        parent: The parameter that decides whether it is there, and the texts with which it is.
    """

    type: str
    reader: str
    low: float | None = None
    high: float | None = None
    step: float | None = None
    distribution: str = ""
    texts: tuple[str, ...] = ()
    parent: tuple[str, tuple[Any, ...]] = ("", ())

    def when(self, parent: str, *values: Any) -> "Dimension":
        """Return it as one that is there only if another parameter has one of these values."""
        return dataclasses.replace(self, parent=(parent, values))


Space = Mapping[str, Any]
"""By name: a `Dimension`, a pair of numbers (both whole: whole numbers between them), a list of
choices, or a `range`."""


def uniform(low: float, high: float, *, step: float | None = None) -> Dimension:
    """Return a number between two, all equally likely."""
    return _number(low, high, step=step, distribution="uniform")


def log_uniform(low: float, high: float) -> Dimension:
    """Return a number between two positive ones, all magnitudes equally likely."""
    return _number(low, high, distribution="logUniform")


def normal(low: float, high: float, *, step: float | None = None) -> Dimension:
    """Return a number between two, those in the middle likelier."""
    return _number(low, high, step=step, distribution="normal")


def integers(low: int, high: int, *, step: int | None = None, log: bool = False) -> Dimension:
    """Return a whole number between two, both included.

    Args:
        low: Smallest.
        high: Largest.
        step: Distance from the smallest one; None: 1.
        log: Whether all magnitudes are equally likely, rather than all numbers.
    """
    distribution = "logUniform" if log else "uniform"
    return _number(low, high, whole=True, step=step, distribution=distribution)


def choice(values: Sequence[Any]) -> Dimension:
    """Return one of some values; numbers are taken to lie in order.

    Raises:
        TuningError: there are none, or one cannot be written as JSON.
    """
    if not values:
        raise TuningError("choice: want one value at least")
    if all(_is_whole(each) for each in values):
        return Dimension(type="discrete", reader="int", texts=tuple(map(str, values)))
    if all(_is_number(each) for each in values):
        return Dimension(
            type="discrete", reader="float", texts=tuple(repr(float(each)) for each in values)
        )
    if all(isinstance(each, str) and each for each in values):
        return Dimension(type="categorical", reader="text", texts=tuple(values))
    try:
        texts = tuple(json.dumps(each) for each in values)
    except TypeError as error:
        raise TuningError(f"choice: {error}; choose by name, and look the value up") from error
    return Dimension(type="categorical", reader="json", texts=texts)


def dimension(name: str, given: Any) -> Dimension:
    """Return the dimension that is meant by a value of a `Space`.

    Raises:
        TuningError: it means none.
    """
    if isinstance(given, Dimension):
        return given
    if isinstance(given, range) and len(given):
        return integers(given[0], given[-1], step=abs(given.step))
    if isinstance(given, tuple) and len(given) == 2 and all(map(_is_number, given)):
        whole = all(map(_is_whole, given))
        return integers(*given) if whole else uniform(*given)
    if isinstance(given, list):
        return choice(given)
    raise TuningError(
        f"space[{name!r}]: {given!r}: want (low, high), a list of choices, or one of uniform, "
        "log_uniform, normal, integers and choice"
    )


def read(space: Space) -> dict[str, Dimension]:
    """Return the dimensions of a space.

    Raises:
        TuningError: it is empty, or a name or value is not right.
    """
    if not space:
        raise TuningError("space: want one parameter at least")
    for name in space:
        if not name or set(name) & set("${}=\n"):
            raise TuningError(f"space: {name!r}: a name without $, {{, }} and =")
    return {name: dimension(name, given) for name, given in space.items()}


def parameters(dimensions: Mapping[str, Dimension]) -> list[Object]:
    """Return dimensions as ``spec.parameters`` of an Experiment."""
    return [_parameter(name, each, dimensions) for name, each in dimensions.items()]


def value(dimension: Dimension, text: str) -> Any:
    """Return the value that an assignment's text stands for."""
    readers: dict[str, Any] = {"float": float, "int": int, "json": json.loads}
    return readers.get(dimension.reader, str)(text)


def _parameter(name: str, each: Dimension, among: Mapping[str, Dimension]) -> Object:
    space: Object = {"list": list(each.texts)}
    if not each.texts:
        space = {"min": _text(each.low), "max": _text(each.high), "distribution": each.distribution}
        if each.step is not None:
            space["step"] = _text(each.step)
    made = {"name": name, "parameterType": each.type, "feasibleSpace": space}
    parent, values = each.parent
    if parent:
        if parent not in among:
            raise TuningError(f"space[{name!r}]: depends on {parent!r}, which is not there")
        made["parent"] = {"name": parent, "values": [_as(among[parent], one) for one in values]}
    return made


def _as(dimension: Dimension, value: Any) -> str:
    if dimension.reader == "json":
        return json.dumps(value)
    return repr(float(value)) if dimension.reader == "float" else str(value)


def _text(number: float | None) -> str:
    return repr(number)


def _number(
    low: float, high: float, *, whole: bool = False, step: float | None = None, distribution: str
) -> Dimension:
    if not low <= high:
        raise TuningError(f"from {low!r} to {high!r}: the first must not be greater")
    if distribution == "logUniform" and low <= 0:
        raise TuningError(f"from {low!r}: must be greater than 0 to be searched by magnitude")
    return Dimension(
        type="int" if whole else "double",
        reader="int" if whole else "float",
        low=low,
        high=high,
        step=step,
        distribution=distribution,
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
