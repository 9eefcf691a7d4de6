"""Which bytes a request wants. Pure.

Source: RFC 9110, sections 13.1.5 (If-Range) and 14 (Range).
"""

import re
from dataclasses import dataclass
from typing import Final

_RANGE: Final = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.IGNORECASE)


class UnsatisfiableError(ValueError):
    """None of the bytes that are wanted is there."""


@dataclass(frozen=True, slots=True)
class Span:
    """Some of the bytes.

    Attributes:
        start: The first one, from 0.
        length: How many, at least 1.
    """

    start: int
    length: int

    def header(self, size: int) -> str:
        """Return it as an answer has it in ``Content-Range``."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def wanted(said: str, unless: str, *, size: int, tag: str) -> Span | None:
    """Return which bytes are wanted; None: all, also where it is said in a way that is not understood.

    Several ranges at once are answered with all, as is allowed.

    Args:
        said: ``Range`` of the request.
        unless: ``If-Range`` of it: they are wanted in part only if they are still the same.
        size: How many there are.
        tag: Of what is there now; empty: it has none.

    Raises:
        UnsatisfiableError: they are beyond the end.
    """
    match = _RANGE.fullmatch(said)
    if match is None or (unless and (not tag or unless.strip() != tag)):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        length = min(int(last), size)
        if not length:
            raise UnsatisfiableError(said)
        return Span(size - length, length)
    start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < start:
        return None
    if start >= size:
        raise UnsatisfiableError(said)
    return Span(start, end - start + 1)
