"""Choosing objects by their labels and by a few of their fields.

The API server filters lists and watches with these, and controllers find their pods with them,
for every object and every event; so a selector is compiled once and then only matched.

Source: `k8s.io/apimachinery/pkg/labels` and `pkg/fields` (grammar, meaning, canonical form).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from wherry.objects import names

Operator = Literal["=", "!=", "in", "notin", "exists", "!", "gt", "lt"]

MAX_LENGTH: Final = 32768
"""Characters a selector may have, so that a request cannot make the server parse for long."""

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SYMBOLS = frozenset(["==", "!=", "=", "!", "(", ")", ",", "<", ">", ""])
_OPERATORS: Mapping[str, Operator] = {
    "=": "=", "==": "=", "!=": "!=", "in": "in", "notin": "notin", ">": "gt", "<": "lt",
}  # fmt: skip
_EXPRESSION_OPERATORS: Mapping[str, Operator] = {
    "In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt",
}  # fmt: skip
_SIGNS = {"=": "=", "!=": "!=", "gt": ">", "lt": "<"}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_LABEL_GRAMMAR = "want requirements like a=b, a!=b, a in (b,c), a notin (b,c), a, !a, a>1, a<1, separated by commas"
_FIELD_GRAMMAR = r"want requirements like path=value, path!=value, comma-separated; '\' escapes , = and \ in a value"

_Test = Callable[[str | None], bool]


class Requirement(NamedTuple):
    """One condition on one label.

    Attributes:
        key: The label's key.
        operator: ``=``, ``!=``, ``in``, ``notin``, ``exists``, ``!`` (absent), ``gt`` or ``lt``.
        values: One for ``= != gt lt``, any number (sorted) for ``in notin``, else none.
    """

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.operator in {"in", "notin"}:
            # A lone empty value needs its comma: `()` would be no value at all.
            return f"{self.key} {self.operator} ({','.join(self.values) or ','})"
        if self.operator in _SIGNS:
            return f"{self.key}{_SIGNS[self.operator]}{self.values[0]}"
        return f"!{self.key}" if self.operator == "!" else self.key


@dataclass(frozen=True)
class LabelSelector:
    """Requirements that must all hold.

    ``str()`` prints the canonical form, which `parse_labels` reads back.

    Attributes:
        requirements: Sorted by key.
        never: Whether nothing matches, whatever the requirements.
    """

    requirements: tuple[Requirement, ...] = ()
    never: bool = False
    _tests: tuple[tuple[str, _Test], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        requirements = tuple(sorted(self.requirements))
        object.__setattr__(self, "requirements", requirements)
        tests = tuple((requirement.key, _test(requirement)) for requirement in requirements)
        object.__setattr__(self, "_tests", tests)

    @property
    def empty(self) -> bool:
        """Whether everything matches for want of a requirement."""
        return not self.requirements and not self.never

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Return whether an object with these labels (None: no labels) is chosen."""
        if self.never:
            return False
        have = labels or {}
        for key, test in self._tests:  # noqa: SIM110 (a generator here costs twice the time)
            if not test(have.get(key)):
                return False
        return True

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


EVERYTHING: Final = LabelSelector()
"""The empty selector, which chooses all."""

NOTHING: Final = LabelSelector(never=True)
"""What a missing ``spec.selector`` means."""


def parse_labels(text: str) -> LabelSelector:
    """Read a label selector as it stands in a query; the empty text selects everything.

    Raises:
        ValueError: the text does not follow the grammar, or a key or value is no label's.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"label selector has {len(text)} characters; at most {MAX_LENGTH} are read"
        )
    return LabelSelector(tuple(_Parser(text).requirements()))


def from_labels(labels: Mapping[str, str]) -> LabelSelector:
    """Return the selector of objects that have all these labels (a service's ``spec.selector``).

    Raises:
        ValueError: a key or value is no label's.
    """
    return from_object({"matchLabels": labels})


def from_object(selector: Mapping[str, Any] | None) -> LabelSelector:
    """Compile a `LabelSelector` object: ``matchLabels`` and ``matchExpressions``.

    Args:
        selector: The object; an empty one selects everything, None selects nothing.

    Raises:
        ValueError: a part of it is not as Kubernetes accepts it; the message names its path.
    """
    if selector is None:
        return NOTHING
    if not isinstance(selector, Mapping):
        raise ValueError(f"a label selector must be an object, not {selector!r}")
    if unknown := sorted(set(selector) - {"matchLabels", "matchExpressions"}):
        raise ValueError(f"unknown field {unknown[0]!r}: want matchLabels and matchExpressions")
    labels = selector.get("matchLabels") or {}
    if not isinstance(labels, Mapping):
        raise ValueError(f"matchLabels: must be an object, not {labels!r}")
    requirements = [_require(key, "=", [value], "matchLabels") for key, value in labels.items()]
    requirements += _expressions(selector, ("In", "NotIn", "Exists", "DoesNotExist"))
    return LabelSelector(tuple(requirements))


def from_node_term(term: Mapping[str, Any]) -> LabelSelector:
    """Compile the ``matchExpressions`` of a `NodeSelectorTerm`, where ``Gt`` and ``Lt`` may stand.

    A term without expressions chooses no node.

    Raises:
        ValueError: as `from_object`.
    """
    requirements = _expressions(term, tuple(_EXPRESSION_OPERATORS))
    return LabelSelector(tuple(requirements)) if requirements else NOTHING


class FieldRequirement(NamedTuple):
    """One condition on one field; ``operator`` is ``=`` or ``!=``."""

    path: str
    operator: Literal["=", "!="]
    value: str

    def __str__(self) -> str:
        value = re.sub(r"([\\,=])", r"\\\1", self.value)
        return f"{self.path}{self.operator}{value}"


class FieldSelector(NamedTuple):
    """Requirements on fields that must all hold; iterate ``requirements`` for what is asked."""

    requirements: tuple[FieldRequirement, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether everything matches for want of a requirement."""
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Return whether an object with these fields (path → value; absent is empty) is chosen."""
        for path, operator, value in self.requirements:
            if (fields.get(path, "") == value) is (operator == "!="):
                return False
        return True

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


def parse_fields(text: str) -> FieldSelector:
    r"""Read a field selector such as ``metadata.name=x,status.phase!=Running``.

    Which paths a resource can be selected by is for the caller to check.

    Raises:
        ValueError: the text does not follow the grammar.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(
            f"field selector has {len(text)} characters; at most {MAX_LENGTH} are read"
        )
    terms = re.findall(r"(?:\\.|[^\\,]|\\$)+", text, re.DOTALL)
    return FieldSelector(tuple(_field(term) for term in terms))


_FIELD_TERM = re.compile(r"([^=!]+)(!=|==|=)((?:\\[\\,=]|[^\\,=])*)", re.DOTALL)


def _field(term: str) -> FieldRequirement:
    match = _FIELD_TERM.fullmatch(term)
    if match is None or not match[1].strip():
        raise ValueError(f"invalid field selector: cannot understand {term!r}; {_FIELD_GRAMMAR}")
    value = re.sub(r"\\(.)", r"\1", match[3])
    return FieldRequirement(match[1].strip(), "!=" if match[2] == "!=" else "=", value)


class _Parser:
    """Reads the grammar of label selectors from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._position = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self._peek() or found:
            found.append(self._requirement())
            if not self._peek():
                break
            self._expect(",")
        return found

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return _require(self._word("a key"), "!", [])
        key = self._word("a key")
        if self._peek() in {"", ","}:
            return _require(key, "exists", [])
        sign = self._next()
        if sign not in _OPERATORS:
            raise self._refusal(sign, "one of = == != in notin > <")
        operator = _OPERATORS[sign]
        values = self._values() if operator in {"in", "notin"} else [self._value()]
        return _require(key, operator, values)

    def _values(self) -> list[str]:
        self._expect("(")
        if self._peek() == ")":
            self._next()
            return []
        values = [self._value()]
        while self._peek() == ",":
            self._next()
            values.append(self._value())
        self._expect(")")
        return values

    def _value(self) -> str:
        # An empty value is nothing between the signs: `a=`, `a in (,b)`.
        return "" if self._peek() in {"", ",", ")"} else self._word("a value")

    def _word(self, wanted: str) -> str:
        token = self._next()
        if token in _SYMBOLS:
            raise self._refusal(token, wanted)
        return token

    def _expect(self, symbol: str) -> None:
        if (token := self._next()) != symbol:
            raise self._refusal(token, f"'{symbol}'")

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._position += 1
        return token

    def _refusal(self, found: str, wanted: str) -> ValueError:
        shown = f"'{found}'" if found else "the end"
        return ValueError(
            f"unable to parse label selector {self._text[:200]!r}: found {shown}, expected {wanted}; {_LABEL_GRAMMAR}"
        )


def _expressions(holder: Mapping[str, Any], accepted: tuple[str, ...]) -> list[Requirement]:
    expressions = holder.get("matchExpressions") or []
    if not isinstance(expressions, list):
        raise ValueError(f"matchExpressions: must be a list, not {expressions!r}")
    requirements = []
    for index, expression in enumerate(expressions):
        path = f"matchExpressions[{index}]"
        if not isinstance(expression, Mapping):
            raise ValueError(f"{path}: must be an object, not {expression!r}")
        operator = expression.get("operator")
        if operator not in accepted:
            shown = ", ".join(f'"{name}"' for name in sorted(accepted))
            raise ValueError(
                f'{path}.operator: Unsupported value: "{operator}": supported values: {shown}'
            )
        values = expression.get("values") or []
        if not isinstance(values, list):
            raise ValueError(f"{path}.values: must be a list of strings, not {values!r}")
        requirements.append(
            _require(expression.get("key"), _EXPRESSION_OPERATORS[operator], values, path)
        )
    return requirements


def _require(key: object, operator: Operator, values: list[Any], path: str = "") -> Requirement:
    # Checks the key, the number of values and their form.
    prefix = f"{path}: " if path else ""
    if not isinstance(key, str) or (problems := names.label_key(key)):
        why = "; ".join(problems) if isinstance(key, str) else "must be a string"
        raise ValueError(f"{prefix}invalid label key {key!r}: {why}")
    _check_count(f"{prefix}{key}", operator, values)
    for value in values:
        if not isinstance(value, str) or (problems := names.label_value(value)):
            why = "; ".join(problems) if isinstance(value, str) else "must be a string"
            raise ValueError(f"{prefix}invalid label value {value!r} at key {key!r}: {why}")
        if operator in {"gt", "lt"} and not _INTEGER.fullmatch(value):
            raise ValueError(
                f"{prefix}{key}: for 'Gt', 'Lt' the value must be an integer, not {value!r}"
            )
    return Requirement(key, operator, tuple(sorted(set(values))))


def _check_count(where: str, operator: Operator, values: list[Any]) -> None:
    if operator in {"in", "notin"} and not values:
        raise ValueError(f"{where}: for 'in', 'notin' at least one value is required")
    if operator in {"exists", "!"} and values:
        raise ValueError(
            f"{where}: for Exists and DoesNotExist values must be empty, not {values!r}"
        )
    if operator in {"gt", "lt"} and len(values) != 1:
        raise ValueError(f"{where}: for 'Gt', 'Lt' exactly one value is required, not {values!r}")


def _test(requirement: Requirement) -> _Test:
    """Compile one requirement; the test is called with the label's value, None if absent."""
    operator = requirement.operator
    if operator in {"exists", "!"}:
        return _is_present if operator == "exists" else _is_absent
    if operator in {"gt", "lt"}:
        return _number_test(int(requirement.values[0]), greater=operator == "gt")
    values = frozenset(requirement.values)
    if operator in {"=", "in"}:
        return values.__contains__
    return lambda value: value not in values


def _number_test(bound: int, *, greater: bool) -> _Test:
    def test(value: str | None) -> bool:
        if value is None or not _INTEGER.fullmatch(value):
            return False
        return int(value) > bound if greater else int(value) < bound

    return test


def _is_present(value: str | None) -> bool:
    return value is not None


def _is_absent(value: str | None) -> bool:
    return value is None
