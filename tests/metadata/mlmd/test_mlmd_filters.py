"""Filter queries: what they mean is what a naive reading of their tree says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.metadata.mlmd import filters
from wherry.metadata.mlmd.kinds import ARTIFACT, CONTEXT, EXECUTION
from wherry.objects.errors import BadRequestError

TEXTS = st.text("ab%_'\\é", max_size=4)
NUMBERS = st.integers(-3, 3)
SIGNS = {
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
}


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unless_missing(test):
    return lambda value: None if value is None else test(value)


def like(pattern, value):
    made = "".join({"%": ".*", "_": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(made, value, re.DOTALL) is not None


@st.composite
def asked(draw):
    """Draw what is asked of one field: as text, and as a function of a node."""
    if draw(st.booleans()):
        field, path = draw(
            st.sampled_from(
                [
                    ("uri", ("uri",)),
                    ("properties.s.string_value", ("properties", "s", "string_value")),
                ]
            )
        )
        value = draw(TEXTS)
        text, test = draw(
            st.sampled_from(
                [
                    (f"= {quoted(value)}", lambda each: each == value),
                    (f"LIKE {quoted(value)}", lambda each: like(value, each)),
                    (f"IN ({quoted(value)}, 'b')", lambda each: each in (value, "b")),
                ]
            )
        )
    else:
        field, path = draw(
            st.sampled_from(
                [
                    ("id", ("id",)),
                    (
                        "custom_properties.`a b`.int_value",
                        ("custom_properties", "a b", "int_value"),
                    ),
                ]
            )
        )
        sign, low = draw(st.sampled_from(sorted(SIGNS))), draw(NUMBERS)
        text, test = draw(
            st.sampled_from(
                [
                    (f"{sign} {low}", lambda each: SIGNS[sign](each, low)),
                    (f"BETWEEN {low} AND 2", lambda each: low <= each <= 2),
                ]
            )
        )
    if draw(st.integers(0, 5)) == 0:
        return f"{field} IS NULL", lambda node: found(node, path) is None
    return f"{field} {text}", lambda node: unless_missing(test)(found(node, path))


def found(node, path):
    for name in path:
        node = node.get(name) if node is not None else None
    return node


def negated(part):
    text, test = part
    return f"NOT ({text})", lambda node: None if test(node) is None else not test(node)


def joined(parts):
    (one, first), (other, second), word = parts

    def test(node):
        answers = {first(node), second(node)}
        decisive = word == "OR"
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive

    return f"({one} {word} {other})", test


QUERIES = st.recursive(
    asked(),
    lambda parts: (
        parts.map(negated) | st.tuples(parts, parts, st.sampled_from(["AND", "OR"])).map(joined)
    ),
    max_leaves=6,
)
NODES = st.fixed_dictionaries(
    {"id": NUMBERS},
    optional={
        "uri": TEXTS,
        "properties": st.fixed_dictionaries(
            {}, optional={"s": st.builds(dict, string_value=TEXTS)}
        ),
        "custom_properties": st.fixed_dictionaries(
            {}, optional={"a b": st.builds(dict, int_value=NUMBERS)}
        ),
    },
)


@given(QUERIES, NODES)
def test_a_query_means_what_it_says(query, node):
    text, test = query
    assert filters.read(ARTIFACT, text).holds(node, {}) == (test(node) is True)


@given(QUERIES, NODES)
def test_what_the_database_is_asked_leaves_nothing_out(query, node):
    text, test = query
    if test(node):
        for field, values in filters.read(ARTIFACT, text).exact().items():
            assert node.get(field) in values


def test_a_context_of_a_query_is_one_context():
    query = filters.read(EXECUTION, "contexts_a.name = 'x' AND contexts_a.type = 'T'")
    one, other = {"name": "x", "type": "U"}, {"name": "y", "type": "T"}
    assert not query.holds({"id": 1}, {"contexts": [one, other]})
    assert query.holds({"id": 1}, {"contexts": [one, {"name": "x", "type": "T"}]})
    apart = filters.read(EXECUTION, "contexts_a.name = 'x' AND contexts_b.type = 'T'")
    assert apart.holds({"id": 1}, {"contexts": [one, other]})


def test_states_are_asked_for_by_name():
    assert filters.read(EXECUTION, "last_known_state = COMPLETE").holds(
        {"id": 1, "last_known_state": 3}, {}
    )
    assert filters.read(ARTIFACT, "events_0.type = OUTPUT").holds(
        {"id": 1}, {"events": [{"type": 3}, {"type": 4}]}
    )


@pytest.mark.parametrize(
    ("kind", "query", "told"),
    [
        (ARTIFACT, "invalid syntax", "'invalid' is nothing that artifacts have"),
        (ARTIFACT, "last_known_state = COMPLETE", "is nothing that artifacts have"),
        (CONTEXT, "uri = 'x'", "is nothing that contexts have"),
        (CONTEXT, "contexts_a.name = 'x'", "is nothing that contexts have"),
        (ARTIFACT, "id = 'x'", r"'x' at character 5: want a value of id \(int\)"),
        (ARTIFACT, "uri = 1", r"want a value of uri \(text\)"),
        (ARTIFACT, "state = NULL", "one of UNKNOWN, PENDING, LIVE"),
        (ARTIFACT, "id LIKE '1'", "id is no text"),
        (ARTIFACT, f"uri LIKE '{'_' * 501}'", "LIKE has more than 500 characters"),
        (ARTIFACT, "id = 1 AND", "want the name of a field"),
        (ARTIFACT, "id = 1 id = 2", "want AND, OR or the end"),
        (ARTIFACT, "(id = 1", r"want \)"),
        (ARTIFACT, "id = 99999999999999999999", "want a value of id"),
        (ARTIFACT, "lower(uri) = 'x'", "'lower' is nothing"),
        (ARTIFACT, "id + 1 = 2", "cannot be read"),
        (ARTIFACT, "NOT " * 60 + "id = 1", "nested more than 50 deep"),
        (ARTIFACT, "(" * 60 + "id = 1" + ")" * 60, "nested more than 50 deep"),
        (ARTIFACT, "id = 1 OR " * 500 + "id = 1", "at most 4096 are taken"),
        (
            ARTIFACT,
            " AND ".join(f"contexts_{name}.id = 1" for name in "abcd"),
            "speaks of 4 contexts and events; at most 3",
        ),
    ],
)
def test_what_is_not_understood_is_refused_with_what_is(kind, query, told):
    with pytest.raises(BadRequestError, match=told) as refused:
        filters.read(kind, query)
    assert "want comparisons" in refused.value.message


def test_a_very_long_text_is_not_asked_for_like():
    query = filters.read(ARTIFACT, "uri LIKE '%_b%'")
    with pytest.raises(BadRequestError, match="more than 65536 characters"):
        query.holds({"id": 1, "uri": "a" * 70_000}, {})
