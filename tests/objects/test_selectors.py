"""Selectors: the grammar, what they choose, and how they print."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import selectors
from wherry.objects.selectors import Requirement

WEB = {"app": "web", "tier": "front", "count": "5", "empty": ""}


@pytest.mark.parametrize(
    ("text", "canonical", "chosen"),
    [
        ("", "", True),
        (" ", "", True),
        ("app=web", "app=web", True),
        ("app==web", "app=web", True),
        (" app = web , tier=front ", "app=web,tier=front", True),
        ("app=other", "app=other", False),
        ("app!=web", "app!=web", False),
        ("missing!=web", "missing!=web", True),
        ("app in (web, api)", "app in (api,web)", True),
        ("app in (api)", "app in (api)", False),
        ("missing in (api)", "missing in (api)", False),
        ("app notin (api,web)", "app notin (api,web)", False),
        ("missing notin (a)", "missing notin (a)", True),
        ("app", "app", True),
        ("missing", "missing", False),
        ("!app", "!app", False),
        ("! missing", "!missing", True),
        ("empty=", "empty=", True),
        ("missing=", "missing=", False),
        ("empty in (,a)", "empty in (,a)", True),
        ("count>4", "count>4", True),
        ("count > 5", "count>5", False),
        ("count<6", "count<6", True),
        ("app>1", "app>1", False),
        ("missing<1", "missing<1", False),
        ("in in (in),notin notin (notin)", "in in (in),notin notin (notin)", False),
        ("example.com/x", "example.com/x", False),
    ],
)
def test_label_selectors(text: str, canonical: str, chosen: bool) -> None:
    selector = selectors.parse_labels(text)
    assert str(selector) == canonical
    assert selectors.parse_labels(canonical) == selector
    assert selector.matches(WEB) is chosen
    assert selector.empty is (canonical == "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("app=web,", "found the end, expected a key"),
        (",app", "found ',', expected a key"),
        ("app web", "found 'web', expected one of"),
        ("app=!web", "found '!', expected a value"),
        ("app in web", r"found 'web', expected '\('"),
        ("app in (web", r"found the end, expected '\)'"),
        ("app in ()", "at least one value is required"),
        ("!", "found the end"),
        ("a>b", "must be an integer, not 'b'"),
        ("a>", "must be an integer"),
        ("a=b=c", "found '=', expected ','"),
        ("-a=b", "invalid label key '-a'"),
        ("a=b/c", "invalid label value 'b/c' at key 'a'"),
        ("a='b'", "invalid label value"),
        ("a" * 40000, "at most 32768"),
    ],
)
def test_bad_label_selectors_are_told(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        selectors.parse_labels(text)


def test_a_selector_object_is_compiled() -> None:
    selector = selectors.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "old", "operator": "DoesNotExist"},
                {"key": "count", "operator": "Exists", "values": None},
                {"key": "app", "operator": "NotIn", "values": ["x"]},
            ],
        }
    )
    assert str(selector) == "app=web,app notin (x),count,!old,tier in (back,front)"
    assert selector.matches(WEB)
    assert not selector.matches({"app": "web"})
    assert not selector.matches(None)


def test_no_selector_chooses_nothing_and_an_empty_one_all() -> None:
    assert not selectors.from_object(None).matches(WEB)
    assert not selectors.from_object(None).empty
    assert selectors.from_object({}).matches(None)
    assert selectors.from_object({"matchLabels": None, "matchExpressions": []}).empty
    assert selectors.NOTHING != selectors.EVERYTHING
    assert selectors.from_labels({"app": "web"}).requirements == (
        Requirement("app", "=", ("web",)),
    )


@pytest.mark.parametrize(
    ("selector", "why"),
    [
        ({"app": "web"}, "unknown field 'app': want matchLabels and matchExpressions"),
        ([], "must be an object"),
        ({"matchLabels": []}, None),
        ({"matchLabels": ["a"]}, "matchLabels: must be an object"),
        (
            {"matchLabels": {"a": 1}},
            "matchLabels: invalid label value 1 at key 'a': must be a string",
        ),
        ({"matchLabels": {"a b": "c"}}, "matchLabels: invalid label key 'a b'"),
        ({"matchExpressions": {}}, None),
        ({"matchExpressions": "x"}, "matchExpressions: must be a list"),
        ({"matchExpressions": ["x"]}, r"matchExpressions\[0\]: must be an object"),
        (
            {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]},
            r'matchExpressions\[0\].operator: Unsupported value: "Gt": supported values: "DoesNotExist"',
        ),
        ({"matchExpressions": [{"key": "a", "operator": "In"}]}, "at least one value is required"),
        (
            {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]},
            "must be empty",
        ),
        (
            {"matchExpressions": [{"key": "a", "operator": "In", "values": "b"}]},
            "a list of strings",
        ),
        (
            {"matchExpressions": [{"operator": "Exists"}]},
            "invalid label key None: must be a string",
        ),
    ],
)
def test_bad_selector_objects_are_told(selector: Any, why: str | None) -> None:
    if why is None:
        assert selectors.from_object(selector).empty
        return
    with pytest.raises(ValueError, match=why):
        selectors.from_object(selector)


def test_node_terms_compare_numbers() -> None:
    term = {"matchExpressions": [{"key": "count", "operator": "Gt", "values": ["4"]}]}
    assert selectors.from_node_term(term).matches(WEB)
    assert not selectors.from_node_term({}).matches(WEB)
    with pytest.raises(ValueError, match="exactly one value"):
        selectors.from_node_term({"matchExpressions": [{"key": "a", "operator": "Lt"}]})


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("", []),
        ("metadata.name=x", [("metadata.name", "=", "x")]),
        ("a==x,b!=y", [("a", "=", "x"), ("b", "!=", "y")]),
        ("a=,", [("a", "=", "")]),
        (r"a=b\,c\=d\\", [("a", "=", "b,c=d\\")]),
    ],
)
def test_field_selectors(text: str, requirements: list[tuple[str, str, str]]) -> None:
    selector = selectors.parse_fields(text)
    assert [tuple(requirement) for requirement in selector.requirements] == requirements
    assert selectors.parse_fields(str(selector)) == selector
    assert selector.empty is (len(requirements) == 0)


def test_field_selectors_choose() -> None:
    selector = selectors.parse_fields("metadata.name=x,status.phase!=Running")
    assert selector.matches({"metadata.name": "x", "status.phase": "Pending"})
    assert selector.matches({"metadata.name": "x"})
    assert not selector.matches({"metadata.name": "x", "status.phase": "Running"})
    assert not selector.matches({})


@pytest.mark.parametrize("text", ["a", "=b", "a=b=c", "a=\\", r"a=\n", "a>b", " =b", "a" * 40000])
def test_bad_field_selectors_are_told(text: str) -> None:
    with pytest.raises(ValueError, match="field selector"):
        selectors.parse_fields(text)


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_field_values_are_escaped(values: dict[str, str]) -> None:
    wanted = tuple(
        selectors.FieldRequirement(f"f{index}", "=", value)
        for index, value in enumerate(values.values())
    )
    assert selectors.parse_fields(str(selectors.FieldSelector(wanted))).requirements == wanted


@given(st.text(alphabet="ab=!(),<>in \t-", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = selectors.parse_labels(text)
    except ValueError:
        return
    assert selectors.parse_labels(str(selector)) == selector
    assert selector.matches({"a": "b"}) in {True, False}


OPPOSITES: tuple[selectors.Operator, selectors.Operator] = ("in", "notin")

labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["", "x", "1"]))


@given(labels, st.sampled_from("abc"), st.sets(st.sampled_from(["", "x", "1"]), min_size=1))
def test_negations_are_opposites(have: dict[str, str], key: str, values: set[str]) -> None:
    inside, outside = (
        selectors.parse_labels(str(Requirement(key, operator, tuple(values)))).matches(have)
        for operator in OPPOSITES
    )
    assert inside is not outside
    assert inside is (have.get(key) in values)
