"""Workflows out of dictionaries: what is of the wrong type is refused with its place, what is not known is told."""

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson

from wherry.objects.errors import Cause
from wherry.pipelines.ir.documents import PipelineError
from wherry.pipelines.ir.reading import Reader, Scalars
from wherry.pipelines.workflows.messages import CronWorkflowSpec, Template, WorkflowSpec
from wherry.pipelines.workflows.scalars import AnyText, IntOrText

Message = TypeVar("Message")


class SpecError(PipelineError):
    """A workflow is not right; `causes` say what and where."""


@dataclass(frozen=True, slots=True)
class Read(Generic[Message]):
    """A message that was read.

    Attributes:
        message: With what could be read.
        causes: What is wrong with it.
        unknown: Fields that are not known: they are kept, and do nothing.
    """

    message: Message
    causes: Sequence[Cause]
    unknown: Sequence[Cause]


def read(kind: type[Message], value: Any, where: str, *, unknown: bool = True) -> Read[Message]:
    """Make a message of a dictionary, whatever is wrong with it.

    Args:
        kind: The message.
        value: As JSON.
        where: Where it stands, for what is said of it.
        unknown: Whether it matters what is not known.
    """
    reader = Reader(unknown=unknown, protocol=False, scalars=_SCALARS)
    message = reader.message(kind, value, where)
    return Read(message, reader.causes, reader.unknown)


def read_spec(value: Any) -> WorkflowSpec:
    """Make a workflow's spec of a dictionary; fields that are not known are passed over.

    Raises:
        SpecError: Something is of the wrong type.
    """
    return read_part(WorkflowSpec, value, "spec")


def read_template(value: Any, where: str = "template") -> Template:
    """Make a template of a dictionary, as `read_spec` does; also of one whose variables have been filled in."""
    return read_part(Template, value, where)


def read_cron_spec(value: Any) -> CronWorkflowSpec:
    """Make a schedule's spec of a dictionary, as `read_spec` does."""
    return read_part(CronWorkflowSpec, value, "spec")


def read_part(kind: type[Message], value: Any, where: str) -> Message:
    """Make any other message of a dictionary, as `read_spec` does."""
    found = read(kind, value, where, unknown=False)
    if found.causes:
        raise SpecError(found.causes)
    return found.message


def any_text(value: Any) -> str:
    """Return a JSON value as the text that a parameter has of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return format(decimal.Decimal(repr(value)), "f").removesuffix(".0")
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _any_text(value: Any) -> str | None:
    try:
        return any_text(value)
    except TypeError:
        return None


def _int_or_text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value)


_SCALARS: Final[Scalars] = {
    AnyText: ("a text, a number or a boolean", _any_text),
    IntOrText: ("a whole number or a text", _int_or_text),
}
