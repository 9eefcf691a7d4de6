"""From the text of an expression to its tokens."""

import re
from dataclasses import replace
from typing import Final

from wherry.objects.tokens import MARK, Token, read
from wherry.pipelines.workflows.expr.errors import ExprError

MAX_LENGTH: Final = 16 * 1024
"""Characters of an expression."""

_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<number>0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
        |(?:\d[\d_]*(?:\.(?!\.)[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
  | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  | (?P<raw>`[^`]*`)
  | (?P<name>[^\W\d][\w]*|\$[\w]*)
  | (?P<mark>==|!=|<=|>=|&&|\|\||\*\*|\.\.|\?\?|\?\.|\?:|[-+*/%^<>!?:.,;|()\[\]{}\#=])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\\"'`?])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))",
    re.DOTALL,
)
_SIMPLE: Final = dict(zip("abfnrtv\\\"'`?", "\a\b\f\n\r\t\v\\\"'`?", strict=True))
_WORD_MARKS: Final = frozenset(
    {"and", "or", "not", "in", "matches", "contains", "startsWith", "endsWith"}
)


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text, and one for its end.

    Raises:
        ExprError: There is something that is none.
    """
    if len(text) > MAX_LENGTH:
        raise ExprError(f"the expression has {len(text)} characters; at most {MAX_LENGTH} may be")

    def unknown(at: int) -> ExprError:
        return ExprError(f"unrecognized character {text[at]!r} at {at + 1} of {cut(text)!r}")

    return [
        replace(each, kind=MARK) if each.kind == "name" and each.text in _WORD_MARKS else each
        for each in read(text, _TOKEN, unknown)
    ]


def cut(text: str) -> str:
    """Return a text for a message."""
    return text if len(text) <= 200 else text[:200] + "…"


def unquoted(token: Token) -> str:
    """Return the text that a token stands for.

    Raises:
        ExprError: It has an escape that there is not.
    """
    body = token.text[1:-1]
    return body if token.kind == "raw" or "\\" not in body else _ESCAPE.sub(_character, body)


def _character(match: re.Match[str]) -> str:
    if match[1] is not None:
        return _SIMPLE[match[1]]
    code = int(match[5], 8) if match[5] else int(match[2] or match[3] or match[4] or "-1", 16)
    if not 0 <= code <= 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ExprError(f"{match[0]!r} is no character")
    return chr(code)


def number(text: str) -> int | float:
    """Return the number that a text stands for.

    Raises:
        ExprError: It is none, or too large.
    """
    plain = text.replace("_", "")
    try:
        if plain[:2].lower() in {"0x", "0b", "0o"}:
            found: int | float = int(plain, 0)
        elif plain.isdigit():
            found = int(plain[:32])
        else:
            found = float(plain)
    except ValueError as error:
        raise ExprError(f"{text!r} is no number") from error
    if isinstance(found, int) and found >= 2**63:
        raise ExprError(f"{text} is larger than whole numbers may be")
    return found
