import asyncio
import gzip
import io
import json
from typing import Any

import pytest

from wherry.apiserver.identity import User
from wherry.objects import kinds
from wherry.objects.requests import Request

MAPS = "/api/v1/namespaces/default/configmaps"
ADMIN = User("admin", groups=("system:masters",))
JSON = {"Content-Type": "application/json"}


async def status_of(response: Any) -> Any:
    value = json.loads(await response.read())
    assert value["kind"] == "Status"
    assert value["code"] == response.status
    assert value["status"] == "Failure"
    return value


def deep(levels: Any, kind: Any = "list") -> Any:
    return (
        b"[" * levels + b"]" * levels
        if kind == "list"
        else b'{"a":' * levels + b"1" + b"}" * levels
    )


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"", 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'"x"', 400),
        ("application/json", b"null", 400),
        ("application/json", b'{"metadata":[]}', 400),
        ("application/json", b'{"metadata":{"name":5}}', 400),
        ("application/json", b'{"metadata":{"name":{}}}', 400),
        ("application/json", b'{"metadata":{"namespace":[]}}', 400),
        ("application/json", b'{"kind":{"a":1},"metadata":{"name":"a"}}', 400),
        ("application/json", b'{"metadata":{"name":"a"},"data":{"k":5}}', 400),
        ("application/json", b'{"metadata":{"name":"a"},"data":[]}', 400),
        ("application/json", b'{"metadata":{"name":"a","labels":"x"}}', 400),
        ("application/json", b'{"metadata":{"name":"a"},"kind":"Secret"}', 400),
        ("application/json", b'{"metadata":{"name":"a"},"apiVersion":"v2"}', 400),
        ("application/json", b'{"metadata":{"name":"a","namespace":"other"}}', 400),
        ("application/json", b'{"metadata":{"name":"a","resourceVersion":"5"}}', 400),
        ("application/json", b'{"metadata":{"name":"A"}}', 422),
        ("application/json", b'{"metadata":{"name":"a/b"}}', 422),
        ("application/json", b'{"metadata":{"name":".."}}', 422),
        ("application/json", b'{"metadata":{}}', 422),
        ("application/json", b'{"metadata":{"name":"a","labels":{"!":"x"}}}', 422),
        ("application/json", b'{"metadata":{"name":"a","finalizers":["x"]}}', 422),
        ("application/json", b'{"metadata":{"name":"a","ownerReferences":[{"kind":"X"}]}}', 422),
        ("application/json", deep(5000), 400),
        ("application/json", deep(300, "dict"), 400),
        ("application/yaml", b"a: [", 400),
        ("application/yaml", b"- 1\n- 2\n", 400),
        ("application/yaml", b"? [a]\n: b\n", 400),
        ("application/yaml", b"a: !!python/object:os.system {}\n", 400),
        ("application/yaml", b"a: .nan\nb: \xff", 400),
        ("application/vnd.kubernetes.protobuf", b"nonsense", 400),
        ("application/vnd.kubernetes.protobuf", b"k8s\x00\x0a\xff\xff", 400),
        ("text/plain", b"{}", 415),
        ("application/cbor", b"\xa0", 415),
    ],
)
async def test_unreadable_bodies(
    session: Any, store: Any, content_type: Any, body: Any, code: Any
) -> None:
    before = store.revision
    async with session.post(MAPS, data=body, headers={"Content-Type": content_type}) as response:
        value = await status_of(response)
    assert response.status == code, value
    assert store.revision == before
    async with session.get("/readyz") as response:
        assert await response.text() == "ok"


async def test_yaml_aliases_cannot_explode(session: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    async with session.post(
        MAPS, data="\n".join(lines), headers={"Content-Type": "application/yaml"}
    ) as response:
        assert response.status == 400


async def test_yaml_is_read_as_kubernetes_reads_it(session: Any) -> None:
    text = "metadata: {name: y}\ndata: {when: '2020-01-01'}\nimmutable: no\n"
    async with session.post(
        MAPS, data=text, headers={"Content-Type": "application/yaml"}
    ) as response:
        value = await response.json()
    assert response.status == 201, value
    assert value["data"] == {"when": "2020-01-01"}


@pytest.mark.parametrize("chunked", [True, False])
async def test_large_bodies_are_refused(session: Any, chunked: Any) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"k":"' + b"x" * 3_200_000 + b'"}}'

    async def pieces() -> Any:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async with session.post(
        MAPS, data=pieces() if chunked else io.BytesIO(body), headers=JSON
    ) as response:
        value = await status_of(response)
    assert response.status == 413
    assert value["reason"] == "RequestEntityTooLarge"


async def test_compressed_bombs_are_refused(session: Any) -> None:
    bomb = gzip.compress(b'{"metadata":{"name":"' + b"a" * 50_000_000 + b'"}}')
    headers = {**JSON, "Content-Encoding": "gzip"}
    async with session.post(MAPS, data=bomb, headers=headers) as response:
        assert response.status == 413


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/namespaces/default/configmaps/../secrets", 400),
        ("/api/v1/namespaces/default/configmaps/%2e%2e", 400),
        ("/api/v1/namespaces/default/configmaps/a%2Fb", 400),
        ("/api/v1/namespaces//configmaps", 400),
        ("/api/v1/namespaces/default/configmaps/a%00", 400),
        ("/api/v1/namespaces/default/configmaps/%ff", 400),
        ("/api/v1/nosuch", 404),
        ("/api/v9/pods", 404),
        ("/apis/nosuch/v1/things", 404),
        ("/apis/apps/v1/namespaces/default/deployments/d/nosuch", 404),
        ("/api/v1/namespaces/default/nodes", 404),
        ("/api/v1/pods/p", 404),
        ("/nosuch", 404),
        ("/api/v1/namespaces/default/pods/p/log", 404),
        ("/" + "x" * 8000, 404),
    ],
)
async def test_paths_that_lead_nowhere(server: Any, path: Any, code: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == str(code).encode()
    assert json.loads(body)["kind"] == "Status"


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PROPFIND", "PUT", "PATCH"])
async def test_methods_that_are_not_allowed(session: Any, method: Any) -> None:
    async with session.request(method, MAPS) as response:
        value = await status_of(response)
    assert response.status == 405
    assert value["reason"] == "MethodNotAllowed"


@pytest.mark.parametrize(
    ("accept", "code"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/json", 200),
        ("application/vnd.kubernetes.protobuf", 200),
        ("application/vnd.kubernetes.protobuf, */*", 200),
        ("text/html", 406),
        ("application/json;as=Nonsense;g=meta.k8s.io;v=v1", 406),
    ],
)
async def test_accept_headers(session: Any, accept: Any, code: Any) -> None:
    async with session.get(MAPS, headers={"Accept": accept}) as response:
        assert response.status == code


async def test_metadata_forms(server: Any, session: Any, api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a", data={"k": "v"})
    one = {"Accept": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"}
    async with session.get(f"{MAPS}/a", headers=one) as response:
        value = await response.json()
    assert value["kind"] == "PartialObjectMetadata"
    assert "data" not in value
    many = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    async with session.get(MAPS, headers=many) as response:
        value = await response.json()
    assert value["kind"] == "PartialObjectMetadataList"
    assert value["items"][0]["metadata"]["name"] == "a"


@pytest.mark.parametrize(
    ("mode", "code"), [("Strict", 400), ("Warn", 201), ("", 201), ("Ignore", 201), ("Other", 422)]
)
async def test_unknown_and_duplicate_fields(session: Any, mode: Any, code: Any) -> None:
    body = b'{"metadata":{"name":"a"},"data":{"k":"1","k":"2"},"dat":1}'
    async with session.post(
        MAPS, params={"fieldValidation": mode}, data=body, headers=JSON
    ) as response:
        value = await response.json()
        warnings = response.headers.getall("Warning", [])
    assert response.status == code, value
    if mode == "Strict":
        assert 'unknown field "dat", duplicate field "data.k"' in value["message"]
    if mode in {"Warn", ""}:
        assert warnings == [
            '299 - "unknown field \\"dat\\""',
            '299 - "duplicate field \\"data.k\\""',
        ]
    if mode == "Ignore":
        assert warnings == []
    if code == 201:
        assert "dat" not in value


async def test_slow_bodies_time_out(server: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("wherry.apiserver.http.bodies.BODY_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST {MAPS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert b" 400 " in answer


async def test_forbidden_says_who_what_where(session: Any) -> None:
    headers = {"X-Test-User": "mallory"}
    async with session.get(MAPS, headers=headers) as response:
        value = await status_of(response)
    assert response.status == 403
    assert value["message"] == (
        'configmaps is forbidden: User "mallory" cannot list resource "configmaps" '
        'in API group "" in the namespace "default"'
    )
    async with session.get("/metrics", headers=headers) as response:
        value = await status_of(response)
    assert value["message"] == 'forbidden: User "mallory" cannot get path "/metrics"'


async def test_failures_do_not_leak(
    server: Any, session: Any, monkeypatch: Any, caplog: Any
) -> None:
    async def broken(call: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(server.registry, "run", broken)
    async with session.get(MAPS) as response:
        value = await status_of(response)
    assert response.status == 500
    assert "secret" not in json.dumps(value)
    assert "a secret detail" in caplog.text


async def test_replies_for_remote_clients_are_compressed(
    server: Any, session: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("wherry.apiserver.http.replies._LOOPBACK", frozenset())
    for name in "abc":
        await server.transport(ADMIN).send(
            Request(
                "create",
                kinds.CONFIG_MAPS,
                namespace="default",
                body={"metadata": {"name": name}, "data": {"k": "x" * 60_000}},
            )
        )
    async with session.get(MAPS) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert len((await response.json())["items"]) == 3


@pytest.mark.parametrize("metadata", ["..", 1, [], True])
async def test_metadata_that_is_no_object_is_refused_by_every_write(session, metadata):
    path = "/api/v1/namespaces/default/configmaps"
    async with session.post(path, json={"metadata": {"name": "there"}}) as response:
        assert response.status == 201
    sent = {"metadata": metadata}
    for answer in (session.post(path, json=sent), session.put(f"{path}/there", json=sent)):
        async with answer as response:
            assert response.status == 400
            assert "metadata" in (await response.json())["message"]


@pytest.mark.parametrize("version", ["x", "-1", "²", "99999999999999999999"])
async def test_a_get_at_a_revision_that_is_none_is_refused(session, version):
    path = "/api/v1/namespaces/default/configmaps/none"
    async with session.get(path, params={"resourceVersion": version}) as response:
        assert response.status == 422


async def test_kinds_whose_spec_may_be_left_out_have_an_empty_one(session):
    """A PersistentVolumeClaim or Pod without spec was once a failure of the server."""
    space = "/api/v1/namespaces/default"
    for plural in ("persistentvolumeclaims", "pods", "podtemplates"):
        async with session.post(f"{space}/{plural}", json={"metadata": {"name": "a"}}) as response:
            assert response.status == 422, await response.text()
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    async with session.post(path, json={"metadata": {"name": "a"}}) as response:
        assert response.status == 201
        assert (await response.json())["spec"] == {}


@pytest.mark.parametrize("limit", ["-1", "1.5", "x", "²", "9" * 5000])
async def test_a_limit_that_is_none_is_refused(session, limit):
    async with session.get(MAPS, params={"limit": limit}) as response:
        value = await status_of(response)
    assert response.status == 400
    assert "limit" in value["message"]
