"""MutatingAdmissionPolicies and their bindings: changes to writes, in expressions.

Source: `pkg/admission/plugin/policy/mutating` of apiserver.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from wherry.apiserver.admission import bound_policies
from wherry.apiserver.admission.attributes import Attributes
from wherry.apiserver.admission.bound_policies import (
    NAMES,
    Binding,
    Bound,
    NoParamsError,
    Policy,
    Variables,
)
from wherry.apiserver.admission.matching import ConditionError
from wherry.apiserver.resources import Served
from wherry.objects import errors, patches
from wherry.objects.cel.program import Program
from wherry.objects.cel.values import CelError
from wherry.objects.managed_fields import merging, views
from wherry.objects.requests import Object
from wherry.objects.schemas import Node
from wherry.store import Record

_STEP: Final = frozenset({"op", "path", "from", "value"})
_STRUCTS: Final = {"Object": None, "JSONPatch": _STEP}
_FIXED: Final = ("apiVersion", "kind")
_EXPRESSIONS: Final = {"matchConditions": ("expression",), "variables": ("expression",)}


class _MutationError(Exception):
    """What an expression says cannot be done to this object."""


@dataclass(frozen=True, slots=True)
class _Mutation:
    program: Program
    change: Callable[[Any, Object, Served], Object]


class _Policy(Policy):
    """A policy that changes."""

    def compile(self) -> None:
        """Compile the mutations."""
        self.mutations = [_mutation(each) for each in self.spec.get("mutations") or ()]

    @property
    def again(self) -> bool:
        """Whether it is asked once more when somebody after it has changed the object."""
        return self.spec.get("reinvocationPolicy") == "IfNeeded"


@functools.lru_cache(maxsize=256)
def _compiled(record: Record) -> _Policy:
    return _Policy(record.value())


def _mutation(spec: Mapping[str, Any]) -> _Mutation:
    field, change = _PATCHES[spec["patchType"]]
    return _Mutation(_program((spec.get(field) or {}).get("expression") or ""), change)


def _program(text: str) -> Program:
    return Program(text, NAMES, _STRUCTS)


def problems(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield path, expression and problem of each expression of a policy that is none."""
    listed = bound_policies.expressions(spec, _EXPRESSIONS)
    yield from bound_policies.problems(listed, lambda text: Program(text, NAMES))
    mutations = (
        (f"spec.mutations[{index}].{field}.expression", each[field]["expression"])
        for index, each in enumerate(spec.get("mutations") or ())
        for field in ("applyConfiguration", "jsonPatch")
        if (each.get(field) or {}).get("expression")
    )
    yield from bound_policies.problems(mutations, _program)


class MutatingPolicies(Bound[_Policy]):
    """All mutating policies that have a binding."""

    def compiled(self, record: Record) -> _Policy:
        """Return the policy that is stored."""
        return _compiled(record)

    def apply(self, asked: Attributes, *, again: bool = False) -> Object:
        """Return the object as the policies leave it; that of ``asked`` stays as it is.

        Args:
            asked: The write.
            again: Whether others have changed the object since the policies were asked: only those are
                asked that want to see it once more.

        Raises:
            ApiError: A policy cannot be applied, and is not to be passed over.
        """
        assert asked.obj is not None
        obj = asked.obj
        left: list[tuple[_Policy, Binding, Object]] = []
        for policy, binding in self.pairs():
            if again and not policy.again:
                continue
            changed = self._applied(policy, binding, asked.with_object(obj))
            if changed is not None:
                obj = changed
                left.append((policy, binding, obj))
        for policy, binding, before in left:
            if not again and policy.again and before != obj:
                obj = self._applied(policy, binding, asked.with_object(obj)) or obj
        return obj

    def _applied(self, policy: _Policy, binding: Binding, asked: Attributes) -> Object | None:
        """Return what a policy makes of an object; None where it is not concerned, or passed over."""
        matched = self.matched(policy, binding, asked)
        if matched is None:
            return None
        try:
            changed = self._changed(policy, binding, matched)
        except (CelError, ConditionError, NoParamsError, _MutationError) as error:
            if not policy.fails_closed:
                return None
            raise _refusal(binding, asked, str(error)) from error
        if changed is None or matched.served is asked.served:
            return changed
        [back] = asked.served.convert([changed], asked.served.resource.api_version)
        return back

    def _changed(self, policy: _Policy, binding: Binding, asked: Attributes) -> Object | None:
        if policy.broken:
            raise _MutationError(policy.broken)
        found: Object | None = None
        for params in self.params(policy, binding, asked):
            values = self.values(asked) | {"params": params}
            if not policy.conditions.hold(values):
                continue
            for mutation in policy.mutations:
                values = values | {"object": asked.obj}
                values["variables"] = Variables(policy.variables, values)
                said, _ = mutation.program.evaluate(values)
                assert asked.obj is not None
                found = mutation.change(_plain(said), asked.obj, asked.served)
                asked = asked.with_object(found)
        return found


def _refusal(binding: Binding, asked: Attributes, why: str) -> errors.ApiError:
    resource = asked.served.resource
    text = f"policy '{binding.policy}' with binding '{binding.name}' denied request: {why}"
    error = errors.forbidden(resource.plural, asked.name, text, resource.group)
    return errors.InvalidError(error.message, {**error.details, "causes": [{"message": text}]})


def _plain(value: Any) -> Any:
    """Return a value of an expression as JSON has it.

    Raises:
        _MutationError: JSON has no such value.
    """
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, str | bool | float):
        return value
    raise _MutationError(f"a {type(value).__name__} cannot stand in an object")


def _configured(said: Any, obj: Object, served: Served) -> Object:
    """Merge a configuration into an object, as server-side apply does."""
    if not isinstance(said, dict):
        raise _MutationError("must evaluate to Object, an apply configuration")
    for field in _FIXED:
        if field in said:
            raise _MutationError(f"an apply configuration may not set {field}")
    unknown = served.schema().unknown(said)
    if unknown:
        raise _MutationError(f"undefined field '{unknown[0]}'")
    node = served.schema().root
    _refuse_atomic(node, said, "")
    return merging.merge(obj, said, node)


def _refuse_atomic(node: Node, value: Any, path: str) -> None:
    """Refuse what would take the place of all that is there.

    Raises:
        _MutationError: There is something of that sort.
    """
    listed = isinstance(value, list)
    if listed or isinstance(value, dict):
        atomic = views.list_keys(node) is None if listed else node.map_type == "atomic"
        if atomic and path and not _is_open(node):
            raise _MutationError(f"may not mutate atomic arrays, maps or structs: {path}")
    if isinstance(value, dict):
        for name, item in value.items():
            _refuse_atomic(views.child(node, name), item, f"{path}.{name}")
    elif listed and node.items is not None:
        for item in value:
            _refuse_atomic(node.items, item, path)


def _is_open(node: Node) -> bool:
    """Return whether nothing is known of what stands there."""
    return not node.types and not node.properties


def _patched(said: Any, obj: Object, served: Served) -> Object:
    """Apply the steps of a JSON patch to an object."""
    if not isinstance(said, list):
        raise _MutationError("must evaluate to a list of JSONPatch")
    try:
        return patches.json_patch(obj, said)
    except errors.ApiError as error:
        raise _MutationError(f"JSON Patch: {error.message}") from error


_PATCHES: Final = {
    "ApplyConfiguration": ("applyConfiguration", _configured),
    "JSONPatch": ("jsonPatch", _patched),
}
