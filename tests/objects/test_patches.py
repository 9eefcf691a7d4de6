"""JSON patch, merge patch, and the laws of all three."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import errors, openapi, patches


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([], {"a": {"b": 1}, "l": [1, 2]}),
        ([{"op": "add", "path": "/c", "value": 1}], {"a": {"b": 1}, "l": [1, 2], "c": 1}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"a": {"b": 1}, "l": [1, 2, 3]}),
        ([{"op": "remove", "path": "/a/b"}], {"a": {}, "l": [1, 2]}),
        ([{"op": "replace", "path": "/l/0", "value": 9}], {"a": {"b": 1}, "l": [9, 2]}),
        ([{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "l": [1, 2], "c": {"b": 1}}),
        ([{"op": "move", "from": "/a", "path": "/c"}], {"l": [1, 2], "c": {"b": 1}}),
        ([{"op": "test", "path": "/a/b", "value": 1}], {"a": {"b": 1}, "l": [1, 2]}),
    ],
)
def test_json_patch(operations: list[Any], expected: dict[str, Any]):
    obj = {"a": {"b": 1}, "l": [1, 2]}
    before = copy.deepcopy((obj, operations))
    assert patches.json_patch(obj, operations) == expected
    assert (obj, operations) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/none", "value": 2},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "add", "path": "/a/deep", "value": 1},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "add", "path": "no-slash", "value": 1},
        {"op": "copy", "from": "/none", "path": "/x"},
        {"op": "move", "from": "/none", "path": "/x"},
    ],
)
def test_a_json_patch_that_cannot_be_done_names_the_operation(operation: dict[str, Any]):
    first = {"op": "add", "path": "/x", "value": 1}
    with pytest.raises(errors.InvalidError) as caught:
        patches.json_patch({"a": 1, "l": []}, [first, operation])
    assert f'operation 1 of the JSON patch ({operation["op"]} "{operation["path"]}")' in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/a", "the test fails: the value is 1, not 2"),
        ("/none", "the test fails: the value is missing, not 2"),
    ],
)
def test_a_test_that_fails_shows_both_values(path: str, why: str):
    with pytest.raises(errors.InvalidError, match=why):
        patches.json_patch({"a": 1}, [{"op": "test", "path": path, "value": 2}])


@pytest.mark.parametrize(
    "operations",
    [
        {},
        "x",
        None,
        [1],
        [{}],
        [{"op": "bogus", "path": "/a"}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "value": 1}],
        [{"op": "copy", "path": "/a"}],
        [{"op": "remove", "path": 5}],
        [{"op": [], "path": "/a"}],
    ],
)
def test_what_is_no_json_patch(operations: Any):
    with pytest.raises(errors.BadRequestError):
        patches.json_patch({"a": 1}, operations)


def test_json_patches_are_bounded():
    remove = {"op": "test", "path": "", "value": {}}
    with pytest.raises(errors.RequestEntityTooLargeError):
        patches.json_patch({}, [remove] * (patches.MAX_OPERATIONS + 1))
    twice = [{"op": "copy", "from": "/a", "path": f"/a/{index}"} for index in range(40)]
    with pytest.raises(errors.RequestEntityTooLargeError):
        patches.json_patch({"a": {"x": "y" * 100}}, twice)


def test_a_json_patch_leaves_an_object():
    with pytest.raises(errors.InvalidError):
        patches.json_patch({"a": 1}, [{"op": "replace", "path": "", "value": []}])


@pytest.mark.parametrize(
    ("obj", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": "b"}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ],
)
def test_merge_patch(obj: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]):
    before = copy.deepcopy((obj, patch))
    assert patches.merge_patch(obj, patch) == expected
    assert (obj, patch) == before


@pytest.mark.parametrize("patch", [None, [], "x", 5])
def test_what_is_no_merge_patch(patch: Any):
    with pytest.raises(errors.BadRequestError):
        patches.merge_patch({}, patch)
    with pytest.raises(errors.BadRequestError):
        patches.strategic_merge({}, patch, openapi.schema_for("v1", "Pod"))


def test_deep_patches_are_refused():
    deep: Any = {}
    for _ in range(5000):
        deep = {"x": deep}
    with pytest.raises(errors.BadRequestError, match="levels deep"):
        patches.merge_patch({}, deep)
    with pytest.raises(errors.BadRequestError, match="levels deep"):
        patches.strategic_merge({}, deep, openapi.schema_for("v1", "Pod"))
    with pytest.raises(errors.BadRequestError, match="levels deep"):
        patches.json_patch({}, [{"op": "add", "path": "/x", "value": deep}])


KEYS = st.sampled_from(["a", "b", "c", "metadata", "labels"])
LEAVES = st.booleans() | st.integers(-3, 3) | st.text(max_size=2)
OBJECTS = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=10,
    ),
    max_size=4,
)


def difference(old: Any, new: Any) -> Any:
    """Return the merge patch that makes ``new`` of ``old``; neither holds nulls."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    patch = dict.fromkeys(old.keys() - new.keys())
    for name, value in new.items():
        if name not in old:
            patch[name] = copy.deepcopy(value)
        elif old[name] != value or type(old[name]) is not type(value):
            patch[name] = difference(old[name], value)
    return patch


@given(OBJECTS, OBJECTS)
def test_the_merge_of_a_difference_is_the_new(old: dict[str, Any], new: dict[str, Any]):
    assert patches.merge_patch(old, difference(old, new)) == new


@given(OBJECTS, OBJECTS)
def test_patches_leave_what_they_are_given_alone(obj: dict[str, Any], patch: dict[str, Any]):
    before = copy.deepcopy((obj, patch))
    schema = openapi.schema_for("v1", "ConfigMap")
    patches.strategic_merge(obj, patch, schema)
    patches.merge_patch(obj, patch)
    assert (obj, patch) == before
    assert patches.strategic_merge(obj, {}, schema) == obj
    assert patches.merge_patch(obj, {}) == obj
    once = patches.strategic_merge(obj, patch, schema)
    assert patches.strategic_merge(once, patch, schema) == once
