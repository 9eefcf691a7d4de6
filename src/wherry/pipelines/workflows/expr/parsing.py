"""From the tokens of an expression to its tree.

Source: expr-lang 1.17, its language definition, and the order of operators in ``parser/operator``.
"""

from collections.abc import Mapping
from typing import Final

from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.expr.tokens import Token, cut, number, tokens, unquoted
from wherry.pipelines.workflows.expr.tree import (
    Binary,
    Block,
    Call,
    Chain,
    Closure,
    Conditional,
    Let,
    ListOf,
    Literal,
    MapOf,
    Member,
    Name,
    Node,
    Pointer,
    Slice,
    Unary,
)

_MAX_DEPTH: Final = 40
"""Levels of nesting; each takes the reader several calls."""
_BINARY: Final[Mapping[str, int]] = {
    "|": 0,
    **dict.fromkeys(("or", "||"), 10),
    **dict.fromkeys(("and", "&&"), 15),
    **dict.fromkeys(("==", "!=", "<", ">", "<=", ">="), 20),
    **dict.fromkeys(("in", "matches", "contains", "startsWith", "endsWith"), 20),
    "..": 25,
    **dict.fromkeys(("+", "-"), 30),
    **dict.fromkeys(("*", "/", "%"), 60),
    **dict.fromkeys(("**", "^"), 100),
    "??": 500,
}
_RIGHT: Final = frozenset({"**", "^"})
_UNARY: Final = {"not": 50, "!": 50, "-": 90, "+": 90}
_NEGATED: Final = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})
_COMPARING: Final = frozenset({"<", ">", "<=", ">="})
_SAME: Final = {"or": "||", "and": "&&", "^": "**", "not": "!"}
_CONSTANTS: Final = {"true": True, "false": False, "nil": None}
_POINTERS: Final = frozenset({"index", "acc"})
CLOSURES: Final = frozenset(
    {
        *("all", "any", "none", "one", "map", "filter", "count", "sum", "find", "findIndex"),
        *("findLast", "findLastIndex", "groupBy", "sortBy", "reduce"),
    }
)
"""Functions whose second argument is a closure."""


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises:
        ExprError: It is none.
    """
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0
        self._closures = 0
        self._primaries = {"(": self._parenthesis, "[": self._list, "{": self._map}

    def whole(self) -> Node:
        node = self._block()
        if self._token.kind != "end":
            raise self._unexpected()
        return node

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._token
        self._at += 1
        return token

    def _unexpected(self) -> ExprError:
        token = self._token
        what = repr(token.text) if token.text else "end"
        return ExprError(f"unexpected {what} at {token.at + 1} of {cut(self._text)!r}")

    def _is(self, *marks: str) -> bool:
        return self._token.kind == "mark" and self._token.text in marks

    def _take(self, *marks: str) -> str:
        return self._next().text if self._is(*marks) else ""

    def _want(self, mark: str) -> None:
        if not self._take(mark):
            raise self._unexpected()

    def _block(self, *ends: str) -> Node:
        nodes = [self._expression(0)]
        while self._take(";"):
            if self._is(*ends) or self._token.kind == "end":
                break
            nodes.append(self._expression(0))
        return nodes[0] if len(nodes) == 1 else Block(tuple(nodes))

    def _expression(self, least: int) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ExprError(f"the expression nests deeper than {_MAX_DEPTH} levels")
        word = self._token.text if least == 0 and self._token.kind == "name" else ""
        if word == "let":
            node = self._let()
        elif word == "if":
            node = self._if()
        else:
            node = self._operations(self._unary(), least)
            node = self._conditional(node) if least == 0 else node
        self._depth -= 1
        return node

    def _let(self) -> Node:
        self._next()
        if self._token.kind != "name":
            raise self._unexpected()
        name = self._next().text
        self._want("=")
        value = self._expression(0)
        self._want(";")
        return Let(name, value, self._block("}", ")"))

    def _if(self) -> Node:
        self._next()
        test = self._expression(0)
        then = self._braces()
        if self._next().text != "else":
            self._at -= 1
            raise self._unexpected()
        again = self._token.kind == "name" and self._token.text == "if"
        return Conditional(test, then, self._if() if again else self._braces())

    def _braces(self) -> Node:
        self._want("{")
        node = self._block("}")
        self._want("}")
        return node

    def _operations(self, left: Node, least: int) -> Node:
        while self._token.kind == "mark":
            start = self._at
            negated = self._is("not") and self._tokens[self._at + 1].text in _NEGATED
            if negated:
                self._next()
            mark = self._token.text
            level = _BINARY.get(mark)
            if level is None or level < least:
                self._at = start
                break
            self._next()
            left = self._operation(mark, left, level)
            left = Unary("!", left) if negated else left
        return left

    def _operation(self, mark: str, left: Node, level: int) -> Node:
        if mark == "|":
            if self._token.kind != "name":
                raise self._unexpected()
            return self._suffixes(self._call(self._next().text, left))
        right = self._expression(level if mark in _RIGHT else level + 1)
        node: Node = Binary(_SAME.get(mark, mark), left, right)
        while mark in _COMPARING and self._is(*_COMPARING):
            after = self._next().text
            last, right = right, self._expression(level + 1)
            node = Binary("&&", node, Binary(after, last, right))
        return node

    def _conditional(self, node: Node) -> Node:
        while self._is("?", "?:"):
            if self._next().text == "?:":
                node = Conditional(node, node, self._expression(0))
                continue
            then = self._expression(0)
            self._want(":")
            node = Conditional(node, then, self._expression(0))
        return node

    def _unary(self) -> Node:
        if self._token.kind == "mark" and self._token.text in _UNARY:
            mark = self._next().text
            return self._suffixes(Unary(_SAME.get(mark, mark), self._expression(_UNARY[mark])))
        return self._suffixes(self._primary())

    def _primary(self) -> Node:
        if self._closures and self._is("#", "."):
            return self._pointer()
        token = self._next()
        if token.kind == "number":
            return Literal(number(token.text))
        if token.kind in {"text", "raw"}:
            return Literal(unquoted(token))
        if token.kind == "name":
            return self._named(token.text)
        opened = self._primaries.get(token.text) if token.kind == "mark" else None
        if opened is None:
            self._at -= 1
            raise self._unexpected()
        return opened()

    def _pointer(self) -> Node:
        if self._is("."):
            return Pointer("")  # The member follows as it does after `#`.
        self._next()
        word = self._token
        if word.kind == "name" and word.text in _POINTERS:
            self._next()
            return Pointer(word.text)
        return Pointer("")

    def _named(self, name: str) -> Node:
        if name in _CONSTANTS:
            return Literal(_CONSTANTS[name])
        return self._call(name) if self._is("(") else Name(name)

    def _call(self, name: str, *first: Node) -> Node:
        self._want("(")
        args = list(first)
        while not self._take(")"):
            if len(args) > len(first):
                self._want(",")
                if self._take(")"):
                    break
            closure = name in CLOSURES and len(args) == 1
            args.append(self._closure() if closure else self._expression(0))
        return Call(Name(name), tuple(args))

    def _closure(self) -> Node:
        self._closures += 1
        body = self._braces() if self._is("{") else self._expression(0)
        self._closures -= 1
        return Closure(body)

    def _parenthesis(self) -> Node:
        node = self._block(")")
        self._want(")")
        return node

    def _list(self) -> Node:
        items: list[Node] = []
        while not self._take("]"):
            if items:
                self._want(",")
                if self._take("]"):
                    break
            items.append(self._expression(0))
        return ListOf(tuple(items))

    def _map(self) -> Node:
        items: list[tuple[Node, Node]] = []
        while not self._take("}"):
            if items:
                self._want(",")
                if self._take("}"):
                    break
            key = self._key()
            self._want(":")
            items.append((key, self._expression(0)))
        return MapOf(tuple(items))

    def _key(self) -> Node:
        token = self._next()
        if token.kind in {"name", "number"}:
            return Literal(token.text)
        if token.kind in {"text", "raw"}:
            return Literal(unquoted(token))
        if token.text == "(":
            return self._parenthesis()
        self._at -= 1
        raise self._unexpected()

    def _suffixes(self, node: Node) -> Node:
        optional = False
        while mark := self._take(".", "?.", "["):
            optional = optional or mark == "?."
            if mark == "[" or (mark == "?." and self._take("[")):
                node = self._index(node, optional=mark == "?.")
                continue
            token = self._next()
            if token.kind != "name" and not (token.kind == "mark" and token.text.isalpha()):
                self._at -= 1
                raise self._unexpected()
            node = Member(node, Literal(token.text), mark == "?.")
            if self._take("("):
                node = Call(node, self._arguments())
        return Chain(node) if optional else node

    def _arguments(self) -> tuple[Node, ...]:
        args: list[Node] = []
        while not self._take(")"):
            if args:
                self._want(",")
                if self._take(")"):
                    break
            args.append(self._expression(0))
        return tuple(args)

    def _index(self, node: Node, *, optional: bool) -> Node:
        low = None if self._is(":") else self._expression(0)
        if self._take(":"):
            high = None if self._is("]") else self._expression(0)
            self._want("]")
            return Slice(node, low, high)
        self._want("]")
        return Member(node, low or Literal(None), optional)
