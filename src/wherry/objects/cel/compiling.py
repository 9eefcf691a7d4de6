"""From the tree of an expression to nested Python functions.

Variables have a place in a list that is known beforehand, so that evaluation looks nothing up by
name. What an evaluation costs is counted where it may grow with the input: each turn of a loop
counts for the nodes of its body, and functions count what they read.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from wherry.objects.cel import library, operators
from wherry.objects.cel.syntax import (
    Call,
    CelSyntaxError,
    ListOf,
    Literal,
    MapOf,
    Name,
    Node,
    Select,
    StructOf,
    dotted,
)
from wherry.objects.cel.values import NONE, CelError, CelType, CostError, Optional

DEFAULT_BUDGET: Final = 400_000
"""Nodes that one evaluation may visit: some 50 ms."""


class Frame:
    """One evaluation under way.

    Attributes:
        slots: Values of variables by their place.
        left: How much it may still cost.
    """

    __slots__ = ("left", "slots")

    def __init__(self, slots: list[Any], budget: int) -> None:
        self.slots = slots
        self.left = budget

    def spend(self, cost: int) -> None:
        """Count what has been done.

        Raises:
            CostError: It is too much.
        """
        self.left -= cost
        if self.left < 0:
            raise CostError("operation cancelled: actual cost limit exceeded")


Run = Callable[[Frame], Any]
Structs = Mapping[str, frozenset[str] | None]
NO_STRUCTS: Final[Structs] = {}
NO_FUNCTIONS: Final[library.Functions] = {}

_ESCAPED: Final = re.compile(r"__(underscores|dot|dash|slash)__")
_MARKS: Final = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}
_LOOPS: Final = frozenset({"all", "exists", "exists_one", "existsOne", "map", "filter"})
_PAIR_LOOPS: Final = frozenset({"transformList", "transformMap", "transformMapEntry"})
_OPTIONAL_LOOPS: Final = frozenset({"optMap", "optFlatMap"})


def unescape(field: str) -> str:
    """Return the property that a field name in an expression stands for."""
    if "__" not in field:
        return field
    if field.startswith("__") and field.endswith("__") and field[2:-2] in library.KEYWORDS:
        return field[2:-2]
    return _ESCAPED.sub(lambda match: _MARKS[match[1]], field)


class Compiler:
    """Compiles one expression.

    Args:
        variables: The names it may use; each has the place of its position.
        structs: The types that it may make objects of, by the first part of their names; with the fields
            that these have, or None where they may have any.
        functions: What it may call besides the library's, by name and number of arguments.
    """

    def __init__(
        self,
        variables: Iterable[str],
        structs: Structs = NO_STRUCTS,
        functions: library.Functions = NO_FUNCTIONS,
    ) -> None:
        self._structs = structs
        self._functions = functions
        self._scope = {name: place for place, name in enumerate(variables)}
        self.size = len(self._scope)

    def compile(self, node: Node) -> Run:
        """Return what evaluates a tree.

        Raises:
            CelSyntaxError: It names what does not exist.
        """
        if isinstance(node, Literal):
            value = node.value
            return lambda frame: value
        if isinstance(node, Name):
            return self._name(node.name)
        if isinstance(node, Select):
            return self._select(node)
        if isinstance(node, Call):
            return self._call(node)
        return self._made(node)

    def _made(self, node: ListOf | MapOf | StructOf) -> Run:
        if isinstance(node, ListOf):
            return self._list(node)
        return self._map(node) if isinstance(node, MapOf) else self._struct(node)

    def _name(self, name: str) -> Run:
        place = self._scope.get(name)
        if place is not None:
            return lambda frame: frame.slots[place]
        if name in library.TYPES:
            kind = CelType(library.TYPES[name])
            return lambda frame: kind
        raise CelSyntaxError(f"undeclared reference to '{name}' (in container '')")

    def _select(self, node: Select) -> Run:
        constant = library.constant(dotted(node), self._scope)
        if constant is not None:
            return lambda frame: constant
        target, field = self.compile(node.target), node.field
        plain = unescape(field)
        if node.optional:
            return lambda frame: operators.optional_field(target(frame), field, plain)
        return lambda frame: operators.field(target(frame), field, plain)

    def _list(self, node: ListOf) -> Run:
        if not any(optional for _, optional in node.items):
            runs = [self.compile(item) for item, _ in node.items]
            return lambda frame: [run(frame) for run in runs]
        parts = [(self.compile(item), optional) for item, optional in node.items]

        def build(frame: Frame) -> list[Any]:
            found = []
            for run, optional in parts:
                value = run(frame)
                if not optional:
                    found.append(value)
                elif operators.as_optional(value).present:
                    found.append(value.value)
            return found

        return build

    def _map(self, node: MapOf) -> Run:
        parts = [(self.compile(key), self.compile(value), opt) for key, value, opt in node.items]

        def build(frame: Frame) -> dict[Any, Any]:
            found: dict[Any, Any] = {}
            for key_run, value_run, optional in parts:
                key, value = operators.map_key(key_run(frame)), value_run(frame)
                if key in found:
                    raise CelError(f"Failed with repeated key: {key}")
                if optional:
                    if operators.as_optional(value).present:
                        found[key] = value.value
                else:
                    found[key] = value
            return found

        return build

    def _struct(self, node: StructOf) -> Run:
        root, _, below = node.name.partition(".")
        known = self._structs.get(root)
        if root not in self._structs or (below and known is not None):
            raise CelSyntaxError(f"undeclared reference to '{node.name}' (in container '')")
        items = [(Literal(unescape(field)), value, maybe) for field, value, maybe in node.items]
        for field, _, _ in items:
            if known is not None and field.value not in known:
                raise CelSyntaxError(f"undefined field '{field.value}'")
        return self._map(MapOf(tuple(items)))

    def _call(self, node: Call) -> Run:
        name, args, target = node.function, node.args, node.target
        if target is not None:
            return self._macro(name, target, args) or self._member(name, target, args)
        special = _SPECIAL.get(name)
        return special(self, args) if special is not None else self._function(name, args)

    def _macro(self, name: str, target: Node, args: Sequence[Node]) -> Run | None:
        """Return a method-like form that has variables of its own, if it is one."""
        loop = name in _LOOPS and 2 <= len(args) <= 4 and isinstance(args[0], Name)
        if loop or (name in _PAIR_LOOPS and len(args) in {3, 4}):
            return self._loop(name, target, args)
        if name in _OPTIONAL_LOOPS and len(args) == 2:
            return self._optional_map(name, target, args)
        if name == "bind" and dotted(target) == "cel":
            return self._bind(args)
        return None

    def _member(self, name: str, target: Node, args: Sequence[Node]) -> Run:
        qualified = f"{dotted(target)}.{name}"
        if _root(target) not in self._scope and qualified in library.FUNCTIONS:
            return self._function(qualified, args)
        if name in {"or", "orValue"}:
            return self._alternative(name, target, args)
        return self._method(name, target, args)

    def _function(self, name: str, args: Sequence[Node]) -> Run:
        overloads = self._functions.get(name) or library.FUNCTIONS.get(name, {})
        function = overloads.get(len(args))
        if function is None:
            known = overloads or name in library.METHODS
            raise CelSyntaxError(
                f"found no matching overload for '{name}' with {len(args)} arguments"
                if known
                else f"undeclared reference to '{name}' (in container '')"
            )
        runs = [self.compile(arg) for arg in args]
        if len(runs) == 2:
            first, second = runs
            return lambda frame: function(frame, first(frame), second(frame))
        return lambda frame: function(frame, *[run(frame) for run in runs])

    def _method(self, name: str, target: Node, args: Sequence[Node]) -> Run:
        overloads = library.METHODS.get(name)
        if overloads is None:
            raise CelSyntaxError(f"undeclared reference to '{name}' (in container '')")
        by_type = overloads.get(len(args))
        if by_type is None:
            raise CelSyntaxError(
                f"found no matching overload for '{name}' with {len(args)} arguments"
            )
        receiver, runs = self.compile(target), [self.compile(arg) for arg in args]

        def call(frame: Frame) -> Any:
            this = receiver(frame)
            function = by_type.get(type(this))
            if function is None:
                raise CelError("no such overload")
            return function(frame, this, *[run(frame) for run in runs])

        return call

    def _bound(self, names: Sequence[str]) -> tuple[list[int], dict[str, int]]:
        """Give places to local variables; return them, with the scope as it was."""
        before = dict(self._scope)
        places = []
        for name in names:
            self._scope[name] = self.size
            places.append(self.size)
            self.size += 1
        return places, before

    def _bind(self, args: Sequence[Node]) -> Run:
        if len(args) != 3 or not isinstance(args[0], Name):
            raise CelSyntaxError("cel.bind() takes a variable name, a value and an expression")
        value = self.compile(args[1])
        (place,), before = self._bound([args[0].name])
        body = self.compile(args[2])
        self._scope = before

        def run(frame: Frame) -> Any:
            frame.slots[place] = value(frame)
            return body(frame)

        return run

    def _optional_map(self, name: str, target: Node, args: Sequence[Node]) -> Run:
        if not isinstance(args[0], Name):
            raise CelSyntaxError(f"{name}() variable name must be a simple identifier")
        receiver = self.compile(target)
        (place,), before = self._bound([args[0].name])
        body = self.compile(args[1])
        self._scope = before
        flat = name == "optFlatMap"

        def run(frame: Frame) -> Any:
            given = operators.as_optional(receiver(frame))
            if not given.present:
                return NONE
            frame.slots[place] = given.value
            result = body(frame)
            return operators.as_optional(result) if flat else Optional(present=True, value=result)

        return run

    def _alternative(self, name: str, target: Node, args: Sequence[Node]) -> Run:
        if len(args) != 1:
            raise CelSyntaxError(f"found no matching overload for '{name}'")
        receiver, other = self.compile(target), self.compile(args[0])

        def run(frame: Frame) -> Any:
            given = operators.as_optional(receiver(frame))
            if given.present:
                return given.value if name == "orValue" else given
            return other(frame)

        return run

    def _loop(self, name: str, target: Node, args: Sequence[Node]) -> Run:
        pairs = name in _PAIR_LOOPS or (
            len(args) >= 3 and name != "map" and isinstance(args[1], Name)
        )
        variables = args[: 1 + pairs]
        names = [each.name for each in variables if isinstance(each, Name)]
        if len(names) != len(variables):
            raise CelSyntaxError(f"{name}() variable name must be a simple identifier")
        bodies = args[1 + pairs :]
        if not 1 <= len(bodies) <= 1 + (name == "map" or name in _PAIR_LOOPS):
            raise CelSyntaxError(f"found no matching overload for '{name}'")
        receiver = self.compile(target)
        places, before = self._bound(names)
        runs = [self.compile(body) for body in bodies]
        self._scope = before
        cost = 2 + sum(_size(body) for body in bodies)

        def turns(frame: Frame) -> Iterable[tuple[Any, Any]]:
            slots = frame.slots
            for key, item in operators.iterate(receiver(frame), pairs=pairs):
                frame.spend(cost)
                slots[places[0]] = key
                if pairs:
                    slots[places[1]] = item
                yield key, item

        return _LOOP_BODIES[name](turns, runs)


Turns = Callable[[Frame], Iterable[tuple[Any, Any]]]


def _all(turns: Turns, runs: list[Run]) -> Run:
    def run(frame: Frame) -> bool:
        failure: CelError | None = None
        for _ in turns(frame):
            try:
                if not operators.truth(runs[0](frame)):
                    return False
            except CostError:
                raise
            except CelError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return True

    return run


def _exists(turns: Turns, runs: list[Run]) -> Run:
    def run(frame: Frame) -> bool:
        failure: CelError | None = None
        for _ in turns(frame):
            try:
                if operators.truth(runs[0](frame)):
                    return True
            except CostError:
                raise
            except CelError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return False

    return run


def _exists_one(turns: Turns, runs: list[Run]) -> Run:
    return lambda frame: sum(operators.truth(runs[0](frame)) for _ in turns(frame)) == 1


def _filter(turns: Turns, runs: list[Run]) -> Run:
    return lambda frame: [key for key, _ in turns(frame) if operators.truth(runs[0](frame))]


def _transform(turns: Turns, runs: list[Run]) -> Run:
    body = runs[-1]
    if len(runs) == 1:
        return lambda frame: [body(frame) for _ in turns(frame)]
    return lambda frame: [body(frame) for _ in turns(frame) if operators.truth(runs[0](frame))]


def _transform_map(turns: Turns, runs: list[Run]) -> Run:
    def run(frame: Frame) -> dict[Any, Any]:
        keep = runs[0] if len(runs) == 2 else None
        return {
            key: runs[-1](frame)
            for key, _ in turns(frame)
            if keep is None or operators.truth(keep(frame))
        }

    return run


def _transform_entry(turns: Turns, runs: list[Run]) -> Run:
    def run(frame: Frame) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for _ in turns(frame):
            if len(runs) == 2 and not operators.truth(runs[0](frame)):
                continue
            for key, value in operators.as_map(runs[-1](frame)).items():
                if key in found:
                    raise CelError(f"insert failed: key {key} already exists")
                found[key] = value
        return found

    return run


_LOOP_BODIES: Final[dict[str, Callable[[Turns, list[Run]], Run]]] = {
    "all": _all,
    "exists": _exists,
    "exists_one": _exists_one,
    "existsOne": _exists_one,
    "filter": _filter,
    "map": _transform,
    "transformList": _transform,
    "transformMap": _transform_map,
    "transformMapEntry": _transform_entry,
}


def _and(compiler: Compiler, args: Sequence[Node]) -> Run:
    left, right = (compiler.compile(arg) for arg in args)
    return _either(left, right, decisive=False)


def _or(compiler: Compiler, args: Sequence[Node]) -> Run:
    left, right = (compiler.compile(arg) for arg in args)
    return _either(left, right, decisive=True)


def _either(left: Run, right: Run, *, decisive: bool) -> Run:
    """Return && or ||: a side that decides makes an error of the other one not matter."""

    def run(frame: Frame) -> bool:
        try:
            if operators.truth(left(frame)) is decisive:
                return decisive
        except CostError:
            raise
        except CelError:
            if operators.truth(right(frame)) is decisive:
                return decisive
            raise
        return operators.truth(right(frame))

    return run


def _condition(compiler: Compiler, args: Sequence[Node]) -> Run:
    test, then, otherwise = (compiler.compile(arg) for arg in args)
    return lambda frame: then(frame) if operators.truth(test(frame)) else otherwise(frame)


def _has(compiler: Compiler, args: Sequence[Node]) -> Run:
    if len(args) != 1 or not isinstance(args[0], Select):
        raise CelSyntaxError("invalid argument to has() macro")
    target, field = compiler.compile(args[0].target), args[0].field
    plain = unescape(field)
    return lambda frame: operators.has(target(frame), field, plain)


_SPECIAL: Final[dict[str, Callable[[Compiler, Sequence[Node]], Run]]] = {
    "_&&_": _and,
    "_||_": _or,
    "_?_:_": _condition,
    "has": _has,
}


def _root(node: Node) -> str:
    while isinstance(node, Select):
        node = node.target
    return node.name if isinstance(node, Name) else ""


def children(node: Node) -> list[Node]:
    """Return the nodes right below one."""
    if isinstance(node, Select):
        return [node.target]
    if isinstance(node, Call):
        return [*node.args, *([node.target] if node.target is not None else [])]
    if isinstance(node, ListOf):
        return [item for item, _ in node.items]
    if isinstance(node, StructOf):
        return [value for _, value, _ in node.items]
    if isinstance(node, MapOf):
        return [part for key, value, _ in node.items for part in (key, value)]
    return []


def _size(node: Node) -> int:
    return 1 + sum(_size(child) for child in children(node))
