import base64
import json
from typing import Any

import pytest

from wherry.objects import errors, kinds
from wherry.objects.requests import Request
from wherry.store import Store, StoreSettings


async def names(api: Any, resource: Any = kinds.CONFIG_MAPS, **options: Any) -> Any:
    listed = await api.send(
        "list", resource, namespace="default", options={k: str(v) for k, v in options.items()}
    )
    return [each["metadata"]["name"] for each in listed["items"]]


async def fill(api: Any, count: Any = 7) -> None:
    for index in range(count):
        labels = {"parity": "even" if index % 2 == 0 else "odd"}
        await api.create(kinds.CONFIG_MAPS, f"c{index}", metadata={"labels": labels})


async def test_list_has_kind_version_and_items_in_order(api: Any) -> None:
    await fill(api)
    listed = await api.send("list", kinds.CONFIG_MAPS, namespace="default")
    assert listed["kind"] == "ConfigMapList"
    assert listed["apiVersion"] == "v1"
    assert [each["metadata"]["name"] for each in listed["items"]] == [f"c{i}" for i in range(7)]
    newest = max(int(each["metadata"]["resourceVersion"]) for each in listed["items"])
    assert int(listed["metadata"]["resourceVersion"]) >= newest


async def test_list_over_all_namespaces(api: Any) -> None:
    await api.create(kinds.NAMESPACES, "other")
    await api.create(kinds.CONFIG_MAPS, "a")
    await api.create(kinds.CONFIG_MAPS, "b", "other")
    listed = await api.send("list", kinds.CONFIG_MAPS)
    places = [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in listed["items"]]
    assert places == [("default", "a"), ("other", "b")]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity=even", ["c0", "c2", "c4", "c6"]),
        ("parity!=even", ["c1", "c3", "c5"]),
        ("parity in (odd)", ["c1", "c3", "c5"]),
        ("parity notin (odd)", ["c0", "c2", "c4", "c6"]),
        ("!parity", []),
        ("parity", [f"c{i}" for i in range(7)]),
    ],
)
async def test_label_selectors(api: Any, selector: Any, expected: Any) -> None:
    await fill(api)
    assert await names(api, labelSelector=selector) == expected


async def test_field_selectors(api: Any) -> None:
    await fill(api)
    assert await names(api, fieldSelector="metadata.name=c3") == ["c3"]
    assert await names(api, fieldSelector="metadata.namespace!=default") == []
    with pytest.raises(errors.BadRequestError, match=r"data\.x"):
        await names(api, fieldSelector="data.x=1")
    with pytest.raises(errors.BadRequestError):
        await names(api, labelSelector="a=(")
    spec = {"containers": [{"name": "c", "image": "x"}], "nodeName": "n1"}
    await api.create(kinds.PODS, "p", spec=spec)
    assert await names(api, kinds.PODS, fieldSelector="spec.nodeName=n1") == ["p"]
    assert await names(api, kinds.PODS, fieldSelector="spec.nodeName=n2") == []
    assert await names(api, kinds.PODS, fieldSelector="status.phase!=Succeeded") == ["p"]


async def test_pages_are_of_one_snapshot(api: Any) -> None:
    await fill(api)
    first = await api.send("list", kinds.CONFIG_MAPS, namespace="default", options={"limit": "3"})
    assert first["metadata"]["remainingItemCount"] == 4
    await api.create(kinds.CONFIG_MAPS, "c5a")
    await api.send("delete", kinds.CONFIG_MAPS, namespace="default", name="c6")
    seen = [each["metadata"]["name"] for each in first["items"]]
    token = first["metadata"]["continue"]
    while token:
        page = await api.send(
            "list",
            kinds.CONFIG_MAPS,
            namespace="default",
            options={"limit": "3", "continue": token},
        )
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        seen += [each["metadata"]["name"] for each in page["items"]]
        token = page["metadata"].get("continue")
    assert seen == [f"c{i}" for i in range(7)]


async def test_pages_with_a_selector_have_no_count(api: Any) -> None:
    await fill(api)
    page = await api.send(
        "list",
        kinds.CONFIG_MAPS,
        namespace="default",
        options={"limit": "1", "labelSelector": "parity=odd"},
    )
    assert page["metadata"]["continue"]
    assert "remainingItemCount" not in page["metadata"]


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "e30",
        "a" * 5000,
        base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":99999,"start":"a/b"}').decode(),
        base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":-7,"start":"a/b"}').decode(),
        base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":"1","start":3}').decode(),
        base64.urlsafe_b64encode(b"[1]").decode(),
    ],
)
async def test_forged_continue_tokens_are_refused(api: Any, token: Any) -> None:
    with pytest.raises(errors.BadRequestError, match="continue key is not valid"):
        await names(api, limit=1, **{"continue": token})


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"resourceVersionMatch": "Exact"}, "unless resourceVersion is provided"),
        ({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, "Exact"),
        ({"resourceVersionMatch": "Newest", "resourceVersion": "1"}, "supported values"),
        ({"sendInitialEvents": "true"}, "forbidden for list"),
        ({"resourceVersion": "abc"}, "resourceVersion"),
    ],
)
async def test_contradicting_options_are_invalid(api: Any, options: Any, field: Any) -> None:
    with pytest.raises(errors.InvalidError, match=field):
        await names(api, **options)


async def test_exact_and_future_revisions(api: Any) -> None:
    made = await api.create(kinds.CONFIG_MAPS, "a")
    await api.create(kinds.CONFIG_MAPS, "b")
    version = made["metadata"]["resourceVersion"]
    assert await names(api, resourceVersion=version, resourceVersionMatch="Exact") == ["a"]
    assert await names(api, resourceVersion=version) == ["a", "b"]
    assert await names(api, resourceVersion="0") == ["a", "b"]
    with pytest.raises(errors.ServerTimeoutError) as caught:
        await names(api, resourceVersion="100000")
    assert caught.value.details["causes"][0]["reason"] == "ResourceVersionTooLarge"


class TestCompacted:
    @pytest.fixture
    async def store(self) -> Any:
        async with Store.in_memory(settings=StoreSettings(history_changes=5)) as store:
            yield store

    async def test_expired_token_carries_one_that_goes_on(self, api: Any, session: Any) -> None:
        await fill(api)
        first = await api.send(
            "list", kinds.CONFIG_MAPS, namespace="default", options={"limit": "3"}
        )
        for index in range(10):
            body = {"data": {"n": str(index)}}
            await api.send("patch", kinds.CONFIG_MAPS, namespace="default", name="c0", body=body)
        params = {"limit": "3", "continue": first["metadata"]["continue"]}
        path = "/api/v1/namespaces/default/configmaps"
        async with session.get(path, params=params) as response:
            assert response.status == 410
            status = json.loads(await response.read())
        assert status["reason"] == "Expired"
        rest = await names(api, **{"continue": status["metadata"]["continue"]})
        assert rest == ["c3", "c4", "c5", "c6"]

    async def test_watch_from_a_forgotten_revision(self, api: Any) -> None:
        await fill(api, 12)
        request = Request("watch", kinds.CONFIG_MAPS, options={"resourceVersion": "2"})
        with pytest.raises(errors.GoneError, match="too old resource version"):
            await anext(api.transport.watch(request))
