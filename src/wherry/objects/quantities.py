"""Amounts of CPU, memory and storage, as Kubernetes writes them.

Everyone who adds, compares or prints amounts comes here, so that ``0.5`` and ``500m`` are one
amount and sums print as users know them. Amounts are `Decimal`: floats would lose the nanos.

Source: `k8s.io/apimachinery/pkg/api/resource` (suffixes, rounding, canonical form). Differs on
purpose: amounts beyond the largest suffix keep it (``1000E``), and a number must have a digit.
"""

import decimal
import functools
import re
from decimal import Decimal

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {power: suffix for suffix, power in _BINARY.items()}

_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)"
_QUANTITY = re.compile(rf"({_NUMBER})([numkMGTPE]?|[KMGTPE]i|[eE][+-]?[0-9]{{1,2}})")
_MAX_LENGTH = 64
_MAX_BINARY = Decimal(2**63 - 1)
_NANO = Decimal("1e-9")
# 64 digits, 99 more from an exponent and nine decimals always fit, so nothing is rounded unseen.
_CONTEXT = decimal.Context(prec=256)

_ACCEPTED = (
    "a number with at most one suffix: n u m k M G T P E (powers of 1000), "
    "Ki Mi Gi Ti Pi Ei (powers of 1024), or an exponent such as e3 (e-99 to e99)"
)


def parse(amount: str | int | float | Decimal) -> Decimal:
    """Read an amount, rounding what is finer than a nano away from zero.

    Args:
        amount: A quantity such as ``100m``, ``1.5Gi`` or ``2e3``, or a number as JSON has it.

    Raises:
        ValueError: it is no quantity; the message names it and what is accepted.
    """
    if isinstance(amount, bool) or not isinstance(amount, str | int | float | Decimal):
        raise ValueError(_refusal(amount))
    return _parse_text(amount if isinstance(amount, str) else str(amount))


def format(value: Decimal, like: str | None = None) -> str:  # noqa: A001 (read as quantities.format)
    """Print an amount in canonical form: no fraction, the largest suffix that allows it.

    Args:
        value: The amount; what is finer than a nano is rounded away from zero.
        like: A quantity whose family of suffixes is kept (``Ki``, ``k`` or ``e3``); None means ``k``.
            As in Kubernetes, amounts below 1024 and fractions never print with a binary suffix.

    Raises:
        ValueError: ``like`` is no quantity, or ``value`` is no finite number of at most 200 digits.
    """
    suffix = _split(like)[1] if like is not None else ""
    if not value.is_finite() or value.adjusted() > 200:
        raise ValueError(_refusal(value))
    value = value.quantize(_NANO, rounding=decimal.ROUND_UP, context=_CONTEXT)
    if not value:
        return "0"
    if suffix in _BINARY and abs(value) >= 1024 and value == value.to_integral_value():
        return _format_binary(int(value))
    return _format_decimal(value, exponential=suffix not in _DECIMAL and suffix not in _BINARY)


def canonical(text: str | int | float) -> str:
    """Return a quantity as Kubernetes would print it back (``0.5`` → ``500m``).

    Raises:
        ValueError: as `parse`.
    """
    return format(parse(text), like=str(text))


def cpu_millis(amount: str | int | float | Decimal) -> int:
    """Return an amount of CPU in thousandths of a core, rounded up.

    Raises:
        ValueError: as `parse`.
    """
    return _round_up(_CONTEXT.scaleb(parse(amount), 3))


def bytes_(amount: str | int | float | Decimal) -> int:
    """Return an amount of memory or storage in bytes, rounded up.

    Raises:
        ValueError: as `parse`.
    """
    return _round_up(parse(amount))


def _round_up(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=decimal.ROUND_UP, context=_CONTEXT))


@functools.lru_cache(maxsize=4096)
def _parse_text(text: str) -> Decimal:
    number, suffix = _split(text)
    value = Decimal(number)
    if suffix in _BINARY:
        value = _CONTEXT.multiply(value, Decimal(1024 ** _BINARY[suffix]))
        value = max(-_MAX_BINARY, min(value, _MAX_BINARY))
    elif suffix in _DECIMAL:
        value = _CONTEXT.scaleb(value, _DECIMAL[suffix])
    else:
        value = _CONTEXT.scaleb(value, int(suffix[1:]))
    return value.quantize(_NANO, rounding=decimal.ROUND_UP, context=_CONTEXT).normalize(_CONTEXT)


def _split(text: str) -> tuple[str, str]:
    match = _QUANTITY.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise ValueError(_refusal(text))
    return match[1], match[2]


def _format_binary(value: int) -> str:
    power = 0
    while power < max(_BINARY_SUFFIX) and value % 1024 == 0:
        value //= 1024
        power += 1
    return f"{value}{_BINARY_SUFFIX.get(power, '')}"


def _format_decimal(value: Decimal, *, exponential: bool) -> str:
    exponent = int(value.normalize(_CONTEXT).as_tuple().exponent)
    exponent -= exponent % 3
    if not exponential:
        exponent = min(exponent, max(_DECIMAL_SUFFIX))
    digits = int(_CONTEXT.scaleb(value, -exponent))
    if exponential:
        return f"{digits}e{exponent}" if exponent else str(digits)
    return f"{digits}{_DECIMAL_SUFFIX[exponent]}"


def _refusal(amount: object) -> str:
    shown = (
        repr(amount) if len(str(amount)) <= _MAX_LENGTH else repr(str(amount)[:_MAX_LENGTH] + "…")
    )
    return f"invalid quantity {shown}: want {_ACCEPTED}"
