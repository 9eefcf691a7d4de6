"""Any requests at all: each is answered as the published description says, and none is an error of ours."""

import json
import re
import urllib.parse

import jsonschema  # type: ignore[import-untyped]  # it has no types
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.pipelines.api import hosting, methods, openapi, transcoding, uploading, wire
from wherry.testing.pipelines_messages import TEXT, message

ANSWERED = {key for some in (*hosting.HANDLERS, *hosting.STREAMS) for key in some}
CALLED = [each for each in methods.METHODS if each.key in ANSWERED]
JSON = [each for each in CALLED if not uploading.is_upload(each) and each.request != "Empty"]
DESCRIPTION = openapi.document(CALLED)
REFUSED = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
    max_leaves=8,
)


def check(answer, method):
    """Check that an answer is described."""
    assert answer.status == 200 or answer.status in REFUSED, answer
    if answer.status == 200 and method.is_stream:
        return
    name = method.response if answer.status == 200 else "Error"
    described = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    jsonschema.validate(answer.body, described)


@settings(max_examples=100)
@given(data=st.data())
def test_messages_that_are_well_formed(api, data):
    method = data.draw(st.sampled_from(JSON))
    value = wire.read(method.request, data.draw(message(method.request)))
    for field in methods.fields(method.path):
        target = value.setdefault(method.body, {}) if method.http == "PATCH" else value
        target[field] = data.draw(TEXT.filter(bool))
    call = transcoding.rest_call(method, wire.write(method.request, value))
    check(api.call(call.http, call.target, call.body or None), method)


@settings(max_examples=100)
@given(data=st.data())
def test_bodies_and_queries_of_any_kind(api, data):
    method = data.draw(st.sampled_from(CALLED))
    body = data.draw(
        st.none() | st.binary(max_size=40) | VALUES.map(lambda v: json.dumps(v).encode())
    )
    asked = data.draw(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=3))
    names = [
        each["name"]
        for each in DESCRIPTION["paths"][method.path][method.http.lower()]["parameters"]
    ]
    asked |= data.draw(st.dictionaries(st.sampled_from(names or ["x"]), st.text(max_size=12)))
    query = urllib.parse.urlencode(asked, errors="surrogatepass")
    named = {field: data.draw(TEXT.filter(bool)) for field in methods.fields(method.path)}
    path = method.path.format(**{k: urllib.parse.quote(v, safe="") for k, v in named.items()})
    kind = data.draw(st.sampled_from(["application/json", "text/plain", "multipart/form-data"]))
    answer = api.call(method.http, f"{path}?{query}", body, headers={"Content-Type": kind})
    check(answer, method)


@pytest.mark.parametrize("size", [5, 40])
def test_a_body_that_is_too_large_is_not_read(api, size):
    body = b'{"display_name": "' + b"x" * (size << 20) + b'"}'
    answer = api.call("POST", "/experiments", body)
    assert answer.status == 413
    assert "larger than" in answer.body["message"]


def test_the_description_is_published(api):
    assert api.call("GET", openapi.PATH, user="anybody").body == DESCRIPTION


def test_all_that_the_description_refers_to_is_in_it():
    found = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DESCRIPTION)))
    assert found - DESCRIPTION["components"]["schemas"].keys() == set()


def test_what_answers_whoever_asks_is_said_to(api):
    for path, described in DESCRIPTION["paths"].items():
        for http, method in described.items():
            if method.get("security") == []:
                answer = api.call(http.upper(), path, user="system:anonymous")
                assert answer.status == 200, (path, answer)


@pytest.mark.parametrize(
    "method", [each for each in JSON if methods.fields(each.path)], ids=lambda each: each.key
)
def test_ids_that_are_too_long_are_no_fault_of_the_database(api, method):
    path = method.path.format(**dict.fromkeys(methods.fields(method.path), "9" * 100))
    check(api.call(method.http, path, b"{}" if method.body else None), method.response)


def test_methods_of_http_that_there_are_not_are_told_which_there_are(api):
    answer = api.read("/apis/v2beta1/experiments", method="PUT")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST")


def test_a_form_whose_parts_have_bad_headers_is_refused(api):
    body = b'--x\r\nContent-Disposition: form-data; name="\x06"\r\n\r\na\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = api.call("POST", "/pipelines/upload", body, headers=headers)
    assert answer.status == 400, answer
    assert "cannot be read" in answer.body["error_message"]
