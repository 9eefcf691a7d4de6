"""Structural schemas of custom resources: pruning, defaults, and every rule's wording."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import errors
from wherry.objects.schemas import Schema, SchemaError

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def compiled(field: dict[str, Any], **more: Any) -> Schema:
    """Return the schema of objects with one field ``f``."""
    return Schema.compile({"type": "object", "properties": {"f": field}, **more}, resource=False)


def causes(field: dict[str, Any], value: Any) -> list[tuple[str, str, str]]:
    found = compiled(field).check({"f": value})
    return [(cause.field, cause.message, cause.reason) for cause in found]


@pytest.mark.parametrize(
    ("field", "good", "bad", "message", "reason"),
    [
        (
            STRING,
            "x",
            1,
            'Invalid value: "integer": f in body must be of type string: "integer"',
            "TypeInvalid",
        ),
        (
            INTEGER,
            1,
            True,
            'Invalid value: "boolean": f in body must be of type integer: "boolean"',
            "TypeInvalid",
        ),
        (
            INTEGER,
            1.0,
            1.5,
            'Invalid value: "number": f in body must be of type integer: "number"',
            "TypeInvalid",
        ),
        (
            {"type": "number"},
            1,
            "1",
            'Invalid value: "string": f in body must be of type number: "string"',
            "TypeInvalid",
        ),
        (
            STRING,
            "x",
            None,
            'Invalid value: "null": f in body must be of type string: "null"',
            "TypeInvalid",
        ),
        (
            {"x-kubernetes-int-or-string": True},
            "50%",
            False,
            'Invalid value: "boolean": f in body must be of type integer,string: "boolean"',
            "TypeInvalid",
        ),
        (
            {**STRING, "enum": ["a", "b"]},
            "a",
            "c",
            'Unsupported value: "c": supported values: "a", "b"',
            "NotSupported",
        ),
        (
            {**INTEGER, "minimum": 1},
            1,
            0,
            "Invalid value: 0: f in body should be greater than or equal to 1",
            "Invalid",
        ),
        (
            {**INTEGER, "minimum": 1, "exclusiveMinimum": True},
            2,
            1,
            "Invalid value: 1: f in body should be greater than 1",
            "Invalid",
        ),
        (
            {**INTEGER, "maximum": 1},
            1,
            2,
            "Invalid value: 2: f in body should be less than or equal to 1",
            "Invalid",
        ),
        (
            {**INTEGER, "maximum": 1, "exclusiveMaximum": True},
            0,
            1,
            "Invalid value: 1: f in body should be less than 1",
            "Invalid",
        ),
        (
            {**INTEGER, "multipleOf": 5},
            10,
            7,
            "Invalid value: 7: f in body should be a multiple of 5",
            "Invalid",
        ),
        (
            {**STRING, "minLength": 2},
            "ab",
            "a",
            'Invalid value: "a": f in body should be at least 2 chars long',
            "Invalid",
        ),
        (
            {**STRING, "maxLength": 2},
            "ab",
            "abc",
            "Too long: may not be more than 2 bytes",
            "TooLong",
        ),
        (
            {**STRING, "pattern": "^a+$"},
            "aa",
            "aa\n",
            "Invalid value: \"aa\\n\": f in body should match '^a+$'",
            "Invalid",
        ),
        (
            {**STRING, "pattern": "[[:alpha:]]"},
            "1a",
            "1",
            "Invalid value: \"1\": f in body should match '[[:alpha:]]'",
            "Invalid",
        ),
        (
            {"type": "array", "minItems": 1},
            [1],
            [],
            "Invalid value: []: f in body should have at least 1 items",
            "Invalid",
        ),
        (
            {"type": "array", "maxItems": 1},
            [1],
            [1, 2],
            "Too many: 2: must have at most 1 items",
            "TooMany",
        ),
        (
            {"type": "array", "uniqueItems": True},
            [1, True],
            [1, 1.0],
            "Invalid value: [1,1.0]: f in body shouldn't contain duplicates",
            "Invalid",
        ),
        (
            {"type": "object", "minProperties": 1},
            {"a": 1},
            {},
            "Invalid value: {}: f in body should have at least 1 properties",
            "Invalid",
        ),
        (
            {"type": "object", "maxProperties": 0},
            {},
            {"a": 1},
            "Too many: 1: must have at most 0 items",
            "TooMany",
        ),
        (
            {**STRING, "format": "date-time"},
            "2024-01-01T00:00:00Z",
            "x",
            'Invalid value: "x": f in body must be of type date-time: "x"',
            "TypeInvalid",
        ),
        (
            {**INTEGER, "format": "int32"},
            5,
            2**31,
            "Invalid value: 2147483648: f in body must be of type int32: 2147483648",
            "TypeInvalid",
        ),
        (
            {**STRING, "format": "surely-unknown"},
            "x",
            None,
            'Invalid value: "null": f in body must be of type string: "null"',
            "TypeInvalid",
        ),
    ],
)
def test_rules(field: dict[str, Any], good: Any, bad: Any, message: str, reason: str):
    assert causes(field, good) == []
    assert causes(field, bad) == [("f", message, f"FieldValue{reason}")]


@pytest.mark.parametrize(
    ("format_", "good", "bad"),
    [
        ("byte", "aGk=", "a"),
        ("cidr", "10.0.0.0/8", "10.0.0.0"),
        ("date", "2024-02-29", "2023-02-29"),
        ("duration", "1h30m", "soon"),
        ("email", "a@b.c", "a"),
        ("hostname", "a.b-c", "a_b"),
        ("ipv4", "127.0.0.1", "::1"),
        ("ipv6", "::1", "127.0.0.1"),
        ("mac", "00:1b:44:11:3a:b7", "00:1b"),
        ("uri", "https://x/y", "x y"),
        ("uuid", "123e4567-e89b-12d3-a456-426614174000", "x"),
    ],
)
def test_formats(format_: str, good: str, bad: str):
    assert causes({**STRING, "format": format_}, good) == []
    assert causes({**STRING, "format": format_}, bad)[0][2] == "FieldValueTypeInvalid"


def test_required_and_places():
    item = {"type": "object", "required": ["name"], "properties": {"name": STRING}}
    field = {"type": "array", "items": item}
    assert causes(field, [{"name": "a"}, {}]) == [
        ("f[1].name", "Required value", "FieldValueRequired")
    ]
    in_map = {"type": "object", "additionalProperties": INTEGER}
    assert causes(in_map, {"k": "x"})[0][0] == "f.k"


def test_sets_and_maps_have_no_duplicates():
    names = {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}
    assert causes(names, ["a", "b", "a"]) == [
        ("f[2]", 'Duplicate value: "a"', "FieldValueDuplicate")
    ]
    keyed = {
        "type": "array",
        "items": {"type": "object", "properties": {"name": STRING, "x": INTEGER}},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    assert causes(keyed, [{"name": "a", "x": 1}, {"name": "a", "x": 2}]) == [
        ("f[1]", 'Duplicate value: {"name":"a"}', "FieldValueDuplicate")
    ]


@pytest.mark.parametrize(
    ("combination", "good", "bad", "wording"),
    [
        ({"anyOf": [{"minimum": 10}, {"maximum": 1}]}, 0, 5, "at least one schema (anyOf)"),
        (
            {"oneOf": [{"minimum": 0}, {"minimum": 10}]},
            5,
            50,
            "(oneOf). Found 2 valid alternatives",
        ),
        ({"oneOf": [{"minimum": 0}, {"minimum": 10}]}, 5, -1, "(oneOf). Found none valid"),
        ({"allOf": [{"minimum": 0}, {"maximum": 10}]}, 5, 50, "less than or equal to 10"),
        ({"not": {"enum": [5]}}, 4, 5, "must not validate the schema (not)"),
    ],
)
def test_combinations(combination: dict[str, Any], good: int, bad: int, wording: str):
    assert causes({**INTEGER, **combination}, good) == []
    assert wording in causes({**INTEGER, **combination}, bad)[0][1]


def test_one_of_required_fields():
    field = {
        "type": "object",
        "properties": {"a": STRING, "b": STRING},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    }
    assert causes(field, {"a": "x"}) == []
    assert len(causes(field, {"a": "x", "b": "y"})) == 1


def test_nullable():
    assert causes({**STRING, "nullable": True}, None) == []
    obj = {"f": None}
    compiled({**STRING, "nullable": True}).decode(obj)
    assert obj == {"f": None}
    compiled(STRING).decode(obj)
    assert obj == {}


def test_unknown_fields_are_pruned_unless_preserved():
    schema = compiled(
        {
            "type": "object",
            "properties": {
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "known": STRING,
            },
        }
    )
    obj = {"f": {"free": {"a": {"b": 1}}, "known": "x", "other": 1}, "g": 2}
    assert schema.unknown(obj) == ["f.other", "g"]
    schema.prune(obj)
    assert obj == {"f": {"free": {"a": {"b": 1}}, "known": "x"}}


def test_preserved_fields_are_still_pruned_where_they_are_described():
    inner = {"type": "object", "properties": {"a": STRING}}
    field = {
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": True,
        "properties": {"inner": inner},
    }
    obj = {"f": {"inner": {"a": "x", "b": 1}, "other": {"b": 1}}}
    compiled(field).prune(obj)
    assert obj == {"f": {"inner": {"a": "x"}, "other": {"b": 1}}}


def test_fields_without_a_type_are_pruned_where_they_are_described():
    inner = {"type": "object", "properties": {"a": STRING}}
    field = {"x-kubernetes-preserve-unknown-fields": True, "properties": {"inner": inner}}
    obj = {"f": {"inner": {"a": "x", "b": 1}, "other": [1]}}
    compiled(field).prune(obj)
    assert obj == {"f": {"inner": {"a": "x"}, "other": [1]}}
    assert causes(field, 5) == []


def test_embedded_resources_keep_their_envelope():
    schema = compiled({"type": "object", "x-kubernetes-embedded-resource": True})
    obj = {"f": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}}}
    assert schema.decode(obj) == ["f.spec"]
    assert schema.check(obj) == []
    assert [cause.field for cause in schema.check({"f": {}})] == ["f.apiVersion", "f.kind"]


def test_defaults_are_deep_and_copied():
    inner = {"type": "object", "properties": {"a": {**STRING, "default": "x"}}, "default": {}}
    schema = compiled(inner)
    first: dict[str, Any] = {}
    second: dict[str, Any] = {"f": None}
    schema.default(first)
    schema.default(second)
    assert first == second == {"f": {"a": "x"}}
    first["f"]["a"] = "changed"
    assert second == {"f": {"a": "x"}}


def test_defaults_reach_into_lists_and_maps():
    item = {"type": "object", "properties": {"a": {**INTEGER, "default": 1}}}
    for container, value in (
        ({"type": "array", "items": item}, [{}, {"a": 2}]),
        ({"type": "object", "additionalProperties": item}, {"x": {}, "y": {"a": 2}}),
    ):
        obj: dict[str, Any] = {"f": copy.deepcopy(value)}
        compiled(container).default(obj)
        found = obj["f"].values() if isinstance(obj["f"], dict) else obj["f"]
        assert [entry["a"] for entry in found] == [1, 2]


def test_a_nullable_null_is_no_missing_value():
    obj = {"f": None}
    compiled({**STRING, "nullable": True, "default": "x"}).default(obj)
    assert obj == {"f": None}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "text"}, "openAPIV3Schema.properties[f].type"),
        ({**STRING, "pattern": "("}, "openAPIV3Schema.properties[f]"),
        ({"type": "array", "items": 5}, "openAPIV3Schema.properties[f].items"),
    ],
)
def test_malformed_schemas_are_refused_with_their_place(field: dict[str, Any], words: str):
    with pytest.raises(SchemaError) as caught:
        compiled(field)
    assert words in str(caught.value)


def test_bounds():
    many = causes({"type": "array", "items": STRING}, [1] * 10_000)
    assert len(many) <= 101
    assert "characters to be matched" in causes({**STRING, "pattern": "a"}, "a" * 20_000)[0][1]
    assert len(causes({**STRING, "enum": ["a"]}, "b" * 10_000)[0][1]) < 400
    deep: Any = {}
    for _ in range(5000):
        deep = {"x": deep}
    schema = compiled({"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    with pytest.raises(errors.BadRequestError, match="levels deep"):
        schema.decode({"f": deep})


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "f", "g"]), inner, max_size=3)
    ),
    max_leaves=12,
)
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["string", "integer", "boolean"])},
        optional={"nullable": st.booleans()},
    )
    | st.just({"type": "string", "default": "x"})
    | st.just({"type": "object", "x-kubernetes-preserve-unknown-fields": True}),
    lambda inner: (
        st.builds(lambda item: {"type": "array", "items": item}, inner)
        | st.builds(lambda item: {"type": "object", "additionalProperties": item}, inner)
        | st.builds(
            lambda fields: {"type": "object", "properties": fields, "default": {}},
            st.dictionaries(st.sampled_from(["a", "b", "f"]), inner, max_size=3),
        )
    ),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
def test_laws(field: dict[str, Any], value: Any):
    schema = compiled(field)
    obj = {"f": value}
    before = copy.deepcopy(obj)
    schema.unknown(obj)
    schema.check(obj)
    assert obj == before
    schema.prune(obj)
    assert schema.unknown(obj) == []
    schema.default(obj)
    defaulted = copy.deepcopy(obj)
    schema.default(obj)
    assert obj == defaulted
    assert schema.decode(obj) == []
