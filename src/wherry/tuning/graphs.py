"""Spaces of architectures: which operations a layer can be, and what is wrong with how they are told."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wherry.objects.errors import Cause
from wherry.tuning import space_checks
from wherry.tuning.algorithm import Graph, Operation, Parameter
from wherry.tuning.dimension import DOUBLE, INT, Dimension

_GRAPH, _OPERATIONS = "spec.nasConfig.graphConfig", "spec.nasConfig.operations"
_REQUIRED = "FieldValueRequired"
_MOST_LAYERS, _MOST_CHOICES = 200, 1000


@dataclass(frozen=True, slots=True)
class Choice:
    """What a layer can be: an operation with values of its parameters.

    Attributes:
        type: Of the operation.
        parameters: By name: texts of lists, numbers of ranges, as Katib has them.
    """

    type: str
    parameters: dict[str, str | int | float]


def choices(graph: Graph) -> list[Choice]:
    """Return everything that a layer can be, in the order in which it is told."""
    return [one for operation in graph.operations for one in _combinations(operation)]


def values(parameter: Parameter) -> list[str]:
    """Return all values of a parameter that `check` has found right, as users write them."""
    if parameter.type not in {DOUBLE, INT}:
        return list(parameter.values)
    dimension = Dimension(parameter)
    return [dimension.at(rank) for rank in range(dimension.count or 0)]


def check(graph: Graph | None) -> list[Cause]:
    """Return what is wrong with a space of architectures."""
    if graph is None:
        return [Cause("spec.nasConfig", "is required: architectures are searched", _REQUIRED)]
    found = list(_graph(graph))
    for index, operation in enumerate(graph.operations):
        found += _operation(operation, f"{_OPERATIONS}[{index}]")
    if not found and len(choices(graph)) > _MOST_CHOICES:
        message = f"{len(choices(graph))} operations with their parameters; at most {_MOST_CHOICES}"
        found.append(Cause(_OPERATIONS, message))
    return found


def _graph(graph: Graph) -> Iterator[Cause]:
    if not 1 <= graph.layers <= _MOST_LAYERS:
        message = f"{graph.layers} is not from 1 to {_MOST_LAYERS}"
        yield Cause(f"{_GRAPH}.numLayers", message)
    if not graph.input_sizes:
        yield Cause(f"{_GRAPH}.inputSizes", "is required", _REQUIRED)
    if not graph.output_sizes:
        yield Cause(f"{_GRAPH}.outputSizes", "is required", _REQUIRED)
    if not graph.operations:
        yield Cause(_OPERATIONS, "must name at least one operation", _REQUIRED)


def _operation(operation: Operation, at: str) -> Iterator[Cause]:
    if not operation.type:
        yield Cause(f"{at}.operationType", "is required", _REQUIRED)
    if not operation.parameters:
        yield Cause(f"{at}.parameters", "must name at least one parameter", _REQUIRED)
    yield from space_checks.check(operation.parameters, f"{at}.parameters")
    for index, parameter in enumerate(operation.parameters):
        if parameter.type == DOUBLE and not parameter.step:
            field = f"{at}.parameters[{index}].feasibleSpace.step"
            yield Cause(field, "is required for parameters of type double", _REQUIRED)


def _combinations(operation: Operation) -> Iterator[Choice]:
    given: Sequence[list[str]] = [values(one) for one in operation.parameters]
    for chosen in itertools.product(*given):
        told = zip(operation.parameters, chosen, strict=True)
        yield Choice(operation.type, {one.name: _typed(one, text) for one, text in told})


def _typed(parameter: Parameter, text: str) -> str | int | float:
    if parameter.type == INT:
        return int(text)
    return float(text) if parameter.type == DOUBLE else text
