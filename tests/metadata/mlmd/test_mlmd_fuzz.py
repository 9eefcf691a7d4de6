"""Whatever is asked: an answer that can be sent, or a refusal in words."""

import base64
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wherry.metadata.errors import UnstorableError
from wherry.metadata.mlmd.calls import CALLS
from wherry.objects import errors
from wherry.pipelines.api.mlmd import codec, messages

SMALL = st.integers(-1, 6)
TEXTS = st.sampled_from(
    ["", "T", "n", "x", "id = 1", "name LIKE '%'", "uri", "properties.a", "\0é"]
)
VALUES = {
    "int32": st.one_of(SMALL, st.just(-(2**31))),
    "int64": st.one_of(SMALL, st.integers(1000, 1003), st.sampled_from([2**63 - 1, -(2**63)])),
    "double": st.floats(),
    "bool": st.booleans(),
    "string": TEXTS,
    "bytes": st.binary(max_size=3).map(lambda each: base64.b64encode(each).decode()),
}


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | TEXTS,
    lambda each: st.lists(each, max_size=2) | st.dictionaries(TEXTS, each, max_size=2),
    max_leaves=4,
)


def value(field, depth):
    """Draw what a field can hold."""
    one: st.SearchStrategy[Any]
    if field.kind == messages.JSON_OBJECT:
        one = st.dictionaries(st.just("k"), JSON)
    elif field.kind in messages.MESSAGES:
        one = message(field.kind, depth + 1)
    else:
        one = VALUES[field.kind]
    if field.mapped:
        return st.dictionaries(st.sampled_from("ab"), one, min_size=1, max_size=2)
    return st.lists(one, min_size=1, max_size=2) if field.repeated else one


def message(name, depth=0):
    """Draw a message of the table."""
    known = [
        field
        for field in messages.MESSAGES[name]
        if depth < 4 or field.kind not in messages.MESSAGES or field.kind == messages.JSON_OBJECT
    ]
    fields = {field.name: value(field, depth) for field in known}
    choices: dict[str, list[str]] = {}
    for field in known:
        if field.choice:
            choices.setdefault(field.choice, []).append(field.name)

    def single(drawn):
        for names in choices.values():
            for extra in [name for name in names if name in drawn][1:]:
                del drawn[extra]
        return drawn

    return st.fixed_dictionaries({}, optional=fields).map(single)


REQUESTS = {name: message(f"{name}Request") for name in messages.METHODS}


def test_each_method_of_the_table_is_answered():
    assert set(messages.METHODS) == set(CALLS)
    assert {f"{name}Response" for name in CALLS} <= set(messages.MESSAGES)


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(messages.METHODS).flatmap(lambda name: st.tuples(st.just(name), REQUESTS[name]))
)
def test_a_message_is_read_as_it_was_written(case):
    name, request = case
    data = codec.write(f"{name}Request", request)
    assert codec.write(f"{name}Request", codec.read(f"{name}Request", data)) == data
    assert repr(codec.read(f"{name}Request", data)) == repr(_known(f"{name}Request", request))


def _known(name, request):
    """Return a message in the order of its table, its maps in the order of their keys."""
    made: dict[str, Any] = {}
    for field in messages.MESSAGES[name]:
        if field.name not in request:
            continue
        held = request[field.name]
        if field.mapped:
            made[field.name] = {key: _one(field, held[key]) for key in sorted(held)}
        elif field.repeated:
            made[field.name] = [_one(field, each) for each in held]
        else:
            made[field.name] = _one(field, held)
    return made


def _one(field, given_value):
    if field.kind == messages.JSON_OBJECT:
        return _ordered(given_value)
    return _known(field.kind, given_value) if field.kind in messages.MESSAGES else given_value


def _ordered(json):
    if isinstance(json, list):
        return [_ordered(each) for each in json]
    return {key: _ordered(json[key]) for key in sorted(json)} if isinstance(json, dict) else json


@pytest.mark.parametrize(
    "data",
    [
        b"\x1a\x01\xff",  # uri
        b"\x22\x05\x0a\x01\xff\x12\x00",  # a name of a property
        b"\x22\x08\x0a\x01a\x12\x03\x1a\x01\xff",  # a property
        b"\x22\x0d\x0a\x01a\x12\x08\x22\x06\x0a\x04\x0a\x02\xc3\x28",  # a name in a structure
        b"\x1a\x05\xff",
    ],
)
def test_texts_that_are_none_are_refused(data):
    assert codec.read("Artifact", b"\x1a\x01a") == {"uri": "a"}
    with pytest.raises(errors.BadRequestError, match="the message is no Artifact"):
        codec.read("Artifact", data)


def test_what_steps_have_written_can_be_sent_whatever_it_is():
    half = {
        "\ud800": {"struct_value": {"\udfff": ["\ud800", "é"]}},
        "s": {"string_value": "\ud800é"},
    }
    sent = codec.read(
        "Artifact", codec.write("Artifact", {"name": "\ud800", "custom_properties": half})
    )
    assert sent == {
        "name": "?",
        "custom_properties": {
            "?": {"struct_value": {"?": ["?", "é"]}},
            "s": {"string_value": "?é"},
        },
    }


@pytest.fixture
def some(service):
    """Have some nodes there, with small ids."""
    for kind in ("Artifact", "Execution", "Context"):
        type_ = service.type(kind, "T", a=1, b=3)
        service.put(kind, {"type_id": type_, "name": "n"}, {"type_id": type_, "name": "m"})
    return service


@settings(
    deadline=None,
    max_examples=400,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.sampled_from(messages.METHODS).flatmap(lambda name: st.tuples(st.just(name), REQUESTS[name]))
)
def test_whatever_is_asked_is_answered_or_refused(some, case):
    name, request = case
    asked = codec.read(f"{name}Request", codec.write(f"{name}Request", request))
    try:
        answer = some(name, **asked)
    except UnstorableError:
        return
    except errors.ApiError as error:
        refused = error
    else:
        codec.write(f"{name}Response", answer)
        return
    assert refused.message
    assert refused.code < 500


def test_a_message_is_the_same_bytes_however_its_maps_were_filled():
    keys = [f"k{number}" for number in range(20)]
    for kind, one in (("struct_value", {"x": {"b": 1.0, "a": 2.0}}), ("int_value", 7)):
        there, back = (
            codec.write("Artifact", {"custom_properties": {key: {kind: one} for key in order}})
            for order in (keys, keys[::-1])
        )
        assert there == back
        assert list(codec.read("Artifact", back)["custom_properties"]) == sorted(keys)
