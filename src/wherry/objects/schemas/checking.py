"""Whether a decoded object keeps the rules of its schema; every broken rule becomes a cause.

Wording and reasons are those of kube-apiserver's validation of custom resources. At most
`MAX_CAUSES` causes are given.
"""

from collections.abc import Callable, Collection
from typing import Any

import orjson

from wherry.objects import errors
from wherry.objects.errors import Cause
from wherry.objects.schemas.node import (
    MAX_DEPTH,
    TOO_DEEP,
    Node,
    Path,
    json_type,
    render,
    show,
)

MAX_CAUSES = 100
"""How many causes one check gives; an object with more is no clearer for them."""

# Required fields of built-in kinds in which an empty string says something.
_MAY_BE_EMPTY = frozenset(("token", "value"))


class Checker:
    """One check of one object.

    Attributes:
        causes: What is wrong so far.
    """

    __slots__ = ("_apart", "causes")

    def __init__(self, apart: Collection[str] = ()) -> None:
        """Begin without any.

        Args:
            apart: Fields at the top that are left out.
        """
        self.causes: list[Cause] = []
        self._apart = apart

    def run(self, node: Node, value: Any, path: Path = (), depth: int = 0) -> None:
        """Check a value and all below it.

        Raises:
            BadRequestError: the value nests too deep.
        """
        if depth > MAX_DEPTH:
            raise errors.BadRequestError(TOO_DEEP)
        if len(self.causes) >= MAX_CAUSES:
            return
        if value is None and node.nullable:
            return
        if not _fits(node.types, value):
            self._wrong_type(node, value, path)
            return
        self._rules(node, value, path)
        if type(value) is dict:
            self._object(node, value, path, depth)
        elif type(value) is list:
            self._array(node, value, path, depth)
        if node.all_of or node.any_of or node.one_of or node.negated is not None:
            self._combined(node, value, path, depth)

    def _rules(self, node: Node, value: Any, path: Path) -> None:
        for rule in node.checks:
            cause = rule(value, path)
            if cause is not None:
                self.causes.append(cause)

    def _object(self, node: Node, value: dict[str, Any], path: Path, depth: int) -> None:
        for name in node.required:
            # Go cannot tell an empty string from none, so built-in kinds refuse both alike.
            if name not in value or (
                node.native and value[name] == "" and name not in _MAY_BE_EMPTY
            ):
                where = render((path, name))
                self.causes.append(Cause(where, "Required value", "FieldValueRequired"))
        known, additional = node.properties, node.additional
        for key, item in value.items():
            if depth == 0 and key in self._apart:
                continue
            child = known.get(key) or additional
            if child is not None and child.needs_check:
                self.run(child, item, (path, key), depth + 1)

    def _array(self, node: Node, value: list[Any], path: Path, depth: int) -> None:
        if not node.native and node.list_type in {"set", "map"}:
            self._duplicates(node, value, path)
        child = node.items
        if child is not None and child.needs_check:
            for index, item in enumerate(value):
                self.run(child, item, (path, index), depth + 1)

    def _duplicates(self, node: Node, value: list[Any], path: Path) -> None:
        seen: set[bytes] = set()
        for index, item in enumerate(value):
            shown = item
            if node.list_type == "map":
                if type(item) is not dict:
                    continue
                shown = {key: item[key] for key in node.list_keys if key in item}
            identity = canonical(shown)
            if identity in seen:
                where = render((path, index))
                message = f"Duplicate value: {show(shown)}"
                self.causes.append(Cause(where, message, "FieldValueDuplicate"))
            seen.add(identity)

    def _combined(self, node: Node, value: Any, path: Path, depth: int) -> None:
        def failures(rule: Node) -> list[Cause]:
            inner = Checker()
            inner.run(rule, value, path, depth + 1)
            return inner.causes

        for rule in node.all_of:
            self.causes += failures(rule)
        if node.any_of:
            self._some(node.any_of, failures, value, path)
        if node.one_of:
            self._one(node.one_of, failures, value, path)
        if node.negated is not None and not failures(node.negated):
            self._invalid(value, path, "must not validate the schema (not)")

    def _some(
        self,
        rules: tuple[Node, ...],
        failures: Callable[[Node], list[Cause]],
        value: Any,
        path: Path,
    ) -> None:
        tried = [failures(rule) for rule in rules]
        if all(tried):
            self._invalid(value, path, "must validate at least one schema (anyOf)")
            fewest: list[Cause] = min(tried, key=len)
            self.causes += fewest

    def _one(
        self,
        rules: tuple[Node, ...],
        failures: Callable[[Node], list[Cause]],
        value: Any,
        path: Path,
    ) -> None:
        tried = [failures(rule) for rule in rules]
        valid = sum(not causes for causes in tried)
        if valid == 1:
            return
        found = f"Found {valid} valid alternatives" if valid else "Found none valid"
        self._invalid(value, path, f"must validate one and only one schema (oneOf). {found}")
        if not valid:
            fewest: list[Cause] = min(tried, key=len)
            self.causes += fewest

    def _wrong_type(self, node: Node, value: Any, path: Path) -> None:
        where, found = render(path), json_type(value)
        message = (
            f'Invalid value: "{found}": {where} in body must be of type '
            f'{",".join(node.types)}: "{found}"'
        )
        self.causes.append(Cause(where, message, "FieldValueTypeInvalid"))

    def _invalid(self, value: Any, path: Path, detail: str) -> None:
        where = render(path)
        text = f"Invalid value: {show(value)}: {where} in body {detail}"
        self.causes.append(Cause(where, text))


def canonical(value: Any) -> bytes:
    """Return bytes that are equal for equal JSON values: ``1`` and ``1.0`` are, ``1`` and ``true`` are not."""
    if type(value) is float and value.is_integer():
        value = int(value)
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)
    except TypeError:  # an integer of more than 64 bits
        return repr(value).encode()


def _fits(types: tuple[str, ...], value: Any) -> bool:
    if not types:
        return True
    found = json_type(value)
    if found in types:
        return True
    if found == "integer":
        return "number" in types
    return found == "number" and "integer" in types and value.is_integer()
