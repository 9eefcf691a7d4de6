"""The tokens of small languages, and taking one after the other: what readers of expressions have in common. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

MARK = "mark"
"""The kind of tokens that are neither names nor values."""
END = "end"
"""The kind of the last token, which has no text."""
_SPACE = "space"


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a value or a mark; ``at`` is where it begins."""

    kind: str
    text: str
    at: int


def read(text: str, pattern: re.Pattern[str], unknown: Callable[[int], Exception]) -> list[Token]:
    """Return the tokens of a text, and one for its end.

    Args:
        text: The text.
        pattern: Of one token: each kind is a group of that name; what is ``space`` is left out.
        unknown: What is raised where there is none, given that place.
    """
    found, at = [], 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None:
            raise unknown(at)
        if match.lastgroup != _SPACE:
            found.append(Token(str(match.lastgroup), match[0], at))
        at = match.end()
    found.append(Token(END, "", at))
    return found


class Reader:
    """Takes tokens from left to right; a subclass makes something of them, and says what is wrong."""

    def __init__(self, found: Sequence[Token], *, most_depth: int, words: str = MARK) -> None:
        """Begin with the first.

        Args:
            found: Of `read`.
            most_depth: So many levels may be within one another.
            words: The kind of tokens that are taken by their text as marks are.
        """
        self._tokens = found
        self._most_depth = most_depth
        self._kinds = {MARK, words}
        self._depth = 0
        self.at = 0

    def unexpected(self, hint: str = "") -> Exception:
        """Return what is raised about the next token.

        Args:
            hint: What could have stood there.
        """
        raise NotImplementedError

    def too_deep(self, most: int) -> Exception:
        """Return what is raised where there are more levels than there may be."""
        raise NotImplementedError

    @property
    def token(self) -> Token:
        """The next one."""
        return self._tokens[self.at]

    @property
    def after(self) -> Token:
        """The one after the next, which is not the end."""
        return self._tokens[self.at + 1]

    def next(self) -> Token:
        """Take the next one, whatever it is."""
        token = self.token
        self.at += 1
        return token

    def is_next(self, *marks: str) -> bool:
        """Tell whether the next one is one of these."""
        return self.token.kind in self._kinds and self.token.text in marks

    def take(self, *marks: str) -> str:
        """Take the next one if it is one of these, and return its text; else an empty text."""
        return self.next().text if self.is_next(*marks) else ""

    def want(self, mark: str) -> None:
        """Take the next one, which has to be this.

        Raises:
            Exception: It is another; see `unexpected`.
        """
        if not self.take(mark):
            raise self.unexpected(f"; {mark!r} is missing")

    def items(self, end: str, *, begun: bool = False) -> Iterator[None]:
        """Yield before each item of a list, up to its end; a comma may stand behind the last one.

        Args:
            end: The mark after the list.
            begun: Whether its first item was taken before.
        """
        while not self.take(end):
            if begun:
                self.want(",")
                if self.take(end):
                    break
            begun = True
            yield

    def deeper(self) -> None:
        """Begin a level.

        Raises:
            Exception: There are too many; see `too_deep`.
        """
        self._depth += 1
        if self._depth > self._most_depth:
            raise self.too_deep(self._most_depth)

    def higher(self) -> None:
        """End a level."""
        self._depth -= 1
