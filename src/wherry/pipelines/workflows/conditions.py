"""Whether a node runs: ``when``, once its variables are filled in, and ``depends``.

``when`` is what govaluate reads, of which Argo takes every bare word for a text. More than there, a bare word may hold
dashes, dots and slashes, as values that are filled in do. ``depends`` joins results of tasks by ``&&``, ``||`` and
``!``.

Source: argo-workflows after 4.1.2, ``workflow/controller/steps.go``, ``workflow/common/ancestry.go`` and the manual of
govaluate.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.objects import tokens
from wherry.pipelines.workflows.expr import patterns
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.messages import Task

MOST_CHARACTERS: Final = 64 * 1024
_MOST_DEPTH: Final = 50
_WORD: Final = r"[A-Za-z_][\w./:@-]*"
_TOKEN: Final = re.compile(
    rf"""
    (?P<space>\s+)
  | (?P<number>0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
  | (?P<name>\[[^\]]+\])
  | (?P<word>{_WORD}|\d[\w./:@-]*)
  | (?P<mark>==|!=|=~|!~|<=|>=|<<|>>|&&|\|\||\*\*|\?\?|[-+*/%<>!(),?:&|^~])
    """,
    re.VERBOSE | re.DOTALL,
)


class ConditionError(ValueError):
    """A condition cannot be read, or is neither true nor false; the message says why."""


def holds(when: str) -> bool:
    """Tell whether a ``when`` holds; an empty one does.

    Args:
        when: With its variables filled in.

    Raises:
        ConditionError: It is no condition, or neither true nor false.
    """
    if not when.strip():
        return True
    try:
        found = _Reader(when).whole()
    except (OverflowError, ValueError) as error:
        if isinstance(error, ConditionError):
            raise
        raise ConditionError(f"when {_cut(when)!r}: {error}") from error
    if not isinstance(found, bool):
        raise ConditionError(f"when {_cut(when)!r} is neither true nor false but {found!r}")
    return found


def _cut(text: str) -> str:
    return text if len(text) <= 200 else text[:200] + "…"


class _Tokens(tokens.Reader):
    """The tokens of a text, from which one after the other is taken."""

    def __init__(self, text: str) -> None:
        if len(text) > MOST_CHARACTERS:
            raise ConditionError(f"has {len(text)} characters; at most {MOST_CHARACTERS} may be")
        self._text = text
        found = tokens.read(text, _TOKEN, self._unknown)
        super().__init__(found, most_depth=_MOST_DEPTH, words="word")

    def _unknown(self, at: int) -> ConditionError:
        there = self._text[at : at + 20]
        return ConditionError(
            f"{_cut(self._text)!r} cannot be read at {there!r}; put texts in quotes"
        )

    def unexpected(self, hint: str = "") -> ConditionError:
        what = repr(self.token.text[:40]) if self.token.text else "the end"
        return ConditionError(f"{_cut(self._text)!r} cannot be read: {what} is unexpected{hint}")

    def too_deep(self, most: int) -> ConditionError:
        return ConditionError(f"{_cut(self._text)!r} nests deeper than {most} levels")


_LEVELS: Final = (
    ("||",),
    ("&&",),
    ("==", "!=", "<=", ">=", "<", ">", "=~", "!~", "in"),
    ("&", "|", "^", "<<", ">>"),
    ("+", "-"),
    ("*", "/", "%"),
    ("**",),
)


class _Reader(_Tokens):
    """Reads and evaluates at once: nothing is run that would have to be left out."""

    def whole(self) -> Any:
        found = self._choice()
        if self.token.kind != tokens.END:
            raise self.unexpected("; put texts of several words in quotes")
        return found

    def _choice(self) -> Any:
        self.deeper()
        found = self._binary(0)
        if self.take("??"):
            other = self._binary(0)
            found = other if found is None else found
        if self.take("?"):
            then = self._choice()
            otherwise = self._choice() if self.take(":") else None
            found = then if _flag(found) else otherwise
        self.higher()
        return found

    def _binary(self, level: int) -> Any:
        if level == len(_LEVELS):
            return self._unary()
        left = self._binary(level + 1)
        while mark := self.take(*_LEVELS[level]):
            left = _apply(mark, left, self._binary(level + 1))
        return left

    def _unary(self) -> Any:
        mark = self.take("!", "-", "~")
        if not mark:
            return self._primary()
        self.deeper()
        value = self._unary()
        self.higher()
        if mark == "!":
            return not _flag(value)
        return -_number(value) if mark == "-" else float(~int(_number(value)))

    def _primary(self) -> Any:
        if self.take("("):
            return self._parenthesis()
        token = self.token
        if token.kind in {tokens.END, tokens.MARK}:
            raise self.unexpected("; is a value empty? put it in quotes")
        self.next()
        return _VALUES[token.kind](token.text)

    def _parenthesis(self) -> Any:
        if self.take(")"):
            return []
        found = [self._choice()]
        while self.take(","):
            found.append(self._choice())
        self.want(")")
        return found if len(found) > 1 else found[0]


def _word(text: str) -> Any:
    return {"true": True, "false": False, "nil": None}.get(text, text)


def _quoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


_VALUES: Final[Mapping[str, Callable[[str], Any]]] = {
    "number": lambda text: float(int(text, 16) if text.startswith("0x") else text),
    "text": _quoted,
    "name": lambda text: text[1:-1],
    "word": _word,
}


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConditionError(f"{value!r} is neither true nor false")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, float):
        raise ConditionError(f"{value!r} is no number")
    return value


def _equal(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def run(left: Any, right: Any) -> bool:
        if type(left) is not type(right) or not isinstance(left, str | float):
            raise ConditionError(f"{left!r} and {right!r} cannot be compared by size")
        return compare(left, right)

    return run


def _matches(left: Any, right: Any) -> bool:
    text = str(left)
    try:
        return patterns.compiled(str(right), text).search(text) is not None
    except ExprError as error:
        raise ConditionError(str(error)) from error


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, str) or isinstance(right, str):
        return f"{_shown(left)}{_shown(right)}"
    return _number(left) + _number(right)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bits(run: Callable[[int, int], int]) -> Callable[[Any, Any], float]:
    def applied(left: Any, right: Any) -> float:
        numbers = int(_number(left)), int(_number(right))
        if any(abs(number) >= 2**31 for number in numbers):
            raise ConditionError(f"{left!r} and {right!r}: bits are of numbers below 2^31")
        if run in {operator.lshift, operator.rshift} and not 0 <= numbers[1] < 64:
            raise ConditionError(f"cannot shift by {numbers[1]}; 0 to 63 can be")
        return float(run(*numbers))

    return applied


def _calculated(run: Callable[[float, float], Any]) -> Callable[[Any, Any], Any]:
    return lambda left, right: run(_number(left), _number(right))


_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "||": lambda left, right: _flag(left) | _flag(right),
    "&&": lambda left, right: _flag(left) & _flag(right),
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "=~": _matches,
    "!~": lambda left, right: not _matches(left, right),
    "in": lambda left, right: any(
        _equal(left, each) for each in (right if isinstance(right, list) else [right])
    ),
    "+": _plus,
    "-": _calculated(operator.sub),
    "*": _calculated(operator.mul),
    "/": _calculated(operator.truediv),
    "%": _calculated(math.fmod),
    "**": _calculated(math.pow),
    "&": _bits(operator.and_),
    "|": _bits(operator.or_),
    "^": _bits(operator.xor),
    "<<": _bits(operator.lshift),
    ">>": _bits(operator.rshift),
}


def _apply(mark: str, left: Any, right: Any) -> Any:
    try:
        return _OPERATORS[mark](left, right)
    except (ArithmeticError, ValueError) as error:
        if isinstance(error, ConditionError):
            raise
        raise ConditionError(f"{left!r} {mark} {right!r}: {error}") from error


SUCCEEDED: Final = "Succeeded"
FAILED: Final = "Failed"
ERRORED: Final = "Errored"
SKIPPED: Final = "Skipped"
OMITTED: Final = "Omitted"
DAEMONED: Final = "Daemoned"
ANY_SUCCEEDED: Final = "AnySucceeded"
ALL_FAILED: Final = "AllFailed"
RESULTS: Final = (
    *(SUCCEEDED, FAILED, ERRORED, SKIPPED, OMITTED, DAEMONED),
    *(ANY_SUCCEEDED, ALL_FAILED),
)
OF_ITEMS: Final = frozenset({ANY_SUCCEEDED, ALL_FAILED})
"""Results that only a task with items has."""
_GOES_ON: Final = (SUCCEEDED, SKIPPED, DAEMONED)

Has = Callable[[str, str], bool]
"""Whether a task has a result."""


@dataclass(frozen=True, slots=True)
class Depends:
    """What a task waits for.

    Attributes:
        results: The results that are asked of each task, by its name; all these tasks have to end first.
        evaluate: Tells whether the task runs, given what became of them.
    """

    results: Mapping[str, frozenset[str]]
    evaluate: Callable[[Has], bool]


def depends(task: Task, tasks: Mapping[str, Task]) -> Depends:
    """Return what a task waits for, by its ``depends`` or its ``dependencies``.

    Args:
        task: The task.
        tasks: All of the graph, by name: after one that says so (``continueOn``) others go on though it failed.

    Raises:
        ConditionError: It cannot be read.
    """
    reader = _DependsReader(task.depends, tasks) if task.depends.strip() else None
    if reader is not None:
        return Depends(*reader.whole())
    words = {name: _fine(name, tasks) for name in task.dependencies}
    return Depends(
        {name: frozenset(each) for name, each in words.items()},
        lambda has: all(any(has(name, word) for word in each) for name, each in words.items()),
    )


def _fine(name: str, tasks: Mapping[str, Task]) -> tuple[str, ...]:
    """Return the results of a task after which others go on that say nothing more."""
    after = tasks[name].continue_on if name in tasks else None
    errored = (ERRORED,) if after and after.error else ()
    failed = (FAILED,) if after and after.failed else ()
    return (*_GOES_ON, *errored, *failed)


_Test = Callable[[Has], bool]


class _DependsReader(_Tokens):
    def __init__(self, text: str, tasks: Mapping[str, Task]) -> None:
        super().__init__(text)
        self._tasks = tasks
        self._results: dict[str, set[str]] = {}

    def whole(self) -> tuple[Mapping[str, frozenset[str]], _Test]:
        found = self._any()
        if self.token.kind != tokens.END:
            raise self.unexpected("; join tasks by && and ||")
        return {name: frozenset(each) for name, each in self._results.items()}, found

    def _any(self) -> _Test:
        self.deeper()
        parts = [self._all()]
        while self.take("||"):
            parts.append(self._all())
        self.higher()
        return lambda has: any(part(has) for part in parts)

    def _all(self) -> _Test:
        parts = [self._term()]
        while self.take("&&"):
            parts.append(self._term())
        return lambda has: all(part(has) for part in parts)

    def _term(self) -> _Test:
        if self.take("!"):
            self.deeper()
            inner = self._term()
            self.higher()
            return lambda has: not inner(has)
        if self.take("("):
            found = self._any()
            self.want(")")
            return found
        if self.token.kind not in {"word", "number"}:
            raise self.unexpected("; here stands a task, or a task and its result (A.Succeeded)")
        return self._task(self.next().text)

    def _task(self, text: str) -> _Test:
        name, dot, result = text.partition(".")
        if dot and result not in RESULTS:
            accepted = ", ".join(RESULTS)
            raise ConditionError(f"{result!r} is no result of task {name!r}; there is {accepted}")
        words = (result,) if dot else _fine(name, self._tasks)
        self._results.setdefault(name, set()).update(words)
        return lambda has: any(has(name, word) for word in words)
