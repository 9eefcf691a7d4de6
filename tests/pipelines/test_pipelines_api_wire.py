"""Messages as JSON, against the JSON of protocol buffers itself."""

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from wherry.objects import errors
from wherry.pipelines.api import messages, methods, rpc, transcoding, uploading, wire
from wherry.pipelines.api.routing import Routes
from wherry.testing.pipelines_messages import TEXT, message

CLASSES = rpc.classes()
NAMES = [name for name in messages.MESSAGES if not name.startswith("Upload")]
TRANSCODED = [
    each
    for each in methods.METHODS
    # What has fields that a URL's query cannot have is asked for by REST alone.
    if not uploading.is_upload(each) and each.request not in ("Empty", "Filter")
]


@given(st.data())
def test_what_is_written_is_what_protocol_buffers_write(data):
    name = data.draw(st.sampled_from(NAMES))
    value = data.draw(message(name))
    made = json_format.ParseDict(value, CLASSES[name]())
    expected = json_format.MessageToDict(made, preserving_proto_field_name=True)
    written = wire.write(name, wire.read(name, value))
    assert json.loads(json.dumps(written)) == expected


@given(st.data())
def test_what_protocol_buffers_write_is_read_in_both_spellings(data):
    name = data.draw(st.sampled_from(NAMES))
    value = wire.read(name, data.draw(message(name)))
    made = json_format.ParseDict(wire.write(name, value), CLASSES[name]())
    for preserving in (False, True):
        told = json_format.MessageToDict(made, preserving_proto_field_name=preserving)
        assert wire.write(name, wire.read(name, told)) == wire.write(name, value)


@given(st.data())
def test_a_call_by_grpc_is_the_same_by_rest(data):
    method = data.draw(st.sampled_from(TRANSCODED))
    value = wire.read(method.request, data.draw(message(method.request)))
    for field in methods.fields(method.path):
        target = value.setdefault(method.body, {}) if method.http == "PATCH" else value
        target[field] = data.draw(TEXT.filter(bool))
    call = transcoding.rest_call(method, wire.write(method.request, value))
    path, _, query = call.target.partition("?")
    found, named = Routes(methods.METHODS).find(call.http, path)
    assert found.key == method.key
    assert dict(named) == {
        field: (value[method.body] if method.http == "PATCH" else value)[field]
        for field in methods.fields(method.path)
    }
    sent = wire.parse(call.body) if call.body else {}
    if method.body == "*":
        assert sent == wire.write(method.request, value)
    elif method.body:
        kept = wire.write(method.request, value).get(method.body, {})
        assert sent == kept
    assert not query or method.body != "*"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("Run", [], "the body: .* want a Run"),
        ("Run", {"run": 1}, "run: unknown field; Run has experiment_id, run_id"),
        ("Run", {"run_id": 1}, "run_id: 1: want a text"),
        ("Run", {"run_id": "a", "runId": "b"}, "run_id: is there twice"),
        ("Run", {"state": "DONE"}, "state: .* want one of RUNTIME_STATE_UNSPECIFIED, PENDING"),
        ("Run", {"state": 77}, "state: 77: want one of"),
        ("Run", {"state": True}, "state: true: want one of"),
        ("Run", {"created_at": "yesterday"}, "created_at: .* want a time such as"),
        ("Run", {"created_at": "2026-01-31"}, "created_at: .* want a time such as"),
        ("Run", {"created_at": "2026-01-31T12:00:00"}, "created_at: .* want a time such as"),
        ("Run", {"pipeline_spec": []}, "pipeline_spec: .* want an object"),
        ("Run", {"pipeline_spec": {}, "pipeline_version_id": "x"}, "beside pipeline_version_id"),
        ("Run", {"runtime_config": {"parameters": []}}, "runtime_config.parameters: "),
        ("ListRunsRequest", {"page_size": 2**31}, "page_size: .* want a whole number"),
        ("ListRunsRequest", {"page_size": 1.5}, "page_size: 1.5: want a whole number"),
        ("ListRunsRequest", {"page_size": "many"}, "page_size: .* want a whole number"),
        ("ListRunsRequest", {"page_size": True}, "page_size: true: want a whole number"),
        ("Filter", {"predicates": {}}, "predicates: .* want a list"),
        ("Filter", {"predicates": [{"op": 1}]}, r"predicates\[0\].op: unknown field"),
    ],
)
def test_what_is_wrong_is_named(name, value, told):
    with pytest.raises(errors.BadRequestError, match=told):
        wire.read(name, value)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": 1e400}',
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"\\ud800": 1}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b"1" * 5000,
    ],
)
def test_what_no_database_takes_is_refused(body):
    with pytest.raises(errors.BadRequestError):
        wire.parse(body)


def test_the_query_of_a_url_is_read_field_by_field():
    asked = [("page_size", "5"), ("pageToken", "x"), ("other", "1"), ("namespace", "n")]
    read = wire.read_query("ListRunsRequest", asked)
    assert read == {"page_size": 5, "page_token": "x", "namespace": "n"}
    assert wire.read_query("DeletePipelineRequest", [("cascade", "true")]) == {"cascade": True}
    assert wire.read_query("AuthorizeRequest", [("verb", "2")]) == {"verb": "GET"}
    nested = wire.read_query("UpdatePipelineRequest", [("pipeline.name", "x")])
    assert nested == {"pipeline": {"name": "x"}}
    for name, text in (("page_size", "five"), ("page_size", "99999999999"), ("namespace", "\0")):
        with pytest.raises(errors.BadRequestError):
            wire.read_query("ListRunsRequest", [(name, text)])


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("ListRunsRequest", "page_size.x"),
        ("Filter", "predicates.key"),
        ("CreateRunRequest", "run.runtime_config.parameters.x"),
        ("CreateRunRequest", "run.pipeline_spec.root"),
        ("CreatePipelineRequest", "pipeline.tags.team"),
    ],
)
def test_a_query_leads_into_messages_alone(message, name):
    field = name.split(".")[-2]
    with pytest.raises(errors.BadRequestError, match=f"{name}: {field} has no fields"):
        wire.read_query(message, [(name, "1")])
