"""Copies share nothing that can change."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from wherry.objects.copies import copied

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


def _ids(value: object) -> set[int]:
    if isinstance(value, dict):
        return {id(value)}.union(*map(_ids, value.values()))
    if isinstance(value, list):
        return {id(value)}.union(*map(_ids, value))
    return set()


@given(VALUES)
def test_a_copy_is_equal_and_shares_neither_objects_nor_lists(value: object):
    before = copy.deepcopy(value)
    result = copied(value)
    assert result == before
    assert _ids(result) & _ids(value) == set()


def test_what_stands_in_a_value_twice_can_be_changed_once():
    shared = ["a"]
    result = copied({"one": shared, "two": shared})
    result["one"].append("b")
    assert result == {"one": ["a", "b"], "two": ["a"]}
    assert shared == ["a"]
