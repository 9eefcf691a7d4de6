"""What lists are asked for: filters, orders, pages."""

import base64
import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import errors
from wherry.pipelines.api import listing
from wherry.pipelines.history.query import RUN_KEYS, Cursor, Operation, Order, Predicate


def filtered(*predicates):
    return json.dumps({"predicates": [*predicates]})


def query(**request):
    return listing.query(request, RUN_KEYS, namespaces=("n",))


@pytest.mark.parametrize("operation", [1, "EQUALS"])
@pytest.mark.parametrize("field", ["string_value", "stringValue"])
def test_operations_and_fields_are_written_in_both_ways(operation, field):
    text = filtered({"operation": operation, "key": "name", field: "r"})
    assert query(filter=text).where == (Predicate("name", Operation.EQUALS, "r"),)


def test_times_are_compared_as_milliseconds():
    text = filtered(
        {
            "operation": "GREATER_THAN",
            "key": "created_at",
            "timestamp_value": "1970-01-01T00:00:01Z",
        },
        {"operation": "LESS_THAN", "key": "finished_at", "long_value": "7"},
        {"operation": "LESS_THAN", "key": "created_at", "string_value": "8"},
    )
    assert query(filter=text).where == (
        Predicate("created_at", Operation.GREATER_THAN, 1000),
        Predicate("finished_at", Operation.LESS_THAN, 7000),
        Predicate("created_at", Operation.LESS_THAN, 8000),
    )


def test_several_values_and_parts_of_texts():
    text = filtered(
        {"operation": "IN", "key": "state", "string_values": {"values": ["FAILED", "CANCELED"]}},
        {"operation": 9, "key": "description", "string_value": "x"},
    )
    assert query(filter=text).where == (
        Predicate("state", Operation.IN, ("FAILED", "CANCELED")),
        Predicate("description", Operation.IS_SUBSTRING, "x"),
    )


def test_a_filter_may_be_written_as_a_url_has_it():
    text = filtered({"operation": 1, "key": "name", "string_value": "a b/c"})
    assert query(filter=urllib.parse.quote_plus(text)) == query(filter=text)


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", Order()),
        ("name", Order("name")),
        ("name asc", Order("name")),
        ("Created_At DESC", Order("created_at", descending=True)),
    ],
)
def test_orders(text, order):
    assert query(sort_by=text).order == order


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({"sort_by": "colour"}, "sort_by: 'colour': want one of run_id"),
        ({"sort_by": "description"}, "sort_by: 'description': want one of"),
        ({"sort_by": "name up"}, "sort_by: .*asc or desc"),
        ({"page_size": -1}, "page_size: -1"),
        ({"page_token": "x"}, "page_token: 'x' is not what a page has said"),
        ({"filter": "name = x"}, "not JSON"),
        ({"filter": "{"}, "not JSON"),
        ({"filter": '{"predicate": []}'}, "filter.predicate: unknown field"),
        ({"filter": filtered({"key": "name", "string_value": "x"})}, "operation: want one of EQ"),
        (
            {"filter": filtered({"operation": 1, "key": "colour", "string_value": "x"})},
            r"filter.predicates\[0\].key: 'colour': want one of run_id",
        ),
        ({"filter": filtered({"operation": 1, "key": "name"})}, "EQUALS wants one of int_value"),
        (
            {"filter": filtered({"operation": "IN", "key": "name", "string_value": "x"})},
            "IN wants one of int_values",
        ),
        (
            {"filter": filtered({"operation": 9, "key": "name", "int_value": 1})},
            "IS_SUBSTRING wants one of string_value",
        ),
        (
            {"filter": filtered({"operation": 1, "key": "created_at", "string_value": "now"})},
            r"string_value: \"now\": want a time",
        ),
        (
            {"filter": filtered(*[{"operation": 1, "key": "name", "string_value": "x"}] * 51)},
            "more than 50 predicates",
        ),
        ({"filter": " " * 40_000}, "longer than"),
    ],
)
def test_what_is_wrong_is_named(request_, told):
    with pytest.raises(errors.BadRequestError, match=told):
        query(**request_)


ROWS = st.integers(0, 2**63 - 1)
NAMES = st.builds(Cursor, st.text(max_size=8), ROWS)
TIMES = st.builds(Cursor, st.integers(-(2**63) + 1, 2**63 - 1), ROWS)


@given(
    st.tuples(st.just("name desc"), NAMES) | st.tuples(st.sampled_from(["", "created_at"]), TIMES)
)
def test_a_token_leads_on(ended):
    sorted_by, cursor = ended
    request = {"sort_by": sorted_by, "filter": filtered(), "page_size": 5}
    token = listing.token(request, cursor)
    following = query(**request, page_token=token)
    assert following.after == cursor
    # Clients may say filter and order again, or leave them to the token.
    assert query(page_token=token, page_size=5) == following
    assert listing.token({"page_token": token}, cursor) == token
    for changed in ({"sort_by": "state"}, {"filter": ""}):
        with pytest.raises(errors.BadRequestError, match="is of a list with another"):
            query(**{**request, **changed}, page_token=token)


@pytest.mark.parametrize(("sorted_by", "value"), [("", "x"), ("created_at", "x"), ("name", 1)])
def test_a_token_ends_at_a_value_of_what_is_sorted_by(sorted_by, value):
    token = listing.token({"sort_by": sorted_by}, Cursor(value, 1))
    with pytest.raises(errors.BadRequestError, match="is not what a page has said"):
        query(page_token=token)


def test_the_last_page_has_no_token():
    assert listing.token({}, None) == ""


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
def test_what_no_page_has_said_is_refused(token):
    if token:
        with pytest.raises(errors.BadRequestError, match="page_token"):
            query(page_token=token)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(JSON)
def test_a_token_of_any_json_is_a_cursor_or_refused(value):
    token = base64.urlsafe_b64encode(json.dumps(value).encode()).decode()
    try:
        after = query(page_token=token).after
    except errors.BadRequestError:
        return
    assert isinstance(after.value, str | int)
    assert abs(after.row) < 2**63
