"""Variables in workflows: ``{{name}}`` and ``{{=expression}}``, wherever a text stands.

Variables have the names under which they are written (``inputs.parameters.a``), and texts for values; None is the value
of an output that will never be there, since its step was left out. A name that is made of another, as in
``{{inputs.parameters.{{item}}}}``, is read from the inside. What variables are filled with is not read again: it cannot
bring variables of its own.

Source: argo-workflows after 4.1.2, ``util/template``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.graph.model import State
from wherry.pipelines.workflows.expr import program, tokens, values
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.reading import any_text

Variables = Mapping[str, Any]


class MissingError(UnresolvedError):
    """A variable is not there, or an expression has no value; the message says which, and where."""

    state = State.ERROR


ABSENT: Final = "an absent optional (of a step that was skipped or omitted, and without a default)"
"""What is told of a variable that has no value, and in which words upstream's clients look for it."""
ROOTS: Final = ("item.", "steps.", "inputs.", "outputs.", "pod.", "workflow.", "tasks.")
"""How names of variables begin. Others are left as they stand: they may be somebody else's templates."""
_UNSPLIT: Final = tuple(
    f"{owner}.{what}."
    for owner in ("workflow", "cronworkflow")
    for what in ("labels", "annotations")
)
"""What follows these is one name, with its dots."""
_ITEM: Final = "item"
_GROUPS: Final = (".parameters", ".artifacts", ".labels", ".annotations")
"""How names end that stand for all variables of a kind."""
COMPOSED: Final = "*"
"""Stands in names for what is not known before."""
_MARK: Final = re.compile(r"\{\{|\}\}")
_MOST_ENDS: Final = 8
"""So many ``}}`` are tried as the end of an expression, which may hold some itself."""
_MOST_DEPTH: Final = 10
"""So deep names may be made of others."""


def fill(value: Any, scope: Variables, *, strict: bool, roots: tuple[str, ...] = ROOTS) -> Any:
    """Return JSON with its variables filled in, keys of maps too.

    Args:
        value: JSON.
        scope: What the variables stand for.
        strict: Whether every variable has to be there; else those that are not stay as they stand.
        roots: Where ``strict``: how the names begin that have to be there.

    Raises:
        MissingError: A variable is not there, was left out, or an expression has no value.
    """
    return _Filler(scope, roots if strict else None).filled(value, "")


def tags(value: Any) -> set[str]:
    """Return the names that stand in JSON as ``{{name}}``; expressions begin with ``=``.

    `COMPOSED` stands in a name for a part that is another variable.
    """
    found: set[str] = set()

    def seen(name: str) -> str:
        found.add(name.strip())
        return COMPOSED

    for text in _texts(value):
        _replaced(text, seen, lambda source: seen(f"={source.strip()}"))
    return found


def nested(scope: Variables) -> dict[str, Any]:
    """Return variables as expressions see them: ``inputs.parameters.a`` as parts in one another.

    Of two of which one is a part of the other, such as ``workflow.parameters`` and ``workflow.parameters.a``, the
    longer one is kept.
    """
    found: dict[str, Any] = {}
    for name in sorted(scope):
        *folders, last = _parts(name)
        place = found
        for folder in folders:
            below = place.get(folder)
            if not isinstance(below, dict) or isinstance(below, _Value):
                below = place[folder] = {}
            place = below
        value = scope[name]
        place[last] = _Value(value) if isinstance(value, dict) else value
    return found


def environment(source: str, scope: Variables) -> dict[str, Any]:
    """Return variables as an expression sees them: those that it names, where these are no groups of others.

    Raises:
        ExprError: It cannot be read.
    """
    names = program.needed(source, guarded=True)
    if any(name.endswith(_GROUPS) or name == _ITEM or name not in scope for name in names):
        return nested(scope)
    return nested({name: scope[name] for name in names})


class _Value(dict[str, Any]):
    """A variable whose value is a map: other variables may not become parts of it."""


def _parts(name: str) -> list[str]:
    for start in _UNSPLIT:
        if name.startswith(start):
            return [*start.rstrip(".").split("."), name.removeprefix(start)]
    return name.split(".")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if "{{" in value:
            yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


Replace = Callable[[str], str]


def _replaced(text: str, simple: Replace, expression: Replace) -> str:
    """Return a text with what the functions give for its tags; ``simple`` gets names as they stand."""
    parts: list[str] = []
    at = 0
    while (start := text.find("{{", at)) >= 0:
        parts.append(text[at:start])
        tag = text.startswith("{{=", start)
        made, end = (
            _read_expression(text, start + 3) if tag else _read_name(text, start + 2, simple, 1)
        )
        if end < 0:
            parts.append(text[start : start + 2])
            at = start + 2
            continue
        parts.append(expression(made) if tag else simple(made))
        at = end
    return "".join((*parts, text[at:]))


def _read_expression(text: str, start: int) -> tuple[str, int]:
    """Return the expression that starts somewhere, and where what follows starts; -1: it has no end."""
    ends: list[int] = []
    at = start
    last = start + tokens.MAX_LENGTH
    while len(ends) < _MOST_ENDS and (end := text.find("}}", at, last)) >= 0:
        ends.append(end)
        at = end + 1
        try:
            program.parse(text[start:end])
        except ExprError:
            continue
        return text[start:end], end + 2
    return (text[start : ends[0]], ends[0] + 2) if ends else ("", -1)


def _read_name(text: str, start: int, simple: Replace, depth: int) -> tuple[str, int]:
    """Return the name that starts somewhere, with names in it replaced; see `_read_expression`."""
    parts: list[str] = []
    at = start
    while mark := _MARK.search(text, at):
        parts.append(text[at : mark.start()])
        if mark[0] == "}}":
            return "".join(parts), mark.end()
        inner, end = (
            _read_name(text, mark.end(), simple, depth + 1) if depth < _MOST_DEPTH else ("", -1)
        )
        if end < 0:
            break
        parts.append(simple(inner))
        at = end
    return "", -1


class _Filler:
    def __init__(self, scope: Variables, required: tuple[str, ...] | None) -> None:
        self._scope = scope
        self._required = required
        self._where = ""

    def filled(self, value: Any, where: str) -> Any:
        if isinstance(value, str):
            if "{{" not in value:
                return value
            self._where = where
            return _replaced(value, self._simple, self._expression)
        if isinstance(value, Mapping):
            return {
                self.filled(key, where): self.filled(each, f"{where}.{key}" if where else str(key))
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.filled(each, f"{where}[{n}]") for n, each in enumerate(value)]
        return value

    def _simple(self, name: str) -> str:
        key = name.strip()
        if key not in self._scope:
            if self._required is not None and key.startswith(self._required):
                raise self._error(f"there is no variable {key}: {{{{{key}}}}} cannot be filled in")
            return f"{{{{{name}}}}}"
        value = self._scope[key]
        if value is None:
            raise self._error(f"{{{{{key}}}}} cannot be filled in: it is {ABSENT}")
        return any_text(value)

    def _expression(self, source: str) -> str:
        as_it_stands = f"{{{{={source}}}}}"
        try:
            if missing := self._missing(source):
                raise ExprError(f"{missing} is missing")
            found = program.evaluate(source, environment(source, self._scope))
        except ExprError as error:
            if self._required is None:
                return as_it_stands
            raise self._error(
                f"{values.shown(as_it_stands)} cannot be evaluated: {error}"
            ) from error
        if found is not None:
            return found if isinstance(found, str) else values.json_text(found)
        if self._required is None:
            return as_it_stands
        raise self._error(f"{values.shown(as_it_stands)} gives nothing; say what else by ??")

    def _missing(self, source: str) -> str:
        """Return the first variable that an expression needs and there is not; empty: there are all."""
        for name in sorted(program.needed(source, guarded=self._required is None)):
            if name in self._scope:
                continue
            longer = f"{name}."
            if not any(
                key.startswith(longer) or longer.startswith(f"{key}.") for key in self._scope
            ):
                return name
        return ""

    def _error(self, message: str) -> MissingError:
        return MissingError(f"{self._where}: {message}" if self._where else message)
