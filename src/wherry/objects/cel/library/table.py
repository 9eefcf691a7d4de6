"""How a function or method is entered into the library."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from wherry.objects.cel.values import CelError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Function:
    """A function: its name, how many arguments it takes, what it does with frame and arguments."""

    name: str
    count: int
    run: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A method: also of which types it is; it gets frame, receiver and arguments."""

    name: str
    receivers: tuple[type, ...]
    count: int
    run: Callable[..., Any]


def want(value: Any, kind: type[T]) -> T:
    """Return an argument that has to be of a type.

    Raises:
        CelError: It is of another one.
    """
    if type(value) is kind:
        return value
    raise CelError("no such overload")
