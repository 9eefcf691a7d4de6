"""From the tree of an expression, and what its names stand for, to its value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Protocol

from wherry.objects.cel.compiling import Frame
from wherry.pipelines.workflows.expr import moments, operators, values
from wherry.pipelines.workflows.expr.errors import ExprError, UnknownNameError
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

BUDGET: Final = 200_000
"""Nodes that one evaluation may visit: some 0.2 s."""


class Turn(Protocol):
    """A closure: called once for each item."""

    def __call__(self, item: Any, index: int, acc: Any = None) -> Any:
        """Return what it makes of an item."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What names mean in a part of an expression."""

    lets: Mapping[str, Any]
    item: Any = None
    index: int = 0
    acc: Any = None


class _NothingError(Exception):
    """An optional member is not there."""


class Evaluation:
    """One evaluation under way."""

    def __init__(self, env: Mapping[str, Any], functions: Mapping[str, values.Function]) -> None:
        """Prepare one.

        Args:
            env: What names stand for.
            functions: What may be called that is not among these.
        """
        self._env = env
        self._functions = functions
        self._frame = Frame([], BUDGET)

    def whole(self, node: Node) -> Any:
        """Return the value of a whole expression: whoever has it may walk through it.

        Raises:
            ExprError: It has none.
            CostError: It costs too much, or is too large.
        """
        found = self.run(node, Scope({}))
        self._weigh(found)
        return found

    def run(self, node: Node, scope: Scope) -> Any:
        """Return the value of a part of an expression.

        Raises:
            ExprError: It has none.
            CostError: It costs too much.
        """
        self._frame.spend(1)
        return self._runs[type(node)](self, node, scope)

    def _name(self, node: Name, scope: Scope) -> Any:
        for names in (scope.lets, self._env, self._functions):
            if node.name in names:
                return names[node.name]
        raise UnknownNameError(node.name)

    def _pointer(self, node: Pointer, scope: Scope) -> Any:
        return {"": scope.item, "index": scope.index, "acc": scope.acc}[node.name]

    def _member(self, node: Member, scope: Scope) -> Any:
        target = self.run(node.target, scope)
        if target is None and node.optional:
            raise _NothingError
        key = self._key(node.key, scope)
        method = moments.method(target, key)
        return operators.member(target, key) if method is None else method

    def _slice(self, node: Slice, scope: Scope) -> Any:
        low = None if node.low is None else self.run(node.low, scope)
        high = None if node.high is None else self.run(node.high, scope)
        return self._made(operators.part(self.run(node.target, scope), low, high))

    def _chain(self, node: Chain, scope: Scope) -> Any:
        try:
            return self.run(node.node, scope)
        except _NothingError:
            return None

    def _unary(self, node: Unary, scope: Scope) -> Any:
        value = self.run(node.operand, scope)
        if node.mark == "!":
            return not operators.flag(value)
        return operators.negative(value) if node.mark == "-" else values.number(value)

    def _binary(self, node: Binary, scope: Scope) -> Any:
        if node.mark == "??":
            found = self._maybe(node.left, scope)
            return self.run(node.right, scope) if found is None else found
        left = self.run(node.left, scope)
        if node.mark == "||":
            return operators.flag(left) or operators.flag(self.run(node.right, scope))
        if node.mark == "&&":
            return operators.flag(left) and operators.flag(self.run(node.right, scope))
        right = self.run(node.right, scope)
        self._weigh(left, right)
        return self._made(operators.apply(node.mark, left, right))

    def _maybe(self, node: Node, scope: Scope) -> Any:
        try:
            return self.run(node, scope)
        except _NothingError:
            return None

    def _conditional(self, node: Conditional, scope: Scope) -> Any:
        test = operators.flag(self.run(node.test, scope))
        return self.run(node.then if test else node.otherwise, scope)

    def _call(self, node: Call, scope: Scope) -> Any:
        function = self.run(node.function, scope)
        if not isinstance(function, values.Function):
            raise ExprError(f"{values.shown(function)} is no function")
        args = [
            self._turn(each.body, scope) if isinstance(each, Closure) else self.run(each, scope)
            for each in node.args
        ]
        self._weigh(*args)
        return self._made(function.call(args))

    def _turn(self, body: Node, scope: Scope) -> Turn:
        def turn(item: Any, index: int, acc: Any = None) -> Any:
            found = self.run(body, replace(scope, item=item, index=index, acc=acc))
            self._weigh(found)
            return found

        return turn

    def _list_of(self, node: ListOf, scope: Scope) -> list[Any]:
        return [self.run(each, scope) for each in node.items]

    def _map_of(self, node: MapOf, scope: Scope) -> dict[str, Any]:
        return {
            values.written(self._key(key, scope)): self.run(value, scope)
            for key, value in node.items
        }

    def _let(self, node: Let, scope: Scope) -> Any:
        value = self.run(node.value, scope)
        return self.run(node.body, replace(scope, lets={**scope.lets, node.name: value}))

    def _block(self, node: Block, scope: Scope) -> Any:
        return [self.run(each, scope) for each in node.nodes][-1]

    def _key(self, node: Node, scope: Scope) -> Any:
        key = self.run(node, scope)
        self._weigh(key)  # it is written down
        return key

    def _weigh(self, *given: Any) -> None:
        """Count all that is in values, again at each place that it stands in: so it is walked through."""
        waiting = [*given]
        size = sum(len(each) for each in given if isinstance(each, str))
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict):
                each = [*each, *each.values()]
            if isinstance(each, list):
                size += len(each) + sum(len(part) // 10 for part in each if isinstance(part, str))
                waiting += [part for part in each if isinstance(part, list | dict)]
            self._frame.spend(size // 10)
            size %= 10

    def _made(self, value: Any) -> Any:
        """Count what was made: what is made again and again of itself ends soon."""
        if isinstance(value, str | list | dict):
            self._frame.spend(len(value) // 10)
        return value

    def _closure(self, node: Closure, scope: Scope) -> Any:
        raise ExprError("a closure stands only in a call of a function that takes one")

    def _literal(self, node: Literal, scope: Scope) -> Any:
        return node.value

    _runs: ClassVar[Mapping[type, Callable[..., Any]]] = {
        Literal: _literal,
        Name: _name,
        Pointer: _pointer,
        Member: _member,
        Slice: _slice,
        Chain: _chain,
        Unary: _unary,
        Binary: _binary,
        Conditional: _conditional,
        Call: _call,
        Closure: _closure,
        ListOf: _list_of,
        MapOf: _map_of,
        Let: _let,
        Block: _block,
    }
