"""Values that are not there yet: outputs of tasks, inputs, items of loops, while a pipeline is followed."""

import contextvars
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.pipelines.ir.messages import ParameterType
from wherry.pipelines.sdk.errors import CompileError

PREFIX: Final = "pipelinechannel--"
_IN_TEXT: Final = re.compile(r"\{\{wherry-channel:(\d+)\}\}")
IN_TEXTS: Final[contextvars.ContextVar[list["Channel"]]] = contextvars.ContextVar("in_texts")
"""What f-strings of the pipeline that is traced have in them."""


@dataclass(frozen=True, slots=True)
class Port:
    """What an input or output is.

    Attributes:
        kind: Of a parameter; None: it is an artifact.
        artifact: The title of an artifact's type, e.g. ``system.Dataset``.
        version: Of that type.
        is_list: Whether it is a list of artifacts.
        optional: Whether an input may be left out.
        default: Of an optional parameter; None: none.
        literals: All the values that a parameter may have; empty: any.
        element: Of what a list is one, if that is known.
        description: For people.
    """

    kind: ParameterType | None = None
    artifact: str = ""
    is_list: bool = False
    optional: bool = False
    default: Any = None
    literals: tuple[Any, ...] = ()
    element: ParameterType | None = None
    version: str = "0.0.1"
    description: str = ""

    @property
    def words(self) -> str:
        """What it is, for messages."""
        return self.artifact if self.kind is None else self.kind.value


class Channel:
    """A value that is not there yet.

    Comparing one gives a `Condition`. In an f-string it stands for its value.

    Attributes:
        owner: The task, group or pipeline that gives it.
        key: Which of its outputs (or inputs).
        port: What it is.
        selector: CEL that takes the value out of what is given; empty: it is the value.
    """

    def __init__(self, owner: Any, key: str, port: Port, selector: str = "") -> None:
        self.owner = owner
        self.key = key
        self.port = port
        self.selector = selector

    @property
    def name(self) -> str:
        """What it is called where it is passed on."""
        found: str = self.owner.channel_name(self.key)
        return found

    def __repr__(self) -> str:
        return f"<{self.port.words} {self.name}>"

    def __str__(self) -> str:
        try:
            known = IN_TEXTS.get()
        except LookupError:
            return repr(self)
        known.append(self)
        return f"{{{{wherry-channel:{len(known) - 1}}}}}"

    def __bool__(self) -> bool:
        raise CompileError(f"{self.name} has no value yet: use `with If(...)` instead of `if`")

    def __iter__(self) -> Iterator[Any]:
        raise CompileError(
            f"{self.name} has no value yet: use `with ParallelFor(...)` instead of `for`"
        )

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> "Condition":  # type: ignore[override]  # it is a value of a later time
        return Condition("==", self, other)

    def __ne__(self, other: object) -> "Condition":  # type: ignore[override]  # likewise
        return Condition("!=", self, other)

    def __lt__(self, other: object) -> "Condition":
        return Condition("<", self, other)

    def __le__(self, other: object) -> "Condition":
        return Condition("<=", self, other)

    def __gt__(self, other: object) -> "Condition":
        return Condition(">", self, other)

    def __ge__(self, other: object) -> "Condition":
        return Condition(">=", self, other)


class LoopItem(Channel):
    """An item of a loop; of objects, ``item.key`` or ``item["key"]`` is one of its values."""

    def __getattr__(self, key: str) -> "SubItem":
        if key.startswith("_"):
            raise AttributeError(key)
        return SubItem(self, key)

    def __getitem__(self, key: str) -> "SubItem":
        return SubItem(self, key)


class SubItem(Channel):
    """One value of an item that is an object."""

    def __init__(self, item: LoopItem, key: str) -> None:
        kind = ParameterType.STRING
        samples = getattr(item.owner, "samples", ())
        values = [each[key] for each in samples if isinstance(each, Mapping) and key in each]
        if values:
            kind = kind_of(values)
        select = f"parseJson(string_value)[{json.dumps(key)}]"
        super().__init__(item.owner, item.key, Port(kind), select)
        self.sub = key

    @property
    def name(self) -> str:
        """What it is called where it is passed on."""
        return f"{super().name}-subvar-{self.sub}"


class Condition:
    """A comparison of values that are not there yet; `&`, `|` and `~` combine them."""

    def __init__(self, operator: str, left: Any, right: Any = None) -> None:
        self.operator = operator
        self.left = left
        self.right = right

    def __and__(self, other: Any) -> "Condition":
        return Condition("&&", self, other)

    def __or__(self, other: Any) -> "Condition":
        return Condition("||", self, other)

    def __invert__(self) -> "Condition":
        return Condition("!", self)

    def __bool__(self) -> bool:
        raise CompileError("a condition has no value yet: use `with If(...)` instead of `if`")

    def channels(self) -> Iterator[Channel]:
        """Yield what it compares."""
        for side in (self.left, self.right):
            if isinstance(side, Condition):
                yield from side.channels()
            elif isinstance(side, Channel):
                yield side

    def text(self) -> str:
        """Return it as CEL."""
        if self.operator == "!":
            return f"!({self.left.text()})"
        if self.operator in {"&&", "||"}:
            sides = [as_condition(side).text() for side in (self.left, self.right)]
            return f" {self.operator} ".join(
                f"({side})" if "||" in side else side for side in sides
            )
        return (
            f"{_operand(self.left, self.right)} {self.operator} {_operand(self.right, self.left)}"
        )


def as_condition(value: Any) -> Condition:
    """Return what `If` is given as a condition; a boolean is one.

    Raises:
        CompileError: It is none.
    """
    if isinstance(value, Condition):
        return value
    if isinstance(value, Channel) and value.port.kind is ParameterType.BOOLEAN:
        return Condition("==", value, True)  # noqa: FBT003 - a value, not a switch
    raise CompileError(
        f"a condition must compare something with something, such as x == 1: {value!r}"
    )


def in_text(text: str) -> list[Channel]:
    """Return what an f-string has in it."""
    return [IN_TEXTS.get()[int(number)] for number in _IN_TEXT.findall(text)]


def with_placeholders(text: str) -> str:
    """Return an f-string with placeholders of the IR."""
    return replaced(text, lambda each: f"{{{{$.inputs.parameters['{PREFIX}{each.name}']}}}}")


def replaced(text: str, by: Callable[[Channel], str]) -> str:
    """Return an f-string with something for each value in it."""
    return _IN_TEXT.sub(lambda match: by(IN_TEXTS.get()[int(match[1])]), text)


def kind_of(values: Any) -> ParameterType:
    """Return the type that all of some JSON values have; text where they differ."""
    kinds = {_kind_of(value) for value in values}
    if kinds == {ParameterType.NUMBER_INTEGER, ParameterType.NUMBER_DOUBLE}:
        return ParameterType.NUMBER_DOUBLE
    return kinds.pop() if len(kinds) == 1 else ParameterType.STRING


def _kind_of(value: Any) -> ParameterType:
    for kind, found in (
        (bool, ParameterType.BOOLEAN),
        (int, ParameterType.NUMBER_INTEGER),
        (float, ParameterType.NUMBER_DOUBLE),
        (str, ParameterType.STRING),
        (list, ParameterType.LIST),
        (dict, ParameterType.STRUCT),
    ):
        if isinstance(value, kind):
            return found
    raise CompileError(f"{value!r} is no value that can be passed: want JSON's types")


_CASTS: Final = {
    ParameterType.NUMBER_INTEGER: "int",
    ParameterType.NUMBER_DOUBLE: "double",
    ParameterType.BOOLEAN: "bool",
}


def _operand(value: Any, other: Any) -> str:
    if not isinstance(value, Channel):
        return _literal(value)
    text = f"inputs.parameter_values['{PREFIX}{value.name}']"
    compared = other.port.kind if isinstance(other, Channel) else _kind_of(other)
    cast = _CASTS.get(compared or ParameterType.STRING)
    plain = compared is value.port.kind is ParameterType.BOOLEAN
    return f"{cast}({text})" if cast and not plain else text


def _literal(value: Any) -> str:
    if isinstance(value, str):
        # CEL takes characters as they are, and no halves of them as JSON escapes those beyond 16 bits.
        text = json.dumps(value, ensure_ascii=False)
        return "'" + text[1:-1].replace("'", "\\'").replace('\\"', '"') + "'"
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    raise CompileError(f"a value can be compared with texts, numbers and booleans, not {value!r}")
