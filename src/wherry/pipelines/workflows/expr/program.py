"""Expressions in workflows: what stands in ``{{=…}}``, and in fields that are called expression."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from wherry.objects.cel.values import CelError
from wherry.pipelines.workflows.expr import parsing, tree, values
from wherry.pipelines.workflows.expr.errors import ExprError
from wherry.pipelines.workflows.expr.evaluating import Evaluation
from wherry.pipelines.workflows.expr.functions import FUNCTIONS
from wherry.pipelines.workflows.expr.tokens import cut


@functools.lru_cache(1024)
def parse(source: str) -> tree.Node:
    """Return the tree of an expression.

    Raises:
        ExprError: It is none.
    """
    try:
        return parsing.parse(source)
    except RecursionError as error:
        raise ExprError("the expression nests too deep") from error


def evaluate(source: str, env: Mapping[str, Any]) -> Any:
    """Return the value of an expression.

    Args:
        source: The expression.
        env: What names stand for: JSON values, times; these come before functions of the same name.

    Raises:
        ExprError: It cannot be read, has no value, or costs too much.
    """
    try:
        return Evaluation(env, FUNCTIONS).whole(parse(source))
    except (CelError, RecursionError, ArithmeticError) as error:
        raise ExprError(f"{cut(source)!r} cannot be evaluated: {error}") from error


def holds(source: str, env: Mapping[str, Any]) -> bool:
    """Tell whether an expression holds.

    Raises:
        ExprError: As `evaluate`; or it is neither true nor false.
    """
    found = evaluate(source, env)
    if not isinstance(found, bool):
        raise ExprError(f"{cut(source)!r} is neither true nor false but {values.shown(found)}")
    return found


@functools.lru_cache(1024)
def needed(source: str, *, guarded: bool = False) -> frozenset[str]:
    """Return the variables that an expression cannot do without, as ``inputs.parameters.a``.

    Args:
        source: The expression.
        guarded: Whether those are told too that may be absent, on the left of ``??`` and with ``?.``.

    Raises:
        ExprError: It cannot be read.
    """
    return frozenset(_needed(parse(source), frozenset(), guarded=guarded))


def _needed(node: tree.Node, own: frozenset[str], *, guarded: bool) -> Iterator[str]:
    path = _path(node)
    if path:
        root = path.partition(".")[0]
        if root not in own and path not in FUNCTIONS:
            yield path
        return
    if isinstance(node, tree.Let):
        yield from _needed(node.value, own, guarded=guarded)
        own = own | {node.name}
        parts: tuple[tree.Node, ...] = (node.body,)
    else:
        parts = _needed_parts(node, guarded=guarded)
    for part in parts:
        yield from _needed(part, own, guarded=guarded)


def _needed_parts(node: tree.Node, *, guarded: bool) -> tuple[tree.Node, ...]:
    if isinstance(node, tree.Chain) and not guarded:
        return ()
    if isinstance(node, tree.Binary) and node.mark == "??" and not guarded:
        return (node.right,)
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Member):
        # What is called is a method: only that of which it is one has to be there.
        return (node.function.target, *node.args)
    return tree.children(node)


def _path(node: tree.Node) -> str:
    if isinstance(node, tree.Name):
        return node.name
    if isinstance(node, tree.Member) and isinstance(node.key, tree.Literal):
        inner = _path(node.target)
        return f"{inner}.{node.key.value}" if inner else ""
    return ""
