"""What must hold whatever is applied by whom: ownership is kept, appliers agree, nothing is lost."""

import datetime
import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from wherry.objects import managed_fields
from wherry.objects.managed_fields import (
    FieldConflictsError,
    Fields,
    View,
    Write,
    comparison,
    fields,
    merging,
    reading,
    removal,
)
from wherry.objects.schemas import Schema

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
ITEM = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "value": {"type": "integer"},
        "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
NODE = Schema.compile(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "a": {"type": "integer"},
                    "b": {"type": "integer"},
                    "list": {
                        "type": "array",
                        "x-kubernetes-list-type": "map",
                        "x-kubernetes-list-map-keys": ["name"],
                        "items": ITEM,
                    },
                    "set": {
                        "type": "array",
                        "x-kubernetes-list-type": "set",
                        "items": {"type": "string"},
                    },
                    "atomic": {"type": "array", "items": {"type": "string"}},
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                    "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        },
    }
).root

LETTERS = st.sampled_from("abcd")
SMALL = st.integers(0, 2)
TEXTS = st.sampled_from(["x", "y"])
MAPS = st.dictionaries(LETTERS, TEXTS, max_size=3)
ITEMS = st.fixed_dictionaries(
    {"name": LETTERS}, optional={"value": SMALL, "tags": MAPS.filter(bool)}
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "a": SMALL,
        "b": SMALL,
        "list": st.lists(ITEMS, min_size=1, max_size=4, unique_by=lambda item: str(item["name"])),
        "set": st.lists(LETTERS, min_size=1, max_size=4, unique=True),
        "atomic": st.lists(LETTERS, max_size=3),
        "map": MAPS.filter(bool),
        "open": st.dictionaries(LETTERS, st.one_of(SMALL, st.lists(SMALL), MAPS), min_size=1),
    },
).filter(bool)


def thing(spec: Any) -> dict[str, Any]:
    return {"apiVersion": "e/v1", "kind": "T", "metadata": {"name": "t"}, "spec": spec}


def circumstances(manager: str) -> Write:
    return Write(manager, "", NOW, frozenset(), lambda obj, version: None)


State = tuple[Any, managed_fields.Managers]
NOTHING: State = ({"apiVersion": "e/v1", "kind": "T"}, {})


def apply(state: State, manager: str, spec: Any, *, force: bool = False) -> State:
    view = View(state[0], NODE, "e/v1")
    return managed_fields.apply(view, thing(spec), state[1], circumstances(manager), force=force)


def update(state: State, manager: str, spec: Any) -> State:
    old, new = View(state[0], NODE, "e/v1"), View(thing(spec), NODE, "e/v1")
    return new.obj, managed_fields.update(old, new, state[1], circumstances(manager))


def unordered(value: Any) -> Any:
    """Return a value in which the order of lists does not count."""
    if isinstance(value, dict):
        return {key: unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(
            (unordered(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True)
        )
    return value


def owned(state: State) -> Fields:
    together: Fields = {}
    for manager in state[1].values():
        together = fields.union(together, manager.fields)
    return together


def members(found: Fields) -> set[tuple[str, ...]]:
    return set(fields.paths(found))


@given(SPECS, SPECS)
def test_apply_is_idempotent(first: Any, second: Any) -> None:
    state = apply(apply(NOTHING, "a", first), "b", second, force=True)
    assert apply(state, "b", second) == state


@given(SPECS)
def test_what_is_applied_is_there_and_is_owned(spec: Any) -> None:
    state = apply(NOTHING, "a", spec)
    assert state[0] == thing(spec)
    every = reading.to_fields({"spec": spec}, NODE)
    assert members(every) == members(owned(state))


@given(SPECS, SPECS)
def test_appliers_without_common_fields_agree_in_any_order(first: Any, second: Any) -> None:
    second = {key: value for key, value in second.items() if key not in first}
    one = apply(apply(NOTHING, "a", first), "b", second)
    other = apply(apply(NOTHING, "b", second), "a", first)
    assert unordered(one[0]) == unordered(other[0])
    assert one[1] == other[1]


@given(SPECS, SPECS)
def test_two_appliers_that_force_in_turn_converge_on_the_last(first: Any, second: Any) -> None:
    state = apply(apply(NOTHING, "a", first), "b", second, force=True)
    mine = reading.to_fields({"spec": second}, NODE)
    assert members(mine) <= members(owned(state))
    merged = merging.merge(state[0], thing(second), NODE)
    assert unordered(merged) == unordered(state[0])


@given(SPECS, SPECS)
def test_without_force_nothing_of_others_changes(first: Any, second: Any) -> None:
    state = apply(NOTHING, "a", first)
    refused: list[managed_fields.Conflict] = []
    after = state
    try:
        after = apply(state, "b", second)
    except FieldConflictsError as error:
        refused = error.conflicts
    assert {conflict.path for conflict in refused} <= members(owned(state))
    assert unordered(merging.merge(after[0], thing(first), NODE)) == unordered(after[0])
    assert members(owned(state)) <= members(owned(after))


@given(st.lists(st.tuples(st.sampled_from("abc"), SPECS, st.booleans()), max_size=6))
@settings(max_examples=150)
@example(
    [
        ("b", {"open": {"c": {}}}, True),
        ("a", {"open": {"c": {"a": "x"}}}, False),
        ("b", {"a": 0}, True),
    ]
)
def test_every_leaf_has_an_owner_whatever_happens(writes: list[tuple[str, Any, bool]]) -> None:
    """But for a map that lost its last key to an apply, and stays empty without one, as upstream."""
    state = NOTHING
    emptied: set[tuple[str, str]] = set()
    for manager, spec, applied in writes:
        by_apply = applied or not state[1]
        before = state[0].get("spec") or {}
        written = apply(state, manager, spec, force=True) if by_apply else None
        state = written or update(state, manager, spec)
        now = state[0].get("spec") or {}
        there = fields.leaves(reading.contents({"spec": now}, NODE))
        empty = {("f:spec", f"f:{name}") for name, value in now.items() if value == {}}
        full = {("f:spec", f"f:{name}") for name, value in before.items() if value}
        emptied = empty & (emptied | (full if by_apply else set()))
        assert members(there) - emptied <= members(owned(state))


@given(SPECS, SPECS, SPECS)
def test_only_what_nobody_else_owns_is_removed(first: Any, second: Any, third: Any) -> None:
    state = apply(apply(NOTHING, "a", first), "b", second, force=True)
    after = apply(state, "a", third, force=True)
    others = [found for who, found in after[1].items() if who.manager == "b"]
    there = members(reading.contents(after[0], NODE))
    for found in others:
        assert members(fields.leaves(found.fields)) <= there


@given(SPECS, SPECS)
def test_a_comparison_leads_from_one_state_to_the_other(first: Any, second: Any) -> None:
    old, new = thing(first), thing(second)
    found = comparison.compare(old, new, NODE)
    left = removal.remove(old, found.removed, NODE)
    assert unordered(merging.merge(left, new, NODE)) == unordered(new)
    for part in found:
        assert json.dumps(part) == json.dumps(fields.ordered(part))
    back = comparison.compare(new, old, NODE)
    assert (back.added, back.removed) == (found.removed, found.added)
    assert back.modified == found.modified


SETS = SPECS.map(lambda spec: reading.to_fields({"spec": spec}, NODE))


@given(SETS, SETS)
def test_sets_of_fields_are_sets(left: Fields, right: Fields) -> None:
    one, two = members(left), members(right)
    assert members(fields.union(left, right)) == one | two
    assert members(fields.intersection(left, right)) == one & two
    assert members(fields.difference(left, right)) == one - two
    made = [
        fields.union(left, right),
        fields.intersection(left, right),
        fields.difference(left, right),
        fields.recursive_difference(left, right),
    ]
    assert [json.dumps(found) for found in made] == [
        json.dumps(fields.ordered(found)) for found in made
    ]
    below = {path for path in one if any(path[: len(root)] == root for root in two)}
    assert members(fields.recursive_difference(left, right)) == one - below
    for path in one:
        assert fields.contains(left, path)
