"""`matchConditions` evaluated; apart, because it loads the language they are written in."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wherry.objects.cel.program import Program
from wherry.objects.cel.syntax import CelSyntaxError
from wherry.objects.cel.values import CelError

__all__ = ["CelError", "hold", "problems"]


@functools.lru_cache(maxsize=512)
def _program(expression: str, variables: tuple[str, ...]) -> Program:
    return Program(expression, variables)


def problems(
    listed: Sequence[Mapping[str, Any]], variables: tuple[str, ...]
) -> Iterator[tuple[int, str, str]]:
    """Yield index, expression and problem of each condition that is none."""
    for index, condition in enumerate(listed):
        expression = str(condition.get("expression") or "")
        try:
            Program(expression, variables)
        except CelSyntaxError as error:
            yield index, expression, f"compilation failed: {error}"


def hold(expressions: Sequence[str], variables: tuple[str, ...], values: Mapping[str, Any]) -> bool:
    """Return whether all expressions are true.

    Raises:
        CelError: One cannot be evaluated, and none is false.
    """
    failure: CelError | None = None
    for expression in expressions:
        try:
            value, _ = _program(expression, variables).evaluate(values)
        except CelSyntaxError as error:
            failure = failure or CelError(f"expression '{expression}': {error}")
        except CelError as error:
            failure = failure or error
        else:
            if value is False:
                return False
    if failure is not None:
        raise failure
    return True
