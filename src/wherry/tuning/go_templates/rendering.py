"""Renders templates in the language of Go's text/template, as far as trials need it. Pure.

Source: the documentation of Go's ``text/template``: which values count as empty, what ``with`` and
``range`` do to the dot, how pipelines pass their value on. A field that is not there is an error,
as it is for the structs that Katib renders with.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from wherry.tuning.go_templates import functions
from wherry.tuning.go_templates.parsing import (
    Branch,
    GoTemplateError,
    Group,
    Name,
    Node,
    Operand,
    Path,
    Pipeline,
    Text,
    Value,
    parse,
)

__all__ = ["GoTemplateError", "render"]

_MAX_LENGTH: Final = 1 << 20
_MAX_STEPS: Final = 100_000
_MAX_DEPTH: Final = 100


def render(text: str, data: Mapping[str, Any]) -> str:
    """Return what a template gives.

    Args:
        text: The template, at most 1 MiB.
        data: What the dot is: strings, numbers, truth values, mappings and lists of them.

    Raises:
        GoTemplateError: the template is wrong, or its result is longer than 1 MiB.
    """
    if len(text) > _MAX_LENGTH:
        raise GoTemplateError(f"has {len(text)} characters; want at most {_MAX_LENGTH}")
    try:
        rendering = _Rendering(data)
        rendering.run(parse(text), data, {"$": data})
    except RecursionError:
        raise GoTemplateError("is nested too deeply") from None
    return "".join(rendering.output)


class _Rendering:
    """One run of a template: what it has written, and how much work it was."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.output: list[str] = []
        self._data = data
        self._length = 0
        self._steps = 0
        self._depth = 0

    def run(self, nodes: Sequence[Node], dot: Any, variables: dict[str, Any]) -> None:
        """Render nodes; variables that they declare end with them."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise GoTemplateError(f"is nested more than {_MAX_DEPTH} deep")
        scope = _Scope(variables)
        for node in nodes:
            self._steps += 1
            if self._steps > _MAX_STEPS:
                raise GoTemplateError(f"takes more than {_MAX_STEPS} steps")
            self._node(node, dot, scope)
        scope.close()
        self._depth -= 1

    def _node(self, node: Node, dot: Any, scope: "_Scope") -> None:
        if isinstance(node, Text):
            self._write(node.text)
        elif isinstance(node, Branch):
            self._branch(node, dot, scope)
        else:
            value = self._evaluate(node, dot, scope.variables)
            if node.variables:
                scope.set(node, [value])
            else:
                self._write(functions.shown(value))

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > _MAX_LENGTH:
            raise GoTemplateError(f"gives more than {_MAX_LENGTH} characters")
        self.output.append(text)

    def _branch(self, node: Branch, dot: Any, scope: "_Scope") -> None:
        inner = _Scope(scope.variables)
        value = self._evaluate(node.pipeline, dot, inner.variables)
        if node.kind == "range":
            self._range(node, value, dot, inner)
        else:
            if node.pipeline.variables:
                inner.set(node.pipeline, [value])
            truth = functions.truth(value)
            new = value if truth and node.kind == "with" else dot
            self.run(node.body if truth else node.otherwise, new, inner.variables)
        inner.close()

    def _range(self, node: Branch, value: Any, dot: Any, scope: "_Scope") -> None:
        if isinstance(value, Mapping):
            pairs = [(key, value[key]) for key in sorted(value)]
        elif isinstance(value, list):
            pairs = list(enumerate(value))
        elif value is None:
            pairs = []
        else:
            raise GoTemplateError(f"range cannot go over {functions.shown(value)}")
        for key, each in pairs:
            if node.pipeline.variables:
                two = len(node.pipeline.variables) > 1
                scope.set(node.pipeline, [key, each] if two else [each])
            self.run(node.body, each, scope.variables)
        if not pairs:
            self.run(node.otherwise, dot, scope.variables)

    def _evaluate(self, pipeline: Pipeline, dot: Any, variables: Mapping[str, Any]) -> Any:
        passed: tuple[Any, ...] = ()
        for command in pipeline.commands:
            first, rest = command[0], command[1:]
            given = tuple(self._operand(each, dot, variables) for each in rest)
            if isinstance(first, Name):
                passed = (functions.call(first.name, [*given, *passed]),)
            elif rest or passed:
                raise GoTemplateError(f"{_spelt(first)} is no function: it takes no arguments")
            else:
                passed = (self._operand(first, dot, variables),)
        return passed[0]

    def _operand(self, operand: Operand, dot: Any, variables: Mapping[str, Any]) -> Any:
        if isinstance(operand, Value):
            return operand.value
        if isinstance(operand, Name):
            return functions.call(operand.name, [])
        if isinstance(operand, Group):
            return _field(self._evaluate(operand.pipeline, dot, variables), operand.fields)
        if operand.variable and operand.variable not in variables:
            raise GoTemplateError(f"there is no variable {operand.variable}")
        return _field(variables[operand.variable] if operand.variable else dot, operand.fields)


class _Scope:
    """Variables of a block: those declared in it are gone after it, others keep what was assigned."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self.variables = variables
        self._hidden: dict[str, tuple[Any, ...]] = {}

    def set(self, pipeline: Pipeline, values: Sequence[Any]) -> None:
        """Give the variables of a pipeline their values."""
        for name, value in zip(pipeline.variables, values, strict=False):
            if not pipeline.declares and name not in self.variables:
                raise GoTemplateError(f"there is no variable {name}")
            if pipeline.declares and name not in self._hidden:
                self._hidden[name] = (self.variables[name],) if name in self.variables else ()
            self.variables[name] = value

    def close(self) -> None:
        """Take back what was declared."""
        for name, before in self._hidden.items():
            if before:
                self.variables[name] = before[0]
            else:
                del self.variables[name]


def _field(value: Any, fields: Sequence[str]) -> Any:
    for name in fields:
        if not isinstance(value, Mapping) or name not in value:
            known = ", ".join(sorted(value)) if isinstance(value, Mapping) else "no fields"
            raise GoTemplateError(f"there is no field .{name}; there are {known}")
        value = value[name]
    return value


def _spelt(operand: Operand) -> str:
    if isinstance(operand, Path):
        return ".".join((operand.variable, *operand.fields)) or "."
    return functions.shown(operand.value) if isinstance(operand, Value) else "(…)"
