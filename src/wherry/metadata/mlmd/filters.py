"""Filter queries: read, and asked of nodes. Pure.

As in SQL, what is compared with something that is missing is neither true nor false. The contexts and
events of a query are those of one row each: ``events_a.type = INPUT AND events_a.execution_id = 3`` asks
for one event that is both.
"""

import itertools
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wherry.metadata.mlmd import filter_words
from wherry.metadata.mlmd.filter_words import Attribute, Word, refused
from wherry.metadata.mlmd.kinds import Kind
from wherry.objects.requests import Object

_MOST_DEEP: Final = 50
_MOST_ALIASES: Final = 3
_END: Final = 1 << 63
_MOST_COMBINED: Final = 100_000
"""Ways to choose the contexts and events of one node."""
_LONGEST_LIKE: Final = 64 * 1024
_LONGEST_PATTERN: Final = 500
"""Characters of a text and of a LIKE's pattern: how long that takes grows with the one times the other."""
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_FLAGS: Final = {"TRUE": True, "FALSE": False}
_RESERVED: Final = frozenset(("AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "BETWEEN"))

Values = Callable[[Attribute], Any]


@dataclass(frozen=True, slots=True)
class Test:
    """Something that is asked of one attribute.

    Attributes:
        attribute: Which.
        holds: What is asked of its value; None where the answer is neither.
        equal: The values that it can have only, where that is asked; empty: any.
    """

    attribute: Attribute
    holds: Callable[[Any], bool | None]
    equal: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of something."""

    part: "Expression"


@dataclass(frozen=True, slots=True)
class Joined:
    """Several things, all of which are asked for, or one of which is."""

    parts: tuple["Expression", ...]
    all: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What is true or false for all."""

    value: bool


Expression = Test | Not | Joined | Known


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was read.

    Attributes:
        expression: What it asks.
        aliases: The contexts and events that it speaks of.
    """

    expression: Expression
    aliases: tuple[str, ...]

    def sources(self) -> set[str]:
        """Return what has to be known beside the nodes; see `filter_words.source`."""
        return {filter_words.source(alias) for alias in self.aliases}

    def exact(self) -> dict[str, tuple[Any, ...]]:
        """Return the only values that fields of the nodes themselves can have, where the query says it."""
        top = self.expression
        parts = top.parts if isinstance(top, Joined) and top.all else (top,)
        return {
            part.attribute.path[0]: part.equal
            for part in parts
            if isinstance(part, Test)
            and part.equal
            and not part.attribute.alias
            and len(part.attribute.path) == 1
        }

    def holds(
        self,
        node: Object,
        linked: Mapping[str, Sequence[Object]],
        check_time: Callable[[], None] = lambda: None,
    ) -> bool:
        """Return whether a node is meant.

        Args:
            node: Its message.
            linked: The messages of what it is linked to, by source.
            check_time: Called again and again; may raise what ends it.

        Raises:
            BadRequestError: it is linked to too much to be tried, or holds a text too long for LIKE.
        """
        choices = [linked.get(filter_words.source(alias), ()) for alias in self.aliases]
        combined = 1
        for some in choices:
            combined *= len(some)
        if combined > _MOST_COMBINED:
            raise refused(f"node {node['id']} has too many contexts and events to be asked so")
        for chosen in itertools.product(*choices):
            check_time()
            seen = dict(zip(self.aliases, chosen, strict=True))
            if _holds(self.expression, lambda each, seen=seen: _value(each, node, seen)):  # type: ignore[misc]  # a default binds it
                return True
        return False


def read(kind: Kind, query: str) -> Query:
    """Return a query of nodes of a kind.

    Raises:
        BadRequestError: it is none that is understood.
    """
    if not query.strip():
        return Query(Known(value=True), ())
    reader = _Reader(kind, filter_words.words(query))
    expression = reader.expression()
    reader.expect_end()
    if len(reader.aliases) > _MOST_ALIASES:
        raise refused(
            f"it speaks of {len(reader.aliases)} contexts and events; at most {_MOST_ALIASES}"
        )
    return Query(expression, tuple(reader.aliases))


class _Reader:
    """Reads a query from left to right."""

    def __init__(self, kind: Kind, words: Iterator[Word]) -> None:
        self._kind = kind
        self._words = words
        self._next = next(words)
        self._depth = 0
        self.aliases: dict[str, None] = {}

    def expression(self) -> Expression:
        """Read what OR joins."""
        return self._joined("OR", lambda: self._joined("AND", self._negated))

    def expect_end(self) -> None:
        """Refuse what comes after the expression."""
        if self._next.kind != "end":
            raise self._unexpected("AND, OR or the end")

    def _joined(self, word: str, part: Callable[[], Expression]) -> Expression:
        parts = [part()]
        while self._next.upper == word:
            self._take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), all=word == "AND")

    def _negated(self) -> Expression:
        self._depth += 1
        if self._depth > _MOST_DEEP:
            raise refused(f"it is nested more than {_MOST_DEEP} deep")
        made = self._part()
        self._depth -= 1
        return made

    def _part(self) -> Expression:
        if self._next.upper == "NOT":
            self._take()
            return Not(self._negated())
        if self._next.upper == "(":
            self._take()
            made = self.expression()
            self._expect(")")
            return made
        if self._next.upper in _FLAGS:
            return Known(_FLAGS[self._take().upper])
        return self._test(self._attribute())

    def _attribute(self) -> Attribute:
        names = [self._name()]
        while self._next.upper == ".":
            self._take()
            names.append(self._name())
        made = filter_words.attribute(self._kind, tuple(names))
        if made.alias:
            self.aliases[made.alias] = None
        return made

    def _name(self) -> str:
        word = self._take()
        if word.kind == "quoted" or (word.kind == "word" and word.upper not in _RESERVED):
            return str(word.value)
        raise self._unexpected("the name of a field", word)

    def _test(self, asked: Attribute) -> Expression:
        word = self._next.upper
        if word in _SIGNS:
            self._take()
            return _compared(asked, word, self._value(asked))
        if word == "NOT":
            self._take()
            return Not(self._test_word(asked))
        if word in ("IN", "LIKE", "IS", "BETWEEN"):
            return self._test_word(asked)
        if asked.kind == filter_words.BOOL:
            return Test(asked, lambda value: value)
        raise self._unexpected("a comparison")

    def _test_word(self, asked: Attribute) -> Expression:
        word = self._take()
        match word.upper:
            case "IN":
                values = self._values(asked)
                return Test(asked, lambda value: None if value is None else value in values, values)
            case "LIKE":
                return self._like(asked)
            case "IS":
                negated = self._next.upper == "NOT"
                if negated:
                    self._take()
                self._expect("NULL")
                return Test(asked, lambda value: (value is None) != negated)
            case "BETWEEN":
                low = self._value(asked)
                self._expect("AND")
                parts = (_compared(asked, ">=", low), _compared(asked, "<=", self._value(asked)))
                return Joined(parts, all=True)
        raise self._unexpected("IN, LIKE, IS or BETWEEN", word)

    def _like(self, asked: Attribute) -> Test:
        if asked.kind != filter_words.TEXT:
            raise refused(f"{_named(asked)} is no text: LIKE cannot be asked of it")
        pattern = str(self._value(asked))
        if len(pattern) > _LONGEST_PATTERN:
            raise refused(f"a pattern of LIKE has more than {_LONGEST_PATTERN} characters")
        fits = _pattern(pattern)
        return Test(asked, lambda value: None if value is None else fits(value))

    def _values(self, asked: Attribute) -> tuple[Any, ...]:
        self._expect("(")
        values = [self._value(asked)]
        while self._next.upper == ",":
            self._take()
            values.append(self._value(asked))
        self._expect(")")
        return tuple(values)

    def _value(self, asked: Attribute) -> Any:
        negative = self._next.upper == "-"
        if negative:
            self._take()
        word = self._take()
        number = asked.kind in (filter_words.INT, filter_words.DOUBLE)
        if word.kind == "number" and number and abs(word.value) < _END:
            return -word.value if negative else word.value
        if word.kind == "text" and asked.kind == filter_words.TEXT and not negative:
            return word.value
        if word.upper in _FLAGS and asked.kind == filter_words.BOOL and not negative:
            return _FLAGS[word.upper]
        if word.kind == "word" and word.value in asked.names and not negative:
            return asked.names[word.value]
        wanted = f"one of {', '.join(asked.names)}" if asked.names else asked.kind
        raise self._unexpected(f"a value of {_named(asked)} ({wanted})", word)

    def _take(self) -> Word:
        taken = self._next
        if taken.kind != "end":
            self._next = next(self._words)
        return taken

    def _expect(self, wanted: str) -> None:
        word = self._take()
        if word.upper != wanted:
            raise self._unexpected(wanted, word)

    def _unexpected(self, wanted: str, word: Word | None = None) -> Exception:
        found = word or self._next
        return refused(f"{str(found.value)[:60]!r} at character {found.at}: want {wanted}")


def _compared(asked: Attribute, sign: str, wanted: Any) -> Test:
    compare = _SIGNS[sign]
    equal = (wanted,) if sign == "=" else ()
    return Test(asked, lambda value: None if value is None else compare(value, wanted), equal)


def _pattern(text: str) -> Callable[[str], bool]:
    """Return whether a text is like a pattern; takes no longer for patterns that are meant to."""
    parts = [
        re.compile("".join("." if each == "_" else re.escape(each) for each in part), re.DOTALL)
        for part in text.split("%")
    ]
    first, *between = parts
    least = len(text.rpartition("%")[2])

    def fits(value: str) -> bool:
        if len(value) > _LONGEST_LIKE:
            raise refused(
                f"a text of more than {_LONGEST_LIKE} characters cannot be asked for LIKE"
            )
        if not between:
            return first.fullmatch(value) is not None
        found = first.match(value)
        for part in between[:-1]:
            found = found and part.search(value, found.end())
        start = len(value) - least
        return bool(found and start >= found.end() and between[-1].match(value, start))

    return fits


def _named(asked: Attribute) -> str:
    return ".".join((asked.alias, *asked.path) if asked.alias else asked.path)


def _value(asked: Attribute, node: Object, seen: Mapping[str, Object]) -> Any:
    found: Any = seen[asked.alias] if asked.alias else node
    for name in asked.path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _holds(asked: Expression, values: Values) -> bool | None:
    match asked:
        case Known(value):
            return value
        case Test(attribute, holds):
            return holds(values(attribute))
        case Not(part):
            answer = _holds(part, values)
            return None if answer is None else not answer
        case Joined(parts, all_):
            return _joined_hold(parts, values, all_=all_)


def _joined_hold(parts: Sequence[Expression], values: Values, *, all_: bool) -> bool | None:
    answers = [_holds(part, values) for part in parts]
    if (not all_) in answers:
        return not all_
    return None if None in answers else all_
