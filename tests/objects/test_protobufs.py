"""Protobuf bodies decode into what JSON would have brought, and nothing malformed gets through.

The bodies here are written by an encoder of a few lines that knows the wire format only. With
``WHERRY_KUBERNETES_API`` naming a checkout of kubernetes/api, all of its published examples are
compared as well.
"""

import base64
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.objects import protobufs

Part = int | float | str | bytes


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def field(number: int, value: Part) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def message(*fields: tuple[int, Part]) -> bytes:
    return b"".join(field(number, value) for number, value in fields)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    type_meta = message((1, api_version), (2, kind))
    return b"k8s\0" + message((1, type_meta), (2, raw), (3, ""), (4, ""))


META = message(
    (1, "x"),
    (2, ""),
    (3, "ns"),
    (5, ""),
    (6, ""),
    (7, 0),
    (8, b""),
    (11, message((1, "a"), (2, "b"))),
)
META_JSON = {"name": "x", "namespace": "ns", "labels": {"a": "b"}}


def decoded(api_version: str, kind: str, *fields: tuple[int, Part]) -> dict[str, Any]:
    found = protobufs.decode(envelope(api_version, kind, message(*fields)))
    assert found.pop("kind") == kind
    assert found.pop("apiVersion") == api_version
    return found


def test_a_config_map_with_bytes() -> None:
    assert decoded(
        "v1",
        "ConfigMap",
        (1, META),
        (2, message((1, "k"), (2, "v"))),
        (2, message((1, "empty"))),
        (3, message((1, "bin"), (2, b"\0\xff"))),
        (4, 0),
    ) == {
        "metadata": META_JSON,
        "data": {"k": "v", "empty": ""},
        "binaryData": {"bin": base64.b64encode(b"\0\xff").decode()},
        # A pointer in Go: false was said on purpose.
        "immutable": False,
    }


def pod_spec() -> bytes:
    key_ref = message((1, message((1, "cm"))), (2, "key"))  # configMapKeyRef embeds a reference
    env = message((1, "E"), (2, ""), (3, message((3, key_ref))))
    resources = message(
        (1, message((1, "cpu"), (2, message((1, "500m"))))),
        (2, message((1, "zero"), (2, message((1, ""))))),
    )
    http = message((1, "/"), (2, message((1, 1), (3, "web"))), (4, "HTTP"))
    probe = message((1, message((2, http))), (2, 0), (3, 1))  # the handler is embedded too
    container = message(
        (1, "main"),
        (2, "img"),
        (6, message((1, "web"), (2, 0), (3, 80))),
        (7, env),
        (8, resources),
        (10, probe),
        (16, 0),
    )
    volume = message((1, "v"), (2, message((2, message((1, ""))))))
    return message(
        (1, volume),
        (2, container),
        (3, "Always"),
        (4, 0),
        (11, 0),
        (14, message((4, 5), (4, -1))),
        (21, 0),
    )


def test_a_pod_with_embedded_structs() -> None:
    assert decoded("v1", "Pod", (1, META), (2, pod_spec()), (3, b""))["spec"] == {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [
            {
                "name": "main",
                "image": "img",
                "ports": [{"name": "web", "containerPort": 80}],
                "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "key"}}}],
                "resources": {"limits": {"cpu": "500m"}, "requests": {"zero": "0"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "web", "scheme": "HTTP"}, "timeoutSeconds": 1},
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"supplementalGroups": [5, -1]},
        "automountServiceAccountToken": False,
    }  # fmt: skip


def test_zero_replicas_of_a_pointer_survive_and_plain_zeroes_do_not() -> None:
    rolling = message((1, message((1, 0), (2, 0))), (2, message((1, 1), (2, 0), (3, "25%"))))
    spec = message(
        (1, 0),
        (2, message((1, message((1, "a"), (2, "b"))))),
        (4, message((1, "RollingUpdate"), (2, rolling))),
        (5, 0),
    )
    assert decoded("apps/v1", "Deployment", (2, spec), (3, message((1, 0), (7, 0)))) == {
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"a": "b"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        },
        "status": {},
    }  # fmt: skip


def test_a_service_without_target_port() -> None:
    port = message((1, ""), (3, 80), (4, message((1, 0), (2, 0))))
    assert decoded("v1", "Service", (2, message((1, port)))) == {"spec": {"ports": [{"port": 80}]}}


@pytest.mark.parametrize(
    ("seconds", "nanos", "plain", "micro"),
    [
        (1_600_000_000, 123_456_789, "2020-09-13T12:26:40Z", "2020-09-13T12:26:40.123456Z"),
        (-1, 0, "1969-12-31T23:59:59Z", "1969-12-31T23:59:59.000000Z"),
        (-62135596800, 0, "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_times(seconds: int, nanos: int, plain: str, micro: str) -> None:
    moment = message((1, seconds), (2, nanos))
    meta = message((8, moment))
    lease = decoded("coordination.k8s.io/v1", "Lease", (1, meta), (2, message((3, moment))))
    assert lease == {"metadata": {"creationTimestamp": plain}, "spec": {"acquireTime": micro}}


def test_times_in_a_map_may_be_null() -> None:
    entry = message((1, "pod"), (2, b""))
    budget = decoded("policy/v1", "PodDisruptionBudget", (3, message((2, entry))))
    assert budget["status"]["disruptedPods"] == {"pod": None}


def test_string_lists_raw_json_and_fields() -> None:
    extra = message((1, "scopes"), (2, message((1, "a"), (1, "b"))))
    review = decoded(
        "authentication.k8s.io/v1", "TokenReview", (3, message((2, message((4, extra)))))
    )
    assert review["status"]["user"]["extra"] == {"scopes": ["a", "b"]}
    managed = message((1, "kubectl"), (7, message((1, b'{"f:spec":{}}'))))
    revision = decoded(
        "apps/v1",
        "ControllerRevision",
        (1, message((17, managed))),
        (2, message((1, b'{"a":1}'))),
        (3, 0),
    )
    assert revision["data"] == {"a": 1}
    assert revision["metadata"]["managedFields"] == [
        {"manager": "kubectl", "fieldsV1": {"f:spec": {}}}
    ]
    # What Go always prints stays, zero or not.
    assert revision["revision"] == 0


def test_an_envelope_within_raw_bytes() -> None:
    inner = envelope("v1", "ConfigMap", message((1, META)))
    revision = decoded("apps/v1", "ControllerRevision", (2, message((1, inner))))
    assert revision["data"] == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": META_JSON}


@pytest.mark.parametrize("api_version", ["v1", "apps/v1", "meta.k8s.io/v1", "example.com/v1", ""])
def test_delete_options_come_under_any_version(api_version: str) -> None:
    options = decoded(api_version, "DeleteOptions", (1, 0), (2, message((1, "uid"))), (4, "Orphan"))
    assert options == {
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": "uid"},
        "propagationPolicy": "Orphan",
    }


def test_the_shapes_of_a_custom_resources_schema() -> None:
    text = message((5, "string"))
    prop = message((1, "items"), (2, message((5, "array"), (24, message((1, text))))))
    more = message((1, "more"), (2, message((30, message((1, 1))))))
    closed = message((1, "closed"), (2, message((30, message((1, 0))))))
    typed = message(
        (1, "typed"),
        (2, message((30, message((1, 1), (2, text))), (8, message((1, b"3"))), (9, 2.5))),
    )
    schema = message((1, message((5, "object"), (29, prop), (29, more), (29, closed), (29, typed))))
    version = message((1, "v1"), (2, 1), (3, 0), (4, schema))
    crd = decoded("apiextensions.k8s.io/v1", "CustomResourceDefinition", (2, message((7, version))))
    assert crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"type": "string"}},
            "more": {"additionalProperties": True},
            "closed": {"additionalProperties": False},
            "typed": {"additionalProperties": {"type": "string"}, "default": 3, "maximum": 2.5},
        },
    }


def test_the_rarer_shapes_of_a_schema() -> None:
    names = message((1, "a"), (2, message((2, "b"), (2, "c"))))
    schema_of = message((1, "d"), (2, message((1, message((5, "string"))))))
    fixed = message((3, 7))  # a field the shape does not have
    schema = message((32, names), (32, schema_of), (24, fixed), (8, b""))
    version = message((4, message((1, schema))))
    crd = decoded("apiextensions.k8s.io/v1", "CustomResourceDefinition", (2, message((7, version))))
    assert crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "dependencies": {"a": ["b", "c"], "d": {"type": "string"}}
    }


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5\N{MICRO SIGN}s"),
        (2_000_000, "2ms"),
        (1_500_000_000, "1.5s"),
        (90_000_000_000, "1m30s"),
        (-3_600_000_000_000, "-1h0m0s"),
    ],
)
def test_durations_print_as_go_prints_them(nanos: int, text: str) -> None:
    body = message((1, nanos))
    assert protobufs._read_duration(body, 0, len(body), 0) == text


def test_unknown_fields_are_skipped() -> None:
    unknown = field(900, 1) + field(901, "x") + field(902, 1.0) + varint(903 << 3 | 5) + b"\0\0\0\0"
    body = envelope("v1", "ConfigMap", unknown + field(1, META))
    assert protobufs.decode(body)["metadata"] == META_JSON


def nested_schema(levels: int) -> bytes:
    schema = b""
    for _ in range(levels):
        schema = message((29, message((1, "p"), (2, schema))))
    version = message((4, message((1, schema))))
    return envelope(
        "apiextensions.k8s.io/v1", "CustomResourceDefinition", message((2, message((7, version))))
    )


def test_nesting_is_bounded() -> None:
    protobufs.decode(nested_schema(40))
    with pytest.raises(ValueError, match="nested deeper than 100"):
        protobufs.decode(nested_schema(200))
    inner = b"{}"
    for _ in range(120):
        inner = envelope("apps/v1", "ControllerRevision", message((2, message((1, inner)))))
    with pytest.raises(ValueError, match="nested deeper than 100"):
        protobufs.decode(inner)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "must start with the bytes k8s"),
        (b"{}", "must start with the bytes k8s"),
        (b"k8s\0", "no protobuf form of kind ''"),
        (envelope("v1", "Nonsense", b""), "no protobuf form of kind 'Nonsense' in version 'v1'"),
        (envelope("example.com/v1", "Pod", b""), "send application/json"),
        (b"k8s\0" + message((3, "gzip")), "content encoding"),
        (envelope("v1", "ConfigMap", b"\x0a"), "ends within a number"),
        (envelope("v1", "ConfigMap", b"\x0a\x05abc"), "longer than what holds it"),
        (envelope("v1", "ConfigMap", b"\x0a" + b"\xff" * 9 + b"\x01"), "longer than what holds it"),
        (envelope("v1", "ConfigMap", b"\x80" * 11), "more than 10 bytes"),
        (envelope("v1", "ConfigMap", field(1, 5)), r"field 1 \(metadata\) of ConfigMap has the wrong wire type 0"),
        (envelope("v1", "ConfigMap", field(4, "x")), r"field 4 \(immutable\) of ConfigMap has the wrong"),
        (envelope("v1", "ConfigMap", b"\x02\x00"), "field 0"),
        (envelope("v1", "ConfigMap", field(2, field(2, 7))), "a map's entry has the wrong wire type 0"),
        (
            envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition",
                     field(2, field(7, field(4, field(1, field(24, field(1, 1))))))),
            "JSONSchemaPropsOrArray has the wrong wire type 0",
        ),
        (envelope("v1", "ConfigMap", b"\x9b\x38"), "wire type 3 is not used"),
        (envelope("v1", "ConfigMap", field(1, field(1, b"\xff"))), "not UTF-8"),
        (envelope("apps/v1", "ControllerRevision", field(2, field(1, b"{"))), "embedded JSON"),
        (envelope("v1", "Pod", field(1, field(8, field(1, 1 << 60)))), "years 1 to 9999"),
        (
            envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition",
                     field(2, field(7, field(4, field(1, field(9, float("inf"))))))),
            "inf is no number of JSON",
        ),
    ],
)  # fmt: skip
def test_malformed_bodies_are_refused(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        protobufs.decode(body)


SAMPLES = [
    envelope("v1", "Pod", message((1, META), (2, pod_spec()))),
    envelope("v1", "ConfigMap", message((1, META), (2, message((1, "k"), (2, "v"))))),
    nested_schema(5),
]


@given(st.sampled_from(SAMPLES), st.data())
@settings(max_examples=400)
def test_damaged_bodies_are_decoded_or_refused(body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(4, len(body)))
    stop = data.draw(st.integers(start, min(len(body), start + 4)))
    damaged = body[:start] + data.draw(st.binary(max_size=4)) + body[stop:]
    decode_or_refuse(damaged)


@given(st.binary(max_size=64), st.sampled_from(["Pod", "Service", "PodDisruptionBudget", "List"]))
@settings(max_examples=400)
def test_any_bytes_are_decoded_or_refused(raw: bytes, kind: str) -> None:
    version = "policy/v1" if kind == "PodDisruptionBudget" else "v1"
    decode_or_refuse(envelope(version, kind, raw))


def decode_or_refuse(body: bytes) -> None:
    try:
        found = protobufs.decode(body)
    except ValueError:
        return
    json.dumps(found, allow_nan=False)


def test_every_cut_of_a_body_is_decoded_or_refused() -> None:
    for body in SAMPLES:
        for length in range(len(body)):
            decode_or_refuse(body[:length])


def test_a_pod_decodes_fast() -> None:
    body = SAMPLES[0]
    protobufs.decode(body)
    best = min(timed(body) for _ in range(50))
    assert best < 0.003  # 0.1 ms on an idle machine; a bound against losing an order of magnitude


def timed(body: bytes) -> float:
    start = time.perf_counter()
    protobufs.decode(body)
    return time.perf_counter() - start


CHECKOUT = os.environ.get("WHERRY_KUBERNETES_API")


def published_examples() -> list[Path]:
    return sorted(Path(CHECKOUT, "testdata/HEAD").glob("*.pb")) if CHECKOUT else []


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value


@pytest.mark.skipif(
    not CHECKOUT, reason="WHERRY_KUBERNETES_API names no checkout of kubernetes/api"
)
@pytest.mark.parametrize("body", published_examples(), ids=lambda path: path.stem)
def test_published_examples_decode_to_their_json(body: Path) -> None:
    if body.stem == "core.v1.WatchEvent":
        pytest.skip("travels without kind and version: only servers send it")
    wanted = json.loads(body.with_suffix(".json").read_text())
    assert without_nulls(protobufs.decode(body.read_bytes())) == without_nulls(wanted)
