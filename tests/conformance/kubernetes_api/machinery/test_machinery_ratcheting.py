"""A schema that became stricter: what was there already may stay as it is."""

import functools

import pytest

from wherry.objects import kinds

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

RATCHETING = "CRDValidationRatcheting [Privileged:ClusterAdmin] MUST"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
PLACES = (
    "field",
    "struct.field",
    "list[0].field",
    "list[1].field",
    "map[foo].field",
    "map[bar].field",
)


@pytest.fixture
def resource(serve_schema):
    return serve_schema(ANYTHING)


@pytest.fixture
def tighten(api, resource):
    """Give what replaces the schema."""

    def replace(**properties):
        def edit(crd):
            schema = {"type": "object", "properties": properties}
            crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = schema

        api.change(kinds.CUSTOM_RESOURCE_DEFINITIONS, resource.key, edit)

    return replace


def _schema(field, **other):
    struct = {"type": "object", "properties": {"field": field, **other}}
    keyed = {
        "type": "object",
        "properties": {"key": {"type": "string"}, "field": field, **other},
        "required": ["key"],
    }
    return {
        "field": field,
        **other,
        "struct": struct,
        "list": {
            "type": "array",
            "maxItems": 5,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["key"],
            "items": keyed,
        },
        "map": {"type": "object", "maxProperties": 5, "additionalProperties": struct},
    }


def _object(value, **other):
    one = {"field": value, **other}
    return {
        **one,
        "struct": dict(one),
        "list": [{"key": "foo", **one}, {"key": "bar", **one}],
        "map": {"foo": dict(one), "bar": dict(one)},
    }


@pytest.fixture
def write(api, namespace, resource):
    """Give what applies an object of those fields."""

    def apply(fields, **labels):
        metadata = {"name": "one", "namespace": namespace, "labels": labels}
        return api.apply(resource, {"metadata": metadata, **fields}, force=True)

    return apply


LISTS = {
    "setArray": ["foo", "bar", "baz"],
    "atomicArray": ["foo", "bar", "baz"],
}
MORE = {name: [*values, "notfoo"] for name, values in LISTS.items()}


def _lists(item):
    array = {"type": "array", "items": {"type": "string", "maxLength": 9, **item}, "maxItems": 9}
    return {"setArray": {**array, "x-kubernetes-list-type": "set"}, "atomicArray": array}


def _rule(text, **fields):
    return {
        "type": "string",
        "maxLength": 9,
        "x-kubernetes-validations": [{"rule": text, **fields}],
    }


def _tells(caught, places):
    message = caught.value.message
    assert caught.value.code == 422
    assert [place for place in places if place not in message] == [], message


def _both_ways(places):
    """Schemas name a map's entry by a dot, rules by brackets."""
    return [place.replace("[foo]", ".foo").replace("[bar]", ".bar") for place in places]


@case(
    name=f"{RATCHETING} NOT fail to update a resource due to JSONSchema errors on unchanged correlatable fields"
)
def test_unchanged_fields_may_break_the_schema(write, tighten):
    write(_object("foo"))
    tighten(**_schema({"type": "string", "enum": ["notfoo"]}))
    assert write(_object("foo"), foo="bar")["metadata"]["labels"] == {"foo": "bar"}


@case(
    name=f"{RATCHETING} fail to update a resource due to JSONSchema errors on unchanged uncorrelatable fields"
)
def test_lists_that_changed_may_not_break_the_schema(write, tighten):
    write(LISTS)
    tighten(**_lists({"enum": ["notfoo", "notbar", "notbaz"]}))
    with pytest.raises(Exception, match="atomicArray") as caught:
        write(MORE, foo="bar")
    _tells(caught, ["atomicArray", "setArray"])


@case(name=f"{RATCHETING} fail to update a resource due to JSONSchema errors on changed fields")
def test_changed_fields_may_not_break_the_schema(write, tighten):
    write(_object("foo"))
    tighten(**_schema({"type": "string", "enum": ["foo"]}))
    with pytest.raises(Exception, match="field") as caught:
        write(_object("notfoo"))
    _tells(caught, _both_ways(PLACES))


@case(
    name=(
        f"{RATCHETING} NOT fail to update a resource due to CRD Validation Rule errors on "
        "unchanged correlatable fields"
    )
)
def test_unchanged_fields_may_break_rules(write, tighten):
    write(_object("notfoo"))
    tighten(**_schema(_rule('self == "foo"'), otherField={"type": "string"}))
    changed = write(_object("notfoo", otherField="new"))
    assert changed["struct"] == {"field": "notfoo", "otherField": "new"}


@case(
    name=f"{RATCHETING} fail to update a resource due to CRD Validation Rule errors on unchanged uncorrelatable fields"
)
def test_lists_that_changed_may_not_break_rules(write, tighten):
    write(LISTS)
    tighten(**_lists(_rule('self != "foo"')))
    with pytest.raises(Exception, match="atomicArray") as caught:
        write(MORE, foo="bar")
    _tells(caught, ["atomicArray", "setArray"])


@case(
    name=f"{RATCHETING} fail to update a resource due to CRD Validation Rule errors on changed fields"
)
def test_changed_fields_may_not_break_rules(write, tighten):
    write(_object("foo"))
    tighten(**_schema(_rule('self == "foo"')))
    with pytest.raises(Exception, match="field") as caught:
        write(_object("notfoo"))
    _tells(caught, PLACES)


@case(name=f"{RATCHETING} NOT ratchet errors raised by transition rules")
def test_rules_about_changes_hold_for_what_did_not_change(write, tighten):
    write(_object("foo"))
    tighten(**_schema(_rule("self != oldSelf")))
    with pytest.raises(Exception, match="field") as caught:
        write(_object("foo"), foo="bar")
    _tells(caught, PLACES)


@case(
    name=f"{RATCHETING} evaluate a CRD Validation Rule with oldSelf = nil for new values when optionalOldSelf is true"
)
def test_rules_may_ask_whether_there_was_a_value(write, tighten):
    tighten(
        **_schema(_rule("!oldSelf.hasValue() || self != oldSelf.value()", optionalOldSelf=True))
    )
    write(_object("foo"))
    with pytest.raises(Exception, match="field") as caught:
        write(_object("foo"), foo="bar")
    _tells(caught, PLACES)
    assert write(_object("new"))["field"] == "new"
