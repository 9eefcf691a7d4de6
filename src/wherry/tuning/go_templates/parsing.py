"""Go's template language as a tree: texts, pipelines, branches. Pure.

Source: the documentation of Go's ``text/template`` (syntax; which characters trim markers remove).
Templates that define other templates are not taken: no trial template of Katib has any.
"""

import ast
import re
from dataclasses import dataclass, field
from typing import Final


class GoTemplateError(Exception):
    """The template is wrong; the message says where and what."""


@dataclass(frozen=True, slots=True)
class Value:
    """A literal."""

    value: object


@dataclass(frozen=True, slots=True)
class Path:
    """A variable, or the dot where it is empty, and the fields below it."""

    variable: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a function."""

    name: str


@dataclass(frozen=True, slots=True)
class Group:
    """A pipeline in parentheses, and fields of what it gives."""

    pipeline: "Pipeline"
    fields: tuple[str, ...] = ()


Operand = Value | Path | Name | Group


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each with its operands; variables that take the result."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    declares: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """What is copied."""

    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """``if``, ``with`` or ``range``."""

    kind: str
    pipeline: Pipeline
    body: list["Node"] = field(default_factory=list)
    otherwise: list["Node"] = field(default_factory=list)


Node = Text | Pipeline | Branch

_SPACE: Final = " \t\r\n"
_COMMENT: Final = re.compile(r"\{\{(-[ \t\r\n]+)?/\*.*?\*/([ \t\r\n]+-)?\}\}", re.DOTALL)
_WORD: Final = re.compile(
    r"""\s+
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.)')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?))
    |(?P<fields>(?<=\))(?:\.\w+)+)
    |(?P<path>\$\w*(?:\.\w+)*|(?:\.\w+)+|\.)
    |(?P<name>[^\W\d]\w*)
    |(?P<mark>:=|[=|(),])""",
    re.VERBOSE,
)
_LITERALS: Final = {"true": True, "false": False, "nil": None}
_UNKNOWN: Final = ("define", "template", "block", "break", "continue")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def parse(text: str) -> list[Node]:
    """Return the tree of a template.

    Raises:
        GoTemplateError: it is none.
    """
    tree = _Tree()
    for line, piece, is_action in _pieces(text):
        if not is_action:
            tree.text(piece)
            continue
        try:
            tree.action(_tokens(piece), line)
        except GoTemplateError as error:
            raise GoTemplateError(f"line {line}: {{{{{piece.strip()}}}}}: {error}") from None
    return tree.whole()


def _pieces(text: str) -> list[tuple[int, str, bool]]:
    """Return (line, piece, whether it is an action), trim markers heeded."""
    made: list[tuple[int, str, bool]] = []
    at, trim = 0, False
    while True:
        start = text.find("{{", at)
        before = text[at:] if start < 0 else text[at:start]
        if trim:
            before = before.lstrip(_SPACE)
        if start < 0:
            made.append((0, before, False))
            return made
        line = text.count("\n", 0, start) + 1
        action, at, left, trim = _one(text, start, line)
        made.append((line, before.rstrip(_SPACE) if left else before, False))
        if action is not None:
            made.append((line, action, True))


def _one(text: str, start: int, line: int) -> tuple[str | None, int, bool, bool]:
    """Return an action (None: a comment), where it ends, and whether it trims left and right."""
    comment = _COMMENT.match(text, start)
    if comment is not None:
        return None, comment.end(), bool(comment[1]), bool(comment[2])
    end = _end(text, start + 2)
    if end < 0:
        raise GoTemplateError(f"line {line}: {{{{ has no }}}}")
    inner = text[start + 2 : end]
    left = len(inner) > 1 and inner[0] == "-" and inner[1] in _SPACE
    right = len(inner) > 1 and inner[-1] == "-" and inner[-2] in _SPACE
    return inner[1 if left else 0 : -1 if right else None], end + 2, left, right


def _end(text: str, at: int) -> int:
    """Return where an action ends; braces in its strings do not end it."""
    while at < len(text):
        if text.startswith("}}", at):
            return at
        string = _WORD.match(text, at) if text[at] in "\"`'" else None
        at = string.end() if string is not None else at + 1
    return -1


class _Tree:
    """The tree as it grows: what is open, and where the next piece belongs."""

    def __init__(self) -> None:
        self._root: list[Node] = []
        self._open: list[tuple[Branch, int]] = []
        self._current = self._root

    def whole(self) -> list[Node]:
        """Return the tree, which must be closed."""
        if self._open:
            branch, line = self._open[-1]
            raise GoTemplateError(f"line {line}: {{{{{branch.kind}}}}} has no {{{{end}}}}")
        return self._root

    def text(self, piece: str) -> None:
        """Take in what is copied."""
        if piece:
            self._current.append(Text(piece))

    def action(self, tokens: list[_Token], line: int) -> None:
        """Take in an action."""
        if not tokens:
            raise GoTemplateError("is empty")
        word = tokens[0].text if tokens[0].kind == "name" else ""
        if word in _UNKNOWN:
            raise GoTemplateError(f"{word} is not supported in trial templates")
        if word in {"if", "with", "range"}:
            branch = Branch(word, _Reader(tokens[1:]).whole())
            self._current.append(branch)
            self._open.append((branch, line))
            self._current = branch.body
        elif word == "else":
            self._current = self._else(tokens[1:])
        elif word == "end":
            self._close()
        else:
            self._current.append(_Reader(tokens).whole())

    def _else(self, rest: list[_Token]) -> list[Node]:
        if not self._open or self._open[-1][0].otherwise:
            raise GoTemplateError("there is nothing that it belongs to")
        branch, line = self._open[-1]
        if not rest:
            return branch.otherwise
        # One {{end}} ends the whole chain: the new branch takes the place of the old one.
        chained = Branch(rest[0].text, _Reader(rest[1:]).whole())
        if chained.kind not in {"if", "with"}:
            raise GoTemplateError("want {{else}}, {{else if …}} or {{else with …}}")
        branch.otherwise.append(chained)
        self._open[-1] = (chained, line)
        return chained.body

    def _close(self) -> None:
        if not self._open:
            raise GoTemplateError("there is nothing that it ends")
        self._open.pop()
        branch = self._open[-1][0] if self._open else None
        self._current = self._root if branch is None else branch.otherwise or branch.body


def _tokens(piece: str) -> list[_Token]:
    made: list[_Token] = []
    at = 0
    while at < len(piece):
        match = _WORD.match(piece, at)
        if match is None:
            raise GoTemplateError(f'"{piece[at : at + 10]}" is not understood')
        at = match.end()
        if match.lastgroup is not None:
            made.append(_Token(match.lastgroup, match[0]))
    return made


class _Reader:
    """Reads a pipeline from tokens."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> Pipeline:
        """Return the pipeline that all tokens make."""
        made = self._pipeline()
        if self._at < len(self._tokens):
            raise GoTemplateError(f'"{self._tokens[self._at].text}" is out of place')
        return made

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at].text if at < len(self._tokens) else ""

    def _pipeline(self) -> Pipeline:
        variables, declares = self._variables()
        commands = [self._command()]
        while self._peek() == "|":
            self._at += 1
            commands.append(self._command())
        return Pipeline(tuple(commands), variables, declares)

    def _variables(self) -> tuple[tuple[str, ...], bool]:
        if not self._peek().startswith("$"):
            return (), False
        names, ahead = [self._peek()], 1
        if self._peek(1) == ",":
            names.append(self._peek(2))
            ahead = 3
        mark = self._peek(ahead)
        if mark not in {":=", "="}:
            return (), False
        self._at += ahead + 1
        return tuple(names), mark == ":="

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while self._at < len(self._tokens) and self._peek() not in {"|", ")"}:
            operands.append(self._operand())
        if not operands:
            raise GoTemplateError("a value is missing")
        return tuple(operands)

    def _operand(self) -> Operand:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "mark" and token.text == "(":
            return self._group()
        if token.kind == "path":
            variable, *fields = token.text.split(".")
            return Path(variable, tuple(each for each in fields if each))
        if token.kind == "name":
            known = token.text in _LITERALS
            return Value(_LITERALS[token.text]) if known else Name(token.text)
        if token.kind in {"string", "char", "number"}:
            return Value(_literal(token))
        raise GoTemplateError(f'"{token.text}" is out of place')

    def _group(self) -> Group:
        inner = self._pipeline()
        if self._peek() != ")":
            raise GoTemplateError("( has no )")
        self._at += 1
        fields: tuple[str, ...] = ()
        following = self._tokens[self._at] if self._at < len(self._tokens) else None
        if following is not None and following.kind == "fields":
            self._at += 1
            fields = tuple(following.text[1:].split("."))
        return Group(inner, fields)


def _literal(token: _Token) -> object:
    text = token.text
    if text.startswith("`"):
        return text[1:-1]
    try:
        read = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise GoTemplateError(f"{text} is no literal") from None
    return ord(read) if token.kind == "char" else read
