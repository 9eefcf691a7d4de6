"""From the text of a CEL expression to its tree.

Source: the grammar in the Common Expression Language's definition, with the optional forms
(``a.?b``, ``a[?b]``, ``{?k: v}``) that Kubernetes switches on.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import tokens

MAX_LENGTH: Final = 16 * 1024
"""How long an expression may be, in characters; the API allows 2 KiB to 5 KiB in most places."""
_MAX_DEPTH: Final = 50
"""How deep expressions may nest: each level costs the parser several calls."""


class CelSyntaxError(ValueError):
    """The text is no expression, or names what does not exist; the message says where."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written out."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """``target.field`` or ``target.?field``."""

    target: "Node"
    field: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function or method; operators are functions named ``_+_`` and so on, ``_[?_]`` is an index."""

    function: str
    args: "tuple[Node, ...]"
    target: "Node | None" = None


@dataclass(frozen=True, slots=True)
class ListOf:
    """``[a, ?b]``."""

    items: "tuple[tuple[Node, bool], ...]"


@dataclass(frozen=True, slots=True)
class MapOf:
    """``{k: v, ?k: v}``."""

    items: "tuple[tuple[Node, Node, bool], ...]"


@dataclass(frozen=True, slots=True)
class StructOf:
    """``Object.spec{a: 1, ?b: x}``: something of a type with a name."""

    name: str
    items: "tuple[tuple[str, Node, bool], ...]"


Node = Literal | Name | Select | Call | ListOf | MapOf | StructOf


def dotted(node: Node) -> str:
    """Return ``a.b.c`` where a tree is nothing else; else an empty text."""
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Select) and not node.optional:
        inner = dotted(node.target)
        return f"{inner}.{node.field}" if inner else ""
    return ""


class UInt(int):
    """A number that was written, or converted to be, without a sign."""

    __slots__ = ()


_TOKEN: Final = re.compile(
    r"""
    (?P<space>[\ \t\r\n\f]+|//[^\n]*)
  | (?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
  | (?P<int>0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?)
  | (?P<text>(?:[rR][bB]?|[bB][rR]?)?(?:\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}
        |\"(?:[^\\\"\n\r]|\\.)*\"|'(?:[^\\'\n\r]|\\.)*'))
  | (?P<name>[_a-zA-Z][_a-zA-Z0-9]*)
  | (?P<quoted>`[_a-zA-Z0-9.\-/ ]+`)
  | (?P<mark>==|!=|<=|>=|&&|\|\||\.\?|\[\?|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)
_RAW: Final = re.compile(
    r"(?P<prefix>[rRbB]*)(?P<quote>\"{3}|'{3}|\"|')(?P<body>.*)(?P=quote)", re.DOTALL
)
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))",
    re.DOTALL,
)
_SIMPLE: Final = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))
_RESERVED: Final = frozenset(
    {
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
        "loop", "package", "namespace", "return", "var", "void", "while",
    }
)  # fmt: skip
_CONSTANTS: Final = {"true": True, "false": False, "null": None}
_LEVELS: Final = (
    ("||",),
    ("&&",),
    ("<", "<=", ">=", ">", "==", "!=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
_MAX_INT: Final = 2**63


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises:
        CelSyntaxError: It is none.
    """
    if len(text) > MAX_LENGTH:
        raise CelSyntaxError(f"expression has {len(text)} characters; at most {MAX_LENGTH} may be")
    return _Parser(text).whole()


def _error(text: str, at: int, message: str) -> str:
    line = text.count("\n", 0, at) + 1
    column = at - (text.rfind("\n", 0, at) + 1) + 1
    return f"ERROR: <input>:{line}:{column}: {message}"


def _unescaped(body: str, *, binary: bool) -> str | bytes:
    def simple(match: re.Match[str]) -> str:
        if match[6] is not None:
            raise CelSyntaxError(f"unable to unescape string: {match[0]!r}")
        if match[1] is not None:
            return _SIMPLE[match[1]]
        code = int(match[2] or match[3] or match[4], 16) if not match[5] else int(match[5], 8)
        if 0xD800 <= code < 0xE000 or code > 0x10FFFF:
            raise CelSyntaxError(f"unable to unescape string: {match[0]!r} is no character")
        return chr(code)

    if not binary:
        return _ESCAPE.sub(simple, body)
    # In bytes, \x and octal forms stand for one byte each, all other characters for their UTF-8.
    parts, at = [], 0
    for match in _ESCAPE.finditer(body):
        value = simple(match)
        single = match[2] is not None or match[5] is not None
        parts += [
            body[at : match.start()].encode(),
            bytes([ord(value)]) if single else value.encode(),
        ]
        at = match.end()
    return b"".join([*parts, body[at:].encode()])


class _Parser(tokens.Reader):
    def __init__(self, text: str) -> None:
        self._text = text
        found = tokens.read(text, _TOKEN, self._unknown)
        super().__init__(found, most_depth=_MAX_DEPTH, words="name")
        self._opening = {
            "(": self._parenthesis,
            "[": self._list,
            "[?": self._optional_list,
            "{": self._map,
            ".": self._rooted,
        }

    def whole(self) -> Node:
        node = self._expression()
        if self.token.kind != tokens.END:
            raise self.unexpected()
        return node

    def _unknown(self, at: int) -> CelSyntaxError:
        message = f"Syntax error: token recognition error at: {self._text[at]!r}"
        return CelSyntaxError(_error(self._text, at, message))

    def unexpected(self, hint: str = "") -> CelSyntaxError:
        message = f"Syntax error: unexpected {self.token.text or '<EOF>'!r}"
        return CelSyntaxError(_error(self._text, self.token.at, message))

    def too_deep(self, most: int) -> CelSyntaxError:
        return CelSyntaxError(f"expression nests deeper than {most} levels")

    def _expression(self) -> Node:
        self.deeper()
        condition = self._binary(0)
        if self.take("?"):
            then = self._binary(0)
            self.want(":")
            otherwise = self._expression()
            condition = Call("_?_:_", (condition, then, otherwise))
        self.higher()
        return condition

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while mark := self.take(*_LEVELS[level]):
            left = Call(f"_{mark}_", (left, self._binary(level + 1)))
        return left

    def _unary(self) -> Node:
        mark = self.take("!", "-")
        if not mark:
            return self._member()
        token = self.token
        if mark == "-" and token.kind in {"int", "float"} and not token.text.endswith(("u", "U")):
            self.next()
            return self._suffixes(Literal(_number(f"-{token.text}")))
        self.deeper()
        operand = self._unary()
        self.higher()
        return Call(f"{mark}_", (operand,))

    def _member(self) -> Node:
        return self._suffixes(self._primary())

    def _suffixes(self, node: Node) -> Node:
        while mark := self.take(".", ".?", "[", "[?"):
            if mark in {"[", "[?"}:
                index = self._expression()
                self.want("]")
                node = Call("_[_]" if mark == "[" else "_[?_]", (node, index))
                continue
            token = self.token
            if token.kind not in {"name", "quoted"}:
                raise self.unexpected()
            self.next()
            field = token.text.strip("`")
            if mark == "." and token.kind == "name" and self.take("("):
                node = Call(field, self._arguments(")"), node)
            elif token.text == "in":
                raise CelSyntaxError(_error(self._text, token.at, "reserved identifier: in"))
            else:
                node = Select(node, field, optional=mark == ".?")
        name = dotted(node)
        return self._suffixes(self._struct(name)) if name and self.take("{") else node

    def _struct(self, name: str) -> Node:
        items: list[tuple[str, Node, bool]] = []
        for _ in self.items("}"):
            maybe = bool(self.take("?"))
            token = self.token
            if token.kind not in {"name", "quoted"}:
                raise self.unexpected()
            self.next()
            self.want(":")
            items.append((token.text.strip("`"), self._expression(), maybe))
        return StructOf(name, tuple(items))

    def _arguments(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.take(end):
            if found:
                self.want(",")
            found.append(self._expression())
        return tuple(found)

    def _primary(self) -> Node:
        token = self.next()
        if token.kind in {"int", "float"}:
            return Literal(_number(token.text))
        if token.kind == "text":
            return Literal(_text(token.text))
        if token.kind == "name" and token.text != "in":
            return self._named(token)
        opened = self._opening.get(token.text) if token.kind == "mark" else None
        if opened is not None:
            return opened()
        self.at -= 1
        raise self.unexpected()

    def _parenthesis(self) -> Node:
        inside = self._expression()
        self.want(")")
        return inside

    def _rooted(self) -> Node:
        # `.name` is a name that no container comes before; there are no containers here.
        if self.token.kind != "name":
            raise self.unexpected()
        return self._primary()

    def _named(self, token: tokens.Token) -> Node:
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text])
        if token.text in _RESERVED:
            message = f"reserved identifier: {token.text}"
            raise CelSyntaxError(_error(self._text, token.at, message))
        if self.take("("):
            return Call(token.text, self._arguments(")"))
        return Name(token.text)

    def _optional_list(self) -> Node:
        return self._list((self._expression(), True))

    def _list(self, *first: tuple[Node, bool]) -> Node:
        items = list(first)
        for _ in self.items("]", begun=bool(first)):
            maybe = bool(self.take("?"))
            items.append((self._expression(), maybe))
        return ListOf(tuple(items))

    def _map(self) -> Node:
        items: list[tuple[Node, Node, bool]] = []
        for _ in self.items("}"):
            maybe = bool(self.take("?"))
            key = self._expression()
            self.want(":")
            items.append((key, self._expression(), maybe))
        return MapOf(tuple(items))


def _number(text: str) -> int | float:
    if text.endswith(("u", "U")):
        unsigned = int(text[:-1], 0 if text.startswith("0x") else 10)
        if unsigned >= 2**64:
            raise CelSyntaxError(f"invalid uint literal {text}")
        return UInt(unsigned)
    if "x" in text:
        number = int(text, 16)
    elif text.removeprefix("-").isdigit():
        number = int(text[:32])
    else:
        return float(text)
    if not -_MAX_INT <= number < _MAX_INT:
        raise CelSyntaxError(f"invalid int literal {text}")
    return number


def _text(token: str) -> str | bytes:
    match = _RAW.fullmatch(token)
    assert match is not None
    prefix = match["prefix"].lower()
    if "r" in prefix:
        return match["body"].encode() if "b" in prefix else match["body"]
    return _unescaped(match["body"], binary="b" in prefix)
