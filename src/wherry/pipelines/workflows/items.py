"""What a step goes over, and what comes of its turns. Pure.

Source: argo-workflows after 4.1.2, ``expandTask`` and ``expandSequence`` in ``workflow/controller/steps.go``,
``processAggregateNodeOutputs`` in ``operator.go``.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.metadata.records import Artifact, Values
from wherry.pipelines.workflows import variables as tags
from wherry.pipelines.workflows.messages import Sequence as Numbers
from wherry.pipelines.workflows.messages import Step
from wherry.pipelines.workflows.reading import any_text
from wherry.pipelines.workflows.scopes import PARAMETERS, RESULT

MOST: Final = 20_000
"""How many items there may be."""
ITEM: Final = "@item"
_MOST_WIDTH: Final = 64


def of(step: Step, scope: Mapping[str, Any]) -> list[Any]:
    """Return the items that a step goes over.

    Raises:
        ValueError: there are none that can be gone over.
        UnresolvedError: a variable in them is not known.
    """
    if step.with_sequence is not None:
        return _numbers(step.with_sequence, scope)
    if step.with_param:
        return _listed(tags.fill(step.with_param, scope, strict=True))
    found = tags.fill(list(step.with_items), scope, strict=True)
    return _few(found)


def variables(item: Any) -> dict[str, Any]:
    """Return the variables of a turn, all texts, and the item itself as `ITEM`."""
    made = {ITEM: item, "item": any_text(item)}
    if isinstance(item, dict):
        made |= {f"item.{key}": any_text(each) for key, each in item.items()}
    return made


def gathered(turns: Sequence[Values]) -> Values:
    """Return what a loop gives: lists of what its turns gave."""
    results = [turn.parameters[RESULT] for turn in turns if RESULT in turn.parameters]
    given = [_own(turn) for turn in turns]
    given = [each for each in given if each]
    lists: dict[str, list[Any]] = {}
    for each in given:
        for name, value in each.items():
            lists.setdefault(name, []).append(value)
    artifacts: dict[str, tuple[Artifact, ...]] = {}
    for turn in turns:
        for name, made in turn.artifacts.items():
            artifacts[name] = (*artifacts.get(name, ()), *made)
    parameters = {name: any_text(_listing(values)) for name, values in lists.items()}
    parameters[RESULT] = any_text([_item(each) for each in results])
    parameters[PARAMETERS] = any_text(given)
    return Values(parameters, artifacts)


def _listing(texts: list[Any]) -> list[Any]:
    """Return the values of a parameter as items: objects and lists if all are such, else as texts."""
    found = [_item(each) for each in texts]
    if all(isinstance(each, dict | list) for each in found):
        return found
    return [any_text(each) for each in texts]


def _own(turn: Values) -> dict[str, Any]:
    return {name: value for name, value in turn.parameters.items() if not name.startswith("@")}


def _item(text: Any) -> Any:
    """Return a value as an item of a list: what it is as JSON, else a text."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _few(found: Any) -> list[Any]:
    if len(found) > MOST:
        raise ValueError(f"there are {len(found)} of them; at most {MOST} may be")
    return [*found]


def _listed(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"withParam {text[:200]!r} is no JSON: {error}") from error
    if not isinstance(found, list):
        raise ValueError(f"withParam {text[:200]!r} is no list")
    return _few(found)


def _numbers(told: Numbers, scope: Mapping[str, Any]) -> list[Any]:
    start = _whole(told.start, scope) or 0
    count, end = _whole(told.count, scope), _whole(told.end, scope)
    if count is not None:
        end = start + count - 1
        if count <= 0:
            return []
    elif end is None:
        raise ValueError("withSequence: set count or end")
    step = 1 if end >= start else -1
    size = abs(end - start) + 1
    if size > MOST:
        raise ValueError(f"withSequence has {size} items; at most {MOST} may be")
    numbers = range(start, end + step, step)
    return [_formatted(tags.fill(told.format, scope, strict=True), each) for each in numbers]


def _whole(text: str | None, scope: Mapping[str, Any]) -> int | None:
    if text is None:
        return None
    filled = any_text(tags.fill(str(text), scope, strict=True))
    try:
        return int(filled)
    except ValueError:
        raise ValueError(f"withSequence: {filled[:40]!r} is no whole number") from None


def _formatted(form: str, number: int) -> str:
    """Return a number as Go's ``%d``, ``%02X`` … print it."""
    if not form:
        return str(number)
    head, percent, rest = form.partition("%")
    digits = rest[: len(rest) - len(rest.lstrip("-+ 0123456789"))]
    letter = rest[len(digits) : len(digits) + 1]
    if not percent or letter not in {"d", "x", "X", "o", "b", "v"} or "%" in rest:
        raise ValueError(f"withSequence: format {form!r} is not known; write e.g. %02d")
    if len(digits) > 2 and int(digits.lstrip("-+ 0") or 0) > _MOST_WIDTH:
        raise ValueError(f"withSequence: format {form!r} is wider than {_MOST_WIDTH}")
    kind = "d" if letter == "v" else letter
    sides = {"-": "<"}.get(digits[:1], "")
    return f"{head}{number:{sides}{digits.lstrip('-') if sides else digits}{kind}}{rest[len(digits) + 1 :]}"
