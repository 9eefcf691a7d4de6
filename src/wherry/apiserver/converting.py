"""Waiting for versions that somebody else has to make.

Versions change in one place, `Served.convert`, and that is a plain function: who selects, lists,
compares or admits objects calls it wherever a version is needed, at any depth. Where the definition
of a kind names a webhook the function cannot know the answer; it raises `UnconvertedError`, which says
what is to be asked. `complete` runs a piece of work that waits for nothing, asks, and runs it again with
the answers. Kinds without a webhook never get here: their work is done in the first run.
"""

import contextvars
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import orjson

from wherry.apiserver import conversions
from wherry.objects import errors
from wherry.objects.requests import Object

_ROUNDS = 64
"""How often one piece of work may ask: one apply asks once for each version that managers have used."""

T = TypeVar("T")
_Question = tuple[str, bytes]

_answers: contextvars.ContextVar[dict[_Question, bytes] | None] = contextvars.ContextVar(
    "answers", default=None
)


class Converter(Protocol):
    """Whoever is asked."""

    async def convert(self, objs: Sequence[Object], api_version: str) -> list[Object]:
        """Return the objects in another version of their kind, in their order.

        Args:
            objs: Of one kind, none of them in that version. Not changed.
            api_version: As in objects, e.g. ``example.com/v1``.

        Raises:
            ApiError: It cannot be done.
        """
        ...


class UnconvertedError(errors.InternalError):
    """A piece of work needs objects in a version that nobody has been asked for."""

    def __init__(self, converter: Converter, questions: Sequence[_Question]) -> None:
        super().__init__(f"objects are needed in {questions[0][0]}, and nothing waits for them")
        self._converter = converter
        self._questions = questions

    async def fetch(self) -> dict[_Question, bytes]:
        """Ask about everything at once, and return the answers.

        Raises:
            ApiError: There is none.
        """
        version = self._questions[0][0]
        objs = [orjson.loads(raw) for _, raw in self._questions]
        converted = await self._converter.convert(objs, version)
        return dict(zip(self._questions, map(orjson.dumps, converted), strict=True))


class Asking:
    """A conversion that has to ask: what `Served.convert` is for kinds with a webhook.

    Args:
        converter: Who is asked.
    """

    def __init__(self, converter: Converter) -> None:
        self._converter = converter

    def __call__(self, objs: Iterable[Object], api_version: str) -> list[Object]:
        """Return the objects in a version, each one new.

        Raises:
            UnconvertedError: Some of the answers are not known.
        """
        known = _answers.get() or {}
        found: list[Object] = []
        missing: dict[_Question, None] = {}
        for obj in objs:
            if conversions.is_trivial(obj, api_version):
                found.append(conversions.convert(obj, api_version))
                continue
            question = (api_version, orjson.dumps(obj))
            if (answer := known.get(question)) is None:
                missing[question] = None
            else:
                found.append(orjson.loads(answer))
        if missing:
            raise UnconvertedError(self._converter, list(missing))
        return found


async def complete(work: Callable[[], T]) -> T:
    """Return what a piece of work returns, once all versions that it needs are there.

    Args:
        work: Waits for nothing, and can be run again as if it had not been before.

    Raises:
        ApiError: As the work; or a version cannot be had.
    """
    try:
        return work()
    except UnconvertedError as error:
        missing = error
    known: dict[_Question, bytes] = {}
    for _ in range(_ROUNDS):
        known |= await missing.fetch()
        token = _answers.set(known)
        try:
            return work()
        except UnconvertedError as error:
            missing = error
        finally:
            _answers.reset(token)
    raise missing
