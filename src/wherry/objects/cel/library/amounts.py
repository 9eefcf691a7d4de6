"""Kubernetes' quantities and semantic versions in expressions."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from wherry.objects import quantities
from wherry.objects.cel.library.table import Function, Method, want
from wherry.objects.cel.values import CelError


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount such as ``1.5Gi``."""

    amount: Decimal

    @property
    def rank(self) -> Decimal:
        """What amounts are ordered by."""
        return self.amount


@dataclass(frozen=True, slots=True)
class Semver:
    """A version such as ``1.2.3-rc.1``; numbers and the pre-release part are what is compared."""

    numbers: tuple[int, int, int]
    stage: tuple[tuple[int, int, str], ...]

    @property
    def rank(self) -> tuple[Any, ...]:
        """What versions are ordered by: a pre-release comes before its release."""
        return (self.numbers, not self.stage, self.stage)


_SEMVER: Final = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)


def _quantity(frame: Any, text: Any) -> Quantity:
    try:
        return Quantity(quantities.parse(want(text, str)))
    except ValueError as error:
        raise CelError(
            "quantities must match the regular expression "
            "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ) from error


def _semver(frame: Any, text: Any, lenient: Any = False) -> Semver:  # noqa: FBT002 - CEL passes it so
    given = want(text, str)[:256]
    if want(lenient, bool):
        given = given.removeprefix("v")
        numbers, mark, rest = re.split(r"(?=[-+])|$", given, maxsplit=1)[0], "", ""
        rest = given[len(numbers) :]
        parts = [part.lstrip("0") or "0" for part in numbers.split(".")]
        given = ".".join([*parts, "0", "0"][:3]) + mark + rest
    match = _SEMVER.fullmatch(given)
    if match is None:
        raise CelError(f"{given[:40]!r} is no semantic version")
    stage = tuple(
        (0, int(part), "") if part.isdigit() else (1, 0, part)
        for part in (match[4].split(".") if match[4] else ())
    )
    return Semver((int(match[1]), int(match[2]), int(match[3])), stage)


def _readable(read: Callable[..., Any]) -> Callable[..., bool]:
    def run(frame: Any, *args: Any) -> bool:
        try:
            read(frame, *args)
        except CelError:
            return False
        return True

    return run


def _combined(sign: int) -> Callable[[Any, Quantity, Any], Quantity]:
    def run(frame: Any, this: Quantity, other: Any) -> Quantity:
        amount = Decimal(other) if type(other) is int else want(other, Quantity).amount
        return Quantity(this.amount + sign * amount)

    return run


def _whole(frame: Any, this: Quantity) -> int:
    if this.amount == this.amount.to_integral_value():
        return int(this.amount)
    raise CelError("cannot convert value to integer")


def _sign(frame: Any, this: Quantity) -> int:
    return (this.amount > 0) - (this.amount < 0)


def _compared(test: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def run(frame: Any, this: Any, other: Any) -> Any:
        if type(other) is not type(this):
            raise CelError("no such overload")
        return test(this.rank, other.rank)

    return run


_BOTH = (Quantity, Semver)
FUNCTIONS = (
    Function("quantity", 1, _quantity),
    Function("isQuantity", 1, _readable(_quantity)),
    *(Function("semver", count, _semver) for count in (1, 2)),
    *(Function("isSemver", count, _readable(_semver)) for count in (1, 2)),
)
METHODS = (
    Method("add", (Quantity,), 1, _combined(1)),
    Method("sub", (Quantity,), 1, _combined(-1)),
    Method("asInteger", (Quantity,), 0, _whole),
    Method("isInteger", (Quantity,), 0, _readable(_whole)),
    Method("asApproximateFloat", (Quantity,), 0, lambda frame, this: float(this.amount)),
    Method("sign", (Quantity,), 0, _sign),
    Method("isGreaterThan", _BOTH, 1, _compared(lambda a, b: a > b)),
    Method("isLessThan", _BOTH, 1, _compared(lambda a, b: a < b)),
    Method("compareTo", _BOTH, 1, _compared(lambda a, b: (a > b) - (a < b))),
    Method("major", (Semver,), 0, lambda frame, this: this.numbers[0]),
    Method("minor", (Semver,), 0, lambda frame, this: this.numbers[1]),
    Method("patch", (Semver,), 0, lambda frame, this: this.numbers[2]),
)
