"""From the tokens of an expression to its tree.

Source: expr-lang 1.17, its language definition, and the order of operators in ``parser/operator``.
"""

from collections.abc import Mapping
from typing import Final

from wherry.objects.tokens import END, Reader
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.expr.tokens import cut, number, tokens, unquoted
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


class _Parser(Reader):
    def __init__(self, text: str) -> None:
        super().__init__(tokens(text), most_depth=_MAX_DEPTH)
        self._text = text
        self._closures = 0
        self._primaries = {"(": self._parenthesis, "[": self._list, "{": self._map}

    def whole(self) -> Node:
        node = self._block()
        if self.token.kind != END:
            raise self.unexpected()
        return node

    def unexpected(self, hint: str = "") -> ExprError:
        what = repr(self.token.text) if self.token.text else "end"
        return ExprError(f"unexpected {what} at {self.token.at + 1} of {cut(self._text)!r}")

    def too_deep(self, most: int) -> ExprError:
        return ExprError(f"the expression nests deeper than {most} levels")

    def _block(self, *ends: str) -> Node:
        nodes = [self._expression(0)]
        while self.take(";"):
            if self.is_next(*ends) or self.token.kind == "end":
                break
            nodes.append(self._expression(0))
        return nodes[0] if len(nodes) == 1 else Block(tuple(nodes))

    def _expression(self, least: int) -> Node:
        self.deeper()
        word = self.token.text if least == 0 and self.token.kind == "name" else ""
        if word == "let":
            node = self._let()
        elif word == "if":
            node = self._if()
        else:
            node = self._operations(self._unary(), least)
            node = self._conditional(node) if least == 0 else node
        self.higher()
        return node

    def _let(self) -> Node:
        self.next()
        if self.token.kind != "name":
            raise self.unexpected()
        name = self.next().text
        self.want("=")
        value = self._expression(0)
        self.want(";")
        return Let(name, value, self._block("}", ")"))

    def _if(self) -> Node:
        self.next()
        test = self._expression(0)
        then = self._braces()
        if self.next().text != "else":
            self.at -= 1
            raise self.unexpected()
        again = self.token.kind == "name" and self.token.text == "if"
        return Conditional(test, then, self._if() if again else self._braces())

    def _braces(self) -> Node:
        self.want("{")
        node = self._block("}")
        self.want("}")
        return node

    def _operations(self, left: Node, least: int) -> Node:
        while self.token.kind == "mark":
            start = self.at
            negated = self.is_next("not") and self.after.text in _NEGATED
            if negated:
                self.next()
            mark = self.token.text
            level = _BINARY.get(mark)
            if level is None or level < least:
                self.at = start
                break
            self.next()
            left = self._operation(mark, left, level)
            left = Unary("!", left) if negated else left
        return left

    def _operation(self, mark: str, left: Node, level: int) -> Node:
        if mark == "|":
            if self.token.kind != "name":
                raise self.unexpected()
            return self._suffixes(self._call(self.next().text, left))
        right = self._expression(level if mark in _RIGHT else level + 1)
        node: Node = Binary(_SAME.get(mark, mark), left, right)
        while mark in _COMPARING and self.is_next(*_COMPARING):
            after = self.next().text
            last, right = right, self._expression(level + 1)
            node = Binary("&&", node, Binary(after, last, right))
        return node

    def _conditional(self, node: Node) -> Node:
        while self.is_next("?", "?:"):
            if self.next().text == "?:":
                node = Conditional(node, node, self._expression(0))
                continue
            then = self._expression(0)
            self.want(":")
            node = Conditional(node, then, self._expression(0))
        return node

    def _unary(self) -> Node:
        if self.token.kind == "mark" and self.token.text in _UNARY:
            mark = self.next().text
            return self._suffixes(Unary(_SAME.get(mark, mark), self._expression(_UNARY[mark])))
        return self._suffixes(self._primary())

    def _primary(self) -> Node:
        if self._closures and self.is_next("#", "."):
            return self._pointer()
        token = self.next()
        if token.kind == "number":
            return Literal(number(token.text))
        if token.kind in {"text", "raw"}:
            return Literal(unquoted(token))
        if token.kind == "name":
            return self._named(token.text)
        opened = self._primaries.get(token.text) if token.kind == "mark" else None
        if opened is None:
            self.at -= 1
            raise self.unexpected()
        return opened()

    def _pointer(self) -> Node:
        if self.is_next("."):
            return Pointer("")  # The member follows as it does after `#`.
        self.next()
        word = self.token
        if word.kind == "name" and word.text in _POINTERS:
            self.next()
            return Pointer(word.text)
        return Pointer("")

    def _named(self, name: str) -> Node:
        if name in _CONSTANTS:
            return Literal(_CONSTANTS[name])
        return self._call(name) if self.is_next("(") else Name(name)

    def _call(self, name: str, *first: Node) -> Node:
        self.want("(")
        args = list(first)
        for _ in self.items(")"):
            closure = name in CLOSURES and len(args) == 1
            args.append(self._closure() if closure else self._expression(0))
        return Call(Name(name), tuple(args))

    def _closure(self) -> Node:
        self._closures += 1
        body = self._braces() if self.is_next("{") else self._expression(0)
        self._closures -= 1
        return Closure(body)

    def _parenthesis(self) -> Node:
        node = self._block(")")
        self.want(")")
        return node

    def _list(self) -> Node:
        return ListOf(tuple(self._expression(0) for _ in self.items("]")))

    def _map(self) -> Node:
        items: list[tuple[Node, Node]] = []
        for _ in self.items("}"):
            key = self._key()
            self.want(":")
            items.append((key, self._expression(0)))
        return MapOf(tuple(items))

    def _key(self) -> Node:
        token = self.next()
        if token.kind in {"name", "number"}:
            return Literal(token.text)
        if token.kind in {"text", "raw"}:
            return Literal(unquoted(token))
        if token.text == "(":
            return self._parenthesis()
        self.at -= 1
        raise self.unexpected()

    def _suffixes(self, node: Node) -> Node:
        optional = False
        while mark := self.take(".", "?.", "["):
            optional = optional or mark == "?."
            if mark == "[" or (mark == "?." and self.take("[")):
                node = self._index(node, optional=mark == "?.")
                continue
            token = self.next()
            if token.kind != "name" and not (token.kind == "mark" and token.text.isalpha()):
                self.at -= 1
                raise self.unexpected()
            node = Member(node, Literal(token.text), mark == "?.")
            if self.take("("):
                node = Call(node, self._arguments())
        return Chain(node) if optional else node

    def _arguments(self) -> tuple[Node, ...]:
        return tuple(self._expression(0) for _ in self.items(")"))

    def _index(self, node: Node, *, optional: bool) -> Node:
        low = None if self.is_next(":") else self._expression(0)
        if self.take(":"):
            high = None if self.is_next("]") else self._expression(0)
            self.want("]")
            return Slice(node, low, high)
        self.want("]")
        return Member(node, low or Literal(None), optional)
