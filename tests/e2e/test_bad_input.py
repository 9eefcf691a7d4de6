"""Bodies, names and options that nobody should send, over HTTPS: refused with the right Status."""

import gzip
import json
from typing import Any
from urllib.parse import quote

import pytest

from wherry.testing import builders

pytestmark = pytest.mark.usefixtures("alive_and_unchanged")

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"


def config_map(**fields: Any) -> str:
    return json.dumps(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bad"}, **fields}
    )


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


MALFORMED = {
    "cut off": (JSON, '{"apiVersion": "v1", "kind": "Config'),
    "empty": (JSON, ""),
    "a list": (JSON, "[]"),
    "a number": (JSON, "7"),
    "null": (JSON, "null"),
    "not text": (JSON, b"\xff\xfe\x00\x01"),
    "trailing": (JSON, config_map() + "x"),
    "NaN": (JSON, '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NaN}}'),
    "half a surrogate": (JSON, '{"kind": "ConfigMap", "metadata": {"name": "\\ud800"}}'),
    "deep": (JSON, nested(100_000)),
    "deep list": (JSON, "[" * 100_000),
    "yaml indentation": (YAML, "a: b\n  c: d\n :"),
    "yaml tag": (YAML, "!!python/object/apply:os.system ['true']"),
    "yaml alias bomb": (
        YAML,
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n"
            for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ),
    "deep yaml": (YAML, "[" * 20_000),
    "two documents": (YAML, "apiVersion: v1\n---\nkind: ConfigMap\n"),
    "protobuf without magic": (PROTOBUF, b"\x0a\x0bhello world"),
    "protobuf cut off": (PROTOBUF, b"k8s\x00\x0a\x7f\x0a"),
    "protobuf endless varint": (PROTOBUF, b"k8s\x00" + b"\xff" * 40),
    "protobuf of nothing": (PROTOBUF, b"k8s\x00"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_bodies(wire, space, name):
    type_, body = MALFORMED[name]
    wire.send("POST", f"{space}/configmaps", body, type_=type_).is_refusal(400, "BadRequest")


def test_unknown_media_types(wire, space):
    asked = wire.send("POST", f"{space}/configmaps", "<a/>", type_="text/xml")
    asked.is_refusal(415, "UnsupportedMediaType")
    asked = wire.send("PATCH", f"{space}/configmaps/kube-root-ca.crt", "{}", type_=JSON)
    asked.is_refusal(415, "UnsupportedMediaType")
    asked = wire.send("GET", f"{space}/configmaps", Accept="image/png")
    asked.is_refusal(406, "NotAcceptable")


def test_bodies_that_are_too_large(wire, space):
    large = config_map(data={"a": "x" * (3 * 1024 * 1024 + 1)})
    wire.send("POST", f"{space}/configmaps", large).is_refusal(413, "RequestEntityTooLarge")
    packed = gzip.compress(large.encode())
    asked = wire.send("POST", f"{space}/configmaps", packed, Content_Encoding="gzip")
    assert asked.code in {400, 413, 415}
    assert asked.status
    told = wire.send("POST", f"{space}/configmaps", "{}", Content_Length=str(10**12))
    told.is_refusal(413, "RequestEntityTooLarge")
    # Below the limit of a body, above that of what a ConfigMap may hold (1 MiB).
    asked = wire.send(
        "POST", f"{space}/configmaps", config_map(data={"a": "x" * (2 * 1024 * 1024)})
    )
    asked.is_refusal(422, "Invalid")


def test_deep_objects(wire, space):
    deep = config_map(data={"a": "b"})[:-1] + f', "x": {nested(5_000)}' + "}"
    wire.send("POST", f"{space}/configmaps", deep).is_refusal(400, "BadRequest")
    path = f"{space}/serviceaccounts/default"
    asked = wire.send("PATCH", path, nested(5_000), type_=MERGE)
    assert asked.code in {200, 400, 422}, asked.text  # unknown fields, unless refused for the depth


def test_patches_that_grow(wire, space):
    path = f"{space}/serviceaccounts/default"
    double = {"op": "copy", "from": "/x", "path": "/x/-"}
    first = {"op": "add", "path": "/x", "value": ["x" * 100]}
    for operations in ([first, *[double] * 60], [first] * 10_001):
        asked = wire.send("PATCH", path, json.dumps(operations), type_=JSON_PATCH)
        asked.is_refusal(413, "RequestEntityTooLarge")


WRONG = {
    "data": ("configmaps", config_map(data=[1]), 400),
    "data value": ("configmaps", config_map(data={"a": 1}), 400),
    "labels": ("configmaps", config_map(metadata={"name": "bad", "labels": {"a": {}}}), 400),
    "metadata": ("configmaps", config_map(metadata="bad"), 400),
    "other kind": ("configmaps", config_map(kind="Secret"), 400),
    "other version": ("configmaps", config_map(apiVersion="v2"), 400),
    "other namespace": ("configmaps", config_map(metadata={"name": "bad", "namespace": "x"}), 400),
    "base64": ("secrets", config_map(kind="Secret", data={"a": "not base64!"}), 400),
    "replicas": (
        "pods",
        json.dumps(
            {**builders.pod("bad"), "spec": {"containers": "many"}} | {"metadata": {"name": "bad"}}
        ),
        400,
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_types(wire, space, name):
    resource, body, code = WRONG[name]
    wire.send("POST", f"{space}/{resource}", body).is_refusal(code, "BadRequest")


NAMES = [
    "Bad",
    "-bad",
    "a..b",
    "a/b",
    "../x",
    "a b",
    "x" * 254,
    "ü",
    "a\n",
    ".",
    "%2e%2e",
    "a\x00b",
]


@pytest.mark.parametrize("name", NAMES)
def test_illegal_names(wire, space, name):
    body = config_map(metadata={"name": name})
    status = wire.send("POST", f"{space}/configmaps", body).is_refusal(422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "metadata.name"
    path = f"{space}/configmaps/{quote(name, safe='')}"
    assert wire.send("GET", path).code in {400, 404}
    assert wire.send("PATCH", path, "{}", type_=MERGE).code in {400, 404}
    assert wire.send("DELETE", path).code in {400, 404}


def test_no_name(wire, space):
    wire.send("POST", f"{space}/configmaps", config_map(metadata={})).is_refusal(422, "Invalid")
    asked = wire.send("PUT", f"{space}/configmaps/other", config_map())
    asked.is_refusal(400, "BadRequest")


def test_paths(wire, space):
    for path in (
        "/api/v1/namespaces/../../../etc/passwd",
        "/api/v1/namespaces/%2e%2e/configmaps",
        "/api//v1/pods",
        "/apis/none/v1/things",
        f"{space}/configmaps/a/b/c/d",
        f"{space}/nothings",
        "/" + "a" * 6_000,
        "/%00",
    ):
        answer = wire.send("GET", path)
        assert answer.code in {400, 403, 404, 405, 414}, (path, answer.text)
        assert "root:" not in answer.text
    wire.send("GET", f"{space}/pods/none/log").is_refusal(404, "NotFound")
    wire.send("OPTIONS", f"{space}/pods").is_refusal(405, "MethodNotAllowed")


def test_options(wire, space):
    pods = f"{space}/pods"
    for query in (
        "labelSelector=a%20b%20c",
        "labelSelector=%3D%3D",
        "fieldSelector=spec",
        "limit=some",
        "limit=-1",
        "resourceVersion=old",
        "continue=forged",
        "resourceVersionMatch=Perhaps",
        "watch=1&resourceVersion=-5",
    ):
        assert wire.send("GET", f"{pods}?{query}").status["reason"] in {"BadRequest", "Invalid"}, (
            query
        )
    asked = wire.send("POST", f"{pods}?dryRun=Some", json.dumps(builders.pod("bad")))
    assert asked.status["code"] in {400, 422}
    asked = wire.send("POST", f"{pods}?fieldValidation=Maybe", json.dumps(builders.pod("bad")))
    assert asked.status["code"] in {400, 422}


def test_unknown_fields(wire, space):
    def post(validation: str, **fields: Any) -> Any:
        path = f"{space}/secrets?fieldValidation={validation}"
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **fields}
        return wire.send("POST", path, json.dumps(body))

    status = post("Strict", colour="red", meta=1).is_refusal(400, "BadRequest")
    assert 'unknown field "colour"' in status["message"]
    assert 'unknown field "meta"' in status["message"]
    warned = post("Warn", colour="red")
    assert warned.code == 201
    assert warned.headers["Warning"] == '299 - "unknown field \\"colour\\""'
    assert "colour" not in json.loads(warned.text)
    wire.send("DELETE", f"{space}/secrets/s")
    ignored = post("Ignore", colour="red")
    assert ignored.code == 201
    assert ignored.headers["Warning"] is None
    assert "colour" not in wire.send("GET", f"{space}/secrets/s").text
    twice = '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "type": "a", "type": "b"}'
    status = wire.send("POST", f"{space}/secrets?fieldValidation=Strict", twice)
    assert "duplicate field" in status.is_refusal(400, "BadRequest")["message"]
