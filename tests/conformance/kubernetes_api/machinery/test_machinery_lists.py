"""Lists: in chunks, as tables, as a stream, and how long a request may take."""

import functools
import re

import pytest

from wherry.objects import kinds
from wherry.testing import builders

case = functools.partial(pytest.mark.conformance, "kubernetes-api", group="sig-api-machinery")

TABLE = "application/json;as=Table;v=v1beta1;g=meta.k8s.io"
CHUNKING = "Servers with support for API chunking should"
TABLES = "Servers with support for Table transformation should"
TIMEOUT = "Server request timeout"
STREAMING = "API Streaming (aka. WatchList) [Serial]"
MANY = 400


def _template(name: str):
    return {
        "metadata": {"name": name},
        "template": {"spec": {"containers": [{"name": "test", "image": "test2"}]}},
    }


def _create_templates(platform, namespace: str, count: int) -> None:
    async def create_all() -> None:
        for number in range(count):
            obj = {
                "apiVersion": "v1",
                "kind": "PodTemplate",
                **_template(f"template-{number:04}"),
            }
            obj["metadata"]["namespace"] = namespace
            await platform.client.create(kinds.POD_TEMPLATES, obj)

    platform.call(create_all())


def _pages(api, namespace, *, found=0, **options):
    """Read to the end; return names and the resource versions of the pages."""
    names: list[str] = []
    versions = set()
    while True:
        page = api.list(kinds.POD_TEMPLATES, namespace, **options)
        names += [item["metadata"]["name"] for item in page["items"]]
        assert len(page["items"]) <= options["limit"]
        versions.add(page["metadata"]["resourceVersion"])
        rest = page["metadata"].get("remainingItemCount")
        if "continue" not in page["metadata"]:
            assert rest is None
            return names, versions
        assert rest == MANY - found - len(names)
        options["continue"] = page["metadata"]["continue"]


@case(name=f"{CHUNKING} return chunks of results for list calls")
def test_chunks_add_up(api, namespace, shared_platform):
    _create_templates(shared_platform, namespace, MANY)
    expected = [f"template-{number:04}" for number in range(MANY)]
    for limit in (17, 40, 399):
        names, versions = _pages(api, namespace, limit=limit)
        assert names == expected
        assert len(versions) == 1
    whole = api.list(kinds.POD_TEMPLATES, namespace, limit=MANY + 1)
    assert len(whole["items"]) == MANY
    assert "continue" not in whole["metadata"]


@case(
    name=(
        f"{CHUNKING} support continue listing from the last key if the original version "
        "has been compacted away, though the list is inconsistent [Slow]"
    )
)
def test_chunks_go_on_after_the_version_has_expired(forgetful_api):
    api, namespace = forgetful_api, "default"
    _create_templates(api.platform, namespace, MANY)
    first = api.list(kinds.POD_TEMPLATES, namespace, limit=40)
    for number in range(60):  # more than it remembers
        api.patch(kinds.NAMESPACES, "default", {"metadata": {"labels": {"n": str(number)}}})
    path = kinds.POD_TEMPLATES.path(namespace)
    answer = api.call("GET", path, limit=40, **{"continue": first["metadata"]["continue"]})
    assert (answer.code, answer.json["reason"]) == (410, "Expired")
    token = answer.json["metadata"]["continue"]
    names, versions = _pages(api, namespace, found=40, limit=40, **{"continue": token})
    assert names == [f"template-{number:04}" for number in range(40, MANY)]
    assert first["metadata"]["resourceVersion"] not in versions
    assert len(versions) == 1


@case(name=f"{TABLES} return pod details")
def test_a_pod_as_a_table(api, namespace):
    api.create(kinds.PODS, builders.pod("pod-1"), namespace)
    table = api.ask("GET", kinds.PODS.path(namespace, "pod-1"), headers={"Accept": TABLE})
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1beta1")
    assert len(table["columnDefinitions"]) > 2
    assert table["columnDefinitions"][0]["name"] == "Name"
    (row,) = table["rows"]
    assert len(row["cells"]) == len(table["columnDefinitions"])
    assert row["cells"][0] == "pod-1"


@case(name=f"{TABLES} return chunks of table results for list calls")
def test_tables_in_chunks(api, namespace, shared_platform):
    _create_templates(shared_platform, namespace, 20)
    path = kinds.POD_TEMPLATES.path(namespace)
    table = api.ask("GET", path, headers={"Accept": TABLE}, limit=2)
    assert [row["cells"][0] for row in table["rows"]] == ["template-0000", "template-0001"]
    assert table["metadata"]["resourceVersion"]
    token = table["metadata"]["continue"]
    rest = api.ask("GET", path, headers={"Accept": TABLE}, **{"continue": token})
    assert rest["rows"][0]["cells"][0] == "template-0002"


@case(name=f"{TABLES} return generic metadata details across all namespaces for nodes")
def test_nodes_as_a_table(api):
    table = api.ask("GET", kinds.NODES.path(), headers={"Accept": TABLE})
    assert len(table["columnDefinitions"]) >= 2
    assert table["columnDefinitions"][0]["name"] == "Name"
    assert table["metadata"]["resourceVersion"]
    assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"])


@case(name=f"{TABLES} return a 406 for a backend which does not implement metadata")
def test_no_table_of_what_has_no_metadata(api):
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}},
    }
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    path = kinds.SELF_SUBJECT_ACCESS_REVIEWS.path()
    answer = api.call("POST", path, review, headers=accept)
    assert (answer.code, answer.json["reason"]) == (406, "NotAcceptable")


@case(
    name=f"{TIMEOUT} should return HTTP status code 400 if the user specifies an invalid timeout in the request URL"
)
def test_a_timeout_that_is_none(api):
    answer = api.call("GET", "/version", timeout="invalid")
    assert answer.code == 400
    assert "invalid timeout specified in the request URL" in answer.text


@case(
    name=(
        f"{TIMEOUT} the request should be served with a default timeout if the specified "
        "timeout in the request URL exceeds maximum allowed"
    )
)
def test_a_timeout_that_is_too_long(api):
    assert api.call("GET", "/version", timeout="3m").code == 200


@case(
    name=f"{TIMEOUT} default timeout should be used if the specified timeout in the request URL is 0s"
)
def test_a_timeout_of_nothing(api):
    assert api.call("GET", "/version", timeout="0s").code == 200


def _secrets(api, namespace):
    names = [f"secret-{number}" for number in range(1, 6)]
    for name in names:
        secret = builders.secret(name)
        secret["metadata"]["labels"] = {"watchlist": "true"}
        api.create(kinds.SECRETS, secret, namespace)
    return names


WATCH_LIST = {
    "labelSelector": "watchlist=true",
    "sendInitialEvents": True,
    "resourceVersionMatch": "NotOlderThan",
    "allowWatchBookmarks": True,
}


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param(
            "application/json",
            marks=case(
                name=f"{STREAMING} should be requested by informers when WatchListClient is enabled"
            ),
        ),
        pytest.param(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            marks=case(
                name=(
                    f"{STREAMING} falls backs to supported content type when when receiving resources "
                    "as Tables was requested"
                )
            ),
        ),
    ],
    ids=["plain", "table-or-plain"],
)
def test_a_list_as_a_stream(api, namespace, accept):
    names = _secrets(api, namespace)
    with api.watch(kinds.SECRETS, namespace, accept=accept, **WATCH_LIST) as watch:
        events = [watch.next() for _ in names]
        assert {event["type"] for event in events} == {"ADDED"}
        assert sorted(event["object"]["metadata"]["name"] for event in events) == names
        mark = watch.next()
        assert mark["type"] == "BOOKMARK"
        ended = {"k8s.io/initial-events-end": "true"}
        assert mark["object"]["metadata"]["annotations"] == ended
        api.patch(kinds.SECRETS, "secret-1", {"stringData": {"foo": "bar"}}, namespace)
        change = watch.until_type("MODIFIED")["object"]
        assert change["data"] == {"foo": "YmFy"}


@case(name=f"{STREAMING} doesn't support receiving resources as Tables")
def test_no_table_as_a_stream(api, namespace):
    options = {**WATCH_LIST, "watch": True}
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    answer = api.call("GET", kinds.SECRETS.path(namespace), headers=accept, **options)
    assert answer.code == 406


ACCEPTS = (
    "application/json",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf,application/json",
    "application/json,application/vnd.kubernetes.protobuf",
)


@pytest.mark.parametrize(
    "accept",
    [
        pytest.param(
            accept,
            marks=case(
                name=f'client-go should negotiate watch and report errors with accept "{accept}"'
            ),
        )
        for accept in ACCEPTS
    ],
)
def test_watching_in_any_encoding(api, namespace, accept):
    before = api.list(kinds.CONFIG_MAPS, namespace)["metadata"]["resourceVersion"]
    api.create(kinds.CONFIG_MAPS, builders.config_map("c"), namespace)
    options = {"resourceVersion": before, "fieldSelector": "metadata.name=c"}
    with api.watch(kinds.CONFIG_MAPS, namespace, accept=accept, **options) as watch:
        event = watch.next()
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "c")
    too_old = {**options, "watch": True, "resourceVersion": "1", "timeoutSeconds": 1}
    answer = api.call(
        "GET", kinds.CONFIG_MAPS.path(namespace), headers={"Accept": accept}, **too_old
    )
    assert answer.code == 200 or (answer.code, answer.json["reason"]) == (410, "Expired")


@case(name="server version should find the server version")
def test_the_version_is_in_whole_numbers(api):
    version = api.ask("GET", "/version")
    assert re.fullmatch("[0-9]+", version["major"])
    assert re.fullmatch("[0-9]+", version["minor"])
