"""What is wrong with a search space as users wrote it, before anything searches it."""

from collections.abc import Generator, Iterator, Sequence
from decimal import Decimal, InvalidOperation

from wherry.objects.errors import Cause
from wherry.tuning.algorithm import Parameter
from wherry.tuning.dimension import (
    BELL,
    CATEGORICAL,
    DISCRETE,
    DOUBLE,
    INT,
    LOG_UNIFORM,
    LOGARITHMIC,
    UNIFORM,
)

_REQUIRED = "FieldValueRequired"
_DUPLICATE = "FieldValueDuplicate"
_FORBIDDEN = "FieldValueForbidden"
_NOT_SUPPORTED = "FieldValueNotSupported"
_TYPES = (DOUBLE, INT, DISCRETE, CATEGORICAL)
_DISTRIBUTIONS = (UNIFORM, LOG_UNIFORM, *sorted(BELL))
_MOST_PARAMETERS = 1000
_MOST_VALUES = 10_000
_LARGEST = 1e300


def check(parameters: Sequence[Parameter], field: str = "spec.parameters") -> list[Cause]:
    """Return what is wrong with the parameters of a space.

    Args:
        parameters: All of them.
        field: Where they stand in the object.
    """
    if len(parameters) > _MOST_PARAMETERS:
        return [Cause(field, f"{len(parameters)} parameters; at most {_MOST_PARAMETERS}")]
    found = []
    names: set[str] = set()
    for index, one in enumerate(parameters):
        at = f"{field}[{index}]"
        if one.name in names:
            found.append(Cause(f"{at}.name", f"{one.name!r} is there twice", _DUPLICATE))
        names.add(one.name)
        found += _one(one, at)
    return found + list(_parents(parameters, field))


def _one(one: Parameter, at: str) -> Iterator[Cause]:
    if not one.name:
        yield Cause(f"{at}.name", "is required", _REQUIRED)
    if one.type in {DOUBLE, INT}:
        yield from _range(one, f"{at}.feasibleSpace")
    elif one.type in {DISCRETE, CATEGORICAL}:
        yield from _list(one, f"{at}.feasibleSpace")
    else:
        message = f"{one.type!r} is not one of {', '.join(_TYPES)}"
        yield Cause(f"{at}.parameterType", message, _NOT_SUPPORTED)


def _range(one: Parameter, at: str) -> Iterator[Cause]:
    if one.values:
        yield Cause(f"{at}.list", f"is not for parameters of type {one.type}", _FORBIDDEN)
    low = yield from _bound(one, f"{at}.min", one.min)
    high = yield from _bound(one, f"{at}.max", one.max)
    if low is not None and high is not None and low > high:
        yield Cause(f"{at}.max", f"max {one.max} is less than min {one.min}")
    if one.step:
        step = _number(one.step, whole=one.type == INT)
        if step is None or step <= 0:
            yield Cause(f"{at}.step", f"{one.step!r} is not {_kind(one)} greater than 0")
    yield from _distribution(one, at, low)


def _bound(one: Parameter, at: str, text: str) -> Generator[Cause, None, Decimal | None]:
    if not text:
        yield Cause(at, f"is required for parameters of type {one.type}", _REQUIRED)
        return None
    number = _number(text, whole=one.type == INT)
    if number is None:
        yield Cause(at, f"{text!r} is not {_kind(one)}")
    return number


def _distribution(one: Parameter, at: str, low: Decimal | None) -> Iterator[Cause]:
    given = one.distribution
    if given and given not in _DISTRIBUTIONS:
        message = f"{given!r} is not one of {', '.join(_DISTRIBUTIONS)}"
        yield Cause(f"{at}.distribution", message, _NOT_SUPPORTED)
    elif given in LOGARITHMIC and low is not None and low <= 0:
        yield Cause(f"{at}.min", f"{one.min} must be greater than 0 with distribution {given}")


def _list(one: Parameter, at: str) -> Iterator[Cause]:
    for name in ("min", "max", "step"):
        if getattr(one, name):
            yield Cause(f"{at}.{name}", f"is not for parameters of type {one.type}", _FORBIDDEN)
    if not one.values:
        yield Cause(f"{at}.list", "must name at least one value", _REQUIRED)
    if len(one.values) > _MOST_VALUES:
        yield Cause(f"{at}.list", f"{len(one.values)} values; at most {_MOST_VALUES}")
    if one.type == DISCRETE:
        for index, value in enumerate(one.values):
            if _number(value, whole=False) is None:
                message = f"{value!r} is not a number; other values are for type {CATEGORICAL}"
                yield Cause(f"{at}.list[{index}]", message)


def _parents(parameters: Sequence[Parameter], field: str) -> Iterator[Cause]:
    by_name = {one.name: one for one in parameters}
    for index, one in enumerate(parameters):
        at = f"{field}[{index}].parent"
        if one.parent and one.parent not in by_name:
            yield Cause(at, f"no parameter is called {one.parent!r}")
        elif one.parent and not one.parent_values:
            yield Cause(at, f"must say with which values of {one.parent!r}", _REQUIRED)
        elif one.parent and _circular(one, by_name):
            yield Cause(at, f"{one.name!r} hangs on itself by way of {one.parent!r}")


def _circular(one: Parameter, by_name: dict[str, Parameter]) -> bool:
    seen: set[str] = set()
    at: Parameter | None = one
    while at is not None and at.parent:
        if at.name in seen:
            return True
        seen.add(at.name)
        at = by_name.get(at.parent)
    return False


def _number(text: str, *, whole: bool) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number) > _LARGEST:
        return None
    if whole and number != number.to_integral_value():
        return None
    return number


def _kind(one: Parameter) -> str:
    return "a whole number" if one.type == INT else "a number"
