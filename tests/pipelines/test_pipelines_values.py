"""Values of parameters and their texts; expressions over them."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.pipelines import expressions, values
from wherry.pipelines.graph.language import UnresolvedError
from wherry.pipelines.ir.messages import (
    InputParameter,
    OutputParameter,
    ParameterType,
    PrimitiveType,
)

T = ParameterType


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (5, T.NUMBER_INTEGER, 5),
        (5.0, T.NUMBER_INTEGER, 5),
        (5, T.NUMBER_DOUBLE, 5.0),
        (True, T.BOOLEAN, True),
        ([1], T.LIST, [1]),
        ({"a": 1}, T.STRUCT, {"a": 1}),
        ({"state": "COMPLETE"}, T.TASK_FINAL_STATUS, {"state": "COMPLETE"}),
        (5.0, T.STRING, "5"),
        (True, T.STRING, "true"),
        (None, T.STRING, ""),
        ([1, "a"], T.STRING, '[1,"a"]'),
        ("x", T.UNSPECIFIED, "x"),
    ],
)
def test_a_value_takes_the_type_of_its_parameter(value: Any, kind: T, expected: Any) -> None:
    found = values.coerce(value, kind)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("5", T.NUMBER_INTEGER, "must be a whole number of at most 2^53-1, not '5'"),
        (5.5, T.NUMBER_INTEGER, "must be a whole number of at most 2^53-1, not 5.5"),
        (2**53, T.NUMBER_INTEGER, f"must be a whole number of at most 2^53-1, not {2**53}"),
        (True, T.NUMBER_INTEGER, "must be a whole number of at most 2^53-1, not true"),
        (True, T.NUMBER_DOUBLE, "must be a number, not true"),
        (1, T.BOOLEAN, "must be true or false, not 1"),
        ({}, T.LIST, "must be a list, not {}"),
        ("{}", T.STRUCT, "must be an object, not '{}'"),
    ],
)
def test_a_value_of_another_type_is_refused(value: Any, kind: T, message: str) -> None:
    with pytest.raises(ValueError, match="must be") as raised:
        values.coerce(value, kind)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (" 5\n", T.NUMBER_INTEGER, 5),
        ("5\n", T.NUMBER_DOUBLE, 5.0),
        ("1e3", T.NUMBER_DOUBLE, 1000.0),
        ("True\n", T.BOOLEAN, True),
        ("0", T.BOOLEAN, False),
        ("a\n", T.STRING, "a\n"),
        ('["a", 1]', T.LIST, ["a", 1]),
        ('{"a": 1.0}', T.STRUCT, {"a": 1.0}),
    ],
)
def test_files_of_outputs_are_read(content: str, kind: T, expected: Any) -> None:
    found = values.from_text(content, kind)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("", T.NUMBER_INTEGER),
        ("5.0", T.NUMBER_INTEGER),
        ("1" * 5000, T.NUMBER_INTEGER),
        ("x", T.NUMBER_DOUBLE),
        ("yes", T.BOOLEAN),
        ("{}", T.LIST),
        ("[" * 100_000, T.LIST),
        ("", T.STRUCT),
    ],
)
def test_files_that_hold_something_else_are_refused(content: str, kind: T) -> None:
    with pytest.raises(ValueError, match="must be"):
        values.from_text(content, kind)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_texts_of_numbers_have_no_exponent_and_lose_nothing(number: float) -> None:
    written = values.text(number)
    assert "e" not in written
    assert float(written) == number
    assert not written.endswith(".0")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_texts_of_lists_are_json(value: Any) -> None:
    assert json.loads(values.text([value])) == [value]


def test_numbers_that_are_none_are_written_as_go_does() -> None:
    assert [values.text(each) for each in (math.inf, -math.inf, math.nan)] == [
        "+Inf",
        "-Inf",
        "NaN",
    ]


def test_old_types_count_where_there_is_no_new_one() -> None:
    assert values.type_of(OutputParameter(type=PrimitiveType.INT)) is T.NUMBER_INTEGER
    both = InputParameter(type=PrimitiveType.INT, parameter_type=T.STRING)
    assert values.type_of(both) is T.STRING


@pytest.mark.parametrize(
    ("condition", "parameters", "expected"),
    [
        ("inputs.parameter_values['x'] == 'heads'", {"x": "heads"}, True),
        ("!(inputs.parameter_values['x'] == 'heads')", {"x": "heads"}, False),
        ("int(inputs.parameter_values['n']) > 5", {"n": 6.0}, True),
        ("int(inputs.parameter_values['n']) > 5", {"n": "4"}, False),
        ("inputs.parameter_values['n'] >= 5.5", {"n": 6}, True),
        ("double(inputs.parameter_values['n']) < 1", {"n": 0.5}, True),
        ("bool(inputs.parameter_values['b']) == true", {"b": "true"}, True),
        (
            "inputs.parameter_values['a'] == 1 && inputs.parameter_values['b']",
            {"a": 1, "b": True},
            True,
        ),
        ("inputs.parameter_values['x'] == null", {"x": None}, True),
        ("parseJson(inputs.parameter_values['x'])['k'] == 'v'", {"x": '{"k": "v"}'}, True),
        ("'a' in inputs.parameter_values['x']", {"x": ["a"]}, True),
    ],
)
def test_conditions(condition: str, parameters: dict[str, Any], expected: bool) -> None:
    assert not expressions.check_condition(condition)
    assert expressions.holds(condition, parameters) is expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("inputs.parameter_values['y'] == 1", "no such key"),
        ("inputs.parameter_values['x']", "neither true nor false"),
        ("parseJson('{') == 1", "no JSON"),
        ("parseJson(1) == 1", "takes a text"),
    ],
)
def test_conditions_that_have_no_answer(condition: str, message: str) -> None:
    with pytest.raises(UnresolvedError, match=message):
        expressions.holds(condition, {"x": "text"})


def test_what_is_no_expression_is_said_before() -> None:
    assert "Syntax error" in expressions.check_condition("inputs.parameter_values['x'] ==")
    assert "undeclared reference to 'foo'" in expressions.check_selector("foo")


@pytest.mark.parametrize(
    ("selector", "value", "expected"),
    [
        ('parseJson(string_value)["a"]', {"a": 1}, 1),
        ('parseJson(string_value)["a"]', '{"a": {"b": [1.5]}}', {"b": [1.5]}),
        ("struct_value.a", {"a": "b"}, "b"),
        ("list_value[1]", [1, 2], 2),
        ("number_value", 3, 3),
        ("string_value", 3.0, "3"),
        ("bool_value", True, True),
        ("string_value", None, ""),
        ("{1: [2u]}", 0, {"1": [2]}),
    ],
)
def test_selectors(selector: str, value: Any, expected: Any) -> None:
    found = expressions.selected(selector, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "selector", ["timestamp(string_value)", "[bytes(string_value)]", "type(1)", "{'a': type(1)}"]
)
def test_a_selector_gives_json_or_nothing(selector: str) -> None:
    with pytest.raises(UnresolvedError, match="not JSON serializable"):
        expressions.selected(selector, "2026-01-01T00:00:00Z")


def test_a_selector_for_what_is_not_there() -> None:
    with pytest.raises(UnresolvedError, match="no such key"):
        expressions.selected('parseJson(string_value)["b"]', {"a": 1})
