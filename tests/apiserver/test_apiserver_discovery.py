import json
from typing import Any

import pytest

from wherry.objects import kinds

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)
GVK = "x-kubernetes-group-version-kind"


async def get(session: Any, path: Any, **headers: Any) -> Any:
    async with session.get(path, headers=headers) as response:
        body = await response.read()
        assert response.status == 200, body
        return json.loads(body), response.headers


async def test_version_has_bare_integers(session: Any) -> None:
    value, _ = await get(session, "/version?timeout=5s")
    assert value["major"].isdigit()
    assert value["minor"].isdigit()
    assert value["gitVersion"].startswith(f"v{value['major']}.{value['minor']}.")
    assert (await get(session, "/version/"))[0] == value


async def test_plain_and_aggregated_discovery_agree(session: Any) -> None:
    plain, found = {}, {}
    groups, _ = await get(session, "/apis")
    versions = ["/api/v1"]
    versions += [
        f"/apis/{version['groupVersion']}"
        for group in groups["groups"]
        for version in group["versions"]
    ]
    for path in versions:
        listed, _ = await get(session, path)
        for row in listed["resources"]:
            plain[listed["groupVersion"], row["name"]] = (row["kind"], sorted(row["verbs"]))
    for path in ("/api", "/apis"):
        value, headers = await get(session, path, Accept=AGGREGATED)
        assert headers["Content-Type"] == AGGREGATED.partition(",")[0]
        for group in value["items"]:
            for version in group["versions"]:
                name = group["metadata"].get("name", "")
                place = f"{name}/{version['version']}" if name else version["version"]
                for row in version["resources"]:
                    found[place, row["resource"]] = (
                        row["responseKind"]["kind"],
                        sorted(row["verbs"]),
                    )
                    for below in row.get("subresources", ()):
                        found[place, f"{row['resource']}/{below['subresource']}"] = (
                            below["responseKind"]["kind"],
                            sorted(below["verbs"]),
                        )
    assert plain == found
    assert ("v1", "pods/log") in plain
    assert len({resource for _, resource in plain}) > 60


async def test_preferred_version_is_the_first(session: Any) -> None:
    groups, _ = await get(session, "/apis")
    autoscaling = next(each for each in groups["groups"] if each["name"] == "autoscaling")
    assert autoscaling["preferredVersion"]["version"] == "v2"
    assert (await get(session, "/apis/autoscaling"))[0]["preferredVersion"] == (
        autoscaling["preferredVersion"]
    )


async def test_health(session: Any) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/readyz/ping"):
        async with session.get(path) as response:
            assert (response.status, await response.text()) == (200, "ok")
    async with session.get("/readyz?verbose") as response:
        assert "readyz check passed" in await response.text()


async def test_metrics_count_requests(session: Any) -> None:
    await get(session, "/api/v1/configmaps")
    async with session.get("/metrics") as response:
        text = await response.text()
    assert 'apiserver_request_total{verb="LIST",resource="configmaps",code="200"} 1' in text
    assert "process_resident_memory_bytes" in text


async def test_openapi_documents_have_what_kubectl_reads(session: Any) -> None:
    index, _ = await get(session, "/openapi/v3")
    for place in ("api/v1", "apis/apps/v1"):
        url = index["paths"][place]["serverRelativeURL"]
        document, headers = await get(session, url)
        patches = [path["patch"] for path in document["paths"].values() if "patch" in path]
        assert all(
            any(parameter["name"] == "fieldValidation" for parameter in patch["parameters"])
            for patch in patches
        )
        schemas = document["components"]["schemas"]
        found = {(one["group"], one["kind"]) for s in schemas.values() for one in s.get(GVK, ())}
        assert {(patch[GVK]["group"], patch[GVK]["kind"]) for patch in patches} <= found
        texts = json.dumps(document)
        for reference in texts.split("#/components/schemas/")[1:]:
            assert reference.partition('"')[0] in schemas
        async with session.get(url, headers={"If-None-Match": headers["ETag"]}) as response:
            assert response.status == 304


@pytest.mark.parametrize("path", ["/apis", "/api", "/openapi/v3"])
async def test_what_clients_keep_is_not_sent_twice(session: Any, path: str) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    _, headers = await get(session, path, Accept=accept)
    again = {"Accept": accept, "If-None-Match": headers["ETag"]}
    async with session.get(path, headers=again) as response:
        assert (response.status, await response.read()) == (304, b"")
    again["If-None-Match"] = '"other"'
    async with session.get(path, headers=again) as response:
        assert (response.status, response.headers["ETag"]) == (200, headers["ETag"])


async def test_openapi_documents_are_for_ever_under_their_hash(session: Any) -> None:
    index, _ = await get(session, "/openapi/v3")
    url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
    _, headers = await get(session, url)
    assert headers["Cache-Control"] == "public, immutable"
    _, headers = await get(session, url.partition("?")[0])
    assert headers["Cache-Control"] == "no-cache, private"
    async with session.get(url[:-3] + "000", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (301, url)


async def test_openapi_v2_is_empty_for_protobuf(session: Any) -> None:
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    async with session.get("/openapi/v2", headers={"Accept": accept}) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("application/com.github.proto-openapi")
        assert await response.read() == b""


async def test_tables(server: Any, session: Any, api: Any) -> None:
    await api.create(kinds.CONFIG_MAPS, "a", data={"k": "v"})
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    path = "/api/v1/namespaces/default/configmaps"
    value, _ = await get(session, path, Accept=accept)
    assert [each["name"] for each in value["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert value["rows"][0]["cells"][:2] == ["a", 1]
    for include, kind in (("Object", "ConfigMap"), ("Metadata", "PartialObjectMetadata")):
        value, _ = await get(session, f"{path}?includeObject={include}", Accept=accept)
        assert value["rows"][0]["object"]["kind"] == kind
    value, _ = await get(session, f"{path}?includeObject=None", Accept=accept)
    assert "object" not in value["rows"][0]
    async with session.get(f"{path}?includeObject=Some", headers={"Accept": accept}) as response:
        assert response.status == 400


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
async def test_connections_are_not_there_yet(session: Any, api: Any, subresource: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "python"}]}
    await api.create(kinds.PODS, "p", spec=spec)
    async with session.get(f"/api/v1/namespaces/default/pods/p/{subresource}") as response:
        assert response.status == 501
        assert (await response.json())["kind"] == "Status"


async def test_what_is_stored_has_a_hash_of_how(session: Any) -> None:
    listed, _ = await get(session, "/api/v1")
    hashes = {row["name"]: row.get("storageVersionHash") for row in listed["resources"]}
    # As every Kubernetes says it.
    assert hashes["pods"] == "xPOwRZ+Yhw8="
    assert hashes["pods/status"] is None
    assert hashes["bindings"] is None
